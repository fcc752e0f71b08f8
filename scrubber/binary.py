"""Scrub binary data without moving a byte: what is found is overwritten with `x` in the same length.

Two views of each buffer: the bytes as they are, and runs of UTF-16LE text in them, narrowed. Structures that count
bytes (SQLite, core and heap dumps, registries) stay intact.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.text import Note, Noted, TextScrubber

if TYPE_CHECKING:
    from scrubber.detector import Detector

_WIDE_RUN = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){6,}")
_AHEAD = 64 << 10
_BLOCK = 1 << 20


class BinaryScrubber:
    """Scrub one binary member: the wide view first, then the plain one."""

    def __init__(self, detector: Detector, note: Note) -> None:
        self._detector = detector
        self._note = note
        self._plain = TextScrubber(detector, note, same_length=True)
        self._kept = b""
        self._at = 0

    def feed(self, data: bytes) -> bytes:
        """Take more input, give what is decided."""
        self._kept += data
        if len(self._kept) < _BLOCK + _AHEAD:
            return b""
        return self._plain.feed(self._widely(final=False))

    def finish(self) -> bytes:
        """Give the rest."""
        return self._plain.feed(self._widely(final=True)) + self._plain.finish()

    def _widely(self, *, final: bool) -> bytes:
        buf = bytearray(self._kept)
        limit = len(buf) if final else len(buf) - _AHEAD
        if b"\0" in self._kept:
            for run in _WIDE_RUN.finditer(self._kept):
                if run.start() >= limit:
                    break
                limit = max(limit, run.end())
                self._narrow(buf, run.start(), run[0][::2])
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
