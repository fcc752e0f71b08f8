"""Walk a zip archive by its central directory and write a new one in the same order, scrubbed within.

Times, modes and compression stay; names and comments are scrubbed too. An encrypted member is opened where its
password was given, and written again without one.

What only local headers know (gaps, appended data) is not carried over. Ratio and total are checked while expanding.
"""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from contextlib import closing
from typing import IO, TYPE_CHECKING, Any, NamedTuple, cast

from scrubber.closed import OPEN_ARCHIVE, WHOLE
from scrubber.coding import crc32, make_decoder
from scrubber.compressed import expand
from scrubber.members import SMALL, Convoy, Effects, Parcel, put
from scrubber.naming import Links, inside
from scrubber.obstacle import ObstacleError
from scrubber.stream import CHUNK, SourceFile, Stream
from scrubber.zipcrypt import aes_field, open_aes, open_traditional
from scrubber.zipwriter import LZMA, METHODS, STORED, Entry, ZipWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.model import Source
    from scrubber.walk import Walk

_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    struct.error,
    ValueError,
    IndexError,
    OverflowError,
)
_KEPT_EXTRA = frozenset((0x5455, 0x7875, 0x000A))  # Unix times, Unix owners' numbers, NTFS times (APPNOTE 4.5)
_UNICODE_PATH = 0x7075
_AES = 99
_END = 22
_LOCAL = 30
_LONGEST_LINK = 4096
_SMALL = 8 << 20
_UTF8 = 0x0800


class _Place(NamedTuple):
    """Where a member's data lies, and what its local header has in its extra field."""

    start: int
    size: int
    extra: bytes


