"""Webhooks in: the case system says that something changed, and we ask it anew.

An announcement is a hint and no authority: it makes caches drop and open sessions be judged again, by rows that every
process reads (`mft.revocation`). Only a revocation does more: it ends the login's sessions whatever is answered next.
The same announcement twice is taken once.
"""

from __future__ import annotations

import enum
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, insert, select, update

from casemap.identifier import check_case_number, check_customer_id, check_login
from mft.audit import SYSTEM, customer_chain
from mft.catalog.model import CASES, WEBHOOK_RECEIPTS
from mft.revocation import REVOKED, Subject, announce
from mft.webhooks.errors import MalformedAnnouncementError, RepeatedIdError, SignatureError
from mft.webhooks.signature import verify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database

MOST_BODY = 64 * 1024
"""Bytes of one announcement."""
MOST_SUBJECTS = 500
"""Cases, logins or customers that one announcement names."""
KEPT_SECONDS = 7 * 86400.0
"""How long ids are remembered: far longer than a signature is good for."""
_DEEP = 16


class Kind(enum.StrEnum):
    """What a case system announces."""

    CASE_OPENED = "case.opened"
    CASE_CHANGED = "case.changed"
    CASE_REASSIGNED = "case.reassigned"
    CASE_CLOSED = "case.closed"
    CASE_REMOVED = "case.removed"
    PRINCIPAL_CHANGED = "principal.changed"
    PRINCIPAL_REVOKED = "principal.revoked"
    ACCESS_REVOKED = "access.revoked"
    CUSTOMER_CHANGED = "customer.changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """What was announced, checked."""

    kind: Kind
    cases: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of an announcement."""

    message_id: str
    kind: Kind
    repeated: bool
    subjects: int

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "id": self.message_id,
            "type": self.kind.value,
            "status": "repeated" if self.repeated else "taken",
            "subjects": self.subjects,
        }


class Inbox:
    """Takes announcements."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        keys: Sequence[bytes],
        tolerance: float = 300.0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Believe whoever signs with one of *keys* within *tolerance* seconds; *clock* is in POSIX seconds."""
        self._database = database
        self._trail = trail
        self._keys = tuple(keys)
        self._tolerance = tolerance
        self._clock = clock

    @property
    def is_open(self) -> bool:
        """Whether there is anybody to believe."""
        return bool(self._keys)

    def take(self, headers: Mapping[str, str], body: bytes) -> Taken:
        """Check an announcement and do what it asks for; once for each id.

        Raises:
            SignatureError: it is not from the case system, or not of now.
            RepeatedIdError: the id was used for another body.
            MalformedAnnouncementError: it says nothing that we understand.
        """
        if not self._keys:
            raise SignatureError("no secret is configured for announcements (webhooks.incoming.secret_files)")
        now = self._clock()
        message_id = verify(self._keys, headers, body, now=now, tolerance=self._tolerance)
        announced = parse_announcement(body)
        digest = hashlib.sha256(body).hexdigest()
        with self._database.write() as connection:
            known = connection.execute(
                select(WEBHOOK_RECEIPTS.c.digest).where(WEBHOOK_RECEIPTS.c.id == message_id)
            ).first()
            if known is not None and known.digest != digest:
                raise RepeatedIdError("this webhook-id was used for another announcement; give each one its own")
            if known is None:
                connection.execute(
                    insert(WEBHOOK_RECEIPTS).values(
                        id=message_id, digest=digest, type=announced.kind.value, received_at=now
                    )
                )
                connection.execute(delete(WEBHOOK_RECEIPTS).where(WEBHOOK_RECEIPTS.c.received_at < now - KEPT_SECONDS))
                self._do(connection, announced, message_id, now)
        subjects = len(announced.cases) + len(announced.logins) + len(announced.customers)
        return Taken(message_id=message_id, kind=announced.kind, repeated=known is not None, subjects=subjects)

    def _do(self, connection: Connection, announced: Announcement, message_id: str, now: float) -> None:
        kind = announced.kind
        ends = kind in {Kind.PRINCIPAL_REVOKED, Kind.ACCESS_REVOKED}
        reason = f"{REVOKED} {kind.value}" if ends and not announced.cases else kind.value
        for login in announced.logins:
            announce(connection, Subject.PRINCIPAL, login, reason, at=now)
        for number in announced.cases:
            announce(connection, Subject.CASE, number, kind.value, at=now)
        for customer in announced.customers:
            announce(connection, Subject.CUSTOMER, customer, kind.value, at=now)
        if kind in {Kind.CASE_CLOSED, Kind.CASE_OPENED}:
            closed = kind is Kind.CASE_CLOSED
            for number in announced.cases:
                connection.execute(
                    update(CASES)
                    .where(CASES.c.number == number, CASES.c.closed_at.is_(None) if closed else CASES.c.number != "")
                    .values(closed_at=now if closed else None)
                )
        self._trail.append(
            connection,
            self._chain(connection, announced),
            "case_system.announced",
            message=message_id,
            announced=kind.value,
            cases=list(announced.cases[:100]) or None,
            logins=list(announced.logins[:100]) or None,
            customers=list(announced.customers[:100]) or None,
        )

    @staticmethod
    def _chain(connection: Connection, announced: Announcement) -> str:
        if len(announced.cases) != 1:
            return SYSTEM
        found = connection.execute(select(CASES.c.customer).where(CASES.c.number == announced.cases[0])).scalar()
        return customer_chain(found)


