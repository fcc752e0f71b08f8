"""Find everything in one buffer: scan for anchors, confirm each, give candidates in the order in which they win."""

from __future__ import annotations

from array import array
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

from scrubber import encoded, escapes
from scrubber.anchor import INDEX_BITS, INDEX_MASK, LENGTH_MASK, START_SHIFT, Anchor
from scrubber.anchors import AnchorSet, ReScanner, build_scanner
from scrubber.candidate import DEPTH, Candidate, apart_from
from scrubber.compiled import load_library
from scrubber.lexicon import Lexicon, build_lexicon
from scrubber.pseudonym import TAG, Pseudonymizer
from scrubber.rows import RowSieve
from scrubber.ruled import SIGNS
from scrubber.rules import KNOWN_RULE, LEARNED_RULES
from scrubber.sieve import Confirmers, Look, Sieve, looks_for
from scrubber.tables import KEPT, TableReader, cell_images
from scrubber.terms import Allowed, Terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scrubber.candidate import Noted
    from scrubber.finder import Finder
    from scrubber.rules import CompiledRule, RuleSet
    from scrubber.sieve import Sifted

_NO_TERMS = Terms()
_ENCODED_TAGS = frozenset((b"W2", b"W3", b"5b", b"5B"))
"""How a bracket and a small letter begin in base64 and in hexadecimal digits."""
_STATEMENT = Anchor(pattern=rb"insert |copy |create table ", caseless=True, once=True)
_RULER = Anchor(pattern=SIGNS, once=True)
_TAG = Anchor(pattern=rb":[0-9a-f]{8}\]", shape=True)


class Search(NamedTuple):
    """What was found in a buffer."""

    candidates: list[Candidate]
    """In order."""
    runs: list[int]
    """Where runs begin that may be text encoded as a whole."""
    sifted: Sifted | None = None
    """What the compiled part found besides."""
    statements: bool = True
    """Whether there may be tables of SQL, or drawn ones."""

    def all_candidates(self) -> list[Candidate]:
        """Give all that was found, in order."""
        if self.sifted is None:
            return self.candidates
        return sorted([*self.candidates, *self.sifted.candidates()], key=itemgetter(0, 1, 2))


