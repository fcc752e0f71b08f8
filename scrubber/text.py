"""Scrub a stream of text in bounded memory, so that where the blocks are cut never changes the outcome.

Each buffer is: what was already written (HISTORY bytes, for looking back), what is new, and AHEAD bytes that are looked
at but decided only with the next block. No rule looks back further than HISTORY or matches more than AHEAD. A secret
longer than that is followed by state: a private key by `KeyWalker`, a long value by swallowing its run. Memory: some
4 times BLOCK for the bytes, and 200 bytes for each candidate in a block.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

from scrubber.detector import Candidate, Detector
from scrubber.keyblock import KeyWalker, sample
from scrubber.rules import CompiledRule

BLOCK = 1 << 20
HISTORY = 16 << 10
AHEAD = 32 << 10
LONG = 1000

_RUN = re.compile(rb"[^\s\"'<>,;\x00-\x1f\x7f]*")

Note = Callable[[CompiledRule, int, int, bytes], None]
"""Told of each replacement: rule, offset and length in the output, the value (for its fingerprint alone)."""


class TextScrubber:
    """Scrub one member. Feed it, then `finish`."""

    def __init__(self, detector: Detector, note: Note, *, same_length: bool = False, block: int = BLOCK) -> None:
        self._detector = detector
        self._note = note
        self._same_length = same_length
        self._block = block
        self._key = KeyWalker()
        self._key_rule: CompiledRule | None = None
        self._swallowing = False
        self._kept = b""
        self._done = 0  # bytes of _kept that are history
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._out = 0

    def feed(self, data: bytes) -> bytes:
        """Take more input, give what is decided."""
        self._waiting.append(data)
        self._waiting_size += len(data)
        return self._process(final=False) if self._waiting_size >= self._block else b""

    def finish(self) -> bytes:
        """Give the rest."""
        return self._process(final=True)

    def _process(self, *, final: bool) -> bytes:
        buf = b"".join((self._kept, *self._waiting))
        self._waiting.clear()
        self._waiting_size = 0
        limit = len(buf) if final else max(self._done, len(buf) - AHEAD)
        pieces: list[bytes] = []
        pos = self._swallow(buf, self._done, limit)
        candidates = self._detector.find(buf)
        candidates, keys_end = self._with_keys(buf, pos, limit, candidates, final=final)
        pos = self._write(buf, pos, limit, candidates, pieces)
        stop = max(pos, limit, keys_end)
        if pos < stop:
            pieces.append(buf[pos:stop])
            self._out += stop - pos
        keep = max(0, stop - HISTORY)
        self._kept = buf[keep:]
        self._done = stop - keep
        return b"".join(pieces)

    def _write(self, buf: bytes, pos: int, limit: int, candidates: list[Candidate], pieces: list[bytes]) -> int:
        """Replace the candidates that begin before *limit*, the first of any that overlap; give how far that came."""
        append, note, out = pieces.append, self._note, self._out
        for start, _, negative_end, rule, value, replacement in candidates:
            if start >= limit:
                break
            if start < pos:
                continue
            end = -negative_end
            if end - start >= LONG and not rule.block:
                end = self._run_end(buf, end)
            new = b"x" * (end - start) if self._same_length else replacement
            append(buf[pos:start])
            append(new)
            out += start - pos
            if value:
                note(rule, out, len(new), value)
            out += len(new)
            pos = end
        self._out = out
        return pos

    def _swallow(self, buf: bytes, pos: int, limit: int) -> int:
        if not self._swallowing:
            return pos
        run = _RUN.match(buf, pos)
        end = run.end() if run else pos
        self._swallowing = end >= limit and end == len(buf)
        return end

    def _run_end(self, buf: bytes, end: int) -> int:
        run = _RUN.match(buf, end)
        stop = run.end() if run else end
        self._swallowing = stop == len(buf)
        return stop

    def _with_keys(
        self, buf: bytes, pos: int, limit: int, candidates: list[Candidate], *, final: bool
    ) -> tuple[list[Candidate], int]:
        """Add the spans of private key blocks, and drop what else was found inside them."""
        begins = [c for c in candidates if c.rule.block and pos <= c.start < limit]
        if not begins and not self._key.inside:
            return candidates, pos
        cuts: list[Candidate] = []
        if self._key.inside and self._key_rule is not None:
            pos = self._walk(buf, pos, limit, self._key_rule, cuts, final=final)
        for begin in begins:
            if begin.start < pos:
                continue
            self._key.open(buf[max(0, begin.start - 256) : begin.start].rpartition(b"\n")[2])
            self._key_rule = begin.rule
            value = sample(buf, begin.end)
            replacement = self._detector.pseudonyms.tag(begin.rule.kind, value)
            cuts.append(begin._replace(order=-1000, value=value or b"-", replacement=replacement))
            pos = self._walk(buf, begin.end, limit, begin.rule, cuts, final=final)
        return _merge(candidates, cuts), pos

    def _walk(self, buf: bytes, pos: int, limit: int, rule: CompiledRule, cuts: list[Candidate], *, final: bool) -> int:
        pos, spans = self._key.walk(buf, pos, limit, final=final)
        cuts.extend(Candidate(start, -1000, -end, rule, b"", b"") for start, end in spans if end > start)
        return pos


def _merge(candidates: list[Candidate], cuts: list[Candidate]) -> list[Candidate]:
    starts = [cut.start for cut in cuts]
    ends = [cut.end for cut in cuts]
    kept = list(cuts)
    for candidate in candidates:
        if candidate.rule.block:
            continue
        after = bisect_left(ends, candidate.start + 1)
        if after == len(cuts) or starts[after] >= candidate.end:
            kept.append(candidate)
    kept.sort(key=lambda c: (c.start, c.order, c.negative_end))
    return kept
