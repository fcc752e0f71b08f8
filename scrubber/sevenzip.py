"""Walk a 7z archive folder by folder and write a new one in the same order, scrubbed within.

Names, times, attributes and the grouping into folders stay; each folder is packed with deflate, which every reader of
7z has. An encrypted archive is opened where its password was given, and written again without one.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from scrubber.closed import OPEN_ARCHIVE, REPACK, WHOLE
from scrubber.coding import crc32, deflater
from scrubber.compressed import expand
from scrubber.naming import Links, inside
from scrubber.obstacle import ObstacleError
from scrubber.sevencoder import AES, MethodError, decoders, decrypt
from scrubber.sevenheader import (
    ENCODED_HEADER,
    START,
    Folder,
    Item,
    Reader,
    is_link,
    read_header,
    read_start,
    read_streams,
    write_header,
    write_start,
)
from scrubber.stream import CHUNK, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.model import Source
    from scrubber.stream import ScratchSource
    from scrubber.walk import Walk

_HEADERS = 4
_LONGEST_LINK = 4096


def walk_seven_zip(walk: Walk, source: Source, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Scrub every member of the archive in *source*.

    Raises:
        ObstacleError: damaged, encrypted, packed in an unknown way, or a fatal obstacle within.
    """
    unpacker = _Unpacker(walk, source, path)
    try:
        folders, items = unpacker.header()
        scratch = walk.new_scratch(path)
        try:
            made = _Repacker(walk, unpacker, scratch, path, depth).repack(folders, items)
            if not walk.obstacles:
                header = write_header(made, items)
                out(write_start(header, scratch.size))
                scratch.copy_to(out)
                out(header)
        finally:
            scratch.close()
    except MethodError as error:
        raise ObstacleError(path, f"the 7-Zip archive is packed with {error}", advice=REPACK) from error
    except OverflowError as error:
        reason = f"it has more than {walk.limits.members} members"
        raise ObstacleError(path, reason, fatal=True, advice="send it in several archives") from error
    except (ValueError, IndexError, zlib.error) as error:
        raise ObstacleError(path, "the 7-Zip archive is damaged or cut off", advice=WHOLE) from error


class _Unpacker:
    """Gives what the folders of one archive unpack to."""

    def __init__(self, walk: Walk, source: Source, path: str) -> None:
        self._walk = walk
        self._source = source
        self._path = path
        self._passwords = walk.passwords

    def header(self) -> tuple[list[Folder], list[Item]]:
        """Read the header, which may itself be packed, several times over."""
        offset, size, crc = read_start(self._source.read(0, START))
        if size > self._walk.limits.directory:
            raise ObstacleError(
                self._path,
                "the directory of the 7-Zip archive is too large",
                fatal=True,
                advice="send it in several archives",
            )
        data = self._whole(offset, size)
        if not data:
            return [], []
        if len(data) < size or zlib.crc32(data) != crc:
            raise ValueError("the header is damaged")
        for _ in range(_HEADERS):
            reader = Reader(data)
            kind = reader.byte()
            if kind != ENCODED_HEADER:
                if kind != 1:
                    raise ValueError("a header of an unknown kind")
                return read_header(reader, self._walk.limits.members)
            folder = read_streams(reader)[0]
            if folder.sizes[-1] > self._walk.limits.directory:
                raise ValueError("the header is too large")
            data = Stream(self.open(folder)).read_exactly(folder.sizes[-1])
        raise ValueError("a header is packed too often")

    def _whole(self, offset: int, size: int) -> bytes:
        pieces = []
        while size > 0 and (data := self._source.read(offset, size)):
            pieces.append(data)
            offset += len(data)
            size -= len(data)
        return b"".join(pieces)

    def open(self, folder: Folder) -> Callable[[int], bytes]:
        """Give a reader of what *folder* unpacks to.

        Raises:
            ObstacleError: it is encrypted, and no password that was given opens it.
        """
        if not folder.simple:
            raise MethodError("a method that cannot be read (BCJ2)")
        if not any(coder.method == AES for coder in folder.coders):
            return self._chain(folder, None)
        for password in self._passwords:
            if self._opens(folder, password):
                self._passwords = (password,)
                return self._chain(folder, password)
        tried = ", and none of the given passwords opens it" if self._walk.passwords else ""
        raise ObstacleError(self._path, f"it is encrypted{tried}", advice=OPEN_ARCHIVE)

    def _opens(self, folder: Folder, password: bytes) -> bool:
        """Say whether *password* is right: the check sum of the first file tells, or of the header."""
        size, crc = folder.parts[0] if folder.parts else (folder.sizes[-1], folder.crc)
        found = 0
        header = bytearray()
        try:
            stream = Stream(self._chain(folder, password))
            while size and (data := stream.read(min(size, CHUNK))):
                header += data if crc is None else b""
                found = crc32(data, found)
                size -= len(data)
        except ObstacleError as error:
            if error.fatal:
                raise
            return False
        return not size and (crc == found if crc is not None else self._is_header(bytes(header)))

    def _is_header(self, data: bytes) -> bool:
        """Say whether *data* can be read as a header: some writers give theirs no check sum."""
        try:
            reader = Reader(data)
            if reader.byte() == 1:
                read_header(reader, self._walk.limits.members)
            else:
                read_streams(reader)
        except (ValueError, IndexError, OverflowError):
            return False
        return data[:1] in {b"\1", bytes((ENCODED_HEADER,))}

    def _chain(self, folder: Folder, password: bytes | None) -> Callable[[int], bytes]:
        at, end = folder.at, folder.at + folder.packed

        def read(n: int) -> bytes:
            nonlocal at
            data = self._source.read(at, min(n, end - at)) if at < end else b""
            at += len(data)
            return data

        reader: Callable[[int], bytes] = read
        coders = list(folder.coders)
        if coders[0].method == AES and password is not None:
            reader = _first(decrypt(reader, coders.pop(0), password), folder.sizes[0])
        for make in decoders(coders):
            reader = expand(self._walk, Stream(reader), self._path, make, single=True)
        return reader


