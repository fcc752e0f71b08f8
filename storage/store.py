"""What a place for sealed objects must do, and how things in it are called.

A store holds named byte strings that are written once. It never sees a client's path nor plaintext, and knows no key.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType, Protocol, TypeAlias, runtime_checkable

from storage.errors import ObjectNameError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

ObjectKey = NewType("ObjectKey", str)
"""The name of one object everywhere: 128 random bits as 32 lower-case hexadecimal digits. Never a client's path."""

Chunk: TypeAlias = "bytes | bytearray | memoryview"
"""Some bytes of a longer whole. Who hands out a chunk may reuse its memory once the next is asked for."""

MAX_NAME_BYTES = 255
_OBJECT_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*(?:/[a-z0-9][a-z0-9._-]*)*", re.ASCII)
_PREFIX = re.compile(r"(?:[a-z0-9][a-z0-9._-]*/)*(?:[a-z0-9][a-z0-9._-]*)?", re.ASCII)


def new_object_key() -> ObjectKey:
    """Return a fresh random object key. One is used for one attempt to store one thing, and never again."""
    return ObjectKey(secrets.token_hex(16))


def parse_object_key(text: str) -> ObjectKey:
    """Make an object key from *text*.

    Raises:
        ObjectNameError: it is not 32 lower-case hexadecimal digits.
    """
    if not _OBJECT_KEY.fullmatch(text):
        raise ObjectNameError(f"{text!r} is not an object key (32 lower-case hexadecimal digits)")
    return ObjectKey(text)


def body_name(key: ObjectKey) -> str:
    """Return the name of an object's body in any store."""
    return f"bodies/{key[:2]}/{parse_object_key(key)}"


def slot_name(key: ObjectKey) -> str:
    """Return the name of an object's slot in its region's store."""
    return f"slots/{key[:2]}/{parse_object_key(key)}"


def check_name(name: str) -> str:
    """Return *name* if it can be the name of an object.

    Parts of `a-z 0-9 . _ -` between slashes, each beginning with a letter or digit (so there is no `.`, no `..` and no
    hidden file), at most `MAX_NAME_BYTES` in all.

    Raises:
        ObjectNameError: it is none.
    """
    if not is_name(name):
        raise ObjectNameError(f"{name!r} cannot be the name of an object")
    return name


def is_name(text: str) -> bool:
    """Say whether *text* can be the name of an object: listings leave out what is not ours."""
    return len(text) <= MAX_NAME_BYTES and _NAME.fullmatch(text) is not None


def check_prefix(prefix: str) -> str:
    """Return *prefix* if names can begin with it; the empty one is the beginning of all."""
    if len(prefix) > MAX_NAME_BYTES or not _PREFIX.fullmatch(prefix):
        raise ObjectNameError(f"no name of an object can begin with {prefix!r}")
    return prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredObject:
    """One object as its store describes it."""

    name: str
    size: int
    """Bytes as stored, that is, sealed."""


@runtime_checkable
class ImmediateReader(Protocol):
    """Optional: an open object that can tell whether bytes are in memory."""

    def read_immediate(self, into: memoryview, offset: int) -> bool:
        """Fill *into* with the bytes at *offset* if nobody has to be waited for; else say no. Never raises."""


class ObjectReader(Protocol):
    """An open object, read at any offset. Safe to call from several threads."""

    @property
    def size(self) -> int:
        """Bytes as stored."""

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*; fewer only at the end of the object, none past it.

        Raises:
            StoreUnavailableError: the store does not answer, or its disk fails.
            ObjectNotFoundError: the object has been deleted meanwhile, and the store cannot read on.
        """

    def close(self) -> None:
        """Let go of it. Never raises; a second call does nothing."""


class ObjectStore(Protocol):
    """A place for sealed objects. All methods are safe to call from several threads and processes."""

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store the concatenation of *chunks*, whole or not at all, and return when it is durable.

        Each chunk is consumed before the next is asked for. An exception of the iterable passes through, and nothing is
        stored.

        Args:
            name: as `check_name` allows.
            chunks: the content.
            replace: put it in the place of what is there, atomically: a reader finds the old or the new, whole. Only
                slot files are ever replaced.

        Raises:
            ObjectExistsError: the name is taken and *replace* is false; what is there is untouched.
            OutOfSpaceError: nothing of it is kept.
            StoreUnavailableError: the store does not answer; whether it is stored is not known.
        """

    def open(self, name: str) -> ObjectReader:
        """Open an object for reading.

        Raises:
            ObjectNotFoundError: there is none.
        """

    def stat(self, name: str) -> StoredObject:
        """Describe an object.

        Raises:
            ObjectNotFoundError: there is none.
        """

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*, in the order of their names' bytes."""

    def delete(self, name: str) -> None:
        """Delete an object and return when that is durable. Deleting what is not there does nothing.

        Raises:
            ObjectLockedError: the store was told to keep it until a day that has not come.
        """


@runtime_checkable
class LeavesLeftovers(Protocol):
    """Optional: a store in which a crash can leave what has no name yet."""

    def reap(self, older_than_seconds: float) -> int:
        """Remove what was left longer ago than so many seconds, and say how many things."""


@runtime_checkable
class StoresTogether(Protocol):
    """Optional: a store that makes several objects durable at the cost of little more than one."""

    def put_together(self, puts: Sequence[tuple[str, Iterable[Chunk]]]) -> tuple[StoredObject, ...]:
        """Store objects, each as `ObjectStore.put` would, in this order, and return when all are durable.

        The chunks of one are consumed to their end before those of the next are asked for. If any of it fails none is
        there afterwards. None has a name before all of its bytes are durable, and none before those that stand before
        it: what a power cut leaves, where the file system keeps the order of its names, is a beginning of the row.

        Raises:
            ObjectExistsError, OutOfSpaceError, StoreUnavailableError: as `ObjectStore.put` says.
        """
