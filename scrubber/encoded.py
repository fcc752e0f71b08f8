"""Scrub text that was encoded as a whole: base64 (RFC 4648, also URL-safe and in wrapped lines) and hexadecimal runs.

A run is decoded where its beginning decodes to text, scrubbed inside by the same rules, and encoded again in the same
alphabet, padding, width and case; so is text that was packed by gzip before (RFC 1952), as Helm and user-data have it.
Where nothing in it was replaced, it stays byte for byte.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from scrubber import vectorscan

if TYPE_CHECKING:
    from collections.abc import Callable

SHORTEST = 40
"""Characters that a run has at least."""
WIDEST = 128
"""Characters in a line of a run that goes over several: 76 in MIME (RFC 2045), 64 in PEM (RFC 7468)."""
LONGEST = 4 << 20
"""Bytes of a run that are decoded at once; a longer one is scrubbed as it comes (`LongRun`)."""

_LONG_RUN = re.compile(rb"[A-Za-z0-9+/_\-]{%d,}" % SHORTEST)
_ALL_RUN = re.compile(rb"[A-Za-z0-9+/_\-]*")
_RUN = re.compile(rb"[A-Za-z0-9+/]+")
_SAFE_RUN = re.compile(rb"[A-Za-z0-9_\-]+")
_LINE = re.compile(rb"(\r?\n[ \t]*|\\r\\n|\\n)([A-Za-z0-9+/]+)(?![A-Za-z0-9+/_\-.])")
_HEX = re.compile(rb"(?:[0-9a-f]{2}){20,}|(?:[0-9A-F]{2}){20,}")
_HEX_LINE = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
PADDING = re.compile(rb"={1,2}|(?:%3[Dd]){1,2}|(?:\\u003[Dd]){1,2}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PRINTABLE = bytes((9, 10, 13, *range(32, 127)))
_CONTROLS = bytes((*range(32), 127))
SAMPLE = 96


_PACKED = b"H4sI"
"""The beginning of what gzip packed by deflate, in base64."""
_MOST_EXPANDED = 4 << 20
_MOST_RATIO = 200


_MANY = 32
"""Runs after which the rest of a block is searched for all of them at once."""


@lru_cache(maxsize=1)
def _compile() -> tuple[Any, Any, Any]:
    """Compile once in a process. Give the module, what finds the first run five times as fast, and what finds all.

    They stand alone: among other expressions they lose what makes them fast, and cost more than all of them.
    """
    hyperscan = vectorscan.load_module()
    run = b"[A-Za-z0-9+/_\\-]{%d}" % SHORTEST
    first = vectorscan.compile_rules([run], [0], [hyperscan.HS_FLAG_SINGLEMATCH])
    return hyperscan, first, vectorscan.compile_rules([b"(?:^|[^A-Za-z0-9+/_\\-])" + run], [0], [0])


class RunFinder:
    """Finds where runs begin. One for each thread: it owns its scratch space."""

    def __init__(self, *, accelerated: bool = True) -> None:
        """Use Vectorscan where it is *accelerated* and installed."""
        self._first: Any = None
        if accelerated:
            try:
                self._hyperscan, self._first, self._all = _compile()
            except ImportError:
                return
            self._scratch = self._hyperscan.Scratch(self._first)
            self._scratch_all = self._hyperscan.Scratch(self._all)

    def starts(self, buf: bytes) -> list[int]:
        """Give where each run begins, in order."""
        if self._first is None:
            return [match.start() for match in _LONG_RUN.finditer(buf)]
        starts: list[int] = []
        at = 0
        while 0 <= at < len(buf):
            if len(starts) == _MANY:
                return starts + self._rest(buf, at)
            end = self._first_end(memoryview(buf)[at:] if at else buf)
            if end < 0:
                break
            starts.append(at + end - SHORTEST)
            over = _ALL_RUN.match(buf, at + end)
            at = over.end() if over is not None else len(buf)
        return starts

    def _first_end(self, part: bytes | memoryview) -> int:
        """Give where the first run has become long enough, -1 where none does."""
        ends: list[int] = []

        def on_match(_index: int, _start: int, end: int, _flags: int, _context: object) -> bool:
            ends.append(end)
            return True

        try:
            self._first.scan(part, match_event_handler=on_match, scratch=self._scratch)
        except self._hyperscan.ScanTerminated:
            return ends[0]
        return -1

    def _rest(self, buf: bytes, at: int) -> list[int]:
        """Give where runs begin from *at* on, which is in none."""
        starts: list[int] = []
        append = starts.append
        shift = at - SHORTEST

        def on_match(_index: int, _start: int, end: int, _flags: int, _context: object) -> None:
            append(end + shift)

        self._all.scan(memoryview(buf)[at:], match_event_handler=on_match, scratch=self._scratch_all)
        return starts


class Run(NamedTuple):
    """An encoded text: where it stands, its characters alone, and how it is laid out."""

    start: int
    end: int
    body: bytes
    width: int
    """Characters in a line, 0 where there is one line alone."""
    line_break: bytes
    open: bool
    """Whether it reaches the end of the buffer, and may go on."""

    @property
    def is_long(self) -> bool:
        """Whether it goes on beyond what is decoded at once."""
        return self.end - self.start >= LONGEST - WIDEST - 8


def find_run(buf: bytes, start: int) -> Run | None:
    """Give the run that begins at *start*, None where it does not begin as text."""
    first = _first_of(buf, start)
    if first is None or not _begins_as_text(first[0]):
        return None
    end = first.end()
    pieces = [first[0]]
    width = len(first[0])
    line_break = b""
    while len(pieces[-1]) == width and (line := _LINE.match(buf, end, start + LONGEST)) is not None:
        if not _goes_on(line, width, line_break, hexadecimal=_HEX.fullmatch(first[0]) is not None):
            break
        line_break = line[1]
        pieces.append(line[2])
        end = line.end()
    wrapped = len(pieces) > 1
    going_on = width <= WIDEST and end >= len(buf) - width - 64 and len(pieces[-1]) == width
    return Run(start, end, b"".join(pieces), width if wrapped else 0, line_break, open=going_on or end == len(buf))


def _first_of(buf: bytes, start: int) -> re.Match[bytes] | None:
    """Give the run's first line: of the URL-safe alphabet where that goes on further and is text to its end."""
    plain = _RUN.match(buf, start, start + LONGEST)
    safe = _SAFE_RUN.match(buf, start, start + LONGEST)
    length = len(plain[0]) if plain is not None else 0
    if safe is not None and len(safe[0]) > max(length, SHORTEST - 1):
        text = from_base64(safe[0])
        if length < SHORTEST or (text and is_text(text[: len(text) // 2 * 2])):
            return safe
    return plain if length >= SHORTEST else None


def _goes_on(line: re.Match[bytes], width: int, line_break: bytes, *, hexadecimal: bool) -> bool:
    """Say whether the next line belongs to a run in lines of *width*, or is another text that looks like one."""
    text = line[2]
    if width % 4 or width > WIDEST or len(text) > width or (line_break and line[1] != line_break):
        return False
    if hexadecimal:
        return _HEX_LINE.fullmatch(text) is not None
    if len(text) == width or line.string[line.end() : line.end() + 1] == b"=":
        return True
    return _says_text(text)


def ends_run(text: bytes, after: bytes) -> bool:
    """Say whether *text*, with *after* behind it, is the last line of a run in lines."""
    return after == b"=" or _says_text(text)


def _says_text(text: bytes) -> bool:
    return len(text) % 4 != 1 and not from_base64(text).translate(None, _PRINTABLE + b"\0")


def _begins_as_text(run: bytes) -> bool:
    """Say whether the first bytes of *run* decode to text, as base64 or as hexadecimal digits."""
    if run.startswith(_PACKED) or is_text(from_base64(run[:40])):
        return True
    digits = _HEX.match(run)
    return digits is not None and is_text(from_hex(digits[0][:80]))


def is_text(data: bytes) -> bool:
    """Say whether all of *data* is text: UTF-8 without controls, or UTF-16LE of characters below U+0100."""
    if not data:
        return False
    strange = data.translate(None, _PRINTABLE)
    if not strange:
        return True
    if is_wide(data):
        return True
    if len(strange) * 2 > len(data) or len(strange.translate(None, _CONTROLS)) < len(strange):
        return False
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start >= len(data) - 3
    return True


def is_wide(data: bytes) -> bool:
    """Say whether *data* is UTF-16LE of characters below U+0100, as PowerShell encodes its commands."""
    return len(data) >= 8 and not data[1] and not data[1::2].strip(b"\0") and not data[::2].translate(None, _PRINTABLE)


def decode_short(text: bytes) -> bytes:
    """Decode a value in base64 or hexadecimal digits; nothing where it is none."""
    if _HEX_LINE.fullmatch(text):
        return from_hex(text)
    return from_base64(text.rstrip(b"="))


def from_hex(text: bytes) -> bytes:
    """Decode what is whole of *text*."""
    return bytes.fromhex(text[: len(text) // 2 * 2].decode("ascii"))


def from_base64(text: bytes) -> bytes:
    """Decode what is whole of *text*, in either alphabet; nothing where it is none."""
    plain = text.translate(_URL_SAFE)
    if len(plain) % 4 == 1:
        return b""
    try:
        return base64.b64decode(plain + b"=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return b""


def rewrite(buf: bytes, run: Run, scrub: Callable[[bytes], bytes]) -> tuple[int, bytes] | None:
    """Scrub what *run* encodes; give where the run ends, padding and all, and its new form, or None for no change."""
    padding = PADDING.match(buf, run.end)
    end = padding.end() if padding is not None else run.end
    if is_hexadecimal(run.body):
        text = from_hex(run.body)
        new = _scrub_text(text, scrub)
        if new == text:
            return None
        made = new.hex().encode()
        return run.end, made.upper() if run.body.upper() == run.body else made
    text = from_base64(run.body)
    if run.body.startswith(_PACKED):
        new = _scrub_packed(text, scrub)
        if new == text:
            return None
        return end, _encoded_like(new, run, padding)
    if not text or not is_text(text[: len(text) // 2 * 2][:SAMPLE]):
        return None
    new = _scrub_text(text, scrub)
    return None if new == text else (end, _encoded_like(new, run, padding))


def _encoded_like(new: bytes, run: Run, padding: re.Match[bytes] | None) -> bytes:
    made = base64.b64encode(new)
    if b"-" in run.body or b"_" in run.body:
        made = made.translate(_TO_URL_SAFE)
    plain = made.rstrip(b"=")
    return _wrap(plain, run) + padding_like(padding, len(run.body)) * (len(made) - len(plain))


def is_hexadecimal(body: bytes) -> bool:
    """Say whether *body* is hexadecimal digits of a text."""
    digits = _HEX.match(body)
    return digits is not None and digits.end() == len(body) and is_text(from_hex(body[:SAMPLE]))


def padding_like(padding: re.Match[bytes] | None, length: int) -> bytes:
    """Give one character of padding, as a run of *length* characters had it; nothing where it left it out."""
    mark = padding[0] if padding is not None else b"" if length % 4 else b"="
    return b"=" if mark[:1] == b"=" else mark[:3] if mark[:1] == b"%" else mark[:6]


def _wrap(text: bytes, run: Run) -> bytes:
    if not run.width:
        return text
    return run.line_break.join(text[at : at + run.width] for at in range(0, len(text), run.width))


def _scrub_packed(packed: bytes, scrub: Callable[[bytes], bytes]) -> bytes:
    """Scrub the text that gzip packed; what expands too far, is cut off or is no text stays."""
    expander = zlib.decompressobj(16 + zlib.MAX_WBITS)
    try:
        text = expander.decompress(packed, min(_MOST_EXPANDED, len(packed) * _MOST_RATIO))
    except zlib.error:
        return packed
    if not expander.eof or not is_text(text[:SAMPLE]):
        return packed
    new = _scrub_text(text, scrub)
    if new == text:
        return packed
    packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    return packer.compress(new) + packer.flush() + expander.unused_data


def _scrub_text(text: bytes, scrub: Callable[[bytes], bytes]) -> bytes:
    if not is_wide(text[:SAMPLE]):
        return scrub(text)
    whole = len(text) // 2 * 2
    plain = text[:whole].decode("utf-16-le", "surrogatepass").encode("utf-8", "surrogatepass")
    new = scrub(plain)
    if new == plain:
        return text
    return new.decode("utf-8", "surrogatepass").encode("utf-16-le", "surrogatepass") + text[whole:]