class Detector:
    """The rules under one key. Holds scratch space and a cache: one for each thread."""

    def __init__(
        self,
        rules: RuleSet,
        pseudonyms: Pseudonymizer,
        *,
        terms: Terms = _NO_TERMS,
        known: Sequence[tuple[bytes, str]] = (),
        accelerated: bool = True,
        compiled: bool = True,
    ) -> None:
        """Make ready to look for *rules*; see `build_lexicon` for *terms* and *known*.

        *accelerated* with Vectorscan and RE2, *compiled* with what was compiled besides, where they are installed.
        """
        self.pseudonyms = pseudonyms
        self.rules = rules
        library = load_library() if accelerated and compiled and pseudonyms.is_plain else None
        layout = _layout(rules, with_known=bool(known), sifted=library is not None)
        personal = layout.personal
        self.ranked: list[CompiledRule] = layout.ranked
        self.lexicon: Lexicon | None = None
        if personal or known:
            self.lexicon = build_lexicon(pseudonyms, terms, known, personal=personal)
        self._cells = cell_images(pseudonyms)
        self._learned = layout.learned
        self._known = layout.known
        self._allowed = Allowed(terms) if terms.allow else None
        self._owners = layout.owners
        self._handlers: list[tuple[int, Finder] | None] = [None] * len(layout.owners)
        self._seen: list[list[int]] = []
        for group in _NOTICED:
            self._handlers += [(0, self._remember_end())] * len(group)
        self._scanner = build_scanner(layout.anchors, accelerated=accelerated, library=library)
        self._sieve = (
            Sieve(
                library,
                pseudonyms,
                looks=layout.looks,
                lexicon=self.lexicon,
                ranks=layout.learned,
                rules=Confirmers(layout.ranked, layout.owners),
            )
            if library
            else None
        )
        self._rows = RowSieve(self._sieve, self._cells, self._learned) if self._sieve is not None else None
        self._unsifted = layout.unsifted
        self._runs = encoded.RunFinder(accelerated=accelerated)

    def new_tables(self) -> TableReader:
        """Give what follows the tables of one text."""
        return TableReader(self._cells)

    def in_tables(
        self, tables: TableReader, buf: bytes, base: int, limit: int, search: Search | None = None
    ) -> list[Candidate]:
        """Give what *tables* finds in the rows that begin before *limit*; see `TableReader.read`.

        What *search* sifted in *buf* grows by what plain rows hold.
        """
        statements, sifted = (search.statements, search.sifted) if search is not None else (True, None)
        rows = self._rows.reader(sifted) if self._rows is not None and sifted is not None else None
        spans = tables.read(buf, base, limit, statements=statements, rows=rows)
        if self._sieve is not None and sifted is not None and tables.is_open:
            self._sieve.settle(sifted)
        ranks = self._learned
        allowed, ranked = self._allowed, self.ranked
        return [
            (begin, -1, -end, b"", new) if name == KEPT else (begin, ranks[name], -end, value, new)
            for begin, end, value, new, name in spans
            if name == KEPT
            or (
                name in ranks
                and (allowed is None or ranked[ranks[name]].rule.category == "secret" or value not in allowed)
            )
        ]

    def _remember_end(self) -> Finder:
        """Give a handler that only remembers where its anchors ended."""
        number = len(self._seen)
        self._seen.append([])

        def see(_buf: bytes, _start: int, end: int) -> None:
            self._seen[number].append(end)

        return see

    def _build(self, index: int) -> tuple[int, Finder]:
        """Build the finder of a rule of which an anchor is met for the first time; most of a small file's never are."""
        rank, first = self._owners[index]
        rule = self.ranked[rank]
        handler = (rank, rule.build(self.pseudonyms))
        self._handlers[first : first + len(rule.anchors)] = [handler] * len(rule.anchors)
        return handler

    def find(self, buf: bytes, depth: int = 0) -> tuple[list[Candidate], list[int]]:
        """Give the candidates in *buf*, sorted, and where runs begin that may be text encoded as a whole.

        *depth* counts the encodings that *buf* itself was in.
        """
        search = self.search(buf, depth)
        return search.all_candidates(), search.runs

    def search(self, buf: bytes, depth: int = 0) -> Search:
        """Do what `find` does; what was sifted is given by itself, where nothing else is to be done with it."""
        events, sifted = self._events(buf)
        found = self._confirmed(buf, events, sifted)
        runs: list[int] = []
        if depth < DEPTH:
            runs = self._runs.starts(buf) if sifted is None else sifted.runs()
        statements = self._sieve is None or bool(self._seen[-1])
        self._seen[-1].clear()
        if sifted is not None and (self._allowed is not None or any(self._seen)):
            found += sifted.candidates()
            sifted = None
        return Search(self._chosen(buf, found, depth), runs, sifted, statements=statements)

    def _events(self, buf: bytes) -> tuple[list[int], Sifted | None]:
        """Give the places that finders must look at, and what the compiled part found besides."""
        if self._sieve is None:
            return self._scanner.scan(buf), None
        packed = self._scanner.pack(buf)
        sifted = self._sieve.scan(buf, packed)
        if sifted is not None:
            return sifted.events(), sifted
        return array("Q", packed).tolist() + ReScanner(self._unsifted).scan(buf), None

    def _confirmed(self, buf: bytes, events: list[int], sifted: Sifted | None) -> list[Candidate]:
        """Give what finders find at *events*, and the lexicon where *sifted* tells it to look."""
        found: list[Candidate] = []
        append = found.append
        handlers = self._handlers
        for event in events:
            rank, finder = handlers[event & INDEX_MASK] or self._build(event & INDEX_MASK)
            start = event >> START_SHIFT
            hit = finder(buf, start, start + (event >> INDEX_BITS & LENGTH_MASK))
            if hit is None:
                continue
            if isinstance(hit, list):
                found += [(begin, rank, -end, value, replacement) for begin, end, value, replacement in hit]
            else:
                begin, end, value, replacement = hit
                append((begin, rank, -end, value, replacement))
        if self.lexicon and sifted is not None:
            names = sifted.names()
            found += self.lexicon.confirm(buf, names, self._learned) if names else []
        elif self.lexicon:
            found += self.lexicon.find(buf, self._learned)
        return found

    def _chosen(self, buf: bytes, found: list[Candidate], depth: int) -> list[Candidate]:
        """Give what of *found* stays, and what other notations add, sorted."""
        if self._allowed is not None:
            found = self._without_allowed(found, self._allowed)
        if any(self._seen):
            seen, self._seen[:] = list(self._seen), [[] for _ in self._seen]
            if depth < DEPTH:
                found = self._read_again(buf, found, seen[1:-1], depth)
            if seen[0]:
                found = apart_from(found, _tags(buf, seen[0]))
        found = [c for c in found if c[3][:2] not in _ENCODED_TAGS or not _holds_tag(c[3])]
        found.sort()
        return found

    def _without_allowed(self, found: list[Candidate], allowed: Allowed) -> list[Candidate]:
        """Drop what the customer allows, and what stands within it: the domain of an address that stays."""
        ranked, stays = self.ranked, []
        bound, free = [], []
        for c in found:
            rule = ranked[c[1]].rule
            if rule.category == "secret" or rule.id == "terms.deny":
                bound.append(c)
            elif isinstance(c[3], bytes) and c[3] in allowed:
                stays.append((c[0], -c[2]))
            else:
                free.append(c)
        return bound + (apart_from(free, stays) if stays else free)

    def _read_again(self, buf: bytes, found: list[Candidate], seen: list[list[int]], depth: int) -> list[Candidate]:
        """Add what is found in each notation that was seen; drop what it shows to be none."""
        for notation, ends in zip(escapes.NOTATIONS, seen, strict=True):
            if ends:
                known = [c for c in found if c[1] in self._known]  # whole words: DOMAIN\thomas has no tab in it
                others = [c for c in found if c[1] not in self._known] if known else found
                again = escapes.read_again(buf, ends, notation, others, lambda text: self.find(text, depth + 1)[0])
                found = known + again
        return found


