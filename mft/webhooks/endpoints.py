"""Who is told: endpoints of the configuration, and those that were made by the API or at a shell.

The secrets of the latter are derived from the server's own key, by name and number: the catalog never holds one, and
it is shown once, to whoever makes or rotates it.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, insert, select, update

from mft.audit import SYSTEM
from mft.catalog.model import EVENTS, WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS
from mft.config.webhooks import EVENT_TYPES, event_types, is_endpoint_url
from mft.webhooks.errors import EndpointExistsError, InvalidEndpointError, NoSuchEndpointError
from mft.webhooks.signature import derive_secret, secret_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.config.webhooks import OutgoingConfig

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?", re.ASCII)
_CUSTOMER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
MOST_PATTERNS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Somebody who is told."""

    name: str
    source: str
    url: str
    events: tuple[str, ...]
    customers: tuple[str, ...] | None
    active: bool
    note: str | None
    created: dt.datetime
    waiting: int = 0
    dead: int = 0

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "name": self.name,
            "source": self.source,
            "url": self.url,
            "events": list(self.events),
            "customers": None if self.customers is None else list(self.customers),
            "active": self.active,
            "note": self.note,
            "created": self.created.isoformat(timespec="seconds"),
            "waiting": self.waiting,
            "dead": self.dead,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeEndpoint:
    """An endpoint with its new secret, shown this once."""

    endpoint: Endpoint
    secret: str = field(repr=False)


class Endpoints:
    """The endpoints of the catalog."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        key: bytes,
        settings: OutgoingConfig,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Derive secrets from *key*, a secret of the server; *clock* is in POSIX seconds."""
        self._database = database
        self._trail = trail
        self._key = key
        self._settings = settings
        self._clock = clock

    def add(
        self, name: str, url: str, *, by: str, events: Sequence[str] = ("*",), customers: Sequence[str] | None = None
    ) -> MadeEndpoint:
        """Make an endpoint, which is told what happens from now on; *by* is who did it.

        Raises:
            InvalidEndpointError, EndpointExistsError: see there.
        """
        self._check(name, url, events, customers)
        now = self._clock()
        with self._database.write() as connection:
            if connection.execute(select(WEBHOOK_ENDPOINTS.c.name).where(WEBHOOK_ENDPOINTS.c.name == name)).first():
                raise EndpointExistsError(f"there is an endpoint {name!r} already")
            connection.execute(
                insert(WEBHOOK_ENDPOINTS).values(
                    name=name,
                    source="api",
                    url=url,
                    events=",".join(events),
                    customers=None if customers is None else ",".join(customers),
                    active=True,
                    serial=1,
                    position=_newest(connection),
                    failures=0,
                    rest_until=0.0,
                    created_at=now,
                    updated_at=now,
                )
            )
            self._record(connection, "webhook.added", name, by=by, url=url, events=list(events))
            row = _row(connection, name)
        return MadeEndpoint(endpoint=_endpoint(row), secret=self._secret(row.name, row.serial))

    def list(self) -> tuple[Endpoint, ...]:
        """Return every endpoint by name, with how much waits for it and how much was given up."""
        with self._database.read() as connection:
            rows = connection.execute(select(WEBHOOK_ENDPOINTS).order_by(WEBHOOK_ENDPOINTS.c.name)).all()
            counts = _counts(connection)
        return tuple(_endpoint(row, counts) for row in rows)

    def get(self, name: str) -> Endpoint:
        """Return one endpoint.

        Raises:
            NoSuchEndpointError: there is none of that name.
        """
        with self._database.read() as connection:
            return _endpoint(_row(connection, name), _counts(connection))

    def remove(self, name: str, *, by: str) -> None:
        """Remove an endpoint with everything that waits for it.

        Raises:
            NoSuchEndpointError: there is none of that name.
            InvalidEndpointError: it stands in the configuration.
        """
        with self._database.write() as connection:
            self._refuse_configured(_row(connection, name), "take it out there")
            _forget(connection, name)
            self._record(connection, "webhook.removed", name, by=by)

    def set_active(self, name: str, *, active: bool, by: str) -> Endpoint:
        """Let an endpoint rest, or be told again, beginning with what was put off meanwhile.

        Raises:
            NoSuchEndpointError: there is none of that name.
        """
        with self._database.write() as connection:
            _row(connection, name)
            connection.execute(
                update(WEBHOOK_ENDPOINTS)
                .where(WEBHOOK_ENDPOINTS.c.name == name)
                .values(
                    active=active,
                    failures=0,
                    rest_until=0.0,
                    note=None if active else f"paused by {by}",
                    updated_at=self._clock(),
                )
            )
            self._record(connection, "webhook.resumed" if active else "webhook.paused", name, by=by)
            return _endpoint(_row(connection, name), _counts(connection))

    def rotate(self, name: str, *, by: str) -> MadeEndpoint:
        """Give an endpoint a new secret; the one before it signs too for `webhooks.outgoing.rotation`.

        Raises:
            NoSuchEndpointError: there is none of that name.
            InvalidEndpointError: its secret lies in a file that the configuration names.
        """
        now = self._clock()
        with self._database.write() as connection:
            row = _row(connection, name)
            self._refuse_configured(row, "name a second secret file there")
            connection.execute(
                update(WEBHOOK_ENDPOINTS)
                .where(WEBHOOK_ENDPOINTS.c.name == name)
                .values(serial=row.serial + 1, previous_until=now + self._settings.rotation, updated_at=now)
            )
            self._record(connection, "webhook.rotated", name, by=by, serial=row.serial + 1)
            row = _row(connection, name)
        return MadeEndpoint(endpoint=_endpoint(row), secret=self._secret(row.name, row.serial))

    def take_configured(self) -> None:
        """Bring the endpoints of the configuration into the catalog, and take out those that are no longer in it."""
        wanted = {each.name: each for each in self._settings.endpoints}
        now = self._clock()
        with self._database.write() as connection:
            known = {row.name: row for row in connection.execute(select(WEBHOOK_ENDPOINTS))}
            for name, row in known.items():
                if row.source == "config" and name not in wanted:
                    _forget(connection, name)
            for name, each in wanted.items():
                values = {
                    "source": "config",
                    "url": each.url,
                    "events": ",".join(each.events),
                    "customers": None if each.customers is None else ",".join(each.customers),
                    "updated_at": now,
                }
                if name in known:
                    changed = any(getattr(known[name], column) != values[column] for column in ("url", "source"))
                    if changed:  # it is another receiver: what stood against the old one says nothing of it
                        values |= {"active": True, "failures": 0, "rest_until": 0.0, "note": None}
                    connection.execute(
                        update(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.name == name).values(**values)
                    )
                else:
                    values |= {"name": name, "active": True, "serial": 1, "position": _newest(connection)}
                    values |= {"failures": 0, "rest_until": 0.0, "created_at": now}
                    connection.execute(insert(WEBHOOK_ENDPOINTS).values(**values))

    def keys_of(self, row: Row[Any], configured: Mapping[str, Sequence[bytes]]) -> tuple[bytes, ...]:
        """Return the secrets that sign for an endpoint now, the newest first; *configured* are those of files."""
        if row.source == "config":
            return tuple(configured.get(row.name, ()))
        keys = [derive_secret(self._key, row.name, row.serial)]
        if row.previous_until is not None and self._clock() < row.previous_until:
            keys.append(derive_secret(self._key, row.name, row.serial - 1))
        return tuple(keys)

    def _secret(self, name: str, serial: int) -> str:
        return secret_text(derive_secret(self._key, name, serial))

    def _check(self, name: str, url: str, events: Sequence[str], customers: Sequence[str] | None) -> None:
        if not _NAME.fullmatch(name):
            raise InvalidEndpointError("an endpoint's name has 1 to 32 lower-case letters, digits and hyphens")
        if not is_endpoint_url(url, plain=bool(self._settings.allow_networks)):
            raise InvalidEndpointError(
                "the address must be https:// with a host, without a login or a fragment "
                "(http:// only into webhooks.outgoing.allow_networks)"
            )
        if not 1 <= len(events) <= MOST_PATTERNS:
            raise InvalidEndpointError(f"name 1 to {MOST_PATTERNS} types of events, or patterns of them")
        for pattern in events:
            if not event_types(pattern) or "," in pattern:
                raise InvalidEndpointError(f"{pattern!r} is no type of event; there are {', '.join(EVENT_TYPES)}")
        if customers is not None and (not customers or not all(_CUSTOMER.fullmatch(each) for each in customers)):
            raise InvalidEndpointError("customers are named by their ids; leave them out for everybody's events")

    @staticmethod
    def _refuse_configured(row: Row[Any], what: str) -> None:
        if row.source == "config":
            raise InvalidEndpointError(f"the endpoint {row.name!r} stands in the configuration: {what}")

    def _record(self, connection: Connection, kind: str, name: str, **details: object) -> None:
        self._trail.append(connection, SYSTEM, kind, endpoint=name, **details)