def walk_zip(walk: Walk, source: Source, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Scrub every member of the archive in *source*.

    Raises:
        ObstacleError: damaged, encrypted, overlapping, or a fatal obstacle within.
    """
    _check_end(walk, source, path)
    try:
        with zipfile.ZipFile(cast("IO[bytes]", SourceFile(source))) as archive:
            infos = archive.infolist()
            comment = archive.comment
        _check_layout(infos, path)
        new = ZipWriter(out)
        links = Links()
        for info, parcel, effects in _in_order(walk, source, infos, path=path, depth=depth):
            _member(walk, source, new, info, links=links, path=path, depth=depth, done=(parcel, effects))
        new.finish(walk.scrub_bytes(comment, path))
    except ObstacleError:
        raise
    except _BROKEN as error:
        raise ObstacleError(
            path, "the zip archive is damaged or uses a compression that cannot be read", advice=WHOLE
        ) from error


def _in_order(
    walk: Walk, source: Source, infos: list[zipfile.ZipInfo], *, path: str, depth: int
) -> Iterator[tuple[zipfile.ZipInfo, Parcel | None, Effects | None]]:
    """Give the members, the small ones with what came of them where other processes help."""
    if walk.crew is None or not walk.gives_away:
        yield from ((info, None, None) for info in infos)
        return

    def parcel(info: zipfile.ZipInfo) -> Parcel | None:
        return _parcel(walk, source, info, path=path, depth=depth)

    with closing(Convoy(walk.crew, iter(infos), parcel).run()) as done:
        yield from done


def _parcel(walk: Walk, source: Source, info: zipfile.ZipInfo, *, path: str, depth: int) -> Parcel | None:
    """Give a small member away; None where it is too large, or cannot be read: that is told in its turn."""
    name = inside(_name(info)[0])
    if name.endswith(b"/") or _is_link(info):
        return Parcel("", b"", 0, 0)
    if info.file_size > SMALL:
        return None
    label = _label(path, walk.foresee_name(name))
    before = walk.expanded, walk.thin
    try:
        content = _verified(_content(walk, source, info, _place(source, info), label), info, label)
        data = Stream(content).read_exactly(SMALL + 1)
    except (ObstacleError, *_BROKEN):
        walk.expanded, walk.thin = before
        return None
    return Parcel(label, data, depth + 1, walk.room)


def _is_link(info: zipfile.ZipInfo) -> bool:
    return stat.S_ISLNK(info.external_attr >> 16) and info.create_system == 3


def _label(path: str, scrubbed: bytes) -> str:
    return f"{path}!/{scrubbed.decode('utf-8', 'replace').lstrip('/')}"


def _check_end(walk: Walk, source: Source, path: str) -> None:
    """Look at the end record before `zipfile` reads a directory of any size into memory (APPNOTE 4.3.16)."""
    tail_at = max(0, source.size - _END - 65535)
    tail = SourceFile(source)
    tail.seek(tail_at)
    data = tail.read()
    at = data.rfind(b"PK\x05\x06")
    if at < 0 or len(data) - at < _END:
        raise ObstacleError(path, "the zip archive is cut off: its directory is missing", advice=WHOLE)
    disk, count, size = struct.unpack("<H4xHI", data[at + 4 : at + 16])
    if disk not in (0, 0xFFFF):
        raise ObstacleError(path, "this is one part of a split zip archive", advice="pack it as one archive")
    if size == 0xFFFFFFFF or count == 0xFFFF:
        locator = data.rfind(b"PK\x06\x06", 0, at)
        if locator >= 0 and len(data) - locator >= 56:
            count, size = struct.unpack("<QQ", data[locator + 32 : locator + 48])
    if count > walk.limits.members:
        raise ObstacleError(
            path,
            f"it has more than {walk.limits.members} members",
            fatal=True,
            advice="send it in several archives",
        )
    if size > walk.limits.directory and size != 0xFFFFFFFF:
        raise ObstacleError(
            path, "the directory of the zip archive is too large", fatal=True, advice="send it in several archives"
        )


def _check_layout(infos: list[zipfile.ZipInfo], path: str) -> None:
    """Refuse members that share bytes, as flat bombs do."""
    reached = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < reached:
            raise ObstacleError(path, "members of the zip archive overlap", fatal=True, advice=WHOLE)
        reached = info.header_offset + _LOCAL + len(info.orig_filename.encode("utf-8", "replace")) // 3
        reached += info.compress_size


def _member(
    walk: Walk,
    source: Source,
    new: ZipWriter,
    info: zipfile.ZipInfo,
    *,
    links: Links,
    path: str,
    depth: int,
    done: tuple[Parcel | None, Effects | None],
) -> None:
    name, utf8 = _name(info)
    name = inside(name)
    scrubbed = walk.scrub_name(name, path)
    label = _label(path, scrubbed)
    if links.cover(name):
        walk.block(label, "a member stands behind a link of its own archive", WHOLE)
        return
    try:
        place = _place(source, info)
        entry = _entry(walk, info, scrubbed, place, path=path, utf8=utf8)
        if name.endswith(b"/"):
            walk.members += 1
            new.add(entry, lambda _put: None, None if walk.obstacles else walk.new_scratch(label))
            return
        link = _is_link(info)
        fill = _filler(walk, source, info, place, label, links=links, path=path, depth=depth, done=done)
        scratch = walk.new_scratch(label) if link or info.file_size <= _SMALL or entry.method == STORED else None
        try:
            new.add(entry, fill, scratch)
        finally:
            if scratch is not None:
                scratch.close()
    except ObstacleError as error:
        if error.fatal:
            raise
        walk.block(error.member, error.reason, error.advice)


def _filler(
    walk: Walk,
    source: Source,
    info: zipfile.ZipInfo,
    place: _Place,
    label: str,
    *,
    links: Links,
    path: str,
    depth: int,
    done: tuple[Parcel | None, Effects | None],
) -> Callable[[Callable[[bytes], object]], object]:
    """Give what writes a member's content, scrubbed."""
    parcel, effects = done
    if parcel is not None and parcel.data:
        return lambda write: put(walk, parcel, effects, write)
    data = Stream(_verified(_content(walk, source, info, place, label), info, label))
    if not _is_link(info):
        return lambda write: walk.member(data, write, label, depth + 1)
    links.add(inside(_name(info)[0]))
    target = data.read_exactly(_LONGEST_LINK)
    walk.members += 1
    return lambda write: write(walk.scrub_name(target, path))


def _name(info: zipfile.ZipInfo) -> tuple[bytes, bool]:
    """Give a member's name as it stands in the directory, and whether that is said to be UTF-8."""
    utf8 = bool(info.flag_bits & _UTF8)
    name = info.orig_filename.encode("utf-8" if utf8 else "cp437").split(b"\0")[0]
    path = _field(info.extra, _UNICODE_PATH)
    if not utf8 and len(path) > 5 and int.from_bytes(path[1:5], "little") == crc32(name):
        return path[5:], True
    return name, utf8


def _place(source: Source, info: zipfile.ZipInfo) -> _Place:
    """Read the local header (APPNOTE 4.3.7)."""
    header = source.read(info.header_offset, _LOCAL)
    if len(header) < _LOCAL or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile("no local header")
    name, extra = struct.unpack_from("<HH", header, 26)
    start = info.header_offset + _LOCAL + name + extra
    if start + info.compress_size > source.size:
        raise zipfile.BadZipFile("the data is cut off")
    return _Place(start, info.compress_size, source.read(start - extra, extra))


def _entry(walk: Walk, info: zipfile.ZipInfo, name: bytes, place: _Place, *, path: str, utf8: bool) -> Entry:
    external = info.external_attr
    kind = stat.S_IFMT(external >> 16) if info.create_system == 3 else 0
    if kind in (stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK):  # kept as a file, harmless to unpack
        external = (external & ~(0o170000 << 16)) | stat.S_IFREG << 16
    aes = aes_field(info.extra)
    year, month, day, hour, minute, second = info.date_time
    return Entry(
        name=name,
        utf8=utf8,
        method=aes.method if aes and info.compress_type == _AES else info.compress_type,
        stamp=(year - 1980 << 9 | month << 5 | day) << 16 | hour << 11 | minute << 5 | second // 2,
        made_by=info.create_system << 8 | info.create_version,
        internal=info.internal_attr,
        external=external,
        local_extra=_kept(place.extra),
        extra=_kept(info.extra),
        comment=walk.scrub_bytes(info.comment, path)[:0xFFFF],
    )


def _content(walk: Walk, source: Source, info: zipfile.ZipInfo, place: _Place, label: str) -> Callable[[int], bytes]:
    """Give a reader of a member's content, decrypted and unpacked.

    Raises:
        ObstacleError: encrypted under a password that was not given, or packed as nothing here reads.
    """
    aes = aes_field(info.extra) if info.compress_type == _AES else None
    method = aes.method if aes else info.compress_type
    if info.flag_bits & 0x2040 or (info.compress_type == _AES and aes is None):
        raise ObstacleError(label, "it is encrypted in a way that cannot be read", advice=OPEN_ARCHIVE)
    if method not in METHODS and method != LZMA:
        raise ObstacleError(label, "it is compressed in a way that cannot be read", advice="send it as an ordinary zip")
    if not info.flag_bits & 1:
        return _unpacked(walk, _cut(source, place), method, label)
    for password in walk.passwords:
        opened = _decrypted(source, info, place, password)
        if opened is not None and aes is not None:
            return _authenticated(_unpacked(walk, opened, method, label), opened)
        if opened is not None and _is_right(_verified(_unpacked(walk, opened, method, label), info, label)):
            again = _decrypted(source, info, place, password)
            if again is not None:
                return _unpacked(walk, again, method, label)
    reason = "it is encrypted, and none of the given passwords opens it" if walk.passwords else "it is encrypted"
    raise ObstacleError(label, reason, advice=OPEN_ARCHIVE)


def _is_right(read: Callable[[int], bytes]) -> bool:
    """Say whether a password that passed the one byte's check opens the whole member."""
    try:
        Stream(read).drain()
    except ObstacleError as error:
        if error.fatal:
            raise
        return False
    return True


def _authenticated(read: Callable[[int], bytes], packed: Callable[[int], bytes]) -> Callable[[int], bytes]:
    """Read what is left of *packed* at the end: it then checks its authentication."""

    def pull(n: int) -> bytes:
        data = read(n)
        if not data:
            Stream(packed).drain()
        return data

    return pull


def _cut(source: Source, place: _Place) -> Callable[[int], bytes]:
    at, end = place.start, place.start + place.size

    def read(n: int) -> bytes:
        nonlocal at
        data = source.read(at, min(n, end - at)) if at < end else b""
        at += len(data)
        return data

    return read


def _decrypted(source: Source, info: zipfile.ZipInfo, place: _Place, password: bytes) -> Callable[[int], bytes] | None:
    def read(offset: int, n: int) -> bytes:
        return source.read(place.start + offset, n) if n > 0 else b""

    aes = aes_field(info.extra) if info.compress_type == _AES else None
    if aes is not None:
        return open_aes(read, place.size, aes, password)
    _, _, _, hour, minute, second = info.date_time
    stamp = hour << 11 | minute << 5 | second // 2
    check = stamp >> 8 if info.flag_bits & 8 else info.CRC >> 24
    return open_traditional(read, place.size, check & 0xFF, password)


def _unpacked(walk: Walk, read: Callable[[int], bytes], method: int, label: str) -> Callable[[int], bytes]:
    packed = Stream(read)
    if method == LZMA:
        head = packed.read_exactly(4)
        properties = packed.read_exactly(int.from_bytes(head[2:], "little"))
        return expand(walk, packed, label, lambda: _lzma_decoder(properties), single=True)
    return expand(walk, packed, label, lambda: make_decoder(METHODS[method]), single=True)


def _lzma_decoder(properties: bytes) -> Any:  # noqa: ANN401 - a decoder in the shape of bz2's
    """Make the decoder of APPNOTE 5.8.8: LZMA with its properties before it."""
    (size,) = struct.unpack("<I", properties[1:5])
    if size > 192 << 20 or properties[0] >= 9 * 5 * 5:
        raise ValueError("the LZMA dictionary is too large")
    rest, lc = divmod(properties[0], 9)
    pb, lp = divmod(rest, 5)
    filters = [{"id": lzma.FILTER_LZMA1, "lc": lc, "lp": lp, "pb": pb, "dict_size": max(size, 4096)}]
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)


def _verified(read: Callable[[int], bytes], info: zipfile.ZipInfo, label: str) -> Callable[[int], bytes]:
    """Check size and CRC at the end; AE-2 has none (its own authentication was checked)."""
    crc = size = 0
    aes = aes_field(info.extra) if info.compress_type == _AES else None

    def pull(n: int) -> bytes:
        nonlocal crc, size
        data = read(min(n, CHUNK))
        crc = crc32(data, crc)
        size += len(data)
        wrong = size != info.file_size or (crc != info.CRC and not (aes and aes.version == 2))
        if size > info.file_size or (not data and wrong):
            raise ObstacleError(
                label, "the zip archive is damaged: a member's size or check sum is wrong", advice=WHOLE
            )
        return data

    return pull


def _field(extra: bytes, wanted: int) -> bytes:
    at = 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        if tag == wanted:
            return extra[at + 4 : at + 4 + size]
        at += 4 + size
    return b""


def _kept(extra: bytes) -> bytes:
    kept, at = b"", 0
    while at + 4 <= len(extra):
        tag, size = struct.unpack_from("<HH", extra, at)
        if tag in _KEPT_EXTRA and at + 4 + size <= len(extra):
            kept += extra[at : at + 4 + size]
        at += 4 + size
    return kept
