"""Scrub binary data without moving a byte: what is found is overwritten with `x` in the same length.

Two views of each buffer: the bytes with every control as a line's end, and runs of UTF-16LE text, narrowed. A value in
a text would go on to the next blank; here a control ends it, and no control and no byte that is not text is ever
overwritten. So structures that count bytes (core and heap dumps, registries, captures) stay intact.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.text import Note, TextScrubber

if TYPE_CHECKING:
    from scrubber.candidate import Noted
    from scrubber.detector import Detector

_WIDE_RUN = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){6,}")
_CLASSES = bytes(97 if c in b"\t\n\r" or 0x20 <= c < 0x7F else 110 if c == 0 else 111 for c in range(256))
_WIDE_CLASSES = b"an" * 6  # a search of bytes, where an expression would take its time over zeros
_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r") + b"\x7f"
_VIEW = bytes.maketrans(_CONTROLS, b"\n" * len(_CONTROLS))
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
_PIECE = 256
_AHEAD = 64 << 10
_BLOCK = 1 << 20


class BinaryScrubber:
    """Scrub one binary member: the wide view first, then the plain one."""

    def __init__(self, detector: Detector, note: Note) -> None:
        self._detector = detector
        self._note = note
        self._plain = TextScrubber(detector, note, same_length=True)
        self._kept = b""
        self._pending = bytearray()  # what the plain view holds back
        self._at = 0

    def feed(self, data: bytes) -> bytes:
        """Take more input, give what is decided."""
        self._kept += data
        if len(self._kept) < _BLOCK + _AHEAD:
            return b""
        return self._narrowly(final=False)

    def finish(self) -> bytes:
        """Give the rest."""
        return self._narrowly(final=True)

    def _narrowly(self, *, final: bool) -> bytes:
        data = self._widely(final=final)
        self._pending += data
        made = self._plain.feed(data.translate(_VIEW))
        if final:
            made += self._plain.finish()
        old, self._pending = bytes(self._pending[: len(made)]), self._pending[len(made) :]
        return _merged(old, made)

    def _widely(self, *, final: bool) -> bytes:
        buf = bytearray(self._kept)
        limit = len(buf) if final else len(buf) - _AHEAD
        classes = self._kept.translate(_CLASSES)
        at = classes.find(_WIDE_CLASSES)
        while 0 <= at < limit:
            run = _WIDE_RUN.match(self._kept, at)
            if run is None:
                break
            limit = max(limit, run.end())
            self._narrow(buf, run.start(), run[0][::2])
            at = classes.find(_WIDE_CLASSES, run.end())
        self._kept = bytes(buf[limit:])
        self._at += limit
        return bytes(buf[:limit])

    def _narrow(self, buf: bytearray, start: int, text: bytes) -> None:
        found: list[Noted] = []
        scrubber = TextScrubber(self._detector, found.extend, same_length=True)
        new = scrubber.feed(text) + scrubber.finish()
        if not found:
            return
        buf[start : start + 2 * len(new) : 2] = new
        self._note([(rule, self._at + start + 2 * at, 2 * length, value) for rule, at, length, value in found])


def _merged(old: bytes, made: bytes) -> bytes:
    """Give *old* with what differs in *made*, the scrubbed view of it, where *old* has text."""
    view = old.translate(_VIEW)
    if view == made:
        return old
    new = bytearray(old)
    for start in range(0, len(old), _PIECE):
        stop = start + _PIECE
        if view[start:stop] != made[start:stop]:
            for at in range(start, min(stop, len(old))):
                if view[at] != made[at] and view[at] != 0x0A:
                    new[at] = made[at]
            _restore(old, new, start, stop)
    return bytes(new)


def _restore(old: bytes, new: bytearray, start: int, stop: int) -> None:
    """Put back overwritten bytes above ASCII that are no UTF-8: they are not text."""
    for run in _HIGH_RUN.finditer(old, max(0, start - 3), stop + 3):
        if new[run.start() : run.end()] != run[0]:
            try:
                run[0].decode("utf-8")
            except UnicodeDecodeError:
                new[run.start() : run.end()] = run[0]
