"""One object in several regions: put at home, copied where the placement allows, read from the nearest that answers.

Nothing here touches a region that the placement does not name. It knows no key: what it moves is ciphertext.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.errors import (
    DifferingCopyError,
    NoReplicaError,
    ObjectExistsError,
    ObjectNotFoundError,
    RegionNotAllowedError,
    StorageError,
    StoreUnavailableError,
)
from storage.health import StoreHealth
from storage.partial import ReadablePartial, ResumableStore
from storage.store import ImmediateReader, StoresTogether

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from storage.keys.envelope import Region
    from storage.partial import PartialObject
    from storage.store import Chunk, ObjectReader, ObjectStore, StoredObject

_log = logging.getLogger(__name__)
_COPY_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where one object may be, as policy decided."""

    home: Region
    copies: tuple[Region, ...] = ()
    """Other regions that may hold it."""
    read_order: tuple[Region, ...] = ()
    """Regions that this reader may read from, nearest first; empty: it may read nowhere."""

    def __post_init__(self) -> None:
        """Refuse a placement that contradicts itself."""
        for name, regions in (("copies", self.copies), ("read order", self.read_order)):
            if len(set(regions)) != len(regions):
                raise ValueError(f"a region stands twice in the {name}: {regions}")
        if self.home in self.copies:
            raise ValueError(f"{self.home!r} is home and copy at once")
        if not set(self.read_order) <= set(self.regions):
            raise ValueError(f"the read order {self.read_order} leaves the placement {self.regions}")

    @property
    def regions(self) -> tuple[Region, ...]:
        """All regions that may hold it, home first."""
        return (self.home, *self.copies)


class RegionalReader:
    """An open object that goes on in the next allowed region when the one it reads from fails."""

    def __init__(
        self, name: str, candidates: Iterator[tuple[Region, ObjectReader]], health: StoreHealth | None = None
    ) -> None:
        """Read from the first of *candidates*, each opened when it is asked for; tell *health* of those that fail.

        Raises:
            ObjectNotFoundError, NoReplicaError: there is no first one.
        """
        self._name = name
        self._candidates = candidates
        self._health = health or StoreHealth()
        self._lock = threading.Lock()
        self._region, self._reader = next(candidates)
        self._size = self._reader.size
        self._closed = False

    @property
    def region(self) -> Region:
        """Where it reads from now."""
        return self._region

    @property
    def size(self) -> int:
        """Bytes as stored, the same in every region."""
        return self._size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*, from whichever region still answers.

        Raises:
            NoReplicaError: none does any more.
        """
        while True:
            region, reader = self._region, self._reader
            try:
                return reader.read(offset, length)
            except (StoreUnavailableError, ObjectNotFoundError, OSError) as error:
                self._fail_over(region, reader, error)

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if the region that is read from has them in memory."""
        reader = self._reader
        return isinstance(reader, ImmediateReader) and reader.read_immediate(into, offset)

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        with self._lock:
            self._closed = True
            self._reader.close()

    def distrust(self, region: Region, error: Exception, *, size: int) -> bool:
        """Go on elsewhere because what *region* gave is not what was stored; say whether there is an elsewhere.

        *size* is how long the object is for sure: what is longer or shorter is passed over.
        """
        with self._lock:
            if self._closed:
                return False
            if self._region != region:
                return True  # another thread was faster
            _log.error("replica_altered region=%s object=%s error=%s", region, self._name, type(error).__name__)
            self._size = size
            return self._move_on()

    def _fail_over(self, region: Region, failed: ObjectReader, error: Exception) -> None:
        with self._lock:
            if self._closed:
                raise error
            if self._reader is not failed:
                return  # another thread was faster
            _log.warning("replica_failed region=%s object=%s error=%s", region, self._name, type(error).__name__)
            self._health.failed(region)
            if not self._move_on():
                raise NoReplicaError(f"{self._name}: no allowed region is left to read from") from error

    def _move_on(self) -> bool:
        for region, reader in self._candidates:
            if reader.size != self._size:
                reader.close()
                continue
            self._reader.close()
            self._region, self._reader = region, reader
            return True
        return False


