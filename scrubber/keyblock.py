"""Follow a private key over its lines, however many there are and however they are dressed.

A key block begins at a marker that a rule has found and ends at its END marker, or where the lines stop being a key's.
Lines may be indented, quoted, commented, escaped into one line, or carry a log's prefix: then only the key's part of
each line goes. The line count stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_END = re.compile(
    rb"-{4,5} ?END(?:[ +]|%20)(?:[A-Z0-9 +]|%20){0,40}?PRIVATE(?:[ +]|%20)KEY(?:(?:[ +]|%20)BLOCK)? ?-{4,5}|"
    rb"-----END OpenVPN Static key V1-----|Private-MAC: ?[0-9a-f]{8,64}",
    re.IGNORECASE,
)
_BODY_LINE = re.compile(
    rb"[ \t\"'>#|*+,;/\\-]{0,64}[A-Za-z0-9+/=]{1,}(?:\\{0,8}[nr]|[ \t\"',;+\\*/]|&\#\w{1,4};){0,16}(?:\^M)?\$?"
)
_WORD_LINE = re.compile(rb"(?!\\{1,8}[nr]\W*\Z)\W*(?:[A-Z]?[a-z]{1,15}|[A-Z]{1,15})\W*")
"""A single word: the line after a key without an end, not the end of a key; no line end that a string writes out."""
_HEAD_LINE = re.compile(
    rb"[ \t\"'>#|*+]*(?:Proc-Type|DEK-Info|Comment|Version|Hash|MessageID|Charset|Subject|Encryption|Key-Derivation|"
    rb"Argon2-\w+|"
    rb"Public-Lines|Private-Lines|Private-MAC|X-[\w-]+|Bag Attributes|localKeyID|friendlyName)\b ?:.*",
    re.IGNORECASE,
)
_LOGGED = re.compile(
    rb".*?[\s:\"'|>\]](?P<key>[A-Za-z0-9+/]{16,}={0,2}|[A-Za-z0-9+/=]{1,76})(?P<tail>(?:\\{0,8}[nr]|[\s\"',;}\])])*)"
)
_EMPTY_LINE = re.compile(rb"[ \t>#|*+]*")
_LOGGED_HEAD = re.compile(rb".*?[\s:\"'|>\]](?P<key>(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset|X-[\w-]+): .*)")
_LOGGED_EMPTY = re.compile(rb".{0,200}[:|>\]\-][ \t]*")
_BROKEN = re.compile(rb"[ \t\"'>#|*+]{0,64}(?P<key>[A-Za-z0-9+/]{40,}={0,2})")
_JSON_LOGGED = re.compile(rb".*?\"(?P<key>[A-Za-z0-9+/=]{1,128})(?:\\{1,8}[nr])+\\{0,7}\".*")
_RUN = re.compile(rb"[A-Za-z0-9+/=\\ \t\r:,\-.%&#;_\"'()?]*")
_ESCAPED = re.compile(rb"\s|\\+[nrt]|&\#\w{1,4};|#01[25]|%0[AaDd]|[\"',;>#|*+\\]")

_WINDOW = 64 << 10
_LONGEST_LOGGED = 4096
_LONGEST_MARKER = 128
_NEAR = 16 << 10
_MOST_STRANGE = 200
"""Lines of others that a logger may have written between those of a key."""

SAMPLE = 4096
"""Bytes of a key's beginning that its tag is made from; the look-ahead of the text engine is longer."""


