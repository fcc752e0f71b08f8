"""From what went wrong to what an HTTP client is told: one table, and bodies after RFC 9457."""

from __future__ import annotations

import json
import math
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11, hdrs, web

from protocols.errors import (
    AlreadyExistsError,
    AuthenticationError,
    FileSystemError,
    GoneError,
    InvalidNameError,
    IsADirectoryPathError,
    LockedError,
    NotFoundError,
    OffsetMismatchError,
    PermissionDeniedError,
    QuotaExceededError,
    RejectedError,
    ThrottledError,
    UnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

STATUS: Final[Mapping[type[Exception], HTTPStatus]] = {
    NotFoundError: HTTPStatus.NOT_FOUND,
    GoneError: HTTPStatus.GONE,
    PermissionDeniedError: HTTPStatus.FORBIDDEN,
    IsADirectoryPathError: HTTPStatus.BAD_REQUEST,
    AlreadyExistsError: HTTPStatus.PRECONDITION_FAILED,
    InvalidNameError: HTTPStatus.BAD_REQUEST,
    OffsetMismatchError: HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    QuotaExceededError: HTTPStatus.INSUFFICIENT_STORAGE,
    RejectedError: HTTPStatus.UNPROCESSABLE_ENTITY,
    LockedError: HTTPStatus.LOCKED,
    UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
    AuthenticationError: HTTPStatus.UNAUTHORIZED,
    ThrottledError: HTTPStatus.TOO_MANY_REQUESTS,
    FileSystemError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
"""Looked up along the class hierarchy of an error."""
BESIDES = web.RequestKey("besides", dict[str, str])
"""Headers that the answer to this request has, whatever it is."""


class ProblemError(Exception):
    """An answer other than success that a handler of this head, or of the application, gives on purpose."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, object] | None = None,
    ) -> None:
        """Say the status, a sentence for the client, headers that go with them, and members of its document besides."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})
        self.members = dict(members or {})


class TransferCutError(Exception):
    """The client broke off in the middle of a body, or what it sent is no body."""


def as_problem(error: Exception) -> ProblemError | None:
    """Return what a client is told about *error*; None when it is none of ours and its text may not be sent."""
    if isinstance(error, ProblemError):
        return error
    for kind in type(error).__mro__:
        status = STATUS.get(kind)
        if status is not None:
            return ProblemError(status, str(error), headers=_retry_headers(error))
    return None


def as_http_problem(answer: web.HTTPException) -> ProblemError:
    """Return the problem for an error status that the router or the application raised."""
    headers: dict[str, str] = {hdrs.ALLOW: answer.headers[hdrs.ALLOW]} if hdrs.ALLOW in answer.headers else {}
    return ProblemError(HTTPStatus(answer.status), _detail_of(answer), headers=headers)


def problem_response(problem: ProblemError, request_id: str) -> web.Response:
    """Make the answer: `application/problem+json` (RFC 9457) with the request id as its instance."""
    document = {
        "type": f"urn:mft:problem:{problem.status.name.lower().replace('_', '-')}",
        "title": problem.status.phrase,
        "status": problem.status.value,
        "detail": problem.detail,
        "instance": f"urn:mft:request:{request_id}",
        **problem.members,
    }
    return web.Response(
        status=problem.status.value,
        reason=problem.status.phrase,
        body=json.dumps(document).encode(),
        content_type="application/problem+json",
        headers={hdrs.CACHE_CONTROL: "no-store", **problem.headers},
    )


async def defer_continue(_request: web.Request) -> None:
    """Serve as a route's `expect_handler`: say nothing yet, the handler calls `proceed` once it wants the body."""


async def proceed(request: web.Request) -> None:
    """Send `100 Continue` to a client that waits for it (RFC 9110, section 10.1.1).

    Raises:
        ProblemError: it expects something else (417).
    """
    expect = request.headers.get(hdrs.EXPECT)
    if expect is None or request.version < HttpVersion11:
        return
    if expect.strip().lower() != "100-continue":
        raise ProblemError(HTTPStatus.EXPECTATION_FAILED, "only 'Expect: 100-continue' is known here")
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.writer.output_size = 0  # the final answer has not begun: it may still become an error


def _detail_of(error: web.HTTPException) -> str:
    """Return a sentence for an error that the router or the application raised."""
    if isinstance(error, web.HTTPMethodNotAllowed):
        return f"this resource answers to {', '.join(sorted(error.allowed_methods))}"
    if isinstance(error, web.HTTPNotFound):
        return "there is nothing at this address"
    return error.reason


def _retry_headers(error: Exception) -> dict[str, str]:
    """Return Retry-After in whole seconds, at least one, for the errors that know a time."""
    if isinstance(error, ThrottledError | UnavailableError):
        return {hdrs.RETRY_AFTER: str(max(1, math.ceil(error.retry_after)))}
    return {}
