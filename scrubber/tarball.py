"""Walk a tar archive as a stream, change in it only what scrubbing changes, and write it again in the same order.

Headers are edited in place (ustar, GNU and pax alike), so that modes, times, owners' numbers and links stay as they
were. A member's new size stands before its data: the data waits in scratch space.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scrubber.closed import WHOLE
from scrubber.members import SMALL, Convoy, Effects, Parcel, put
from scrubber.naming import Links, inside
from scrubber.obstacle import ObstacleError
from scrubber.sniff import is_tar_header
from scrubber.stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.walk import Walk

_BLOCK = 512
_EXTENDED = (b"L", b"K", b"x", b"g")
_MAX_EXTENDED = 1 << 20
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")


@dataclass(slots=True)
class _Extended:
    """What pax and GNU headers say about the member that follows."""

    pax: list[tuple[bytes, bytes]] = field(default_factory=list)
    pax_header: bytes = b""
    name: bytes | None = None
    link: bytes | None = None

    def get(self, key: bytes) -> bytes | None:
        found = [value for name, value in self.pax if name == key]
        return found[-1] if found else None

    def add(self, kind: bytes, header: bytes, data: bytes, path: str) -> None:
        if kind == b"L":
            self.name = data.rstrip(b"\0")
        elif kind == b"K":
            self.link = data.rstrip(b"\0")
        else:
            self.pax = _parse_pax(data, path)
            self.pax_header = header

    @property
    def sparse(self) -> bool:
        return any(name.startswith(b"GNU.sparse.") for name, _ in self.pax)


@dataclass(slots=True)
class _Item:
    """A block of zeros, a global pax header, or a member (`extended`)."""

    header: bytes
    records: list[tuple[bytes, bytes]] = field(default_factory=list)
    extended: _Extended | None = None
    size: int = 0
    trailer: bytes = b""
    part: Stream = field(default_factory=lambda: Stream(lambda _n: b""))

    @property
    def name(self) -> bytes:
        extended = self.extended or _Extended()
        return extended.name or extended.get(b"path") or _header_name(self.header)

    @property
    def is_sparse(self) -> bool:
        return self.header[156:157] == b"S" or (self.extended is not None and self.extended.sparse)


def walk_tar(walk: Walk, stream: Stream, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Scrub every member of the archive in *stream*.

    Raises:
        ObstacleError: damaged, cut off, or a fatal obstacle within.
    """
    links = Links()
    items = _items(stream, path)
    if walk.crew is None or not walk.gives_away:
        for item in items:
            _handle(walk, out, item, links, path=path, depth=depth)
        return
    with closing(Convoy(walk.crew, items, lambda item: _parcel(walk, item, path, depth)).run()) as done:
        for item, parcel, effects in done:
            _handle(walk, out, item, links, path=path, depth=depth, done=(parcel, effects))


def _items(stream: Stream, path: str) -> Iterator[_Item]:
    """Give what the archive holds, one after the other; a member's data must be read before the next is asked for."""
    extended = _Extended()
    while True:
        header = stream.read_exactly(_BLOCK)
        if not header.strip(b"\0"):
            yield _Item(header)
            if not header:
                return
            continue  # archives are appended to one another, zeros in between (tar --ignore-zeros)
        if not is_tar_header(header):
            reason = "the tar archive is damaged" if len(header) == _BLOCK else "the tar archive is cut off"
            raise ObstacleError(path, reason, advice=WHOLE)
        kind = header[156:157]
        if kind == b"g":
            yield _Item(header, records=_parse_pax(_payload(stream, path, header), path))
            continue
        if kind in _EXTENDED:
            extended.add(kind, header, _payload(stream, path, header), path)
            continue
        size = 0 if kind in _WITHOUT_DATA else _decimal(extended.get(b"size")) or _number(header[124:136])
        trailer = _sparse_map(stream, header) if kind == b"S" else b""
        part = stream.part(size)
        yield _Item(header, extended=extended, size=size, trailer=trailer, part=part)
        padding = _padded(size) - size
        if size and (part.read(1) or len(stream.read_exactly(padding)) < padding):
            raise ObstacleError(path, "the tar archive is cut off", advice=WHOLE)
        extended = _Extended()


