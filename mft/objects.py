"""Stored objects, read from the nearest region that may and does hold them."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from sqlalchemy import bindparam, func, select

from mft.catalog.fixed import Fixed
from mft.catalog.model import BODIES, REPLICAS
from protocols.errors import UnavailableError
from storage.encrypted import EncryptedStore
from storage.errors import NoReplicaError, StorageError, TamperedError
from storage.health import StoreHealth
from storage.keys.envelope import Region
from storage.nearness import Nearness, measure
from storage.paced import PacedStore
from storage.regional import Placement, RegionalStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from mft.policy import Residency, ResidencyRules
    from storage.encrypted import SealedReader
    from storage.keys.service import KeyService
    from storage.store import ObjectKey, ObjectStore


_PIECE = 4 * 2**20
# Made once: it is run for every file that is opened.
# The state is looked at here: asked for it, SQLite goes through all replicas of that state.
_REPLICAS = Fixed(select(REPLICAS.c.region, REPLICAS.c.state).where(REPLICAS.c.object_key == bindparam("of")))


class OpenedObject(NamedTuple):
    """A reader of plaintext, and the region that it reads from first."""

    reader: SealedReader
    region: str


class FetchedObject(NamedTuple):
    """A sealed body that was fetched, for a process that reaches no store: its key, and how long it is."""

    data_key: bytes
    stored_size: int

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return f"FetchedObject({self.stored_size} bytes)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """What one region waits for."""

    waiting: int
    """Copies that are still to be made."""
    bytes: int
    """Of them together, sealed."""
    oldest: float | None
    """When the oldest of them was asked for, POSIX seconds."""
    failing: int
    """Of them, those that have failed at least once."""
    leaving: int
    """Copies that are still to be taken away."""

    def lag(self, now: float) -> float:
        """Return the age of the oldest, in seconds; nought where none waits."""
        return 0.0 if self.oldest is None else max(0.0, now - self.oldest)


def queues_by_region(connection: Connection) -> dict[str, Queue]:
    """Return what each region waits for; regions that wait for nothing are left out."""
    wanted, leaving = REPLICAS.c.state == "wanted", REPLICAS.c.state == "leaving"
    rows = connection.execute(
        select(
            REPLICAS.c.region,
            func.count().filter(wanted),
            func.coalesce(func.sum(BODIES.c.stored_size).filter(wanted), 0),
            func.min(REPLICAS.c.queued_at).filter(wanted),
            func.count().filter(wanted, REPLICAS.c.attempts > 0),
            func.count().filter(leaving),
        )
        .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
        .where(wanted | leaving)
        .group_by(REPLICAS.c.region)
    )
    return {
        region: Queue(waiting=waiting, bytes=size, oldest=oldest, failing=failing, leaving=gone)
        for region, waiting, size, oldest, failing, gone in rows
    }


class Objects:
    """The sealed stores of every region, built for each case as its residency says."""

    def __init__(
        self,
        *,
        database: Database,
        keys: KeyService,
        stores: Mapping[str, ObjectStore],
        rules: ResidencyRules,
        by_latency: bool = False,
    ) -> None:
        """Read from and write to *stores* (by region).

        With *by_latency* the nearest is what answers soonest; else, and among equals, what the configuration says.
        """
        self._database = database
        self._keys = keys
        self._stores = {Region(name): store for name, store in stores.items()}
        self._rules = rules
        self._health = StoreHealth()
        self._nearness = Nearness() if by_latency else None

    @property
    def regions(self) -> tuple[str, ...]:
        """Those that have a store here."""
        return tuple(self._stores)

    def measure(self, region: str) -> float | None:
        """Measure how far a region's store is; return the average in seconds, None before it counts.

        Raises:
            StorageError: it does not answer; readers are told.
        """
        if self._nearness is None:
            return None
        here = Region(region)
        try:
            self._nearness.note(here, measure(self._stores[here]))
        except StorageError:
            self._health.failed(here)
            raise
        return self._nearness.seconds(here)

    def read_order(self, residency: Residency, listener: str) -> tuple[str, ...]:
        """Return the regions that may hold a case, nearest first for who came in by *listener*'s; ailing ones last."""
        order = tuple(Region(region) for region in self._rules.read_order(residency, listener))
        return self._health.order(order if self._nearness is None else self._nearness.order(order))

    def store(self, residency: Residency, read_order: tuple[str, ...] | None = None) -> EncryptedStore:
        """Return the store of a case: its home, its copies, and the order in which they are read."""
        placement = Placement(
            home=Region(residency.home),
            copies=tuple(Region(region) for region in residency.regions[1:]),
            read_order=tuple(Region(region) for region in read_order or residency.regions),
        )
        return EncryptedStore(self._keys, RegionalStore(self._stores, placement, self._health))

    def store_at(self, home: Region) -> EncryptedStore:
        """Return the store of what is kept in *home*, and not copied yet."""
        return EncryptedStore(self._keys, RegionalStore(self._stores, Placement(home=home), self._health))

    def copying_store(self, home: str, target: str, pace: Callable[[int], None]) -> EncryptedStore:
        """Return the store for one copy from *home* to *target*: home is read no faster than *pace* lets it."""
        source, region = Region(home), Region(target)
        stores = {source: PacedStore(self._stores[source], pace), region: self._stores[region]}
        placement = Placement(home=source, copies=(region,), read_order=(source, region))
        return EncryptedStore(self._keys, RegionalStore(stores, placement))

    def withdraw(self, key: ObjectKey, region: str) -> None:
        """Delete an object in one region, its slot first, and what there is of a copy that never came to be.

        Raises:
            StorageError: the region does not answer.
        """
        here = Region(region)
        placement = Placement(home=here, read_order=())
        EncryptedStore(self._keys, RegionalStore(self._stores, placement)).delete(key, (here,))

    def destroy(self, key: ObjectKey) -> None:
        """Delete an object in every region of this installation, slots first. Doing it again does no harm.

        Raises:
            StorageError: a region does not answer; the others were done.
        """
        home, *others = self._stores
        placement = Placement(home=home, copies=tuple(others), read_order=())
        store = EncryptedStore(self._keys, RegionalStore(self._stores, placement))
        failures = []
        for region in self._stores:
            try:
                store.delete(key, (region,))
            except StorageError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def fetch(self, key: ObjectKey, home: str, target: BinaryIO) -> FetchedObject:
        """Copy an object's body, sealed as it lies, into *target*, from *home* or else from where it is whole.

        Raises:
            TamperedError: it was altered in every region that answers.
            StorageError: no region gives it.
        """
        with self._database.read() as connection:
            expected = connection.execute(select(BODIES.c.sealed_sha256).where(BODIES.c.key == key)).scalar()
            present = connection.execute(
                select(REPLICAS.c.region).where(REPLICAS.c.object_key == key, REPLICAS.c.state == "present")
            ).scalars()
            regions = sorted(
                (Region(region) for region in present if Region(region) in self._stores),
                key=lambda region: region != home,
            )
        failure: StorageError = NoReplicaError(f"{key} is whole in no region of this installation")
        for region in regions:
            target.seek(0)
            target.truncate()
            try:
                fetched, sha256 = self._fetch_from(key, region, target)
            except StorageError as error:
                failure = failure if isinstance(failure, TamperedError) else error
                continue
            if expected is None or sha256 == expected:
                return fetched
            failure = TamperedError(f"the body of {key} in {region!r} is not what was stored")
        raise failure

    def _fetch_from(self, key: ObjectKey, region: Region, target: BinaryIO) -> tuple[FetchedObject, str]:
        placement = Placement(home=region, read_order=(region,))
        store = EncryptedStore(self._keys, RegionalStore(self._stores, placement, self._health))
        reader, data_key = store.open_sealed(key)
        digest = hashlib.sha256()
        try:
            for offset in range(0, reader.size, _PIECE):
                piece = reader.read(offset, _PIECE)
                digest.update(piece)
                target.write(piece)
            target.flush()
            return FetchedObject(data_key=data_key, stored_size=reader.size), digest.hexdigest()
        finally:
            reader.close()

    def open(self, key: ObjectKey, residency: Residency, listener: str) -> OpenedObject:
        """Open an object for a session that came in by *listener*'s region.

        Raises:
            UnavailableError: no region that may be read holds a verified copy.
        """
        with self._database.read() as connection:
            present = {row.region for row in _REPLICAS.all(connection, {"of": key}) if row.state == "present"}
        order = tuple(region for region in self.read_order(residency, listener) if region in present)
        if not order:
            raise UnavailableError("no copy of it can be read just now; try again in a moment")
        reader = self.store(residency, order).open(key)
        return OpenedObject(reader=reader, region=reader.region)

    def open_together(
        self, keys: Sequence[ObjectKey], residency: Residency, listener: str
    ) -> dict[ObjectKey, OpenedObject]:
        """Open those of *keys* that open at once; `open` says what is wrong with the others."""
        allowed = self.read_order(residency, listener)
        orders: dict[tuple[Region, ...], list[ObjectKey]] = {}
        with self._database.read() as connection:
            for key in keys:
                present = {row.region for row in _REPLICAS.all(connection, {"of": key}) if row.state == "present"}
                order = tuple(Region(region) for region in allowed if region in present)
                orders.setdefault(order, []).append(key)
        return {
            key: OpenedObject(reader=reader, region=reader.region)
            for order, some in orders.items()
            if order
            for key, reader in self.store(residency, order).open_together(some).items()
        }
