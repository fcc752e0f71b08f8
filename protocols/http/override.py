"""Methods that a proxy drops, told in a header: `X-HTTP-Method-Override` of a POST."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import hdrs

from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from aiohttp import web

OVERRIDE: Final = "X-HTTP-Method-Override"
_KNOWN: Final = frozenset({"GET", "HEAD", "PUT", "PATCH", "DELETE", "POST", "OPTIONS"})


def method_of(request: web.Request) -> str:
    """Return the method that a request means.

    Raises:
        ProblemError: 400, a method that is told is none.
    """
    told = request.headers.get(OVERRIDE)
    if told is None or request.method != hdrs.METH_POST:
        return request.method
    method = told.strip().upper()
    if method not in _KNOWN:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{OVERRIDE} names one of {', '.join(sorted(_KNOWN))}")
    return method
