"""What each role may do over the API, in words that a token can be narrowed to. Pure, as policy is.

Which *cases* somebody may enter, and which files in them, is policy's: a permission opens a door of the API, no case.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING

from casemap.model import Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Permission(enum.StrEnum):
    """One door of the API, or with `TRANSFER` all of SFTP and of the file tree over HTTPS."""

    TRANSFER = "transfer"
    CASES_READ = "cases:read"
    CASES_WRITE = "cases:write"
    FILES_READ = "files:read"
    DEPOSITS_READ = "deposits:read"
    RECEIPTS_READ = "receipts:read"
    TOKENS_READ = "tokens:read"
    TOKENS_WRITE = "tokens:write"
    QUARANTINE_READ = "quarantine:read"
    QUARANTINE_RELEASE = "quarantine:release"
    UNFILED_READ = "unfiled:read"
    UNFILED_ASSIGN = "unfiled:assign"
    REPLICAS_READ = "replicas:read"
    RESIDENCY_READ = "residency:read"
    AUDIT_READ = "audit:read"
    PREFLIGHT = "preflight"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_WRITE = "webhooks:write"
    LIFECYCLE_READ = "lifecycle:read"
    LIFECYCLE_WRITE = "lifecycle:write"


_P = Permission
_SENDER = frozenset({_P.TRANSFER, _P.FILES_READ, _P.DEPOSITS_READ, _P.RECEIPTS_READ, _P.PREFLIGHT, _P.CASES_READ})
ROLES: Mapping[Role, frozenset[Permission]] = {
    Role.CUSTOMER: _SENDER | {_P.TOKENS_READ, _P.TOKENS_WRITE, _P.UNFILED_READ, _P.UNFILED_ASSIGN},
    Role.ENGINEER: _SENDER
    | {
        _P.TOKENS_READ,
        _P.TOKENS_WRITE,
        _P.REPLICAS_READ,
        _P.RESIDENCY_READ,
        _P.QUARANTINE_READ,
    },
    Role.RELEASER: _SENDER | {_P.QUARANTINE_READ, _P.QUARANTINE_RELEASE},
    Role.OPERATOR: frozenset(
        {
            _P.CASES_READ,
            _P.CASES_WRITE,
            _P.TOKENS_READ,
            _P.TOKENS_WRITE,
            _P.UNFILED_READ,
            _P.UNFILED_ASSIGN,
            _P.QUARANTINE_READ,
            _P.REPLICAS_READ,
            _P.RESIDENCY_READ,
            _P.AUDIT_READ,
            _P.PREFLIGHT,
            _P.WEBHOOKS_READ,
            _P.WEBHOOKS_WRITE,
            _P.LIFECYCLE_READ,
            _P.LIFECYCLE_WRITE,
        }
    ),
    Role.TRIAGE: frozenset({_P.TRANSFER, _P.UNFILED_READ, _P.UNFILED_ASSIGN}),
    Role.AUDITOR: frozenset(
        {_P.AUDIT_READ, _P.REPLICAS_READ, _P.RESIDENCY_READ, _P.QUARANTINE_READ, _P.LIFECYCLE_READ}
    ),
}
"""What each role may do; whoever has several may do what any of them may."""
CASE_TOKEN = frozenset({_P.TRANSFER, _P.DEPOSITS_READ, _P.RECEIPTS_READ, _P.PREFLIGHT})
"""What the holder of a case's token may do, to its own deposits."""


def permissions_of(roles: Iterable[Role], narrowed: frozenset[Permission] | None = None) -> frozenset[Permission]:
    """Return what *roles* may do, and with *narrowed* (a token's scopes) only what is in it too."""
    every = frozenset[Permission]().union(*(ROLES[role] for role in roles))
    return every if narrowed is None else every & narrowed
