"""Archives without compression and without check sums of their content: cpio (new ASCII) and ar with Debian's packages.

A member's new size stands before its data, so the data waits in scratch, as in tar.
"""

from __future__ import annotations

import re
import stat
from typing import TYPE_CHECKING

from scrubber.closed import REPACK, WHOLE
from scrubber.naming import Links, inside
from scrubber.obstacle import ObstacleError

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.stream import ScratchSource, Stream
    from scrubber.walk import Walk

_CPIO = 110
_CPIO_HEADER = re.compile(rb"07070[12][0-9A-Fa-f]{104}")
_TRAILER = b"TRAILER!!!"
_AR = 60
_LONGEST_NAME = 1 << 16


def walk_cpio(walk: Walk, stream: Stream, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Walk the new ASCII format: 6 bytes of magic and 13 numbers of 8 hexadecimal digits; all is padded to 4 bytes.

    Raises:
        ObstacleError: damaged, cut off, or a fatal obstacle within.
    """
    links = Links()
    while header := stream.read_exactly(_CPIO):
        if not header.strip(b"\0"):
            out(header)
            continue
        name_size = int(header[94:102], 16) if _CPIO_HEADER.fullmatch(header) else 0
        if not 0 < name_size <= _LONGEST_NAME:
            raise ObstacleError(path, "the cpio archive is damaged or cut off", advice=WHOLE)
        padded = name_size + -(_CPIO + name_size) % 4
        name = stream.read_exactly(padded)[:name_size].rstrip(b"\0")
        if name == _TRAILER:
            out(header + name.ljust(padded, b"\0"))
            continue
        new_name = walk.scrub_name(inside(name), path)
        label = f"{path}!/{new_name.decode('utf-8', 'replace').lstrip('/')}"
        if links.cover(inside(name)):
            walk.block(label, "a member stands behind a link of its own archive", WHOLE)
        if stat.S_ISLNK(int(header[14:22], 16)):
            links.add(inside(name))
        scratch = walk.new_scratch(label)
        try:
            _read_cpio(walk, stream, scratch, header, label=label, depth=depth)
            _write_cpio(out, scratch, header, new_name)
        finally:
            scratch.close()


def _read_cpio(walk: Walk, stream: Stream, scratch: ScratchSource, header: bytes, *, label: str, depth: int) -> None:
    mode, size = int(header[14:22], 16), int(header[54:62], 16)
    part = stream.part(size)
    if stat.S_ISLNK(mode):
        walk.members += 1
        scratch.write(walk.scrub_name(part.read_exactly(4096), label))
    elif size:
        walk.member(part, scratch.write, label, depth + 1)
    if part.read(1) or len(stream.read_exactly(-size % 4)) < -size % 4:
        raise ObstacleError(label, "the cpio archive is damaged or cut off", advice=WHOLE)


def _write_cpio(out: Callable[[bytes], object], scratch: ScratchSource, header: bytes, name: bytes) -> None:
    total = 0

    def add(data: bytes) -> None:
        nonlocal total
        total += sum(data)

    if header[:6] == b"070702":
        scratch.copy_to(add)
    mode = int(header[14:22], 16)
    if stat.S_ISBLK(mode) or stat.S_ISCHR(mode):  # kept as a file, harmless to unpack
        mode = stat.S_IFREG | stat.S_IMODE(mode)
    kept = (header[:14], mode, header[22:54], scratch.size, header[62:94], len(name) + 1, total & 0xFFFFFFFF)
    out(b"%s%08X%s%08X%s%08X%08X" % kept)
    out((name + b"\0").ljust(len(name) + 1 + -(_CPIO + len(name) + 1) % 4, b"\0"))
    scratch.copy_to(out)
    out(b"\0" * (-scratch.size % 4))


def walk_ar(walk: Walk, stream: Stream, out: Callable[[bytes], object], path: str, depth: int) -> None:
    """Walk ar (System V, GNU, BSD): 8 bytes of magic, then headers of 60 bytes with data padded to 2.

    Raises:
        ObstacleError: damaged, cut off, or a fatal obstacle within.
    """
    out(stream.read_exactly(8))
    while header := stream.read_exactly(_AR):
        size_text = header[48:58].strip()
        if len(header) < _AR or header[58:] != b"`\n" or re.fullmatch(rb"[0-9]{1,10}", size_text) is None:
            raise ObstacleError(path, "the ar archive is damaged or cut off", advice=WHOLE)
        size = int(size_text)
        field = header[:16].rstrip()
        if field in (b"/", b"//", b"/SYM64/") or field.startswith((b"#1/", b"__.SYMDEF")):
            raise ObstacleError(path, "libraries of object files (.a) cannot be looked into", advice=REPACK)
        name = field.rstrip(b"/")
        new_name = walk.scrub_name(inside(name), path)[:15]
        label = f"{path}!/{new_name.decode('utf-8', 'replace')}"
        scratch = walk.new_scratch(label)
        try:
            part = stream.part(size)
            walk.member(part, scratch.write, label, depth + 1)
            stream.read_exactly(size % 2)
            shown = new_name + (b"/" if field.endswith(b"/") else b"")
            out(shown.ljust(16) + header[16:48] + b"%-10d" % scratch.size + b"`\n")
            scratch.copy_to(out)
            out(b"\n" * (scratch.size % 2))
        finally:
            scratch.close()
