"""Rotation: every scope key of a region under its newest key, while uploads and downloads go on.

A scope key lies wrapped in five tables and in the slot files of its region; leaf keys stand under it and are not
touched, nor is a body. Both the old and the new wrapped form open until the old key is retired, so that nobody notices;
each is exchanged for the other only where it is still what was read. How far it has come stands in `key_rotation`:
after a crash, or whatever stopped it, it goes on from there.
"""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import time
from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import Row, func, insert, select, update

from mft.audit import SYSTEM
from mft.catalog.model import (
    ARCHIVE_PASSWORDS,
    BODIES,
    CASE_KEYS,
    CASES,
    KEY_ROTATIONS,
    LANDING_KEYS,
    PSEUDONYM_BOOKS,
    UPLOADS,
)
from mft.keydesk import DeskError
from storage.errors import AlteredKeyError, ObjectNotFoundError, StorageError, TamperedError
from storage.keys.envelope import Envelope, Region
from storage.keys.wrapped import region_key_of, share_key_of
from storage.slot import MAX_SLOT_BYTES, Slot
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy import Table as CoreTable

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.keydesk import Desk
    from storage.store import ObjectStore

log = logging.getLogger(__name__)
PAGE = 200
SETTLE_SECONDS = 60.0
"""So long after a rotation was finished its old key is kept: what was begun with it is done by then, or shows."""
_REMEMBERED = 10_000
SLOTS = "slots"
FINISHED = "finished"


class RotationError(Exception):
    """Keys were not exchanged, or not retired; says why."""


class Refusal(Exception):  # noqa: N818 - it says of one wrapped key that it stays as it is, which is no failure
    """One wrapped key stays as it is: altered, destroyed, or out of reach."""

    def __init__(self, kind: str, why: str) -> None:
        """Keep the *kind*: `tampered`, `destroyed`, or another."""
        super().__init__(why)
        self.kind = kind


class Rewrapper(Protocol):
    """Who exchanges wrapped forms, without giving out what is in them."""

    def rewrap(self, region: str, scope: str, wrapped: bytes, owner: str | None) -> bytes:
        """Return the same scope key under the region's newest key.

        Raises:
            Refusal: it stays as it is.
        """


