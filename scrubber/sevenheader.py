"""Read and write the headers of 7z archives (7zFormat.txt of the LZMA SDK): values only, no content.

All numbers are checked against what is there before anything is made of them.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, field

SIGNATURE = b"7z\xbc\xaf\x27\x1c"
START = 32
(
    _END,
    _HEADER,
    _ARCHIVE_PROPERTIES,
    _ADDITIONAL,
    _MAIN_STREAMS,
    _FILES,
    _PACK,
    _UNPACK,
    _SUB_STREAMS,
    _SIZE,
    _CRC,
    _FOLDER,
    _UNPACK_SIZE,
    _UNPACK_COUNT,
    _EMPTY_STREAM,
    _EMPTY_FILE,
    _ANTI,
    _NAMES,
) = range(18)
_TIMES = (0x12, 0x13, 0x14)
_ATTRIBUTES, ENCODED_HEADER, _DUMMY = 0x15, 0x17, 0x19
_DEFLATE = b"\x04\x01\x08"


@dataclass(slots=True)
class Coder:
    """One step of packing: the method's number and its properties."""

    method: bytes
    properties: bytes


@dataclass(slots=True)
class Folder:
    """A packed stream and how it is unpacked: `coders` in the order in which unpacking runs them."""

    coders: list[Coder] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)  # after each of them
    simple: bool = True
    at: int = 0
    packed: int = 0
    crc: int | None = None
    parts: list[tuple[int, int | None]] = field(default_factory=list)  # size and CRC of each file in it


@dataclass(slots=True)
class Item:
    """One file or directory. `values` are its times and attributes by property number."""

    name: str = ""
    has_data: bool = True
    empty_file: bool = False
    anti: bool = False
    values: dict[int, int] = field(default_factory=dict)