def _parcel(walk: Walk, item: _Item, path: str, depth: int) -> Parcel | None:
    """Give a small member away; None where it is too large."""
    if item.size > SMALL:
        return None
    if item.extended is None or not item.size:
        return Parcel("", b"", 0, 0)
    pieces: list[bytes] = []
    try:
        while piece := item.part.read():
            pieces.append(piece)
    except ObstacleError as error:
        item.part = _until(pieces, error)
        return None
    label = _label(path, walk.foresee_name(inside(item.name)))
    return Parcel(label, b"".join(pieces), depth + 1, walk.room, same_length=item.is_sparse)


def _until(pieces: list[bytes], error: ObstacleError) -> Stream:
    """Give a stream of what could be read, that then raises *error* for good."""
    left = iter(pieces)

    def read(_n: int) -> bytes:
        piece = next(left, b"")
        if not piece:
            raise error
        return piece

    return Stream(read)


def _label(path: str, new_name: bytes) -> str:
    return f"{path}!/{new_name.decode('utf-8', 'replace').lstrip('/')}"


def _number(text: bytes) -> int:
    if text[:1] in (b"\x80", b"\xff"):
        return int.from_bytes(text[1:], "big")
    digits = text.split(b"\0")[0].strip()
    return int(digits, 8) if re.fullmatch(rb"[0-7]+", digits) else 0


def _payload(stream: Stream, path: str, header: bytes) -> bytes:
    size = _number(header[124:136])
    if size > _MAX_EXTENDED:
        raise ObstacleError(path, "an extended tar header is too long", advice=WHOLE)
    data = stream.read_exactly(_padded(size))
    if len(data) < size:
        raise ObstacleError(path, "the tar archive is cut off", advice=WHOLE)
    return data[:size]


def _handle(
    walk: Walk,
    out: Callable[[bytes], object],
    item: _Item,
    links: Links,
    *,
    path: str,
    depth: int,
    done: tuple[Parcel | None, Effects | None] = (None, None),
) -> None:
    """Write one item, scrubbed; *done* is what came of a member that was given away."""
    extended, header = item.extended, item.header
    if extended is None:
        if header.strip(b"\0"):
            _write_extended(
                out, header, _format_pax([(key, walk.scrub_bytes(value, path)) for key, value in item.records])
            )
        else:
            out(header)
        return
    name = item.name
    link = extended.link or extended.get(b"linkpath") or header[157:257].split(b"\0")[0]
    kind = header[156:157]
    new_name = walk.scrub_name(inside(name), path)
    label = _label(path, new_name)
    if links.cover(inside(name)):
        walk.block(label, "a member stands behind a link of its own archive", WHOLE)
    if kind == b"2":
        links.add(inside(name))
    elif kind in (b"3", b"4"):
        header = _as_file(header)  # a device node is kept as an empty file, harmless to unpack
    scratch = walk.new_scratch(label)
    try:
        parcel, effects = done
        if parcel is not None and parcel.data:
            put(walk, parcel, effects, scratch.write)
        elif item.size:
            walk.member(item.part, scratch.write, label, depth + 1, same_length=item.is_sparse)
        else:
            walk.members += 1
        if walk.obstacles:
            return
        _write_header(
            walk,
            out,
            header,
            extended,
            path=path,
            names=(name, new_name),
            link=link,
            size=scratch.size if item.size else None,
        )
        out(item.trailer)
        scratch.copy_to(out)
        out(b"\0" * (_padded(scratch.size) - scratch.size))
    finally:
        scratch.close()


def _as_file(header: bytes) -> bytes:
    block = bytearray(header)
    block[156:157] = b"0"
    block[329:345] = bytes(16)
    block[124:136] = _size_field(0)
    return bytes(block)


def _decimal(text: bytes | None) -> int:
    return int(text) if text and re.fullmatch(rb"[0-9]{1,19}", text) else 0


def _sparse_map(stream: Stream, header: bytes) -> bytes:
    """Read the further maps of an old GNU sparse member; the last one says that none follows."""
    maps = b""
    more = header[482]
    while more:
        block = stream.read_exactly(_BLOCK)
        maps += block
        more = block[504] if len(block) == _BLOCK else 0
    return maps


