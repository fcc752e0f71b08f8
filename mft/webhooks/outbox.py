"""The outbox: what is still to be told to whom, kept in the catalog until it is told or given up.

An event is in the audit in the transaction of the change that it tells; `spread` turns it into one delivery for each
endpoint that wants it, and moves that endpoint's place in the audit in the same transaction: nothing is lost to a crash
and nothing is told of what was rolled back. Deliveries of one case to one endpoint go one after another.
"""

from __future__ import annotations

import datetime as dt
import json
import random
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from mft.audit import SYSTEM
from mft.box import case_or_none
from mft.catalog.model import CASES, EVENTS, UPLOADS, WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS
from mft.webhooks.errors import NoSuchDeliveryError
from mft.webhooks.events import happening_of, is_wanted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.config.webhooks import OutgoingConfig
    from mft.webhooks.endpoints import Endpoints
    from mft.webhooks.errors import DeliveryError

PAGE = 500
TIRED = 5
"""Failures in a row, to whichever case, after which an endpoint is tried by one delivery at a time."""
LONGEST_REST = 300.0
_STATES = ("waiting", "delivered", "dead")


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """One delivery that is due, with all that an attempt needs."""

    number: int
    endpoint: str
    stream: str
    url: str
    message_id: str
    body: bytes
    attempts: int
    keys: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery as people see it."""

    number: int
    endpoint: str
    message_id: str
    type: str
    case: str | None
    state: str
    attempts: int
    due: dt.datetime
    status: int | None
    error: str | None
    created: dt.datetime
    finished: dt.datetime | None
    payload: Mapping[str, object]

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "id": self.number,
            "endpoint": self.endpoint,
            "message_id": self.message_id,
            "type": self.type,
            "case": self.case,
            "state": self.state,
            "attempts": self.attempts,
            "due": self.due.isoformat(timespec="seconds") if self.state == "waiting" else None,
            "last_status": self.status,
            "last_error": self.error,
            "created": self.created.isoformat(timespec="seconds"),
            "finished": None if self.finished is None else self.finished.isoformat(timespec="seconds"),
            "payload": dict(self.payload),
        }


class Outbox:
    """Deliveries: made, due, done, given up, sent again."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        endpoints: Endpoints,
        settings: OutgoingConfig,
        clock: Callable[[], float] = time.time,
        chance: random.Random | None = None,
    ) -> None:
        """Keep to *settings*; *clock* is in POSIX seconds, *chance* spreads retries."""
        self._database = database
        self._trail = trail
        self._endpoints = endpoints
        self._settings = settings
        self._clock = clock
        self._chance = chance or random.Random()  # noqa: S311 - jitter, not a secret

    # -- making deliveries -----------------------------------------------------------------------------------------

    def spread(self) -> int:
        """Make deliveries of what the audit has new for each endpoint; return how many events were looked at."""
        with self._database.read() as connection:
            newest = connection.execute(select(func.max(EVENTS.c.id))).scalar() or 0
            behind = connection.execute(select(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.position < newest)).all()
        return sum(self._spread_to(row) for row in behind)

    def _spread_to(self, endpoint: Row[Any]) -> int:
        with self._database.read() as connection:
            rows = connection.execute(
                select(EVENTS.c.id, EVENTS.c.body, EVENTS.c.hash)
                .where(EVENTS.c.id > endpoint.position)
                .order_by(EVENTS.c.id)
                .limit(PAGE)
            ).all()
            wanted = self._wanted(connection, endpoint, rows)
        if not rows:
            return 0
        with self._database.write() as connection:
            moved = connection.execute(
                update(WEBHOOK_ENDPOINTS)
                .where(WEBHOOK_ENDPOINTS.c.name == endpoint.name, WEBHOOK_ENDPOINTS.c.position == endpoint.position)
                .values(position=rows[-1].id)
            )
            if moved.rowcount == 1 and wanted:
                connection.execute(insert_or_nothing(WEBHOOK_DELIVERIES).on_conflict_do_nothing(), wanted)
        return len(rows)

    def _wanted(self, connection: Connection, endpoint: Row[Any], rows: Sequence[Any]) -> list[dict[str, object]]:
        patterns = tuple(endpoint.events.split(","))
        customers = None if endpoint.customers is None else tuple(endpoint.customers.split(","))
        found = []
        for row in rows:
            event = happening_of(row.body, row.hash)
            if event is None or not is_wanted(event.type, event.customer, patterns=patterns, customers=customers):
                continue
            case = event.case or self._case_of(connection, event.facts.get("upload"))
            told = None if case is None else case_or_none(case)
            found.append(self._values(endpoint.name, event.id, event.type, case or "", event.payload(told)))
        return found

    @staticmethod
    def _case_of(connection: Connection, upload: object) -> str | None:
        if not isinstance(upload, str):
            return None
        number: str | None = connection.execute(
            select(CASES.c.number).join(UPLOADS, UPLOADS.c.case_id == CASES.c.id).where(UPLOADS.c.id == upload)
        ).scalar()
        return None if number is None else case_or_none(number)

    def _values(self, endpoint: str, event_id: str, kind: str, stream: str, payload: str) -> dict[str, object]:
        now = self._clock()
        return {
            "endpoint": endpoint,
            "event_id": event_id,
            "type": kind,
            "stream": stream,
            "payload": payload,
            "state": "waiting",
            "attempts": 0,
            "due_at": now,
            "expires_at": now + self._settings.retry_for,
            "created_at": now,
        }

    def test(self, endpoint: str) -> Delivery:
        """Have an endpoint sent an event that tells nothing, `webhook.test`.

        Raises:
            NoSuchEndpointError: there is none of that name.
        """
        self._endpoints.get(endpoint)
        message = f"msg_{secrets.token_hex(16)}"
        at = dt.datetime.fromtimestamp(self._clock(), dt.UTC).isoformat(timespec="microseconds")
        payload = json.dumps({"type": "webhook.test", "timestamp": at, "data": {}}, separators=(",", ":"))
        with self._database.write() as connection:
            made = connection.execute(
                insert(WEBHOOK_DELIVERIES).values(**self._values(endpoint, message, "webhook.test", "", payload))
            )
            number = int(made.inserted_primary_key[0])  # type: ignore[index]  # SQLAlchemy types it as optional
            row = connection.execute(select(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.id == number)).one()
        return _delivery(row)

    # -- attempts --------------------------------------------------------------------------------------------------

    def due(
        self,
        *,
        limit: int,
        configured: Mapping[str, Sequence[bytes]],
        busy: Iterable[tuple[str, str]] = (),
    ) -> list[Letter]:
        """Return deliveries that may be attempted now, at most *limit*, the longest due first.

        Of each case and endpoint only the oldest that waits; none of those (endpoint, stream) that are *busy*; of an
        endpoint that failed again and again one at a time. *configured* are the secrets of those in the configuration.
        """
        now, taken = self._clock(), set(busy)
        older = WEBHOOK_DELIVERIES.alias("older")
        is_first = ~(
            select(older.c.id)
            .where(
                older.c.endpoint == WEBHOOK_DELIVERIES.c.endpoint,
                older.c.stream == WEBHOOK_DELIVERIES.c.stream,
                older.c.state == "waiting",
                older.c.id < WEBHOOK_DELIVERIES.c.id,
            )
            .exists()
        )
        with self._database.read() as connection:
            rows = connection.execute(
                select(WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS.c.failures)
                .join(WEBHOOK_ENDPOINTS, WEBHOOK_ENDPOINTS.c.name == WEBHOOK_DELIVERIES.c.endpoint)
                .where(
                    WEBHOOK_DELIVERIES.c.state == "waiting",
                    WEBHOOK_DELIVERIES.c.due_at <= now,
                    WEBHOOK_ENDPOINTS.c.active,
                    WEBHOOK_ENDPOINTS.c.rest_until <= now,
                    is_first,
                )
                .order_by(WEBHOOK_DELIVERIES.c.due_at, WEBHOOK_DELIVERIES.c.id)
                .limit(limit + len(taken))
            ).all()
            endpoints = {row.name: row for row in connection.execute(select(WEBHOOK_ENDPOINTS))}
        letters: list[Letter] = []
        called = {endpoint for endpoint, _ in taken}
        for row in rows:
            tired = row.failures >= TIRED and row.endpoint in called
            if (row.endpoint, row.stream) in taken or tired or len(letters) >= limit:
                continue
            called.add(row.endpoint)
            letters.append(
                Letter(
                    number=row.id,
                    endpoint=row.endpoint,
                    stream=row.stream,
                    url=endpoints[row.endpoint].url,
                    message_id=row.event_id,
                    body=row.payload.encode(),
                    attempts=row.attempts,
                    keys=self._endpoints.keys_of(endpoints[row.endpoint], configured),
                )
            )
        return letters

    def delivered(self, letter: Letter, status: int) -> None:
        """Note that an attempt was taken."""
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(
                update(WEBHOOK_DELIVERIES)
                .where(WEBHOOK_DELIVERIES.c.id == letter.number)
                .values(
                    state="delivered",
                    attempts=letter.attempts + 1,
                    last_status=status,
                    last_error=None,
                    finished_at=now,
                )
            )
            connection.execute(
                update(WEBHOOK_ENDPOINTS)
                .where(WEBHOOK_ENDPOINTS.c.name == letter.endpoint, WEBHOOK_ENDPOINTS.c.failures > 0)
                .values(failures=0, rest_until=0.0, note=None)
            )

    def failed(self, letter: Letter, error: DeliveryError, *, gone: bool = False) -> bool:
        """Note that an attempt failed; return whether the delivery is given up for that.

        With *gone* the endpoint is told nothing more until somebody says so.
        """
        now, attempts = self._clock(), letter.attempts + 1
        due = now + self.wait_after(attempts, error.retry_after)
        with self._database.write() as connection:
            row = connection.execute(
                select(WEBHOOK_DELIVERIES.c.expires_at).where(WEBHOOK_DELIVERIES.c.id == letter.number)
            ).first()
            if row is None:
                return False  # the endpoint was removed meanwhile
            dead = bool(due > row.expires_at)
            connection.execute(
                update(WEBHOOK_DELIVERIES)
                .where(WEBHOOK_DELIVERIES.c.id == letter.number)
                .values(
                    state="dead" if dead else "waiting",
                    attempts=attempts,
                    due_at=due,
                    last_status=error.status,
                    last_error=str(error),
                    finished_at=now if dead else None,
                )
            )
            self._note_failure(connection, letter.endpoint, error, gone=gone)
            if dead:
                self._trail.append(
                    connection,
                    SYSTEM,
                    "webhook.given_up",
                    endpoint=letter.endpoint,
                    delivery=letter.number,
                    message=letter.message_id,
                    attempts=attempts,
                    why=str(error),
                )
        return dead

    def _note_failure(self, connection: Connection, name: str, error: DeliveryError, *, gone: bool) -> None:
        failures = connection.execute(
            select(WEBHOOK_ENDPOINTS.c.failures).where(WEBHOOK_ENDPOINTS.c.name == name)
        ).scalar_one()
        values: dict[str, object] = {"failures": failures + 1, "note": str(error)}
        if failures + 1 >= TIRED:
            rest = min(LONGEST_REST, self._settings.retry_first * 2 ** min(failures + 1 - TIRED, 20))
            values["rest_until"] = self._clock() + rest
        if gone:
            values["active"] = False
            self._trail.append(connection, SYSTEM, "webhook.paused", endpoint=name, by="receiver", why=str(error))
        connection.execute(update(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.name == name).values(**values))

    def wait_after(self, attempts: int, retry_after: float | None = None) -> float:
        """Return how long to wait after so many failed *attempts*, in seconds: doubled each time, with jitter."""
        settings = self._settings
        wait = min(settings.retry_max, settings.retry_first * 2.0 ** min(attempts - 1, 40))
        return max(wait * self._chance.uniform(0.75, 1.25), retry_after or 0.0)

    # -- looking, and sending again --------------------------------------------------------------------------------

    def deliveries(
        self, *, endpoint: str | None = None, state: str | None = None, before: int | None = None, limit: int = 100
    ) -> tuple[Delivery, ...]:
        """Return deliveries, the newest first: of one *endpoint*, in one *state*, with numbers below *before*."""
        statement = select(WEBHOOK_DELIVERIES).order_by(WEBHOOK_DELIVERIES.c.id.desc()).limit(limit)
        if endpoint is not None:
            statement = statement.where(WEBHOOK_DELIVERIES.c.endpoint == endpoint)
        if state is not None:
            statement = statement.where(WEBHOOK_DELIVERIES.c.state == state)
        if before is not None:
            statement = statement.where(WEBHOOK_DELIVERIES.c.id < before)
        with self._database.read() as connection:
            return tuple(_delivery(row) for row in connection.execute(statement))

    def redeliver(self, number: int, *, by: str) -> Delivery:
        """Have a delivery sent again, under the same message id, as long as a new one is tried.

        Raises:
            NoSuchDeliveryError: there is none of that number, or it waits already.
        """
        with self._database.write() as connection:
            row = connection.execute(select(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.id == number)).first()
            if row is None:
                raise NoSuchDeliveryError(f"there is no delivery {number}")
            self._send_again(connection, [row], by=by)
            row = connection.execute(select(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.id == number)).one()
        return _delivery(row)

    def redeliver_dead(self, endpoint: str | None, *, by: str) -> int:
        """Have everything that was given up, for one *endpoint* or all, sent again; return how many those are.

        Raises:
            NoSuchEndpointError: there is none of that name.
        """
        if endpoint is not None:
            self._endpoints.get(endpoint)
        statement = select(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.state == "dead")
        if endpoint is not None:
            statement = statement.where(WEBHOOK_DELIVERIES.c.endpoint == endpoint)
        with self._database.write() as connection:
            rows = connection.execute(statement).all()
            self._send_again(connection, rows, by=by)
        return len(rows)

    def _send_again(self, connection: Connection, rows: Sequence[Row[Any]], *, by: str) -> None:
        now = self._clock()
        for row in rows:
            connection.execute(
                update(WEBHOOK_DELIVERIES)
                .where(WEBHOOK_DELIVERIES.c.id == row.id)
                .values(
                    state="waiting",
                    attempts=0,
                    due_at=now,
                    expires_at=now + self._settings.retry_for,
                    finished_at=None,
                )
            )
        for name in {row.endpoint for row in rows}:
            connection.execute(
                update(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.name == name).values(failures=0, rest_until=0.0)
            )
            numbers = [row.id for row in rows if row.endpoint == name]
            self._trail.append(
                connection, SYSTEM, "webhook.redelivered", endpoint=name, deliveries=numbers[:100], by=by
            )

    def prune(self) -> int:
        """Forget deliveries that ended longer ago than they are kept; return how many."""
        before = self._clock() - self._settings.keep
        with self._database.read() as connection:
            old = (
                connection.execute(
                    select(WEBHOOK_DELIVERIES.c.id)
                    .where(WEBHOOK_DELIVERIES.c.state != "waiting", WEBHOOK_DELIVERIES.c.finished_at < before)
                    .limit(PAGE)
                )
                .scalars()
                .all()
            )
        if old:
            with self._database.write() as connection:
                connection.execute(delete(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.id.in_(old)))
        return len(old)


def check_state(text: str) -> str:
    """Return *text* if it is a state of deliveries.

    Raises:
        ValueError: it is none.
    """
    if text not in _STATES:
        raise ValueError(f"a delivery is {', '.join(_STATES[:-1])} or {_STATES[-1]}")
    return text


def _delivery(row: Row[Any]) -> Delivery:
    def moment(seconds: float) -> dt.datetime:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)

    return Delivery(
        number=row.id,
        endpoint=row.endpoint,
        message_id=row.event_id,
        type=row.type,
        case=row.stream or None,
        state=row.state,
        attempts=row.attempts,
        due=moment(row.due_at),
        status=row.last_status,
        error=row.last_error,
        created=moment(row.created_at),
        finished=None if row.finished_at is None else moment(row.finished_at),
        payload=json.loads(row.payload),
    )