class Reader:
    """A cursor over a header; reading past its end raises ValueError."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def bytes(self, n: int) -> bytes:
        """Read *n* bytes."""
        if n < 0 or self._at + n > len(self._data):
            raise ValueError("the header is cut off")
        self._at += n
        return self._data[self._at - n : self._at]

    def byte(self) -> int:
        """Read a byte."""
        return self.bytes(1)[0]

    def number(self) -> int:
        """Read a number of 1 to 9 bytes: as many ones lead the first byte as bytes follow it."""
        first, mask, value = self.byte(), 0x80, 0
        for place in range(8):
            if not first & mask:
                return value | (first & (mask - 1)) << 8 * place
            value |= self.byte() << 8 * place
            mask >>= 1
        return value

    def count(self, most: int | None = None) -> int:
        """Read a number of things: each of them takes a bit at least."""
        value = self.number()
        if value > (8 * (len(self._data) - self._at) + 8 if most is None else most):
            raise ValueError("a number is too large")
        return value

    def bits(self, n: int) -> list[bool]:
        """Read *n* bits, the highest of each byte first."""
        data = self.bytes((n + 7) // 8)
        return [bool(data[i // 8] & 0x80 >> i % 8) for i in range(n)]

    def optional_bits(self, n: int) -> list[bool]:
        """Read *n* bits, unless a byte before them says that all are set."""
        return [True] * n if self.byte() else self.bits(n)

    def digests(self, n: int) -> list[int | None]:
        """Read the CRCs of *n* things, None for those that have none."""
        known = self.optional_bits(n)
        return [int.from_bytes(self.bytes(4), "little") if is_known else None for is_known in known]


def read_start(head: bytes) -> tuple[int, int, int]:
    """Give offset, size and CRC of the header that the first 32 bytes point to.

    Raises:
        ValueError: they are damaged.
    """
    if len(head) < START or head[:6] != SIGNATURE or zlib.crc32(head[12:32]) != int.from_bytes(head[8:12], "little"):
        raise ValueError("the start header is damaged")
    offset, size, crc = struct.unpack("<QQI", head[12:32])
    return START + offset, size, crc


def read_streams(reader: Reader) -> list[Folder]:
    """Read where the packed streams lie and what is in them."""
    folders: list[Folder] = []
    sizes: list[int] = []
    at = START
    divided = False
    while (kind := reader.byte()) != _END:
        if kind == _PACK:
            at = START + reader.number()
            sizes = _pack_sizes(reader)
        elif kind == _UNPACK:
            folders = _folders(reader)
        elif kind == _SUB_STREAMS:
            _sub_streams(reader, folders)
            divided = True
        else:
            raise ValueError("a part of an unknown kind")
    following = iter(sizes)
    for folder in folders:
        folder.at = at
        for _ in range(folder.packed):
            size = next(following, -1)
            if size < 0:
                raise ValueError("a packed stream is missing")
            at += size
        folder.packed = at - folder.at
        if not divided:
            folder.parts = [(folder.sizes[-1], folder.crc)]
    return folders


def _pack_sizes(reader: Reader) -> list[int]:
    count = reader.count()
    sizes: list[int] = []
    while (kind := reader.byte()) != _END:
        if kind == _SIZE:
            sizes = [reader.number() for _ in range(count)]
        elif kind == _CRC:
            reader.digests(count)
        else:
            raise ValueError("a part of an unknown kind")
    return sizes


def _folders(reader: Reader) -> list[Folder]:
    if reader.byte() != _FOLDER:
        raise ValueError("there are no folders")
    count = reader.count()
    if reader.byte():
        raise ValueError("an external header")
    made = [_folder(reader) for _ in range(count)]
    folders = [folder for folder, _ in made]
    while (kind := reader.byte()) != _END:
        if kind == _UNPACK_SIZE:
            for folder, order in made:
                sizes = [reader.number() for _ in order]
                folder.sizes = [sizes[number] for number in order]
        elif kind == _CRC:
            for folder, crc in zip(folders, reader.digests(count), strict=True):
                folder.crc = crc
        else:
            raise ValueError("a part of an unknown kind")
    if any(not folder.sizes for folder in folders):
        raise ValueError("a folder has no size")
    return folders


def _folder(reader: Reader) -> tuple[Folder, list[int]]:
    """Read one folder; give the numbers of its coders in the order of unpacking."""
    count = reader.count(32)
    coders, ins, outs = [], 0, 0
    for _ in range(count):
        flags = reader.byte()
        method = reader.bytes(flags & 15)
        many = (reader.count(32), reader.count(32)) if flags & 0x10 else (1, 1)
        coders.append(Coder(method, reader.bytes(reader.count()) if flags & 0x20 else b""))
        ins, outs = ins + many[0], outs + many[1]
    if not coders or outs < 1:
        raise ValueError("a folder without coders")
    bound = {reader.number(): reader.number() for _ in range(outs - 1)}
    packed = ins - len(bound)
    first = [i for i in range(ins) if i not in bound]
    if packed > 1:
        first = [reader.number() for _ in range(packed)]
    if ins != count or outs != count or packed != 1:
        main = next(out for out in range(outs) if out not in bound.values())
        return Folder(coders=coders, simple=False, packed=max(packed, 0)), [o for o in range(outs) if o != main] + [
            main
        ]
    order, fed_by = [first[0]], {source: target for target, source in bound.items()}
    while order[-1] in fed_by and len(order) < count:
        order.append(fed_by[order[-1]])
    if sorted(order) != list(range(count)):
        raise ValueError("the coders of a folder are no chain")
    return Folder(coders=[coders[number] for number in order], packed=1), order


def _sub_streams(reader: Reader, folders: list[Folder]) -> None:
    counts = [1] * len(folders)
    kind = reader.byte()
    if kind == _UNPACK_COUNT:
        counts = [reader.count(1 << 24) for _ in folders]
        kind = reader.byte()
    sized = kind == _SIZE
    for folder, count in zip(folders, counts, strict=True):
        folder.parts = _part_sizes(reader, folder.sizes[-1], count, sized=sized)
    if sized:
        kind = reader.byte()
    wanted = [(f, i) for f in folders for i in range(len(f.parts)) if len(f.parts) != 1 or f.crc is None]
    for folder in folders:
        if len(folder.parts) == 1:
            folder.parts = [(folder.parts[0][0], folder.crc)]
    if kind == _CRC:
        for (folder, number), crc in zip(wanted, reader.digests(len(wanted)), strict=True):
            folder.parts[number] = (folder.parts[number][0], crc)
        kind = reader.byte()
    if kind != _END:
        raise ValueError("a part of an unknown kind")


def _part_sizes(reader: Reader, total: int, count: int, *, sized: bool) -> list[tuple[int, int | None]]:
    """Read the sizes of the files in one folder; the last one's is what is left of it."""
    if count > 1 and not sized:
        raise ValueError("the sizes of files are missing")
    sizes = [reader.number() for _ in range(count - 1)] if sized else []
    last = total - sum(sizes)
    if last < 0:
        raise ValueError("files are larger than their folder")
    return [(size, None) for size in (*sizes, last)] if count else []


def read_header(reader: Reader, most: int) -> tuple[list[Folder], list[Item]]:
    """Read a whole header: what is packed, and the files, of which there may be *most*.

    Raises:
        ValueError: it is damaged.
        OverflowError: it has more files.
    """
    folders: list[Folder] = []
    items: list[Item] = []
    while (kind := reader.byte()) != _END:
        if kind == _ARCHIVE_PROPERTIES:
            while reader.byte() != _END:
                reader.bytes(reader.count())
        elif kind == _ADDITIONAL:
            read_streams(reader)
        elif kind == _MAIN_STREAMS:
            folders = read_streams(reader)
        elif kind == _FILES:
            items = _items(reader, most)
        else:
            raise ValueError("a part of an unknown kind")
    if sum(item.has_data for item in items) != sum(len(folder.parts) for folder in folders):
        raise ValueError("files and their contents do not go together")
    return folders, items


