"""Objects as the application sees them: plaintext in, plaintext out, and only ciphertext below.

An object is its *body*, the same in every region, and a *slot* in each region that holds it. The slot is what makes an
object of it: put writes the body first and the slot last, delete removes slots first and bodies last. A crash in
between leaves a body without a slot, which nobody can open, no rebuilt catalog lists, and a check of the store finds by
its name; never a slot without its body. The catalog calls an object stored only after `put` has returned.

Each attempt to store something takes a fresh object key (`new_object_key`): what an attempt that died has left is then
in nobody's way, and no two attempts can mix a body of one key with a slot of another.
"""

from __future__ import annotations

import contextlib
import functools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.body import HEADER_BYTES, BodyInfo, BodyReader, SealedBody, parse_header
from storage.errors import (
    AlteredKeyError,
    KeyUnavailableError,
    NoReplicaError,
    ObjectNotFoundError,
    RegionNotAllowedError,
    StorageError,
    StoreUnavailableError,
    TamperedError,
    WrongObjectError,
)
from storage.keys.wrapped import is_shared
from storage.slot import MAX_SLOT_BYTES, Manifest, Slot, seal_manifest
from storage.store import body_name, slot_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from storage.keys.envelope import Envelope, Region
    from storage.keys.service import KeyService
    from storage.regional import RegionalReader, RegionalStore
    from storage.store import Chunk, ObjectKey, StoredObject