def _header_name(header: bytes) -> bytes:
    name = header[:100].split(b"\0")[0]
    prefix = header[345:500].split(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return prefix + b"/" + name if prefix else name


def _write_header(
    walk: Walk,
    out: Callable[[bytes], object],
    header: bytes,
    extended: _Extended,
    *,
    path: str,
    names: tuple[bytes, bytes],
    link: bytes,
    size: int | None,
) -> None:
    block = bytearray(header)
    name, new_name = names
    new_link = walk.scrub_name(inside(link) if header[156:157] == b"1" else link, path)
    if extended.pax:
        fixed = {b"path": new_name, b"linkpath": new_link, b"size": str(size or 0).encode()}
        owners = {
            b"uname": _decimal(extended.get(b"uid")) or _number(header[108:116]),
            b"gname": _decimal(extended.get(b"gid")) or _number(header[116:124]),
        }
        records = [(key, fixed.get(key) or _pax_value(walk, key, value, owners, path)) for key, value in extended.pax]
        _write_extended(out, extended.pax_header, _format_pax(records))
    long_name = extended.name is not None or (
        new_name != name and extended.get(b"path") is None and len(new_name) > 100
    )
    if extended.link is not None or (new_link != link and extended.get(b"linkpath") is None and len(new_link) > 100):
        _write_long(out, b"K", new_link)
    if long_name:
        _write_long(out, b"L", new_name)
    if new_name != name:
        block[:100] = new_name[:100].ljust(100, b"\0")
        if header[257:263] == b"ustar\0":
            block[345:500] = bytes(155)
    if new_link != link:
        block[157:257] = new_link[:100].ljust(100, b"\0")
    for start, number in ((265, 108), (297, 116)):
        owner = bytes(block[start : start + 32]).split(b"\0")[0]
        if header[257:262] == b"ustar":
            block[start : start + 32] = walk.owner(owner, _number(header[number : number + 8])).ljust(32, b"\0")[:32]
    if size is not None:
        block[124:136] = _size_field(size)
    out(_with_checksum(block))


def _pax_value(walk: Walk, key: bytes, value: bytes, owners: dict[bytes, int], path: str) -> bytes:
    if key in owners:
        return walk.owner(value, owners[key])
    if key == b"GNU.sparse.name":
        return walk.scrub_name(inside(value), path)
    if re.fullmatch(rb"[0-9.,\-]*", value):  # times, numbers, maps of holes
        return value
    return walk.scrub_bytes(value, path)


def _size_field(size: int) -> bytes:
    if size < 8**11:
        return b"%011o\0" % size
    return b"\x80" + size.to_bytes(11, "big")


def _with_checksum(block: bytearray) -> bytes:
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def _write_extended(out: Callable[[bytes], object], header: bytes, data: bytes) -> None:
    block = bytearray(header)
    block[124:136] = _size_field(len(data))
    out(_with_checksum(block) + data.ljust(_padded(len(data)), b"\0"))


def _write_long(out: Callable[[bytes], object], kind: bytes, text: bytes) -> None:
    block = bytearray(_BLOCK)
    block[:13] = b"././@LongLink"
    block[100:108] = block[108:116] = block[116:124] = b"0000000\0"
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar  \0"
    _write_extended(out, bytes(block), text + b"\0")


def _parse_pax(data: bytes, path: str) -> list[tuple[bytes, bytes]]:
    """Read the records of a pax header (POSIX.1-2001): length, blank, key=value, newline."""
    records, at = [], 0
    while at < len(data) and data[at : at + 1] != b"\0":
        match = re.compile(rb"([0-9]{1,8}) ([^=\n]{1,256})=").match(data, at)
        end = at + int(match[1]) if match else 0
        if match is None or end > len(data) or end <= match.end() or data[end - 1 : end] != b"\n":
            raise ObstacleError(path, "the tar archive is damaged", advice=WHOLE)
        records.append((match[2], data[match.end() : end - 1]))
        at = end
    return records


def _format_pax(records: list[tuple[bytes, bytes]]) -> bytes:
    made = []
    for key, value in records:
        body = b" " + key + b"=" + value + b"\n"
        length = len(body)
        while len(str(length)) + len(body) != length:
            length = len(str(length)) + len(body)
        made.append(str(length).encode() + body)
    return b"".join(made)


def _padded(size: int) -> int:
    return (size + _BLOCK - 1) // _BLOCK * _BLOCK
