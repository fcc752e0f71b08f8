"""Find what is frequent with the compiled part: IPv4 and MAC addresses, mail, and the case's own names.

One pass over a block instead of a step for each place: the compiled part decides what it can decide exactly as the
finders would, asks here for what it meets for the first time, for all of a block at once, and hands every place that is
out of the ordinary to the finders. See native/sieve.h; the finders' word counts.
"""

from __future__ import annotations

import ctypes
import struct
from array import array
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from scrubber.anchor import INDEX_MASK
from scrubber.contacts import NOT_DIGITS, PHONE, bare_phone, mail_host
from scrubber.dialects import RUNNING_TEXT
from scrubber.finder import REACH
from scrubber.gate import MASKS, SETTINGS, strength
from scrubber.programs import make_program
from scrubber.versions import BEFORE_VERSIONS, TAILS, TAILS_OF_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from scrubber.anchor import Anchor
    from scrubber.candidate import Candidate
    from scrubber.lexicon import Lexicon
    from scrubber.programs import Program
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.rules import CompiledRule

LOOKS: dict[bytes, int] = {
    rb"\b[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\b": 0,
    rb"[0-9a-f]::[0-9a-f]?": 1,
    rb"[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}": 2,
    rb"@[A-Za-z0-9]": 3,
    rb"%40[A-Za-z0-9]": 4,
    rb"\+[1-9][0-9 ().\-/]{6}": 5,
}
"""The anchors that are looked for here, written as in the rules: one written otherwise is left to the scanner."""
_FINDERS = ("ipv4", "ipv6", "mac", "email", "email", "phone")
"""Whose they must be."""
_NO_RANK = 0xFFFFFFFF
_NET, _MAC, _HOST, _FULL_NAME, _REALM_NAME, _FIRST_WORD = 1, 3, 5, 7, 8, 16
"""The spaces of what is asked for: native/sieve.h."""
_KNOWN, _NONE = 1, 2
_BELOW, _ASK = 1, 4
_LABELS = {"": 0, "host": 2, "realm": 3}
_IPV4, _RULE, _KEY_NAME, _PHONE = 0, 9, 10, 12
_FIRST_COLUMN, _FIRST_RULE = 0x40000000, 0x80000000
_TAG, _VARIED = 1, 4
_GROUPS = 32
_HEAD = struct.Struct("=2I")
_ANSWER = struct.Struct("=3I")
_HIT = struct.Struct("=6I")
_FOUND = struct.Struct("=2Ii2I")


class Confirmers(NamedTuple):
    """Whose the anchors are that a scan tells of."""

    ranked: Sequence[CompiledRule]
    owners: Sequence[tuple[int, int]]
    """For each anchor the rank of its rule, and the number of that rule's first."""


class Kinds(NamedTuple):
    """What is hashed with the values of rules, each with a zero behind it, and where that of a rank begins."""

    hashed: bytes
    of_ranks: tuple[int, ...]


class Look(NamedTuple):
    """An anchor that is looked for here: whose it is, and its number."""

    rank: int
    anchor: int


def looks_for(anchor: Anchor, finder: str | None) -> int | None:
    """Give the number under which *anchor* of a rule with *finder* is looked for here, None where it is not."""
    look = LOOKS.get(anchor.pattern)
    return look if look is not None and _FINDERS[look] == finder else None


def _pairs(texts: Iterable[bytes]) -> bytes:
    """Give a set of texts of two bytes as bits."""
    made = bytearray(8192)
    for text in texts:
        if len(text) == 2:
            pair = text[0] << 8 | text[1]
            made[pair >> 3] |= 1 << (pair & 7)
    return bytes(made)


_TAILS = _pairs(TAILS) + _pairs(TAILS_OF_KEYS)


def _listed(words: Iterable[bytes]) -> bytes:
    """Give words behind their lengths."""
    return b"".join(bytes((len(word),)) + word for word in words)


_VERSIONS = _listed(BEFORE_VERSIONS)
_MASKS = _listed(sorted(MASKS))
_SETTINGS = _listed(sorted(word for word in SETTINGS if word.isalnum()))