def _first(read: Callable[[int], bytes], size: int) -> Callable[[int], bytes]:
    """Give the first *size* bytes of *read*: blocks of a cipher are padded."""
    left = size

    def pull(n: int) -> bytes:
        nonlocal left
        data = read(n)[:left] if left else b""
        left -= len(data)
        return data

    return pull


class _Repacker:
    """Scrubs the members of one archive into scratch."""

    def __init__(self, walk: Walk, unpacker: _Unpacker, scratch: ScratchSource, path: str, depth: int) -> None:
        self._walk = walk
        self._unpacker = unpacker
        self._scratch = scratch
        self._path = path
        self._depth = depth
        self._links = Links()

    def repack(self, folders: list[Folder], items: list[Item]) -> list[Folder]:
        """Scrub everything; the items get their new names. Give the folders as they are packed now."""
        for item in items:
            if is_link(item):
                self._links.add(_plain(item.name))
        following = iter([item for item in items if item.has_data])
        made = [self._folder(folder, following) for folder in folders]
        for item in items:
            if not item.has_data:
                self._walk.members += 1
                item.name, _ = self._name(item)
        return made

    def _name(self, item: Item) -> tuple[str, str]:
        """Give a member's new name, and what reports call it."""
        name = inside(item.name.encode("utf-8", "surrogatepass"))
        new = self._walk.scrub_name(name, self._path).decode("utf-8", "replace")
        label = f"{self._path}!/{new.lstrip('/')}"
        if self._links.cover(name):
            self._walk.block(label, "a member stands behind a link of its own archive", WHOLE)
        return new, label

    def _folder(self, folder: Folder, items: Iterator[Item]) -> Folder:
        new = Folder(at=self._scratch.size)
        if not folder.parts:
            return new
        content = Stream(self._unpacker.open(folder))
        encoder = deflater()

        def write(data: bytes) -> None:
            if made := encoder.compress(data):
                self._scratch.write(made)

        for size, crc in folder.parts:
            new.parts.append(self._member(content, next(items), size, crc, write))
        self._scratch.write(encoder.flush())
        new.packed = self._scratch.size - new.at
        return new

    def _member(
        self, content: Stream, item: Item, size: int, crc: int | None, write: Callable[[bytes], object]
    ) -> tuple[int, int]:
        item.name, label = self._name(item)
        part = Stream(_checked(content.part(size), size, crc, label))
        total = found = 0

        def put(data: bytes) -> None:
            nonlocal total, found
            total += len(data)
            found = crc32(data, found)
            write(data)

        if is_link(item):
            self._walk.members += 1
            put(self._walk.scrub_name(part.read_exactly(_LONGEST_LINK), self._path))
            part.drain()
        else:
            self._walk.member(part, put, label, self._depth + 1)
        return total, found


def _checked(part: Stream, size: int, crc: int | None, label: str) -> Callable[[int], bytes]:
    """Check a member's size and check sum at its end."""
    total = found = 0

    def read(n: int) -> bytes:
        nonlocal total, found
        data = part.read(n)
        total += len(data)
        found = crc32(data, found)
        if not data and (total < size or crc not in {None, found}):
            raise ObstacleError(label, "the 7-Zip archive is damaged: a member's check sum is wrong", advice=WHOLE)
        return data

    return read


def _plain(name: str) -> bytes:
    return inside(name.encode("utf-8", "surrogatepass"))