RECHECK_SECONDS = 15.0
"""So long an open object is read under a key without asking whether it still opens: destroyed, or taken back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedObject:
    """What `put` made, for the catalog to keep."""

    object_key: ObjectKey
    region: Region
    body: BodyInfo
    envelope: Envelope


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedPut:
    """An object that was sealed elsewhere, on its way into a store."""

    object_key: ObjectKey
    """Fresh."""
    ciphertext: Iterable[Chunk]
    """The body, as a `BodyWriter` made it. Its header is checked when it is stored, the rest by whoever reads it."""
    envelope: Envelope
    """Of the data key that the body was sealed under, for the home region."""
    sealed_manifest: Callable[[], bytes]
    """Gives what `seal_manifest` made; asked once *ciphertext* has come to its end."""


class SealedReader:
    """An open object: plaintext at any offset. Safe to call from several threads."""

    def __init__(
        self,
        open_body: Callable[[], BodyReader],
        source: RegionalReader,
        manifest: Manifest,
        *,
        ask_again: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read what *open_body* opens, which lies in *source*; open it again where another region goes on.

        Now and then *ask_again* for its key, as whoever opens it anew.

        Raises:
            TamperedError: it is not what was stored.
        """
        self._open_body = open_body
        self._body = open_body()
        self._source = source
        self.manifest = manifest
        self._ask_again = ask_again
        self._clock = clock
        self._due = clock() + RECHECK_SECONDS

    @property
    def size(self) -> int:
        """Plaintext bytes, as the slot says and the body's length proves."""
        return self._body.size

    @property
    def region(self) -> Region:
        """Where it is read from now."""
        return self._source.region

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* plaintext bytes at *offset*; fewer only at the end, none past it.

        Where a region fails, or gives something else than was stored, the next one goes on.

        Raises:
            TamperedError: the body was altered in every region that may be read; the subclass names how.
            NoReplicaError: no allowed region answers any more.
            KeyUnavailableError: its key was destroyed or taken back since it was opened.
        """
        if self._clock() >= self._due:
            self._due = self._clock() + RECHECK_SECONDS
            try:
                self._ask_again()
            except (NoReplicaError, StoreUnavailableError):  # says nothing of the key
                pass
            except StorageError:
                self._due = 0.0  # and does not read on afterwards
                raise
        while True:
            region, body = self._source.region, self._body
            try:
                return body.read(offset, length)
            except TamperedError as error:
                if not self._source.distrust(region, error, size=self.manifest.body.stored_size):
                    raise
                self._body = self._open_body()  # what was altered may be the header that all else is opened by

    def read_immediate(self, offset: int, length: int) -> Sequence[memoryview] | None:
        """Return the same in pieces if it is in memory; see `StreamReader.read_immediate`."""
        if self._clock() >= self._due:
            return None
        return self._body.read_immediate(offset, length)

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""
        self._body.close()


class EncryptedStore:
    """Sealed objects over the stores of a placement."""

    def __init__(self, keys: KeyService, regional: RegionalStore) -> None:
        """Ask *keys* for the key of one object at a time; put what is sealed into *regional*."""
        self._keys = keys
        self._regional = regional

    def put(
        self,
        object_key: ObjectKey,
        scope: str,
        scope_key: bytes,
        chunks: Iterable[Chunk],
        facts: Mapping[str, object],
    ) -> SealedObject:
        """Seal *chunks* into a new object at home, and return when body and slot are durable.

        Args:
            object_key: fresh; one that has been tried before is refused.
            scope: what its key is shredded with, such as `case:<id>`.
            scope_key: the scope's key, wrapped for the home region.
            chunks: the plaintext.
            facts: what the slot's manifest tells beside size and digest; JSON.

        Raises:
            ObjectExistsError: there is a body of that key.
            AlteredKeyError, KeyUnavailableError: as the key service says.
            OutOfSpaceError, StoreUnavailableError: as the home store says.
        """
        home = self._regional.placement.home
        data_key, envelope = self._keys.new_key(home, scope, scope_key, object_key)
        body = SealedBody(chunks, data_key, object_key)
        slot = _slot(envelope, functools.partial(_sealed, data_key, object_key, body, facts))
        self._put([(object_key, body, slot)])
        return SealedObject(object_key=object_key, region=home, body=body.info, envelope=envelope)

    def put_sealed(self, *puts: SealedPut) -> tuple[StoredObject, ...]:
        """Store bodies that were sealed elsewhere, with their manifests, at home: all of them, or none.

        Where the store can, small ones together cost the disk little more than one.

        Raises:
            WrongObjectError: envelope or header belong to something else; nothing is stored.
            TamperedError: what comes is no body.
        """
        home = self._regional.placement.home
        for each in puts:
            if (each.envelope.subject, each.envelope.region) != (each.object_key, home):
                raise WrongObjectError(
                    f"the envelope is of {each.envelope.subject} in {each.envelope.region!r}, "
                    f"not of {each.object_key} in {home!r}"
                )
        return self._put(
            [
                (
                    each.object_key,
                    _checked(each.ciphertext, each.object_key),
                    _slot(each.envelope, each.sealed_manifest),
                )
                for each in puts
            ]
        )

    def open(self, object_key: ObjectKey) -> SealedReader:
        """Open an object in the nearest region that may be read from and answers.

        Raises:
            ObjectNotFoundError: no region that may be read from has it.
            NoReplicaError: none answers that has it, or has it whole; a later try may succeed.
            TamperedError: slot or body were altered; the subclass names how.
            KeyUnavailableError: no key of a region that holds it is here.
        """
        slot, data_key = self._open_slot(object_key)
        return self._open_body(slot, data_key)

    def open_together(self, object_keys: Iterable[ObjectKey]) -> dict[ObjectKey, SealedReader]:
        """Open several objects, their keys asked for by one question.

        What does not open at the first try is left out, and so is what has a customer's own key, which is asked for
        nothing that nobody reads: `open` sees to those.
        """
        slots: list[Slot] = []
        for object_key in object_keys:
            with contextlib.suppress(StorageError):
                slot = next(self._slots(object_key, None))
                if not is_shared(slot.envelope.scope_key):
                    slots.append(slot)
        if not slots:
            return {}
        try:
            data_keys = self._keys.open_keys([slot.envelope for slot in slots])
        except StorageError:
            return {}
        opened: dict[ObjectKey, SealedReader] = {}
        for slot, data_key in zip(slots, data_keys, strict=True):
            with contextlib.suppress(StorageError):
                opened[slot.object_key] = self._open_body(slot, data_key)
        return opened

    def _open_body(self, slot: Slot, data_key: bytes) -> SealedReader:
        object_key, manifest = slot.object_key, slot.open_manifest(data_key)
        source = self._regional.open(body_name(object_key))
        try:
            opening = functools.partial(_whole_body, source, data_key, object_key, manifest.body.stored_size)
            return SealedReader(opening, source, manifest, ask_again=lambda: self._open_slot(object_key))
        except BaseException:
            source.close()
            raise

    def open_sealed(self, object_key: ObjectKey) -> tuple[RegionalReader, bytes]:
        """Open an object's body as it is stored, and give its key with it: for who can reach no store by himself.

        Raises:
            ObjectNotFoundError, NoReplicaError, TamperedError, KeyUnavailableError: as `open` says.
        """
        _slot, data_key = self._open_slot(object_key)
        return self._regional.open(body_name(object_key)), data_key

    def slot(self, object_key: ObjectKey, region: Region | None = None) -> Slot:
        """Read the slot of an object in *region*, or in the nearest region that has one. Needs no key.

        Raises:
            ObjectNotFoundError, NoReplicaError: as `open` says.
            AlteredSlotError, WrongObjectError: it is not what was written for that object and region.
        """
        return next(self._slots(object_key, region))

    def _open_slot(self, object_key: ObjectKey, region: Region | None = None) -> tuple[Slot, bytes]:
        """Return the nearest slot whose key can be opened here, and that key: a node holds the keys it serves only."""
        missing: KeyUnavailableError | AlteredKeyError | None = None
        slots = self._slots(object_key, region)
        while True:
            try:
                slot = next(slots)
                return slot, self._keys.open_key(slot.envelope)
            except (KeyUnavailableError, AlteredKeyError) as error:
                missing = missing or error
            except (ObjectNotFoundError, NoReplicaError):
                if missing is not None:
                    raise missing from None
                raise

    def _slots(self, object_key: ObjectKey, region: Region | None) -> Iterator[Slot]:
        """Yield the slots of an object, nearest first, and end in the error that says why there are no more."""
        regions = self._regional.read_order if region is None else (region,)
        silent: list[Region] = []
        altered: TamperedError | None = None
        for candidate in regions:
            try:
                reader = self._regional.open_in(candidate, slot_name(object_key))
                try:
                    data = reader.read(0, min(reader.size, MAX_SLOT_BYTES))
                finally:
                    reader.close()
            except ObjectNotFoundError:
                continue
            except StoreUnavailableError:
                silent.append(candidate)
                continue
            try:
                slot = Slot.parse(data, object_key=object_key, region=candidate)
            except TamperedError as error:
                altered = error
                continue
            yield slot
        if altered is not None:
            raise altered
        if silent:
            raise NoReplicaError(f"the slot of {object_key}: {', '.join(silent)} do not answer")
        raise ObjectNotFoundError(f"{object_key} is in no region that may be read from")

    def manifest(self, object_key: ObjectKey, region: Region | None = None) -> Manifest:
        """Say what an object is, from its slot."""
        slot, data_key = self._open_slot(object_key, region)
        return slot.open_manifest(data_key)

    def stat(self, object_key: ObjectKey, region: Region | None = None) -> StoredObject:
        """Describe an object's body as stored, in *region* or in the nearest region that has it. Needs no key."""
        return self._regional.stat(body_name(object_key), region=region)

    def slots(self, region: Region) -> Iterator[StoredObject]:
        """Yield the slot files of one region: what a catalog is rebuilt from."""
        return self._regional.list(region, "slots/")

    def delete(self, object_key: ObjectKey, regions: Iterable[Region] | None = None) -> None:
        """Delete an object in *regions*, or in all of the placement: slots first. Doing it again does no harm."""
        where = self._regional.placement.regions if regions is None else tuple(regions)
        self._regional.delete(slot_name(object_key), where)
        self._regional.delete(body_name(object_key), where)

    def copy(
        self,
        object_key: ObjectKey,
        target: Region,
        scope: str,
        scope_key: bytes,
        *,
        source: Region | None = None,
        expected: bytes | None = None,
        permit: Callable[[], None] | None = None,
    ) -> Envelope:
        """Copy an object to *target*: the body as it is, then a slot whose key is wrapped for that region.

        Doing it again does no harm: what is there is verified, and the slot is kept.

        Args:
            object_key: what to copy.
            target: a region of the placement.
            scope: the scope there.
            scope_key: its key, wrapped for *target*.
            source: where to copy from; home unless said.
            expected: SHA-256 of the body as stored, where it is known.
            permit: called once the body is there and was read back, before the slot that makes an object of it is
                written; what it raises passes through, and no slot is written.

        Raises:
            RegionNotAllowedError: the placement does not name *target* or *source*; nothing was touched.
            DifferingCopyError: *target* did not read back what was written, or holds something else.
        """
        placement = self._regional.placement
        start = placement.home if source is None else source
        for region in (start, target):
            if region not in placement.regions:
                raise RegionNotAllowedError(f"{region!r} is not among {placement.regions}")
        slot = self.slot(object_key, start)
        self._regional.copy(body_name(object_key), start, target, expected=expected)
        try:
            return self.slot(object_key, target).envelope
        except ObjectNotFoundError:
            if permit is not None:
                permit()
            envelope = self._keys.move_key(slot.envelope, target, scope, scope_key)
            self._put_slot(Slot(envelope=envelope, sealed_manifest=slot.sealed_manifest))
            return envelope

    def replace_envelope(self, object_key: ObjectKey, envelope: Envelope) -> None:
        """Rewrite the slot of the envelope's region with *envelope*, atomically: rotation, or another scope.

        The caller made *envelope* from the present one by `KeyService.move_key`.

        Raises:
            WrongObjectError: *envelope* is of something else.
        """
        slot = self.slot(object_key, envelope.region)
        if envelope.subject != object_key:
            raise WrongObjectError(f"the envelope is of {envelope.subject}, not of {object_key}")
        self._put_slot(Slot(envelope=envelope, sealed_manifest=slot.sealed_manifest), replace=True)

    def _put(self, puts: Sequence[tuple[ObjectKey, Iterable[Chunk], Iterable[Chunk]]]) -> tuple[StoredObject, ...]:
        """Put bodies, then their slots, at home: all or none."""
        bodies = [(body_name(object_key), body) for object_key, body, _ in puts]
        slots = [(slot_name(object_key), slot) for object_key, _, slot in puts]
        return self._regional.put_together([*bodies, *slots])[: len(puts)]

    def _put_slot(self, slot: Slot, *, replace: bool = False) -> None:
        region, name = slot.envelope.region, slot_name(slot.object_key)
        self._regional.put(name, [slot.serialise()], region=region, replace=replace)