class RegionalStore:
    """The stores of several regions, seen through one placement. Made for each call; holds nothing open."""

    def __init__(
        self, stores: Mapping[Region, ObjectStore], placement: Placement, health: StoreHealth | None = None
    ) -> None:
        """Use *stores* as far as *placement* allows; regions of it that *stores* lacks are unavailable here.

        *health* is what is known of them, and learns from what is met; None: nothing is known.
        """
        self._stores = stores
        self._health = health or StoreHealth()
        self.placement = placement

    @property
    def read_order(self) -> tuple[Region, ...]:
        """Where to read, nearest first, those that are ailing behind the others."""
        return self._health.order(self.placement.read_order)

    def put(
        self, name: str, chunks: Iterable[Chunk], *, region: Region | None = None, replace: bool = False
    ) -> StoredObject:
        """Store an object at home, or in the *region* of the placement that is named.

        Raises:
            RegionNotAllowedError: the placement does not name *region*.
            ObjectExistsError, OutOfSpaceError, StoreUnavailableError: as the store of that region says.
        """
        return self._store(region or self.placement.home).put(name, chunks, replace=replace)

    def put_together(self, puts: Sequence[tuple[str, Iterable[Chunk]]]) -> tuple[StoredObject, ...]:
        """Store several objects at home, in this order: all of them, or none as far as that can be.

        Raises:
            ObjectExistsError, OutOfSpaceError, StoreUnavailableError: as the home store says.
        """
        store = self._store(self.placement.home)
        if isinstance(store, StoresTogether):
            return store.put_together(puts)
        stored: list[StoredObject] = []
        name = ""
        try:
            for name, chunks in puts:
                stored.append(store.put(name, chunks))
        except BaseException:
            # Whether the one that failed is there may not be known. What stood before it goes only if it is gone.
            with contextlib.suppress(StorageError):
                for gone in [name, *(each.name for each in reversed(stored))] if stored else []:
                    store.delete(gone)
            raise
        return tuple(stored)

    def open(self, name: str) -> RegionalReader:
        """Open an object in the first region of the read order that has it and answers.

        Raises:
            ObjectNotFoundError: every region of the read order answers, and none has it.
            NoReplicaError: none that answers has it, and at least one does not answer.
        """
        return RegionalReader(name, self._open_each(name), self._health)

    def open_in(self, region: Region, name: str) -> ObjectReader:
        """Open an object in that region alone."""
        return self._store(region).open(name)

    def stat(self, name: str, *, region: Region | None = None) -> StoredObject:
        """Describe an object as the nearest region that has it does, or as *region* does."""
        if region is not None:
            return self._store(region).stat(name)
        reader = self.open(name)
        try:
            return self._store(reader.region).stat(name)
        finally:
            reader.close()

    def list(self, region: Region, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects of one region, in order of their names."""
        return self._store(region).list(prefix)

    def delete(self, name: str, regions: Iterable[Region] | None = None) -> None:
        """Delete an object in *regions*, or in all of the placement; where it is not, nothing happens.

        Every region is tried, also when one fails; then the first failure is raised.
        """
        stores = [self._store(region) for region in (self.placement.regions if regions is None else regions)]
        failures = []
        for store in stores:
            try:
                store.delete(name)
            except StorageError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def copy(self, name: str, source: Region, target: Region, *, expected: bytes | None = None) -> StoredObject:
        """Copy an object's bytes as they are, and read them back before it counts.

        A copy that is there already is compared and left as it is. Doing it again does no harm. Where the target can,
        a copy that was cut short goes on where it stopped, as long as *expected* tells whether its beginning is right.

        Args:
            name: of the object.
            source: where it is read.
            target: where it is to be.
            expected: SHA-256 of its bytes, where it is known; else what is read from *source* counts.

        Raises:
            RegionNotAllowedError: the placement does not name one of them.
            ObjectNotFoundError: *source* has no such object.
            DifferingCopyError: *source* holds, or *target* holds or did read back, something else than what was
                expected or sent (what was written was deleted there).
        """
        from_store, to_store = self._store(source), self._store(target)
        reader = from_store.open(name)
        digest, all_read = hashlib.sha256(), True
        try:
            try:
                goes_on = expected is not None and isinstance(to_store, ResumableStore)
                part = to_store.resume(name) if goes_on else None  # type: ignore[attr-defined]  # a ResumableStore
                if part is None:
                    copied = to_store.put(name, _read_all(reader, digest))
                else:
                    copied, all_read = _go_on(part, reader, digest)
                written = True
            except ObjectExistsError:
                copied, written = to_store.stat(name), False
                if expected is None:
                    digest = _digest_of(reader)
        finally:
            reader.close()
        wanted = digest.digest() if expected is None else expected
        if _digest_in(to_store, name).digest() == wanted:
            return copied
        if written:
            with contextlib.suppress(StorageError):
                to_store.delete(name)
        wrong = source if written and all_read and digest.digest() != wanted else target
        raise DifferingCopyError(f"{name} in {wrong!r} is not what was stored")

    def _store(self, region: Region) -> ObjectStore:
        if region not in self.placement.regions:
            raise RegionNotAllowedError(f"{region!r} is not among {self.placement.regions}")
        try:
            return self._stores[region]
        except KeyError:
            raise StoreUnavailableError(f"this node has no way to the store of {region!r}") from None

    def _open_each(self, name: str) -> Iterator[tuple[Region, ObjectReader]]:
        """Yield a reader for each region that has it; raise only if there was none at all."""
        unavailable: list[str] = []
        found = False
        for region in self.read_order:
            try:
                reader = self._store(region).open(name)
            except ObjectNotFoundError:
                continue
            except (StoreUnavailableError, OSError) as error:
                _log.warning("replica_failed region=%s object=%s error=%s", region, name, type(error).__name__)
                self._health.failed(region)
                unavailable.append(region)
                continue
            self._health.succeeded(region)
            found = True
            yield region, reader
        if found:
            return
        if unavailable:
            raise NoReplicaError(f"{name}: {', '.join(unavailable)} do not answer")
        raise ObjectNotFoundError(f"{name} is in no region that may be read from")


def _go_on(part: PartialObject, reader: ObjectReader, digest: hashlib._Hash) -> tuple[StoredObject, bool]:
    """Bring *part* to the end of what *reader* reads; what is cut again stays for the next time.

    Return the object, and whether *digest* has seen all of it: the beginning of some cannot be read before they are
    whole.
    """
    try:
        if part.size > reader.size:
            part.restart()
        start, all_read = part.size, True
        if isinstance(part, ReadablePartial):
            for offset in range(0, start, _COPY_BYTES):
                digest.update(part.read(offset, min(_COPY_BYTES, start - offset)))
        else:
            all_read = not start
        for data in _read_all(reader, digest, start=start):
            part.append(data)
        return part.finish(), all_read
    finally:
        part.close()


def _read_all(reader: ObjectReader, digest: hashlib._Hash, *, start: int = 0) -> Iterator[bytes]:
    for offset in range(start, reader.size, _COPY_BYTES):
        data = reader.read(offset, _COPY_BYTES)
        digest.update(data)
        yield data


def _digest_of(reader: ObjectReader) -> hashlib._Hash:
    digest = hashlib.sha256()
    for _ in _read_all(reader, digest):
        pass
    return digest


def _digest_in(store: ObjectStore, name: str) -> hashlib._Hash:
    reader = store.open(name)
    try:
        return _digest_of(reader)
    finally:
        reader.close()
