"""One object, looked at in some regions: slot, key, manifest, body."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from mft.verification.fault import Flaw
from storage.body import HEADER_BYTES, BodyReader, parse_header
from storage.errors import (
    KeyProviderError,
    KeyUnavailableError,
    NoReplicaError,
    ObjectNotFoundError,
    StorageError,
    StoreUnavailableError,
    TamperedError,
)
from storage.keys.envelope import Region
from storage.slot import MAX_SLOT_BYTES, Manifest, Slot
from storage.store import ObjectKey, body_name, slot_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from storage.keys.service import KeyService
    from storage.store import ObjectStore

_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """An object as the catalog has it."""

    key: ObjectKey
    case_id: int
    case: str
    customer: str
    upload: str
    size: int
    stored_size: int
    sha256: str
    """Of the plaintext, in hexadecimal."""
    regions: tuple[str, ...]
    """Where the catalog says that it is present; home first."""


class Seen(NamedTuple):
    """One thing that is wrong with a copy."""

    region: str
    flaw: Flaw
    detail: str


@dataclass(slots=True, kw_only=True)
class Examination:
    """What was seen of one object."""

    seen: list[Seen] = field(default_factory=list)
    slots: dict[str, Slot] = field(default_factory=dict)
    """By region: those that opened, and say what the catalog says."""
    bodies: set[str] = field(default_factory=set)
    """Regions whose body is right as far as it was looked at."""
    bytes: int = 0

    @property
    def sound(self) -> set[str]:
        """Regions that hold all of it, nothing wrong with it."""
        return self.bodies & set(self.slots)


class Examiner:
    """Looks at objects. Reads and nothing else."""

    def __init__(
        self,
        *,
        stores: Mapping[str, ObjectStore],
        keys: KeyService,
        locked: Iterable[str] = (),
        pace: Callable[[int], None] = lambda _count: None,
    ) -> None:
        """Look into *stores* (by region); of *locked* regions no key is here; *pace* is told of each read's bytes."""
        self._stores = stores
        self._keys = keys
        self._locked = frozenset(locked)
        self._pace = pace

    def examine(self, listed: Listed, regions: Iterable[str], *, deep: bool) -> Examination:
        """Look at *listed* in *regions*; *deep* reads each body to its end."""
        found = Examination()
        data_key: bytes | None = None
        silent: set[str] = set()
        regions = tuple(regions)
        for region in regions:
            try:
                slot = self.slot(listed.key, region)
            except ObjectNotFoundError:
                found.seen.append(Seen(region, Flaw.MISSING_SLOT, "there is no slot"))
            except TamperedError as error:
                found.seen.append(Seen(region, Flaw.CORRUPT_SLOT, _told(error)))
            except (StoreUnavailableError, NoReplicaError, OSError) as error:
                found.seen.append(Seen(region, Flaw.UNREACHABLE, str(error)))
                silent.add(region)
            else:
                data_key = self._open(listed, region, slot, found) or data_key
        for region in regions:
            if region not in silent:
                self._body(listed, region, data_key if deep else None, found)
        return found

    def slot(self, key: ObjectKey, region: str) -> Slot:
        """Read an object's slot in a region.

        Raises:
            ObjectNotFoundError, StoreUnavailableError: as the store says.
            TamperedError: it is not what was written for that object and region.
        """
        reader = self._stores[region].open(slot_name(key))
        try:
            data = reader.read(0, min(reader.size, MAX_SLOT_BYTES))
        finally:
            reader.close()
        self._pace(len(data))
        return Slot.parse(data, object_key=key, region=Region(region))

    def manifest(self, slot: Slot) -> Manifest:
        """Open a slot.

        Raises:
            KeyUnavailableError: its key is not here.
            TamperedError: it was altered.
        """
        return slot.open_manifest(self._keys.open_key(slot.envelope))

    def is_locked(self, region: str) -> bool:
        """Say whether no key of a region is here."""
        return region in self._locked

    def _open(self, listed: Listed, region: str, slot: Slot, found: Examination) -> bytes | None:
        """Return the object's key, if the slot opens and says what the catalog says."""
        try:
            data_key = self._keys.open_key(slot.envelope)
            manifest = slot.open_manifest(data_key)
        except KeyProviderError as error:
            if region not in self._locked:
                found.seen.append(Seen(region, Flaw.LOCKED, str(error)))
            return None
        except KeyUnavailableError as error:
            if region not in self._locked:
                found.seen.append(Seen(region, Flaw.UNDECRYPTABLE, str(error)))
            return None
        except TamperedError as error:
            found.seen.append(Seen(region, Flaw.CORRUPT_SLOT, _told(error)))
            return None
        told_of = (manifest.facts.get("upload"), manifest.facts.get("case"))
        if told_of != (listed.upload, listed.case):
            told = f"the slot is that of upload {told_of[0]} of case {told_of[1]}"
            found.seen.append(Seen(region, Flaw.OTHER_CONTENT, told))
            return None
        body = manifest.body
        if (body.size, body.stored_size, body.sha256.hex()) != (listed.size, listed.stored_size, listed.sha256):
            told = f"the slot tells of {body.size} bytes with SHA-256 {body.sha256.hex()}"
            found.seen.append(Seen(region, Flaw.OTHER_CONTENT, told))
            return None
        found.slots[region] = slot
        return data_key

    def _body(self, listed: Listed, region: str, data_key: bytes | None, found: Examination) -> None:
        name = body_name(listed.key)
        try:
            reader = self._stores[region].open(name)
            try:
                if reader.size != listed.stored_size:
                    told = f"{reader.size} bytes, where the catalog says {listed.stored_size}"
                    found.seen.append(Seen(region, Flaw.WRONG_SIZE, told))
                    return
                parse_header(reader.read(0, HEADER_BYTES), listed.key)
                if data_key is not None:
                    opened = BodyReader(reader, data_key, listed.key, stored_size=listed.stored_size)
                    self._read_through(opened, listed, region, found)
                    return
            finally:
                reader.close()
        except ObjectNotFoundError:
            found.seen.append(Seen(region, Flaw.MISSING_BODY, "there is no body"))
        except TamperedError as error:
            found.seen.append(Seen(region, Flaw.CORRUPT_BODY, _told(error)))
        except (StorageError, OSError) as error:
            found.seen.append(Seen(region, Flaw.UNREACHABLE, str(error)))
        else:
            found.bodies.add(region)

    def _read_through(self, opened: BodyReader, listed: Listed, region: str, found: Examination) -> None:
        digest = hashlib.sha256()
        for offset in range(0, opened.size, _PIECE):
            piece = opened.read(offset, _PIECE)
            digest.update(piece)
            found.bytes += len(piece)
            self._pace(len(piece))
        if digest.hexdigest() == listed.sha256:
            found.bodies.add(region)
        else:
            found.seen.append(Seen(region, Flaw.CORRUPT_BODY, f"its content has SHA-256 {digest.hexdigest()}"))


def _told(error: TamperedError) -> str:
    return f"{error.what}: {error}"
