"""Local accounts held against the audit: rights that somebody wrote into the catalog past the server show.

An account's rights are what the events about it say, the later over the earlier. Whoever can write to the catalog can
change a row of it, and can write no event whose chain holds: for that takes the key that signs the heads.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import or_, select

from mft.audit import Fault, customer_of
from mft.catalog.model import ACCOUNT_KEYS, ACCOUNTS, EVENTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection, Row

CHAIN = "accounts"
"""What faults name in place of a chain."""
_RIGHTS = ("roles", "clearance", "regions", "verifier")
"""Facts of events; what an event of an earlier release does not tell is not looked at."""


def mark_of(password_hash: str | None) -> str | None:
    """Return what the audit keeps of a password's hash, to see it replaced: nothing that helps to guess."""
    return None if password_hash is None else hashlib.sha256(password_hash.encode()).hexdigest()[:16]


@dataclass(slots=True)
class _Told:
    """What the events so far tell of one login."""

    position: int = 0
    """Of the last of them in its chain."""
    exists: bool = False
    rights: dict[str, object] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)
    limited: bool = False

    def hear(self, position: int, event: dict[str, object]) -> None:
        """Take one more event."""
        self.position = position
        match str(event.get("kind")):
            case "account.created":
                self.exists = True
                self.rights = {name: event[name] for name in _RIGHTS if name in event} | {"active": True}
            case "account.removed":
                self.exists, self.limited, self.rights = False, False, {}
                self.keys.clear()
            case "account.key_added":
                self.keys.add(str(event.get("key")))
            case "account.key_removed":
                self.keys.discard(str(event.get("key")).rstrip("="))
            case "grant.added" | "grant.lifted" as kind:
                self.limited = kind == "grant.added"
            case kind:  # a change of rights or of the password
                if kind.startswith("account.password"):
                    self.rights.pop("verifier", None)
                self.rights |= {name: event[name] for name in (*_RIGHTS, "active") if name in event}
        if str(event.get("kind")).startswith("account."):  # these lie in the chain of the customer whose it is
            self.rights["customer"] = customer_of(str(event.get("chain")))


def unaudited(connection: Connection) -> list[Fault]:
    """Return a fault for each account, right or SSH key that no event of the audit has brought about."""
    told: dict[str, _Told] = {}
    for position, event in _events(connection):
        told.setdefault(str(event.get("login")), _Told()).hear(position, event)
    found = [
        (row.login, what)
        for row in connection.execute(select(ACCOUNTS).order_by(ACCOUNTS.c.login))
        for what in _unlike(row, told.get(row.login, _Told()))
    ]
    found += [
        (row.login, f"no event tells of its SSH key {row.fingerprint}")
        for row in connection.execute(select(ACCOUNT_KEYS.c.login, ACCOUNT_KEYS.c.fingerprint))
        if row.fingerprint not in told.get(row.login, _Told()).keys
    ]
    return [
        Fault(chain=CHAIN, position=told.get(login, _Told()).position, what=f"{login}: {what}") for login, what in found
    ]


def _events(connection: Connection) -> Iterator[tuple[int, dict[str, object]]]:
    bodies = select(EVENTS.c.position, EVENTS.c.body).order_by(EVENTS.c.id)
    kinds = or_(EVENTS.c.body.contains('"account.'), EVENTS.c.body.contains('"grant.'))
    for row in connection.execute(bodies.where(kinds)):
        try:
            event = json.loads(row.body)
        except ValueError:
            continue  # the walk of its chain says so
        if isinstance(event, dict):
            yield row.position, event


def _unlike(row: Row[tuple[object, ...]], told: _Told) -> Iterator[str]:
    if not told.exists:
        yield "no event tells that it was made"
        return
    now = {
        "roles": sorted(row.roles.split(",")),
        "active": bool(row.active),
        "clearance": row.clearance,
        "regions": None if row.regions is None else sorted(row.regions.split(",")),
        "customer": row.customer,
        "verifier": mark_of(row.password_hash),
    }
    for name, value in now.items():
        if name in told.rights and told.rights[name] != value:
            what = "its password was replaced" if name == "verifier" else f"{name} is {value}, not {told.rights[name]}"
            yield f"{what}, which no event tells"
    if told.limited and not row.limited:
        yield "the limit to its grants was taken away, which no event tells"
