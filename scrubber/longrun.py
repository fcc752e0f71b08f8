"""A run of base64 or hexadecimal digits too long to be decoded at once: decoded, scrubbed and encoded as it comes.

It comes out in the alphabet, case, width and padding that it began with. Memory: what the scrubber of its text keeps.
"""

from __future__ import annotations

import base64
import codecs
import re
from typing import TYPE_CHECKING, Protocol

from scrubber import encoded

if TYPE_CHECKING:
    from scrubber.encoded import Run

_ERRORS = "surrogatepass"
_ANY = re.compile(rb"[A-Za-z0-9+/_\-]*")
_PLAIN = re.compile(rb"[A-Za-z0-9+/]*")
_URL_SAFE = re.compile(rb"[A-Za-z0-9_\-]*")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class Inner(Protocol):
    """What scrubs the text within."""

    def feed(self, data: bytes) -> bytes:
        """Take more, give what is decided."""
        ...

    def finish(self) -> bytes:
        """Give the rest."""
        ...


class LongRun:
    """One such run, from its first character on."""

    def __init__(self, run: Run, inner: Inner) -> None:
        """Follow what begins as *run*; *inner* scrubs what it says."""
        self._inner = inner
        self._hexadecimal = encoded.is_hexadecimal(run.body)
        self._upper = run.body.upper() == run.body
        self._safe = b"-" in run.body or b"_" in run.body
        plain = b"+" in run.body or b"/" in run.body
        self._letters = _URL_SAFE if self._safe else _PLAIN if plain else _ANY
        self._width = run.width
        self._break = run.line_break
        mark = re.escape(run.line_break)
        self._lines = re.compile(rb"(?:%s[A-Za-z0-9+/]{%d}(?![A-Za-z0-9+/_\-.]))*" % (mark, run.width))
        self._last = re.compile(rb"%s([A-Za-z0-9+/]{1,%d})(?![A-Za-z0-9+/_\-.])" % (mark, max(1, run.width - 1)))
        self._first = run.width  # characters of the first line, which has no break before it
        self._column = 0  # characters in the present line of output
        self._characters = b""  # less than can be decoded
        self._bytes = b""  # less than can be encoded
        self._length = 0
        wide = encoded.is_wide(self._decoded(run.body[: 2 * encoded.SAMPLE])[: encoded.SAMPLE])
        self._narrow = codecs.getincrementaldecoder("utf-16-le")(_ERRORS) if wide else None
        self._whole = codecs.getincrementaldecoder("utf-8")(_ERRORS)
        self.ended = False

    def take(self, buf: bytes, pos: int, *, final: bool) -> tuple[int, bytes]:
        """Take what *buf* has of the run from *pos* on; give how far that is, and output. `ended` says if it was all.

        Call it again with what follows, if need be the same bytes; *final* is said where nothing does.
        """
        end = self._end_of_lines(buf, pos, final=final) if self._width else self._end_of_line(buf, pos, final=final)
        body = buf[pos:end].replace(self._break, b"") if self._width else buf[pos:end]
        self._safe = self._safe or (not self._hexadecimal and (b"-" in body or b"_" in body))
        self._length += len(body)
        body = self._characters + body
        size = len(body) - len(body) % (2 if self._hexadecimal else 4)
        self._characters = body[size:]
        made = self._wrapped(self._encoded(self._scrubbed(self._decoded(body[:size]))))
        if not self.ended:
            return end, made
        end, last = self._closed(buf, end)
        return end, made + last

    def _end_of_line(self, buf: bytes, pos: int, *, final: bool) -> int:
        match = self._letters.match(buf, pos)
        end = match.end() if match is not None else pos
        self.ended = final or end < len(buf)
        return end

    def _end_of_lines(self, buf: bytes, pos: int, *, final: bool) -> int:
        first, self._first = self._first, 0
        match = self._lines.match(buf, pos + first)
        end = match.end() if match is not None else pos + first
        if not final and len(buf) - end < self._width + len(self._break) + 8:
            return end
        self.ended = True
        last = self._last.match(buf, end)
        if last is not None and encoded.ends_run(last[1], buf[last.end() : last.end() + 1]):
            end = last.end()
        return end

    def _closed(self, buf: bytes, end: int) -> tuple[int, bytes]:
        """Give the rest of the output, padded as the run was; and where the run ends with its padding."""
        padding = None if self._hexadecimal else encoded.PADDING.match(buf, end)
        lone = self._characters if len(self._characters) == 1 else b""  # nothing that could be decoded
        rest = self._decoded(b"" if lone else self._characters)
        data = self._bytes + self._scrubbed(rest) + self._widened(self._inner.finish())
        if self._narrow is not None:
            data += self._narrow.getstate()[0]  # half a character
        self._bytes = b""
        made = self._in_alphabet(data)
        plain = made.rstrip(b"=")
        one = encoded.padding_like(padding, self._length)
        written = self._wrapped(plain) + lone + one * (len(made) - len(plain))
        return (padding.end() if padding is not None else end), written

    def _decoded(self, text: bytes) -> bytes:
        return encoded.from_hex(text) if self._hexadecimal else encoded.from_base64(text)

    def _scrubbed(self, text: bytes) -> bytes:
        if self._narrow is not None:
            text = self._narrow.decode(text).encode("utf-8", _ERRORS)
        return self._widened(self._inner.feed(text))

    def _widened(self, text: bytes) -> bytes:
        return text if self._narrow is None else self._whole.decode(text).encode("utf-16-le", _ERRORS)

    def _encoded(self, data: bytes) -> bytes:
        data = self._bytes + data
        size = len(data) if self._hexadecimal else len(data) - len(data) % 3
        self._bytes = data[size:]
        return self._in_alphabet(data[:size])

    def _in_alphabet(self, data: bytes) -> bytes:
        if self._hexadecimal:
            digits = data.hex().encode()
            return digits.upper() if self._upper else digits
        made = base64.b64encode(data)
        return made.translate(_TO_URL_SAFE) if self._safe else made

    def _wrapped(self, text: bytes) -> bytes:
        """Put line breaks before what does not stand in the present line any more."""
        if not self._width or not text:
            return text
        room = self._width - self._column
        lines = [text[:room], *(text[at : at + self._width] for at in range(room, len(text), self._width))]
        if len(lines) == 1:
            self._column += len(text)
        else:
            self._column = len(lines[-1])
        return self._break.join(lines)