def _newest(connection: Connection) -> int:
    return int(connection.execute(select(func.max(EVENTS.c.id))).scalar() or 0)


def _row(connection: Connection, name: str) -> Row[Any]:
    row = connection.execute(select(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.name == name)).first()
    if row is None:
        raise NoSuchEndpointError(f"there is no endpoint {name!r}")
    return row


def _forget(connection: Connection, name: str) -> None:
    connection.execute(delete(WEBHOOK_DELIVERIES).where(WEBHOOK_DELIVERIES.c.endpoint == name))
    connection.execute(delete(WEBHOOK_ENDPOINTS).where(WEBHOOK_ENDPOINTS.c.name == name))


def _counts(connection: Connection) -> dict[tuple[str, str], int]:
    rows = connection.execute(
        select(WEBHOOK_DELIVERIES.c.endpoint, WEBHOOK_DELIVERIES.c.state, func.count().label("n"))
        .where(WEBHOOK_DELIVERIES.c.state.in_(["waiting", "dead"]))
        .group_by(WEBHOOK_DELIVERIES.c.endpoint, WEBHOOK_DELIVERIES.c.state)
    )
    return {(row.endpoint, row.state): row.n for row in rows}


def _endpoint(row: Row[Any], counts: Mapping[tuple[str, str], int] | None = None) -> Endpoint:
    found = counts or {}
    return Endpoint(
        name=row.name,
        source=row.source,
        url=row.url,
        events=tuple(row.events.split(",")),
        customers=None if row.customers is None else tuple(row.customers.split(",")),
        active=row.active,
        note=row.note,
        created=dt.datetime.fromtimestamp(row.created_at, dt.UTC),
        waiting=found.get((row.name, "waiting"), 0),
        dead=found.get((row.name, "dead"), 0),
    )
