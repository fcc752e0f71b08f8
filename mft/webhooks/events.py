"""What others are told: some of the audit's events, some facts of each; no name of a file, no content, no secret."""

from __future__ import annotations

import fnmatch
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mft.config.webhooks import EVENT_TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

FACTS = frozenset(
    {
        "approvals",
        "attempt",
        "by",
        "case",
        "certificate",
        "copies",
        "destruction",
        "flaw",
        "hold",
        "login",
        "object",
        "outcome",
        "protocol",
        "region",
        "removed",
        "rule",
        "sha256",
        "size",
        "source",
        "state",
        "token",
        "upload",
        "version",
        "zone",
    }
)
"""What may be told of an event, where the audit has it. A new one is told only once it is entered here."""
_TYPES = frozenset(EVENT_TYPES)
_CUSTOMER = "customer:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of the audit that others may be told."""

    id: str
    """The `webhook-id` of every attempt to tell it."""
    type: str
    at: str
    """ISO 8601, in UTC."""
    customer: str | None
    facts: Mapping[str, object]

    @property
    def case(self) -> str | None:
        """The number of the case that it is about."""
        found = self.facts.get("case")
        return found if isinstance(found, str) else None

    def payload(self, case: str | None = None) -> str:
        """Write what is sent; *case* is told where the event itself does not name one."""
        facts = {**self.facts, **({"customer": self.customer} if self.customer else {})}
        if case is not None:
            facts.setdefault("case", case)
        return json.dumps(
            {"type": self.type, "timestamp": self.at, "data": dict(sorted(facts.items()))},
            separators=(",", ":"),
            ensure_ascii=False,
        )


def happening_of(body: str, link: str) -> Happening | None:
    """Return what others may be told of the audit's event *body*, whose hash is *link*; None if nothing."""
    event: dict[str, Any] = json.loads(body)
    if event["kind"] not in _TYPES:
        return None
    chain = str(event["chain"])
    facts = {name: value for name, value in event.items() if name in FACTS}
    if "why" in event:
        facts["reason"] = event["why"]
    return Happening(
        id=f"msg_{link[:32]}",
        type=event["kind"],
        at=event["at"],
        customer=chain.removeprefix(_CUSTOMER) if chain.startswith(_CUSTOMER) else None,
        facts=facts,
    )


def is_wanted(kind: str, customer: str | None, *, patterns: tuple[str, ...], customers: tuple[str, ...] | None) -> bool:
    """Say whether an endpoint of these *patterns* and *customers* (None: all, and the system) wants an event."""
    if customers is not None and customer not in customers:
        return False
    return any(fnmatch.fnmatchcase(kind, pattern) for pattern in patterns)
