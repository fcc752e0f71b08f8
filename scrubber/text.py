"""Scrub a stream of text in bounded memory, so that where the blocks are cut never changes the outcome.

Each buffer is: what was already written (HISTORY bytes, for looking back), what is new, and AHEAD bytes that are looked
at but decided only with the next block. No rule looks back further than HISTORY or matches more than AHEAD. A secret
longer than that is followed by state: a private key by `KeyWalker`, a long value by swallowing its run. Memory: some
4 times BLOCK for the bytes, and 200 bytes for each candidate in a block.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Callable
from hashlib import blake2b
from operator import itemgetter
from typing import TYPE_CHECKING

from scrubber import encoded
from scrubber.candidate import Noted, apart_from
from scrubber.detector import Search
from scrubber.keyblock import KeyWalker, sample
from scrubber.longrun import LongRun
from scrubber.replaced import Notes, Replaced

if TYPE_CHECKING:
    from collections.abc import Hashable

    from scrubber.candidate import Candidate
    from scrubber.detector import Detector
    from scrubber.sieve import Sifted
    from scrubber.tables import Heading

BLOCK = 1 << 20
HISTORY = 16 << 10
AHEAD = 32 << 10
LINE = 8 << 10
"""What is decided ends with a line where one ends so near: then seldom anything is cut there."""
LONG = 1000

_RUN = re.compile(rb"[^\s\"'<>,;\x00-\x1f\x7f]*")

Note = Callable[[Notes], None]
"""Told of the replacements in each block, in order, where there are any; what it is given is good until it returns."""


class TextScrubber:
    """Scrub one member. Feed it, then `finish`."""

    def __init__(
        self, detector: Detector, note: Note, *, same_length: bool = False, block: int = BLOCK, depth: int = 0
    ) -> None:
        """Scrub with *detector*, tell *note*; *depth* counts the encodings that the text was in."""
        self._detector = detector
        self._depth = depth
        self._note = note
        self._same_length = same_length
        self._block = block
        self._tables = detector.new_tables()
        self._base = 0  # bytes of the text before the first of _kept
        self._key = KeyWalker()
        self._key_rank = -1
        self._swallowing = False
        self._long: LongRun | None = None
        self._long_at = 0  # where it begins in the buffer
        self._long_noted: list[Noted] = []
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

    def resume(self, context: bytes, at: int, columns: Heading | None) -> None:
        """Go on at byte *at* of a text that ends with *context* there, as if nothing lay across the cut.

        Only `handover` of the one who came this far says whether nothing does. *columns* are those of a table that may
        be open. Findings are told by their place behind the cut.
        """
        decided = _line_start(context, len(context) - AHEAD)
        keep = max(0, decided - HISTORY)
        self._kept = context[keep:]
        self._done = decided - keep
        self._base = at - len(self._kept)
        self._tables.resume(self._base + self._done, columns)

    def handover(self) -> Hashable:
        """Give all that the next byte's fate depends on, but for the text; and count places anew from here."""
        self._out = 0
        if self._long is not None:
            return object()  # nobody else can go on within it
        key = (self._key.logged, self._key.missing, self._key_rank) if self._key.inside else None
        read = (self._base, self._done, self._waiting_size, blake2b(self._kept).digest())
        return read, self._swallowing, key, self._tables.handover()

    @property
    def heading(self) -> Heading | None:
        """The columns of the table that is open."""
        return self._tables.heading

    @property
    def decided(self) -> int:
        """Bytes of the text of which all that comes was given."""
        return self._base + self._done

    def _process(self, *, final: bool) -> bytes:
        collecting = gc.isenabled()
        if collecting:  # tens of thousands of tuples live until the block is written: no circle is worth looking for
            gc.disable()
        try:
            return self._scrub(final=final)
        finally:
            if collecting:
                gc.enable()

    def _scrub(self, *, final: bool) -> bytes:
        buf = b"".join((self._kept, *self._waiting))
        self._waiting.clear()
        self._waiting_size = 0
        if self._long is not None:
            return self._follow(self._long, buf, self._done, final=final)
        limit = len(buf) if final else max(self._done, _line_start(buf, len(buf) - AHEAD))
        pieces: list[bytes] = []
        pos = self._swallow(buf, self._done, limit)
        search = self._detector.search(buf, self._depth)
        candidates, runs, sifted, _ = search
        if runs:
            limit = self._decode(buf, pos, limit, runs, candidates, final=final)
        cells = self._detector.in_tables(self._tables, buf, self._base, limit, search)
        if cells:
            candidates = sorted([*candidates, *cells], key=itemgetter(0, 1, 2))
        if sifted is not None and (sifted.is_small or self._key.inside or self._needs_each(candidates)):
            candidates, sifted = Search(candidates, [], sifted).all_candidates(), None
        keys_end = pos
        if sifted is not None:
            pos = self._write_sifted(sifted, pos, limit, candidates, pieces)
        else:
            candidates, keys_end = self._with_keys(buf, pos, limit, candidates, final=final)
            pos = self._write(buf, pos, limit, candidates, pieces)
        stop = max(pos, limit, keys_end)
        if pos < stop:
            pieces.append(buf[pos:stop])
            self._out += stop - pos
        begun = self._begun_long()
        if begun is not None and stop == self._long_at:
            return b"".join(pieces) + self._follow(begun, buf, stop, final=final)
        self._long = None  # something longer covers its beginning
        self._keep(buf, stop)
        return b"".join(pieces)

    def _begun_long(self) -> LongRun | None:
        return self._long

    def _keep(self, buf: bytes, done: int) -> None:
        """Remember what comes after *done*, and before it what is looked back at."""
        keep = max(0, done - HISTORY)
        self._kept = buf[keep:]
        self._base += keep
        self._done = done - keep

    def _follow(self, long: LongRun, buf: bytes, pos: int, *, final: bool) -> bytes:
        """Go on with a long run at *pos*, and behind its end with what follows."""
        end, made = long.take(buf, pos, final=final)
        if self._long_noted:
            self._note([(rule, self._out, len(made), value) for rule, _, _, value in self._long_noted])
            self._long_noted.clear()
        self._out += len(made)
        self._keep(buf, end)
        self._tables.skip(self._base + self._done)
        if not long.ended:
            return made
        self._long = None
        return made + self._process(final=final)

    def _needs_each(self, candidates: list[Candidate]) -> bool:
        """Say whether one of *candidates* is more than a span to be replaced: a key, a long value, an encoded text."""
        ranked = self._detector.ranked
        return any(
            isinstance(value, list) or -end - start >= LONG or ranked[rank].block
            for start, rank, end, value, _ in candidates
        )

    def _write_sifted(
        self, sifted: Sifted, pos: int, limit: int, candidates: list[Candidate], pieces: list[bytes]
    ) -> int:
        """Do what `_write` does, and write what follows up to *limit* too."""
        came, made, notes = sifted.write(pos, limit, candidates, same_length=self._same_length)
        pieces.append(made)
        base, self._out = self._out, self._out + len(made)
        if notes:
            self._note(Replaced(notes, sifted, candidates, self._detector.ranked, base))
        return max(came, limit)

    def _write(self, buf: bytes, pos: int, limit: int, candidates: list[Candidate], pieces: list[bytes]) -> int:
        """Replace the candidates that begin before *limit*, the first of any that overlap; give how far that came."""
        same_length, ranked = self._same_length, self._detector.ranked
        append, noted = pieces.append, list[Noted]()
        note = noted.append
        shift = self._out - pos  # from a place in the buffer to its place in the output
        for start, rank, negative_end, value, new in candidates:
            if start < pos:
                continue
            if start >= limit:
                break
            end = -negative_end
            if isinstance(value, list):
                noted += [(rule, start + shift, len(new), text) for rule, _, _, text in value]
            else:
                if end - start >= LONG and not ranked[rank].block:
                    end = self._run_end(buf, end)
                if same_length:
                    new = b"x" * (end - start)  # noqa: PLW2901 - the one place that knows
                if value:
                    note((ranked[rank], start + shift, len(new), value))
            if start > pos:
                append(buf[pos:start])
            append(new)
            shift += len(new) - end + start
            pos = end
        self._out = pos + shift
        if noted:
            self._note(noted)
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

    def _decode(
        self, buf: bytes, pos: int, limit: int, runs: list[int], candidates: list[Candidate], *, final: bool
    ) -> int:
        """Add encoded runs in which something is to be replaced; give the limit, nearer where a run may go on."""
        last = len(self._detector.ranked)
        added = False
        for start in runs:
            if start < pos:
                continue
            if start >= limit:
                break
            run = encoded.find_run(buf, start)
            if run is None:
                continue
            if run.open and not final and run.end - start < encoded.LONGEST:
                limit = start
                break
            if run.is_long:
                self._long = LongRun(run, self._new_inner(self._long_noted))
                self._long_at = limit = start
                break
            inner: list[Noted] = []
            made = encoded.rewrite(buf, run, self._inner(inner))
            pos = run.end
            if made is not None:
                end, new = made
                rank = (
                    -1 if any(rule.block for rule, _, _, _ in inner) else last
                )  # a rule for all of the run comes first
                candidates.append((start, rank, -end, inner, new))
                added = True
        if added:
            candidates.sort(key=itemgetter(0, 1, 2))
        return limit

    def _inner(self, noted: list[Noted]) -> Callable[[bytes], bytes]:
        def scrub(text: bytes) -> bytes:
            scrubber = self._new_inner(noted)
            return scrubber.feed(text) + scrubber.finish()

        return scrub

    def _new_inner(self, noted: list[Noted]) -> TextScrubber:
        return TextScrubber(
            self._detector, noted.extend, same_length=self._same_length, block=self._block, depth=self._depth + 1
        )

    def _with_keys(
        self, buf: bytes, pos: int, limit: int, candidates: list[Candidate], *, final: bool
    ) -> tuple[list[Candidate], int]:
        """Add the spans of private key blocks, and drop what else was found inside them."""
        ranked = self._detector.ranked
        begins = [c for c in candidates if pos <= c[0] < limit and not isinstance(c[3], list) and ranked[c[1]].block]
        if not begins and not self._key.inside:
            return candidates, pos
        cuts: list[Candidate] = []
        if self._key.inside:
            pos = self._walk(buf, pos, limit, cuts, final=final)
        for start, rank, negative_end, _, _ in begins:
            if start < pos:
                continue
            self._key.open(buf[max(0, start - 256) : start].rpartition(b"\n")[2])
            self._key_rank = rank - len(ranked)  # the same rule, counted from the end: before all others in order
            value = sample(buf, -negative_end)
            replacement = self._detector.pseudonyms.tag(ranked[rank].kind, value)
            cuts.append((start, self._key_rank, negative_end, value or b"-", replacement))
            pos = self._walk(buf, -negative_end, limit, cuts, final=final)
        return self._merge(candidates, cuts), pos

    def _walk(self, buf: bytes, pos: int, limit: int, cuts: list[Candidate], *, final: bool) -> int:
        pos, spans = self._key.walk(buf, pos, limit, final=final)
        cuts.extend((start, self._key_rank, -end, b"", b"") for start, end in spans if end > start)
        return pos

    def _merge(self, candidates: list[Candidate], cuts: list[Candidate]) -> list[Candidate]:
        ranked = self._detector.ranked
        others = [c for c in candidates if isinstance(c[3], list) or not ranked[c[1]].block]
        kept = cuts + apart_from(others, [(cut[0], -cut[2]) for cut in cuts])
        kept.sort(key=itemgetter(0, 1, 2))
        return kept


def _line_start(buf: bytes, at: int) -> int:
    """Give *at*, or where the line begins that it stands in, where that is near."""
    return buf.rfind(b"\n", max(0, at - LINE), at) + 1 or at if at > 0 else 0