def _whole_body(source: RegionalReader, data_key: bytes, object_key: ObjectKey, stored_size: int) -> BodyReader:
    """Open the body in the first region that has it whole.

    Raises:
        TamperedError: none has; names what is wrong with the last.
    """
    while True:
        region = source.region
        try:
            return BodyReader(source, data_key, object_key, stored_size=stored_size)
        except TamperedError as error:
            if not source.distrust(region, error, size=stored_size):
                raise


def _sealed(data_key: bytes, object_key: ObjectKey, body: SealedBody, facts: Mapping[str, object]) -> bytes:
    return seal_manifest(data_key, object_key, Manifest(body=body.info, facts=facts))


def _slot(envelope: Envelope, sealed_manifest: Callable[[], bytes]) -> Iterator[Chunk]:
    """Make a slot when it is asked for: its manifest is known once the body has come to its end."""
    yield Slot(envelope=envelope, sealed_manifest=sealed_manifest()).serialise()


def _checked(ciphertext: Iterable[Chunk], object_key: ObjectKey) -> Iterator[Chunk]:
    """Pass *ciphertext* on, once its header proves to be that of *object_key*."""
    begun = b""
    pieces = iter(ciphertext)
    for piece in pieces:
        begun += bytes(piece)
        if len(begun) >= HEADER_BYTES:
            break
    parse_header(begun, object_key)
    yield begun
    yield from pieces
