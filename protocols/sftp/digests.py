"""Digests of files, for clients that compare: `check-file` and `sha256sum`.

What is compared is what `stat` shows. Where the filesystem knows that digest, nothing is read.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from protocols.errors import FileSystemError, IsADirectoryPathError, RejectedError
from protocols.filesystem import Digests
from protocols.sftp.status import UnsupportedError
from protocols.sftp.wire import MAX_PACKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from protocols.filesystem import FileSystem
    from protocols.path import VirtualPath

ALGORITHMS = ("sha256", "sha512", "sha384", "sha224", "sha1", "md5")
"""By the names of the draft, which are hashlib's too. None of them is trusted here with anything."""
_PIECE = 1 << 20
_SHORTEST_BLOCK = 256
"""Bytes; draft-ietf-secsh-filexfer-13, section 9.1.2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Of which bytes a digest is wanted."""

    start: int = 0
    length: int | None = None
    """None: up to the end of the file."""
    block: int | None = None
    """A digest of each so many bytes; None: one of all."""

    @property
    def is_whole(self) -> bool:
        """Whether it is one digest of the whole file."""
        return not self.start and self.length is None and self.block is None


def parse_algorithms(names: bytes) -> str:
    """Return the first algorithm of a client's list, parted by commas, that is known here.

    Raises:
        UnsupportedError: none is.
    """
    wanted = names.decode("ascii", "replace").split(",")
    found = next((name for name in wanted if name in ALGORITHMS), None)
    if found is None:
        raise UnsupportedError(f"no such digest is made here; ask for one of {', '.join(ALGORITHMS)}")
    return found


def hashed(read: Callable[[int, int], bytes], algorithm: str, span: Span, *, ended: Callable[[], bool]) -> bytes:
    """Return the digests of *span* of what *read* (offset, length) gives, one behind the other.

    Raises:
        FileSystemError: it begins behind the end, its blocks are too short or too many, or *ended* says to stop.
    """
    if span.block is not None and span.block < _SHORTEST_BLOCK:
        raise FileSystemError(f"a block has {_SHORTEST_BLOCK} bytes or more")
    room = MAX_PACKET // 2
    at, left, found = span.start, span.length, bytearray()
    digest, filled = hashlib.new(algorithm, usedforsecurity=False), 0
    while left is None or left > 0:
        if ended():
            raise FileSystemError("the session has ended")
        want = min(each for each in (_PIECE, left, span.block and span.block - filled) if each)
        data = read(at, want)
        if not data:
            break
        digest.update(data)
        at, filled = at + len(data), filled + len(data)
        left = None if left is None else left - len(data)
        if filled == span.block:
            found += digest.digest()
            digest, filled = hashlib.new(algorithm, usedforsecurity=False), 0
            if len(found) > room:
                raise FileSystemError("so many blocks have no room in one answer; ask for longer ones")
    if at == span.start and span.start:
        raise FileSystemError("nothing of the file is there")
    return bytes(found) if found and not filled else bytes(found) + digest.digest()


class Digester:
    """Finds the digests of files by their paths."""

    def __init__(self, filesystem: FileSystem, *, ended: Callable[[], bool]) -> None:
        """Look into *filesystem*; long work stops once *ended* says so."""
        self._filesystem = filesystem
        self._ended = ended

    def digest(self, path: VirtualPath, algorithm: str, span: Span | None = None) -> bytes:
        """Return the digest of the file at *path* as `stat` shows it.

        Raises:
            FileSystemError: there is none, it may not be read, or what `stat` shows is not kept.
        """
        span = span or Span()
        if span.is_whole and isinstance(self._filesystem, Digests):
            known = self._filesystem.digest(path, algorithm)
            if known is not None:
                return known
        entry = self._filesystem.stat(path)
        if entry.is_directory:
            raise IsADirectoryPathError("it is a directory")
        if entry.read_etag is not None or entry.read_size not in {None, entry.size}:
            raise RejectedError("what you sent is not kept as it was; its SHA-256 alone is known")
        handle = self._filesystem.open_read(path)
        try:
            return hashed(handle.read, algorithm, span, ended=self._ended)
        finally:
            handle.close()