class Sieve:
    """What is frequent, under one key. One for each thread."""

    def __init__(
        self,
        library: ctypes.CDLL,
        pseudonyms: Pseudonymizer,
        *,
        looks: Mapping[int, Look],
        lexicon: Lexicon | None,
        ranks: Mapping[str, int],
        rules: Confirmers,
    ) -> None:
        """Look for *looks* and for the names of *lexicon*, whose rules have *ranks*; confirm what *rules* can.

        Raises:
            MemoryError: there is not enough.
        """
        self._library = library
        self._pseudonyms = pseudonyms
        self._lexicon = lexicon
        self._rules = rules
        self._images: list[Callable[[bytes], bytes]] = []
        self._columns: list[Callable[[bytes], bytes | None]] = []
        self._introduced: set[int] = set()
        """Anchors of which it was said what confirms them."""
        self._state: int | None = new_state(
            library,
            pseudonyms.pads,
            looks,
            domain_rank=ranks.get("identity.domain", 0),
            settling=pseudonyms.dictionary.settling,
        )
        for which, program in enumerate(map(make_program, (PHONE, RUNNING_TEXT.pattern))):
            if program is not None:
                sets = program.sets
                if not library.sieve_program(self._state, which, program.code, program.size, sets, len(sets) // 32):
                    self.close()
                    raise MemoryError
        literals = lexicon.literals if lexicon is not None else ()
        if literals:
            ends: list[int] = []
            at = 0
            for literal in literals:
                at += len(literal.text)
                kind = _BELOW if literal.below else _LABELS[literal.label]
                ends += (at, ranks[literal.rule], kind | (_ASK if literal.text.startswith(b"5b") else 0))
            texts = b"".join(literal.text for literal in literals)
            if not library.sieve_words(self._state, texts, len(texts), _numbers(ends), len(literals)):
                self.close()
                raise MemoryError

    def close(self) -> None:
        """Give the memory back."""
        state, self._state = self._state, None
        self._library.sieve_free(state)

    def __del__(self) -> None:
        """Give the memory back."""
        if getattr(self, "_state", None):
            self.close()

    def scan(self, buf: bytes, events: bytes) -> Sifted | None:
        """Look at *buf*, and at *events* of the scan of anchors; None where it is too much, and finders must do it.

        *events* are as `AnchorScanner.pack` gives them.
        """
        library = self._library
        scan = library.sieve_scan(self._state, buf, len(buf))
        if not scan:
            return None
        sifted = Sifted(library, scan, buf, self)
        left = events
        while left:
            if not library.sieve_confirm(scan, buf, len(buf), left, len(left) // 8):
                return None
            left = sifted.take(library.sieve_unknown)
            for index in {event & INDEX_MASK for event in array("Q", left)} - self._introduced:
                self._introduce(index)
                self._introduced.add(index)
            if left and not self._tell(sifted, scan):
                return None
        return sifted if self._tell(sifted, scan) and library.sieve_settle(scan, buf, len(buf)) else None

    def add_column(self, image: Callable[[bytes], bytes | None]) -> int:
        """Give the number of a kind of cells of which *image* tells what stands for each, nothing where it stays."""
        self._columns.append(image)
        return len(self._columns) - 1

    def settle(self, sifted: Sifted) -> None:
        """Take what was read besides into what was found.

        Raises:
            MemoryError: there is not enough.
        """
        if not (self._tell(sifted, sifted.scan) and sifted.settle()):
            raise MemoryError

    def _tell(self, sifted: Sifted, scan: int) -> bool:
        """Answer what is asked; say whether there was memory for it."""
        asked = sifted.take(self._library.sieve_asked)
        answers = b"".join(self._answers(asked))
        return not asked or bool(self._library.sieve_tell(scan, answers, len(answers)))

    def _introduce(self, index: int) -> None:
        """Say what confirms an anchor that is met for the first time."""
        rules = self._rules
        if self._state is None:
            return
        rank, first = rules.owners[index] if index < len(rules.owners) else (-1, index)
        rule = rules.ranked[rank] if rank >= 0 else None
        if rule is not None and rule.finder == "assignment":
            words = _SETTINGS, len(_SETTINGS), _MASKS, len(_MASKS)
            if not self._library.sieve_assignments(self._state, first, len(rule.anchors), rank, *words):
                raise MemoryError
            self._images.append(rule.image(self._pseudonyms))
            return
        written = rule.program() if rule is not None else None
        if rule is None or written is None:
            self._library.sieve_leave(self._state, first, len(rule.anchors) if rule is not None else 1)
            return
        flags = _TAG if rule.replace == "tag" and rule.check in {None, "varied"} else 0
        numbers = (rank, written.group, flags | (_VARIED if rule.check else 0), REACH, *([0] * _GROUPS))
        anchors = first, len(rule.anchors)
        add_rule(self._library, self._state, written.program, anchors=anchors, numbers=numbers, kind=rule.kind)
        self._images.append(rule.image(self._pseudonyms))

    def _answers(self, asked: bytes) -> Iterator[bytes]:
        """Say what each text becomes that is met for the first time, in order."""
        at = 0
        while at < len(asked):
            space, size = _HEAD.unpack_from(asked, at)
            at += _HEAD.size + size
            text = asked[at - size : at]
            made, extra = self._answer(space, text)
            yield _ANSWER.pack(_NONE if made is None else _KNOWN, extra, len(made or b"")) + (made or b"")

    def _answer(self, space: int, text: bytes) -> tuple[bytes | None, int]:
        if space == _HOST:
            host = mail_host(text)
            return (self._pseudonyms.host(host), len(host)) if host else (None, 0)
        if space == _NET:
            image, flips = self._pseudonyms.networks.net(text)
            return flips.to_bytes(32, "big") + image, 0
        if space == _PHONE:
            return bare_phone(self._pseudonyms, text)[1] or None, 0
        if space == _KEY_NAME:
            return b"", int(strength(text))
        if _FIRST_COLUMN <= space < _FIRST_RULE:
            return self._columns[space - _FIRST_COLUMN](text), 0
        return (self._images[space - _FIRST_RULE](text) or None if space >= _FIRST_RULE else self._name(space, text)), 0

    def _name(self, space: int, text: bytes) -> bytes | None:
        lexicon = self._lexicon
        if lexicon is None:
            return None
        if space < _FIRST_WORD:
            return lexicon.full_name(text, realm=space == _REALM_NAME)
        return lexicon.literals[space - _FIRST_WORD].image(text)


class Sifted:
    """What was found in one block."""

    def __init__(self, library: ctypes.CDLL, scan: int, buf: bytes, sieve: object) -> None:
        """Take *scan* over *buf*; what it looks at is kept, and so is *sieve*, which made it."""
        self._library = library
        self._scan = scan
        self._buf = buf
        self._sieve = sieve

    def __del__(self) -> None:
        """Give the memory back."""
        self._library.sieve_done(self._scan)

    def take(self, give: ctypes._NamedFuncPointer) -> bytes:
        """Copy what *give* has.

        Raises:
            MemoryError: there was not enough to make it.
        """
        pointer = ctypes.c_void_p()
        size: int = give(self._scan, ctypes.byref(pointer))
        if not size:
            return b""
        if pointer.value is None or size >= 1 << 32:
            raise MemoryError
        return ctypes.string_at(pointer.value, size)

    @property
    def scan(self) -> int:
        """What the library knows this by."""
        return self._scan

    def settle(self) -> bool:
        """Put in order what was found; say whether there was memory for it."""
        return bool(self._library.sieve_settle(self._scan, self._buf, len(self._buf)))

    def rows(self, pos: int, limit: int, separator: int, columns: ctypes.Array[ctypes.c_uint32]) -> int:
        """Read plain rows of a table from *pos* on, three numbers for each column; give where that ended.

        What it finds is there once all is settled.
        """
        buf = self._buf
        came: int = self._library.sieve_rows(
            self._scan, buf, len(buf), pos, limit, separator, columns, len(columns) // 3
        )
        return came if came <= len(buf) else pos

    def events(self) -> list[int]:
        """Give the places that finders must look at, as a scanner would."""
        return array("Q", self.take(self._library.sieve_events)).tolist()

    def names(self) -> list[int]:
        """Give the places that the lexicon must look at: ends of names, with the names' numbers."""
        return array("Q", self.take(self._library.sieve_names)).tolist()

    def runs(self) -> list[int]:
        """Give where runs of base64 or hexadecimal digits begin that may be text, as `RunFinder.starts` does.

        Raises:
            MemoryError: there is not enough.
        """
        if not self._library.sieve_runs(self._scan, self._buf, len(self._buf)):
            raise MemoryError
        return array("Q", self.take(self._library.sieve_told)).tolist()

    def candidates(self) -> list[Candidate]:
        """Give all that was found, in order."""
        made: list[Candidate] = []
        news, at = self.take(self._library.sieve_news), 0
        for start, end, _, rank, kind, _ in _HIT.iter_unpack(self.take(self._library.sieve_hits)):
            (size,) = _SIZE.unpack_from(news, at)
            at += 4 + size
            made.append((start, rank, -end, self._value(start, end, kind), news[at - size : at]))
        return made

    @property
    def is_small(self) -> bool:
        """Say whether so little was found that it is written at less cost one by one."""
        size: int = self._library.sieve_hits(self._scan, ctypes.byref(ctypes.c_void_p()))
        return size < _FEW * _HIT.size

    def values(self) -> Callable[[int], bytes]:
        """Give what tells the value of a hit by its number."""
        hits = self.take(self._library.sieve_hits)

        def value(number: int) -> bytes:
            start, end, _, _, kind, _ = _HIT.unpack_from(hits, number * _HIT.size)
            return self._value(start, end, kind)

        return value

    def _value(self, start: int, end: int, kind: int) -> bytes:
        text = self._buf[start:end]
        if kind in {_IPV4, _RULE}:
            return text
        if kind == _PHONE:
            return text.translate(None, NOT_DIGITS)
        return text.lower() if kind != _MAC else text.replace(b":", b"").lower()

    def fingerprints(self, notes: bytes, count: int, kinds: Kinds) -> list[str]:
        """Give the fingerprints of the first *count* of *notes*; what stands for one that Python found means nothing.

        Raises:
            MemoryError: there is not enough.
        """
        made = ctypes.create_string_buffer(_PRINT * count)
        buf, of_ranks = self._buf, (ctypes.c_uint32 * len(kinds.of_ranks))(*kinds.of_ranks)
        told = kinds.hashed, len(kinds.hashed), of_ranks, len(kinds.of_ranks)
        if not self._library.sieve_prints(self._scan, buf, len(buf), notes, count, *told, made):
            raise MemoryError
        digits = made.raw.hex()
        return [digits[at : at + 2 * _PRINT] for at in range(0, len(digits), 2 * _PRINT)]

    def counts(self, notes: bytes, count: int, ranks: int) -> list[int]:
        """Give for each of so many *ranks* how many of *notes* there are.

        Raises:
            ValueError: there are others.
        """
        made = (ctypes.c_uint32 * ranks)()
        if not self._library.sieve_counts(notes, count, made, ranks):
            raise ValueError("there are notes of other rules")
        return list(made)

    def distinctive(self, notes: bytes, count: int, secret: bytes, lengths: tuple[int, int]) -> list[int]:
        """Give the numbers of those among *notes* that the second look may remember; *secret* has a byte for each rank.

        Raises:
            MemoryError: there is not enough.
        """
        buf = self._buf
        if not self._library.sieve_secrets(self._scan, buf, len(buf), notes, count, secret, len(secret), *lengths):
            raise MemoryError
        return array("I", self.take(self._library.sieve_told)).tolist()

    def write(
        self, pos: int, limit: int, candidates: Sequence[Candidate], *, same_length: bool
    ) -> tuple[int, bytes, bytes]:
        """Write the block from *pos* anew, with the first of any that overlap replaced that begin before *limit*.

        *candidates*, in order, are what was found besides; the value of each is bytes. Give how far that came, what was
        written, and notes of what was replaced, as `Replaced` reads them.

        Raises:
            MemoryError: there is not enough.
        """
        buf, library = self._buf, self._library
        rows = b"".join(
            [_FOUND.pack(start, -end, rank, len(new), bool(value)) for start, rank, end, value, new in candidates]
        )
        news = b"".join([new for _, _, _, _, new in candidates])
        came: int = library.sieve_write(
            self._scan, buf, len(buf), pos, limit, rows, len(candidates), news, len(news), int(same_length)
        )
        if came > len(buf) or not library.sieve_write_rest(self._scan, buf, len(buf), came, max(came, limit)):
            raise MemoryError
        return came, self.take(library.sieve_written), self.take(library.sieve_notes)


_PRINT = 6
"""Bytes of a fingerprint (`Pseudonymizer.fingerprint`)."""
_FEW = 100
_SIZE = struct.Struct("=I")


def new_state(
    library: ctypes.CDLL,
    pads: tuple[bytes, bytes] = (bytes(64), bytes(64)),
    looks: Mapping[int, Look] = MappingProxyType({}),
    *,
    domain_rank: int = 0,
    settling: bool = False,
) -> int:
    """Give what the compiled part knows; without anything it looks for nothing. See native/sieve.h.

    Raises:
        MemoryError: there is not enough.
    """
    all_looks = [looks.get(number, Look(_NO_RANK, 0)) for number in range(len(_FINDERS))]
    state: int | None = library.sieve_new(
        *pads,
        _numbers(look.rank for look in all_looks),
        _numbers(look.anchor for look in all_looks),
        domain_rank,
        int(settling),
        _TAILS,
        _VERSIONS,
        len(_VERSIONS),
    )
    if not state:
        raise MemoryError
    return state


def add_rule(
    library: ctypes.CDLL, state: int, program: Program, *, anchors: tuple[int, int], numbers: tuple[int, ...], kind: str
) -> None:
    """Let *program* confirm *anchors*, which are the first one's number and how many they are; see native/sieve.h.

    Raises:
        MemoryError: there is not enough.
    """
    sets = program.sets
    if not library.sieve_rule(
        state, *anchors, _numbers(numbers), kind.encode(), program.code, program.size, sets, len(sets) // 32
    ):
        raise MemoryError


def _numbers(numbers: Iterable[int]) -> ctypes.Array[ctypes.c_uint32]:
    values: Sequence[int] = list(numbers)
    return (ctypes.c_uint32 * len(values))(*values)