@dataclass(slots=True)
class KeyWalker:
    """The state between two blocks: whether a key is open, and what stood before its first line."""

    inside: bool = False
    logged: bool = False
    missing: int = 0
    _searched: tuple[bytes, int, int, re.Match[bytes] | None] = (b"", 0, 0, None)

    def open(self, prefix: bytes) -> None:
        """Begin a key whose BEGIN marker follows *prefix* on its line."""
        self.inside = True
        self.logged = re.search(rb"\w", prefix) is not None
        self.missing = 0

    def walk(self, buf: bytes, pos: int, limit: int, *, final: bool) -> tuple[int, list[tuple[int, int]]]:
        """Follow the key from *pos* while lines begin before *limit*.

        Returns where it stopped and the spans to drop; `inside` says whether the key goes on.
        """
        spans: list[tuple[int, int]] = []
        while self.inside and pos < len(buf) and (pos < limit or final):
            newline = buf.find(b"\n", pos)
            stop = newline if newline >= 0 else len(buf)
            end = self._next_end(buf, pos, min(stop, pos + _WINDOW))
            if end is not None:
                if end.start() - pos >= 400 and not _RUN.fullmatch(buf, pos, end.start()):
                    self.inside = False
                    return pos, spans
                self._cut_before_end(buf, pos, end, spans)
                self.inside = False
                return end.end(), spans
            if stop - pos > _WINDOW or (newline < 0 and not final):
                pos = self._long_line(buf, pos, limit, spans)
            else:
                pos = self._line(buf, pos, stop, spans)
        return pos, spans

    def _next_end(self, buf: bytes, pos: int, stop: int) -> re.Match[bytes] | None:
        """Find the END marker in a part of *buf*; what was searched for an earlier BEGIN is not searched again."""
        seen, begin, reached, match = self._searched
        if seen is not buf or pos < begin or pos >= reached or (match is not None and match.start() < pos):
            reached = min(len(buf), pos + 4 * _WINDOW)
            match = _END.search(buf, pos, reached)
            self._searched = (buf, pos, reached if match is None else match.end(), match)
        elif match is None and stop > reached:
            return _END.search(buf, max(pos, reached - _LONGEST_MARKER), stop)
        return match if match is not None and match.end() <= stop else None

    def _cut_before_end(self, buf: bytes, pos: int, end: re.Match[bytes], spans: list[tuple[int, int]]) -> None:
        before = buf[pos : end.start()]
        keep = 0
        text = len(before) < 400 and re.search(rb"[A-Za-z0-9+/=]{32}|-----BEGIN", before) is None
        if self.logged and text:
            keep = len(before)
        spans.append((pos + keep, end.end()))

    def _line(self, buf: bytes, pos: int, stop: int, spans: list[tuple[int, int]]) -> int:
        line = buf[pos:stop].rstrip(b"\r")
        following = min(stop + 1, len(buf))
        if (
            _EMPTY_LINE.fullmatch(line)
            or line.strip(b" \t") in {b"$", b"^M$"}
            or (self.logged and _LOGGED_EMPTY.fullmatch(line))
        ):
            self.missing += 1
            self.inside = self.missing < 3
            return following
        if not self.logged and _WORD_LINE.fullmatch(line):
            self.inside = False
            return pos
        if _BODY_LINE.fullmatch(line) or _HEAD_LINE.fullmatch(line) or (len(line) > 400 and _RUN.fullmatch(line)):
            self.missing = 0
            indent = len(line) - len(line.lstrip())
            spans.append((pos + indent, pos + len(line)))
            return following
        logged = self._logged_part(line, buf, stop) if len(line) <= _LONGEST_LOGGED else None
        if logged is not None:
            spans.append((pos + logged.start("key"), pos + logged.end("key")))
            return following
        return self._strange(buf, pos, stop, spans)

    def _logged_part(self, line: bytes, buf: bytes, stop: int) -> re.Match[bytes] | None:
        logged = (_JSON_LOGGED.fullmatch(line) if line[:1] == b"{" else None) or _LOGGED.fullmatch(line)
        if logged is not None and self._belongs(logged["key"], buf, stop):
            return logged
        return _LOGGED_HEAD.fullmatch(line) if self.logged else None

    def _strange(self, buf: bytes, pos: int, stop: int, spans: list[tuple[int, int]]) -> int:
        """Pass over a line of others among logged ones while the key's end is near, else end the key here."""
        if self.logged and self.missing < _MOST_STRANGE and _END.search(buf, stop, stop + _NEAR) is not None:
            self.missing += 1
            return min(stop + 1, len(buf))
        self.inside = False
        broken = _BROKEN.match(buf, pos, stop)
        if broken is None:
            return pos
        spans.append(broken.span("key"))
        return broken.end("key")

    def _belongs(self, text: bytes, buf: bytes, stop: int) -> bool:
        """Say whether the end of a logged line is part of the key: long enough, or the END marker is near."""
        if len(text) >= 40:
            return self.logged or len(text) >= 48
        return self.logged and _END.search(buf, stop, stop + 1024) is not None

    def _long_line(self, buf: bytes, pos: int, limit: int, spans: list[tuple[int, int]]) -> int:
        """Drop a part of a line that does not end in this block; a marker cut by the limit is left for the next."""
        reach = min(max(limit, pos), pos + _WINDOW // 2)  # an END marker nearer than _WINDOW would have been seen
        run = _RUN.match(buf, pos, reach)
        stop = run.end() if run else pos
        self.inside = stop >= reach
        if stop > pos:
            spans.append((pos, stop))
        return stop


def sample(buf: bytes, pos: int) -> bytes:
    """Give what identifies the key that begins at *pos*: its first characters, without line ends and dress."""
    body = buf[pos : pos + SAMPLE]
    end = _END.search(body)
    if end is not None:
        body = body[: end.start()]
    return _ESCAPED.sub(b"", body)[:512]