def _items(reader: Reader, most: int) -> list[Item]:
    count = reader.number()
    if count > most:
        raise OverflowError
    items = [Item() for _ in range(count)]
    empty: list[Item] = []
    while (kind := reader.number()) != _END:
        body = Reader(reader.bytes(reader.number()))
        if kind == _EMPTY_STREAM:
            for item, is_empty in zip(items, body.bits(count), strict=True):
                item.has_data = not is_empty
            empty = [item for item in items if not item.has_data]
        elif kind in {_EMPTY_FILE, _ANTI}:
            for item, flag in zip(empty, body.bits(len(empty)), strict=True):
                setattr(item, "anti" if kind == _ANTI else "empty_file", flag)
        elif kind == _NAMES:
            _names(body, items)
        elif kind in {*_TIMES, _ATTRIBUTES}:
            _values(body, items, kind)
    return items


def _values(body: Reader, items: list[Item], kind: int) -> None:
    known = body.optional_bits(len(items))
    if body.byte():
        raise ValueError("an external header")
    width = 4 if kind == _ATTRIBUTES else 8
    for item, is_known in zip(items, known, strict=True):
        if is_known:
            item.values[kind] = int.from_bytes(body.bytes(width), "little")


def _names(body: Reader, items: list[Item]) -> None:
    if body.byte():
        raise ValueError("an external header")
    for item in items:
        units = []
        while (unit := body.bytes(2)) != b"\0\0":
            units.append(unit)
        item.name = b"".join(units).decode("utf-16-le", "surrogatepass")


def is_link(item: Item) -> bool:
    """Say whether *item* is a symbolic link: Unix modes stand in the upper half of its attributes."""
    return item.values.get(_ATTRIBUTES, 0) >> 16 & 0o170000 == 0o120000


def write_start(header: bytes, offset: int) -> bytes:
    """Give the first 32 bytes of an archive whose *header* stands *offset* bytes behind them."""
    tail = struct.pack("<QQI", offset, len(header), zlib.crc32(header))
    return SIGNATURE + b"\0\4" + struct.pack("<I", zlib.crc32(tail)) + tail


def write_header(folders: list[Folder], items: list[Item]) -> bytes:
    """Give a header; every folder is packed with deflate alone."""
    made = [bytes((_HEADER,))]
    if folders:
        made.append(_streams(folders))
    made += [bytes((_FILES,)), _number(len(items))]
    empty = [item for item in items if not item.has_data]
    if empty:
        made.append(_property(_EMPTY_STREAM, _bits([not item.has_data for item in items])))
        made.append(_property(_EMPTY_FILE, _bits([item.empty_file for item in empty])))
        if any(item.anti for item in empty):
            made.append(_property(_ANTI, _bits([item.anti for item in empty])))
    names = b"".join(item.name.encode("utf-16-le", "surrogatepass") + b"\0\0" for item in items)
    made.append(_property(_NAMES, b"\0" + names))
    for kind in (*_TIMES, _ATTRIBUTES):
        known = [kind in item.values for item in items]
        if any(known):
            head = b"\1" if all(known) else b"\0" + _bits(known)
            width = 4 if kind == _ATTRIBUTES else 8
            values = b"".join(item.values[kind].to_bytes(width, "little") for item in items if kind in item.values)
            made.append(_property(kind, head + b"\0" + values))
    return b"".join((*made, b"\0\0"))


def _streams(folders: list[Folder]) -> bytes:
    count = _number(len(folders))
    pack = bytes((_MAIN_STREAMS, _PACK)) + _number(0) + count + bytes((_SIZE,))
    pack += b"".join(_number(folder.packed) for folder in folders) + b"\0"
    one = b"\1" + bytes((len(_DEFLATE),)) + _DEFLATE
    unpack = bytes((_UNPACK, _FOLDER)) + count + b"\0" + one * len(folders) + bytes((_UNPACK_SIZE,))
    unpack += b"".join(_number(sum(size for size, _ in folder.parts)) for folder in folders) + b"\0"
    sub = bytes((_SUB_STREAMS, _UNPACK_COUNT)) + b"".join(_number(len(folder.parts)) for folder in folders)
    sizes = b"".join(_number(size) for folder in folders for size, _ in folder.parts[:-1])
    digests = b"".join(struct.pack("<I", crc or 0) for folder in folders for _, crc in folder.parts)
    sub += (bytes((_SIZE,)) + sizes if sizes else b"") + bytes((_CRC, 1)) + digests + b"\0"
    return pack + unpack + sub + b"\0"


def _property(kind: int, body: bytes) -> bytes:
    return bytes((kind,)) + _number(len(body)) + body


def _bits(flags: list[bool]) -> bytes:
    made = bytearray((len(flags) + 7) // 8)
    for place, flag in enumerate(flags):
        made[place // 8] |= 0x80 >> place % 8 if flag else 0
    return bytes(made)


def _number(value: int) -> bytes:
    for more in range(8):
        if value < 1 << 7 * (more + 1):
            first = (0xFF00 >> more) & 0xFF | value >> 8 * more
            return bytes((first,)) + (value & (1 << 8 * more) - 1).to_bytes(more, "little")
    return b"\xff" + value.to_bytes(8, "little")