def parse_announcement(body: bytes) -> Announcement:
    """Read the JSON of an announcement.

    Raises:
        MalformedAnnouncementError: says what is wrong and what is expected.
    """
    document = _load(body)
    if not isinstance(document, dict) or not isinstance(document.get("data"), dict):
        raise MalformedAnnouncementError('the body is {"type": …, "timestamp": …, "data": {…}}')
    try:
        kind = Kind(str(document.get("type")))
    except ValueError as error:
        known = ", ".join(each.value for each in Kind)
        raise MalformedAnnouncementError(f"type is one of {known}") from error
    data: dict[str, Any] = document["data"]
    cases = _named(data, "case", "cases", check_case_number)
    logins = _named(data, "login", "logins", check_login)
    customers = _named(data, "customer", "customers", check_customer_id)
    what, needed = {
        "case": ("data.case or data.cases", cases),
        "principal": ("data.login or data.logins", logins),
        "access": ("data.login or data.logins", logins),
        "customer": ("data.customer or data.customers", customers),
    }[kind.value.partition(".")[0]]
    if not needed:
        raise MalformedAnnouncementError(f"{kind.value} names {what}")
    if kind.value.startswith(("case.", "customer.")):
        logins = ()
    if not kind.value.startswith("customer."):
        customers = ()
    if kind in {Kind.PRINCIPAL_CHANGED, Kind.PRINCIPAL_REVOKED}:
        cases = ()
    return Announcement(kind=kind, cases=cases, logins=logins, customers=customers)


def _load(body: bytes) -> object:
    if len(body) > MOST_BODY:
        raise MalformedAnnouncementError(f"an announcement has at most {MOST_BODY} bytes")
    try:
        text = body.decode("utf-8")
        if text.count("[") + text.count("{") > MOST_SUBJECTS * _DEEP:
            raise MalformedAnnouncementError("the body holds too many lists and objects")
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedAnnouncementError("the body is not JSON in UTF-8") from error


def _named(data: Mapping[str, Any], one: str, many: str, check: Callable[[str], str]) -> tuple[str, ...]:
    """Return what *data* names, alone or in a list, each once."""
    given = data.get(many, [])
    if not isinstance(given, list) or len(given) > MOST_SUBJECTS:
        raise MalformedAnnouncementError(f"data.{many} is a list of at most {MOST_SUBJECTS}")
    found = [*given, *([data[one]] if data.get(one) is not None else [])]
    names = []
    for name in found:
        if not isinstance(name, str):
            raise MalformedAnnouncementError(f"data.{one} is a text")
        try:
            names.append(check(name))
        except ValueError as error:
            raise MalformedAnnouncementError(f"data.{one} {error}") from error
    return tuple(dict.fromkeys(names))