class DeskRewrapper:
    """The `Rewrapper` of a command: by way of the key agent's desk."""

    def __init__(self, desk: Desk) -> None:
        """Ask *desk*."""
        self._desk = desk

    def rewrap(self, region: str, scope: str, wrapped: bytes, owner: str | None) -> bytes:
        """Return the same scope key under the region's newest key."""
        text = base64.b64encode(wrapped).decode("ascii")
        try:
            answer = self._desk.ask("rewrap", region=region, scope=scope, wrapped=text, owner=owner)
        except DeskError as error:
            raise Refusal(error.kind, str(error)) from error
        return base64.b64decode(answer["wrapped"], validate=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a rotation has come."""

    region: str
    target: str
    stage: str
    looked_at: int
    rewrapped: int
    failed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    """A wrapped scope key in a table."""

    place: str | int
    """The row, in the order in which rows are read."""
    scope: str
    wrapped: bytes
    column: str | bytes
    """What stands in the row now: the wrapped key, or an envelope that holds it."""
    owner: str | None


class _TableStage:
    """The wrapped scope keys of one table."""

    def __init__(self, table: CoreTable, key: str, column: str) -> None:
        """Read *column* of *table* in the order of *key*."""
        self._table, self._key, self._column = table, table.c[key], table.c[column]

    def read(self, connection: Connection, region: str, after: str) -> list[_Held]:
        """Return the next page."""
        place = self._key > (int(after) if self._is_number else after) if after else self._key.is_not(None)
        statement, owner = self._owned(region)
        rows = connection.execute(statement.where(place).order_by(self._key).limit(PAGE)).all()
        return [self._held(row, owner) for row in rows]

    def write(self, connection: Connection, region: str, held: _Held, fresh: bytes) -> bool:
        """Put *fresh* where *held* was, unless something else is there by now."""
        value = fresh if isinstance(held.column, bytes) else _with_scope_key(held.column, fresh)
        done = connection.execute(
            update(self._table)
            .where(self._key == held.place, self._column == held.column, *self._in_region(region))
            .values({self._column.name: value})
        )
        return done.rowcount > 0

    @property
    def _is_number(self) -> bool:
        return self._key.type.python_type is int

    def _in_region(self, region: str) -> list[ColumnElement[bool]]:
        return [self._table.c.region == region] if "region" in self._table.c else []

    def _owned(self, region: str) -> tuple[Any, bool]:
        """Return the select, and whether its rows say whose they are."""
        base = select(self._key.label("place"), self._column.label("value"))
        wanted = [self._column.is_not(None), *self._in_region(region)]
        if self._table is CASE_KEYS:
            base = base.add_columns(CASES.c.scope, CASES.c.customer)
            return base.join(CASES, CASES.c.id == CASE_KEYS.c.case_id).where(*wanted), True
        if self._table in {PSEUDONYM_BOOKS, ARCHIVE_PASSWORDS}:
            case = self._table.c.case_id
            own = self._table.c.customer if "customer" in self._table.c else None
            customer = CASES.c.customer if own is None else func.coalesce(own, CASES.c.customer)
            base = base.add_columns(customer.label("customer"))
            return base.join(CASES, CASES.c.id == case, isouter=True).where(*wanted), True
        if self._table is UPLOADS:
            wanted += [UPLOADS.c.landing_gone_at.is_(None), UPLOADS.c.landing_envelope != ""]
        return base.where(*wanted), False

    def _held(self, row: Row[Any], owned: bool) -> _Held:  # noqa: FBT001 - of one call
        owner = row.customer if owned else None
        if isinstance(row.value, bytes):
            scope = f"landing:{row.place}" if self._table is LANDING_KEYS else f"case:{row.scope}"
            return _Held(place=row.place, scope=scope, wrapped=row.value, column=row.value, owner=owner)
        envelope = Envelope.from_dict(json.loads(row.value))
        return _Held(place=row.place, scope=envelope.scope, wrapped=envelope.scope_key, column=row.value, owner=owner)


_STAGES: Mapping[str, _TableStage] = {
    "case keys": _TableStage(CASE_KEYS, "case_id", "wrapped"),
    "landing keys": _TableStage(LANDING_KEYS, "day", "wrapped"),
    "pseudonyms": _TableStage(PSEUDONYM_BOOKS, "id", "envelope"),
    "uploads": _TableStage(UPLOADS, "id", "landing_envelope"),
    "passwords": _TableStage(ARCHIVE_PASSWORDS, "id", "envelope"),
}
_ORDER = (*_STAGES, SLOTS, FINISHED)


def _with_scope_key(text: str, fresh: bytes) -> str:
    return json.dumps({**json.loads(text), "scope_key": base64.b64encode(fresh).decode("ascii")})


class Rotations:
    """Rotations of regions' keys."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        stores: Mapping[str, ObjectStore],
        rewrapper: Rewrapper,
        clock: Callable[[], float] = time.time,
        settle: float = SETTLE_SECONDS,
    ) -> None:
        """Exchange what lies in *database* and in the slots of *stores* (by region) by way of *rewrapper*."""
        self._database = database
        self._trail = trail
        self._stores = stores
        self._rewrapper = rewrapper
        self._clock = clock
        self._settle = settle
        self._fresh: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._owners: OrderedDict[str, str | None] = OrderedDict()

    def begin(self, region: str, target: str, *, by: str, reason: str) -> int:
        """Write down that everything of *region* goes under its key *target*, and return the rotation's id.

        One that is under way for that key is gone on with; one for an older key is over: this one does its work.
        """
        with self._database.write() as connection:
            row = connection.execute(
                select(KEY_ROTATIONS).where(KEY_ROTATIONS.c.region == region, KEY_ROTATIONS.c.finished_at.is_(None))
            ).first()
            if row is not None and row.target == target:
                return int(row.id)
            now = self._clock()
            if row is not None:
                connection.execute(
                    update(KEY_ROTATIONS)
                    .where(KEY_ROTATIONS.c.region == region, KEY_ROTATIONS.c.finished_at.is_(None))
                    .values(finished_at=now, stage="overtaken")
                )
            made = connection.execute(
                insert(KEY_ROTATIONS).values(
                    region=region,
                    target=target,
                    reason=reason,
                    started_by=by,
                    started_at=now,
                    stage=_ORDER[0],
                    place="",
                    looked_at=0,
                    rewrapped=0,
                    failed=0,
                )
            )
            self._trail.append(
                connection, SYSTEM, "keys.rewrap_begun", region=region, key=target, by=by, why=reason or None
            )
            key = made.inserted_primary_key
        return int(key[0])  # type: ignore[index]  # an insert of one row has one

    def open(self, region: str) -> Row[Any] | None:
        """Return the rotation of *region* that is not finished; None where there is none."""
        with self._database.read() as connection:
            return connection.execute(
                select(KEY_ROTATIONS).where(KEY_ROTATIONS.c.region == region, KEY_ROTATIONS.c.finished_at.is_(None))
            ).first()

    def newest(self, region: str) -> Row[Any] | None:
        """Return the newest rotation of *region*, finished or not."""
        with self._database.read() as connection:
            return connection.execute(
                select(KEY_ROTATIONS)
                .where(KEY_ROTATIONS.c.region == region)
                .order_by(KEY_ROTATIONS.c.id.desc())
                .limit(1)
            ).first()

    def run(self, rotation: int, *, by: str) -> Iterator[Progress]:
        """Go on with a rotation until it is finished; yield how far it has come after each page.

        Raises:
            RotationError: keys or a store are out of reach; what was done stays done.
        """
        self._fresh.clear()
        with self._database.read() as connection:
            row = connection.execute(select(KEY_ROTATIONS).where(KEY_ROTATIONS.c.id == rotation)).one()
        state = _State(
            id=row.id, region=row.region, target=row.target, stage=row.stage, place=row.place, counts=[0, 0, 0]
        )
        state.counts = [row.looked_at, row.rewrapped, row.failed]
        while state.stage not in {FINISHED, "overtaken"}:
            pages = self._slot_pages(state) if state.stage == SLOTS else self._table_pages(state)
            for _ in pages:
                self._keep(state)
                yield state.progress()
            state.stage, state.place = _ORDER[_ORDER.index(state.stage) + 1], ""
            self._keep(state)
        self._finish(state, by)
        yield state.progress()

    # -- tables ----------------------------------------------------------------------------------------------------

    def _table_pages(self, state: _State) -> Iterator[None]:
        stage = _STAGES[state.stage]
        while True:
            with self._database.read() as connection:
                page = stage.read(connection, state.region, state.place)
            fresh = [(held, self._rewrapped(state, held)) for held in page]
            changed = [(held, new) for held, new in fresh if new is not None and new != held.wrapped]
            if changed:
                with self._database.write() as connection:
                    for held, new in changed:
                        state.counts[1] += stage.write(connection, state.region, held, new)
            state.counts[0] += len(page)
            if page:
                state.place = str(page[-1].place)
            yield
            if len(page) < PAGE:
                return

    def _rewrapped(self, state: _State, held: _Held) -> bytes | None:
        if f'"region": "{state.region}"' not in str(held.column) and isinstance(held.column, str):
            envelope = Envelope.from_dict(json.loads(held.column))
            if envelope.region != state.region:
                return None
        return self._exchange(state, held.scope, held.wrapped, held.owner)

    def _exchange(self, state: _State, scope: str, wrapped: bytes, owner: str | None) -> bytes | None:
        """Return the newest form of a scope key; None where it stays as it is."""
        known = self._fresh.get((scope, wrapped))
        if known is not None:
            return known
        try:
            fresh = self._rewrapper.rewrap(state.region, scope, wrapped, owner)
        except Refusal as refusal:
            if refusal.kind == "destroyed":
                return None
            if refusal.kind != "tampered":
                raise RotationError(str(refusal)) from refusal
            state.counts[2] += 1
            log.warning("keys.not_rewrapped", extra={"region": state.region, "scope": scope, "why": str(refusal)})
            return None
        self._fresh[scope, wrapped] = fresh
        while len(self._fresh) > _REMEMBERED:
            self._fresh.popitem(last=False)
        return fresh

    # -- slots -----------------------------------------------------------------------------------------------------

    def _slot_pages(self, state: _State) -> Iterator[None]:
        count = 0
        store = self._stores[state.region]
        try:
            for each in store.list(SLOTS + "/"):
                if each.name <= state.place:
                    continue
                self._exchange_slot(state, store, each.name)
                state.place, count = each.name, count + 1
                state.counts[0] += 1
                if count % PAGE == 0:
                    yield
        except StorageError as error:
            goes_on = f"`mft keys rewrap {state.region}` goes on from here"
            raise RotationError(f"the store of {state.region!r} fails: {error}; {goes_on}") from error
        yield

    def _exchange_slot(self, state: _State, store: ObjectStore, name: str) -> None:
        slot = self._slot(state, store, name)
        if slot is None:
            return
        envelope = slot.envelope
        fresh = self._exchange(state, envelope.scope, envelope.scope_key, self._owner(envelope.scope))
        if fresh is None or fresh == envelope.scope_key:
            return
        renewed = Envelope(
            region=envelope.region, scope=envelope.scope, scope_key=fresh, subject=envelope.subject, key=envelope.key
        )
        new = Slot(envelope=renewed, sealed_manifest=slot.sealed_manifest)
        store.put(name, [new.serialise()], replace=True)
        state.counts[1] += 1
        if self._is_destroyed(slot.object_key):  # meanwhile: its slot was deleted, and is to stay so
            store.delete(name)

    def _slot(self, state: _State, store: ObjectStore, name: str) -> Slot | None:
        key = ObjectKey(name.rpartition("/")[2])
        try:
            reader = store.open(name)
        except ObjectNotFoundError:
            return None
        try:
            data = reader.read(0, min(reader.size, MAX_SLOT_BYTES))
        except ObjectNotFoundError:
            return None
        finally:
            reader.close()
        try:
            return Slot.parse(data, object_key=key, region=Region(state.region))
        except TamperedError as error:
            state.counts[2] += 1
            facts = {"region": state.region, "slot": name, "why": error.what}
            log.warning("keys.slot_unreadable", extra=facts)
            return None

    def _is_destroyed(self, key: str) -> bool:
        with self._database.read() as connection:
            state = connection.execute(select(BODIES.c.state).where(BODIES.c.key == key)).scalar()
        return state in {"destroyed", "discarded"}

    def _owner(self, scope: str) -> str | None:
        if scope in self._owners:
            return self._owners[scope]
        with self._database.read() as connection:
            owner = connection.execute(
                select(CASES.c.customer).where(CASES.c.scope == scope.removeprefix("case:"))
            ).scalar()
        self._owners[scope] = owner
        while len(self._owners) > _REMEMBERED:
            self._owners.popitem(last=False)
        return owner

    # -- keeping -----------------------------------------------------------------------------------------------------

    def _keep(self, state: _State) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(KEY_ROTATIONS)
                .where(KEY_ROTATIONS.c.id == state.id)
                .values(
                    stage=state.stage,
                    place=state.place,
                    looked_at=state.counts[0],
                    rewrapped=state.counts[1],
                    failed=state.counts[2],
                )
            )

    def _finish(self, state: _State, by: str) -> None:
        with self._database.write() as connection:
            done = connection.execute(
                update(KEY_ROTATIONS)
                .where(KEY_ROTATIONS.c.id == state.id, KEY_ROTATIONS.c.finished_at.is_(None))
                .values(finished_at=self._clock())
            )
            if done.rowcount == 1:
                self._trail.append(
                    connection,
                    SYSTEM,
                    "keys.rewrapped",
                    region=state.region,
                    key=state.target,
                    by=by,
                    looked_at=state.counts[0],
                    rewrapped=state.counts[1],
                    failed=state.counts[2],
                )

    # -- what an old key still holds -----------------------------------------------------------------------------------

    def check_retirable(self, region: str, key_id: str) -> None:
        """Return if nothing of *region* needs its key *key_id* any more.

        Raises:
            RotationError: something does, or may; says what.
        """
        if self.open(region) is not None:
            raise RotationError(f"a rotation of {region!r} is not finished: `mft keys rewrap {region}` goes on with it")
        newest = self.newest(region)
        if newest is None or newest.stage != FINISHED:
            raise RotationError(f"nothing was rotated in {region!r} yet: `mft keys rotate {region}`")
        wait = newest.finished_at + self._settle - self._clock()
        if wait > 0:
            raise RotationError(
                f"the rotation was finished a moment ago; try again in {int(wait) + 1} s, when all that was begun "
                "before it has settled"
            )
        with self._database.read() as connection:
            writing = connection.execute(
                select(func.count())
                .select_from(BODIES.join(UPLOADS, UPLOADS.c.id == BODIES.c.upload_id))
                .where(
                    BODIES.c.state == "writing", BODIES.c.created_at <= newest.finished_at, UPLOADS.c.region == region
                )
            ).scalar_one()
        if writing:
            raise RotationError(f"{writing} objects that were begun before the rotation are still being written")
        counts = self.count(region).get(key_id, 0)
        if counts:
            raise RotationError(f"{counts} wrapped keys in {region!r} are under {key_id}: `mft keys rewrap {region}`")

    def count(self, region: str) -> dict[str, int]:
        """Count the wrapped scope keys of *region* by the key that they are under; altered ones under `?`."""
        return dict(Counter(_key_of(each) for each in self._all_wrapped(region)))

    def count_all(self, region: str) -> tuple[dict[str, int], dict[tuple[str, str], int]]:
        """Return what `count` does, and the customers' shares among them by holder and the key that they are under."""
        keys: Counter[str] = Counter()
        shares: Counter[tuple[str, str]] = Counter()
        for wrapped in self._all_wrapped(region):
            keys[_key_of(wrapped)] += 1
            with contextlib.suppress(AlteredKeyError):
                share = share_key_of(wrapped)
                if share is not None:
                    shares[share] += 1
        return dict(keys), dict(shares)

    def _all_wrapped(self, region: str) -> Iterator[bytes]:
        """Yield every wrapped scope key of *region*.

        Raises:
            RotationError: its store fails.
        """
        state = _State(id=0, region=region, target="", stage="", place="", counts=[0, 0, 0])
        for stage in _STAGES.values():
            after = ""
            while True:
                with self._database.read() as connection:
                    page = stage.read(connection, region, after)
                for held in page:
                    if isinstance(held.column, bytes) or json.loads(held.column)["region"] == region:
                        yield held.wrapped
                if len(page) < PAGE:
                    break
                after = str(page[-1].place)
        store = self._stores[region]
        try:
            for each in store.list(SLOTS + "/"):
                slot = self._slot(state, store, each.name)
                if slot is not None:
                    yield slot.envelope.scope_key
        except StorageError as error:
            raise RotationError(f"the store of {region!r} fails: {error}") from error


def _key_of(wrapped: bytes) -> str:
    try:
        return region_key_of(wrapped)
    except AlteredKeyError:
        return "?"


@dataclass(slots=True, kw_only=True)
class _State:
    """A rotation that runs."""

    id: int
    region: str
    target: str
    stage: str
    place: str
    counts: list[int]
    """Looked at, rewrapped, failed."""

    def progress(self) -> Progress:
        """Return how far it has come."""
        looked_at, rewrapped, failed = self.counts
        return Progress(
            region=self.region,
            target=self.target,
            stage=self.stage,
            looked_at=looked_at,
            rewrapped=rewrapped,
            failed=failed,
        )
