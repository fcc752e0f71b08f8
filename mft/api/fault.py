"""What a route of the API answers instead of success: problem documents (RFC 9457).

Raised by handlers and by the router. Errors of `protocols.errors` may be raised as well: the HTTPS head turns them
into problem documents of the same form.
"""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBLEM = "application/problem+json"
PREFIX = "urn:mft:problem:"


class ApiError(Exception):
    """An answer other than success, given on purpose."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        """Say the status, the kind in a few words with hyphens, and what the caller should know and do.

        *errors* name single fields: `pointer` (a JSON pointer or the name of a parameter) and `detail`.
        """
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)

    def document(self, request_id: str) -> bytes:
        """Return the body of the answer."""
        plain: dict[str, object] = {
            "type": PREFIX + self.kind,
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
            "instance": f"urn:mft:request:{request_id}",
        }
        if self.errors:
            plain["errors"] = [dict(error) for error in self.errors]
        return json.dumps(plain).encode()


def not_found(what: str) -> ApiError:
    """Say that there is no such thing, as far as this caller may know."""
    return ApiError(HTTPStatus.NOT_FOUND, "not-found", f"there is no such {what}")


def conflict(detail: str, kind: str = "conflict") -> ApiError:
    """Say that the thing is not in a state in which that could be done."""
    return ApiError(HTTPStatus.CONFLICT, kind, detail)


def unprocessable(detail: str, pointer: str | None = None) -> ApiError:
    """Say that a request has the right form and cannot be done as it is."""
    errors = () if pointer is None else ({"pointer": pointer, "detail": detail},)
    return ApiError(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable", detail, errors=errors)


def forbidden(detail: str) -> ApiError:
    """Say that this caller may not do that."""
    return ApiError(HTTPStatus.FORBIDDEN, "forbidden", detail)