def _holds_tag(value: bytes | list[Noted]) -> bool:
    """Say whether *value* encodes what was replaced before."""
    return isinstance(value, bytes) and TAG.search(encoded.decode_short(value)) is not None


def _tags(buf: bytes, ends: list[int]) -> list[tuple[int, int]]:
    """Give the spans of what was replaced before: whatever touches them is left alone."""
    spans = []
    for end in ends:
        begin = buf.rfind(b"[", max(0, end - 74), end - 10)
        if begin >= 0 and TAG.fullmatch(buf, begin, end):
            spans.append((begin, end))
    return spans


_NOTICED = ((_TAG,), *(notation.anchors for notation in escapes.NOTATIONS), (_STATEMENT, _RULER))
"""Anchors of which only the places are remembered."""


class _Layout(NamedTuple):
    """What all detectors of the same rules share."""

    ranked: list[CompiledRule]
    personal: bool
    learned: dict[str, int]
    """The ranks, by id, of rules without anchors."""
    known: frozenset[int]
    owners: list[tuple[int, int]]
    """For each anchor the rank of its rule, and the number of that rule's first."""
    anchors: AnchorSet
    looks: dict[int, Look]
    """Anchors that are left to the sieve."""
    unsifted: tuple[tuple[int, Anchor], ...]
    """The same, for a scanner."""


@lru_cache(maxsize=8)
def _layout(rules: RuleSet, *, with_known: bool, sifted: bool) -> _Layout:
    categories = {rule.rule.category for rule in rules.rules}
    learned = [rule for rule in LEARNED_RULES if rule.rule.category in categories]
    if with_known:
        learned.append(KNOWN_RULE)
    ranked = sorted([*rules.rules, *learned], key=lambda rule: (-rule.priority, rule.rule.id))
    ranks = {rule.rule.id: rank for rank, rule in enumerate(ranked) if not rule.anchors}
    owners: list[tuple[int, int]] = []
    anchors: list[Anchor] = []
    looks: dict[int, Look] = {}
    for rank, rule in enumerate(ranked):
        for number, anchor in enumerate(rule.anchors, len(anchors)):
            look = looks_for(anchor, rule.finder) if sifted else None
            if look is not None:
                looks[look] = Look(rank, number)
        owners += [(rank, len(anchors))] * len(rule.anchors)
        anchors += rule.anchors
    noticed = [anchor for group in _NOTICED for anchor in group]
    return _Layout(
        ranked=ranked,
        personal="personal" in categories,
        learned=ranks,
        known=frozenset(ranks.values()),
        owners=owners,
        anchors=AnchorSet([*anchors, *noticed], without={look.anchor for look in looks.values()}),
        looks=looks,
        unsifted=tuple((look.anchor, anchors[look.anchor]) for look in looks.values()),
    )
