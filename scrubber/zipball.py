"""Walk a zip archive by its central directory and write a new one in the same order, scrubbed within.

Times, modes and compression stay; names and comments are scrubbed too.

What only local headers know (gaps, appended data) is not carried over. Ratio and total are checked while expanding.
"""

from __future__ import annotations

import lzma
import re
import stat
import struct
import zipfile
import zlib
from typing import IO, TYPE_CHECKING, cast

from scrubber.obstacle import ObstacleError
from scrubber.stream import CHUNK, SourceFile, Stream
from scrubber.tarball import leads_out

if TYPE_CHECKING:
    from collections.abc import Callable

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
_METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA}
_KEPT_EXTRA = frozenset((0x5455, 0x7875, 0x000A))  # Unix times, Unix owners' numbers, NTFS times (APPNOTE 4.5)
_END = 22


class _Output:
    """A sink in the shape of a file that cannot seek, so that `zipfile` streams."""

    def __init__(self, out: Callable[[bytes], object]) -> None:
        self._out = out

    def write(self, data: bytes) -> int:
        """Give *data* on."""
        self._out(bytes(data))
        return len(data)

    def flush(self) -> None:
        """Do nothing."""


def walk_zip(walk: Walk, source: Source, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Scrub every member of the archive in *source*.

    Raises:
        ObstacleError: damaged, encrypted, overlapping, or a fatal obstacle within.
    """
    _check_end(walk, source, path)
    try:
        with zipfile.ZipFile(cast("IO[bytes]", SourceFile(source))) as archive:
            infos = archive.infolist()
            _check_layout(infos, path)
            with zipfile.ZipFile(cast("IO[bytes]", _Output(out)), "w") as new:
                for info in infos:
                    _member(walk, archive, new, info, path=path, depth=depth)
                new.comment = walk.scrub_bytes(archive.comment, path)[:65535]
    except ObstacleError:
        raise
    except _BROKEN as error:
        raise ObstacleError(path, "the zip archive is damaged or uses a compression that cannot be read") from error


def _check_end(walk: Walk, source: Source, path: str) -> None:
    """Look at the end record before `zipfile` reads a directory of any size into memory (APPNOTE 4.3.16)."""
    tail_at = max(0, source.size - _END - 65535)
    tail = SourceFile(source)
    tail.seek(tail_at)
    data = tail.read()
    at = data.rfind(b"PK\x05\x06")
    if at < 0 or len(data) - at < _END:
        raise ObstacleError(path, "the zip archive is cut off: its directory is missing")
    disk, count, size = struct.unpack("<H4xHI", data[at + 4 : at + 16])
    if disk not in (0, 0xFFFF):
        raise ObstacleError(path, "this is one part of a split zip archive")
    if size == 0xFFFFFFFF or count == 0xFFFF:
        locator = data.rfind(b"PK\x06\x06", 0, at)
        if locator >= 0 and len(data) - locator >= 56:
            count, size = struct.unpack("<QQ", data[locator + 32 : locator + 48])
    if count > walk.limits.members:
        raise ObstacleError(path, f"it has more than {walk.limits.members} members", fatal=True)
    if size > walk.limits.directory and size != 0xFFFFFFFF:
        raise ObstacleError(path, "the directory of the zip archive is too large", fatal=True)


def _check_layout(infos: list[zipfile.ZipInfo], path: str) -> None:
    """Refuse members that share bytes, as flat bombs do."""
    reached = 0
    for info in sorted(infos, key=lambda i: i.header_offset):
        if info.header_offset < reached:
            raise ObstacleError(path, "members of the zip archive overlap", fatal=True)
        reached = info.header_offset + 30 + len(info.orig_filename.encode("utf-8", "replace")) // 3 + info.compress_size


def _member(
    walk: Walk, archive: zipfile.ZipFile, new: zipfile.ZipFile, info: zipfile.ZipInfo, *, path: str, depth: int
) -> None:
    name = info.filename.encode("utf-8", "surrogateescape")
    scrubbed = walk.scrub_name(name, path).decode("utf-8", "surrogateescape")
    label = f"{path}!/{scrubbed.lstrip('/')}".encode("utf-8", "replace").decode("utf-8")
    reason = _refusal(info, name)
    if reason:
        walk.block(label, reason)
        return
    target = _copy_info(walk, info, scrubbed, path)
    if info.is_dir():
        walk.members += 1
        new.writestr(target, b"")
        return
    with archive.open(info) as packed:
        data = Stream(_counted(walk, packed, info, label))
        if stat.S_ISLNK(info.external_attr >> 16) and leads_out(name, data.peek(4096)):
            walk.block(label, "a link leads out of the archive")
        with new.open(target, "w", force_zip64=info.file_size > 1 << 30) as packing:
            walk.member(data, packing.write, label, depth + 1)


def _refusal(info: zipfile.ZipInfo, name: bytes) -> str:
    if info.flag_bits & 0x2041:
        return "it is encrypted; send it without a password"
    if info.compress_type not in _METHODS:
        return "it is compressed in a way that cannot be read; send it as an ordinary zip"
    if name.startswith((b"/", b"\\")) or re.match(rb"[A-Za-z]:[\\/]", name):
        return "a member of the archive has an absolute name"
    if b".." in re.split(rb"[/\\]", name):
        return "a member's name leads out of the archive"
    kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
    if kind in (stat.S_IFBLK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK):
        return "the archive holds a device node"
    return ""


def _copy_info(walk: Walk, info: zipfile.ZipInfo, name: str, path: str) -> zipfile.ZipInfo:
    target = zipfile.ZipInfo(name, max(info.date_time, (1980, 1, 1, 0, 0, 0)))
    target.compress_type = info.compress_type
    target._compresslevel = 3 if info.compress_type == zipfile.ZIP_DEFLATED else None  # type: ignore[attr-defined]  # noqa: SLF001 - public only from 3.13
    target.external_attr = info.external_attr
    target.internal_attr = info.internal_attr
    target.create_system = info.create_system
    target.comment = walk.scrub_bytes(info.comment, path)
    target.extra = _extra(info.extra)
    return target


def _extra(data: bytes) -> bytes:
    kept, at = b"", 0
    while at + 4 <= len(data):
        tag, size = struct.unpack_from("<HH", data, at)
        if tag in _KEPT_EXTRA:
            kept += data[at : at + 4 + size]
        at += 4 + size
    return kept


def _counted(walk: Walk, packed: IO[bytes], info: zipfile.ZipInfo, label: str) -> Callable[[int], bytes]:
    produced = 0

    def read(n: int) -> bytes:
        nonlocal produced
        data = packed.read(min(n, CHUNK))
        produced += len(data)
        walk.expand(label, len(data), produced=produced, consumed=info.compress_size)
        return data

    return read
