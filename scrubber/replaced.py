"""What was replaced in a block that the compiled part wrote: made into single notes only for whoever wants them."""

from __future__ import annotations

import itertools
import struct
from collections import Counter
from functools import cached_property, lru_cache
from itertools import compress
from typing import TYPE_CHECKING, Protocol, overload

from scrubber.sieve import Kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scrubber.candidate import Candidate, Noted
    from scrubber.pseudonym import Pseudonymizer
    from scrubber.rules import CompiledRule
    from scrubber.sieve import Sifted

_NOTE = struct.Struct("=i3I")
_OF_SIFTED = 0x80000000
DISTINCTIVE = (16, 512)
"""How long a secret is, at least and at most, that the second look remembers."""
Place = tuple[str, int, int, str]
"""Rule, offset and length in the output, fingerprint."""


class Notes(Protocol):
    """Replacements in order: a list of them, or what can give them."""

    def __len__(self) -> int:
        """Count them."""
        ...

    def __iter__(self) -> Iterator[Noted]:
        """Give one after the other."""
        ...

    @overload
    def __getitem__(self, index: int, /) -> Noted: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Noted]: ...


class Replaced:
    """What was replaced in one block, of which the output begins at a byte of the whole output."""

    def __init__(
        self,
        notes: bytes,
        sifted: Sifted,
        candidates: Sequence[Candidate],
        ranked: Sequence[CompiledRule],
        base: int,
    ) -> None:
        self._notes = notes
        self._sifted = sifted
        self._candidates = candidates
        self._ranked = ranked
        self._base = base

    def __len__(self) -> int:
        """Count them."""
        return len(self._notes) // _NOTE.size

    def __iter__(self) -> Iterator[Noted]:
        """Give one after the other."""
        return self._between(0, len(self))

    @overload
    def __getitem__(self, index: int, /) -> Noted: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[Noted]: ...
    def __getitem__(self, index: int | slice, /) -> Noted | list[Noted]:
        """Give one of them, or some."""
        if isinstance(index, int):
            return next(self._between(range(len(self))[index], len(self)))
        first, last, step = index.indices(len(self))
        return list(self._between(first, last))[::step] if step > 0 else list(self)[index]

    def _between(self, first: int, last: int) -> Iterator[Noted]:
        base, ranked = self._base, self._ranked
        for rank, offset, size, which in _NOTE.iter_unpack(self._notes[first * _NOTE.size : last * _NOTE.size]):
            yield ranked[rank], base + offset, size, self._value(which)

    def _value(self, which: int) -> bytes:
        if which >= _OF_SIFTED:
            return self._value_of(which - _OF_SIFTED)
        value = self._candidates[which][3]
        return value if isinstance(value, bytes) else b""

    @cached_property
    def _value_of(self) -> Callable[[int], bytes]:
        return self._sifted.values()

    @cached_property
    def _of_ranks(self) -> list[int]:
        """How many there are of each rank."""
        return self._sifted.counts(self._notes, len(self), len(self._ranked))

    def counts(self) -> Counter[str]:
        """Count them by their rules' ids."""
        return Counter({rule.rule.id: count for rule, count in zip(self._ranked, self._of_ranks, strict=True) if count})

    def secrets(self) -> Iterator[tuple[CompiledRule, bytes]]:
        """Give rule and value of those that are secrets and may be distinctive: `secondlook.is_distinctive`."""
        ranked = self._ranked
        secret = bytes(rule.rule.category == "secret" for rule in ranked)
        if any(compress(self._of_ranks, secret)):
            ranks, which = memoryview(self._notes).cast("i")[::4], memoryview(self._notes).cast("I")[3::4]
            for number in self._sifted.distinctive(self._notes, len(self), secret, DISTINCTIVE):
                yield ranked[ranks[number]], self._value(which[number])

    def places(self, count: int, pseudonyms: Pseudonymizer) -> list[Place]:
        """Give the first *count* of them; *pseudonyms* are those that they were replaced by."""
        count = min(count, len(self))
        ranked = self._ranked
        prints = self._sifted.fingerprints(self._notes, count, _kinds_of(tuple(rule.kind for rule in ranked)))
        return [
            (
                ranked[rank].rule.id,
                self._base + offset,
                size,
                known if which >= _OF_SIFTED else pseudonyms.fingerprint(ranked[rank].kind, self._value(which)),
            )
            for (rank, offset, size, which), known in zip(
                _NOTE.iter_unpack(self._notes[: count * _NOTE.size]), prints, strict=True
            )
        ]


@lru_cache(maxsize=8)
def _kinds_of(ranked: tuple[str, ...]) -> Kinds:
    """Give what `Pseudonymizer.fingerprint` hashes with the values of each rank."""
    hashed = [b"fingerprint:" + kind.encode() + b"\0" for kind in ranked]
    return Kinds(b"".join(hashed), (0, *itertools.accumulate(map(len, hashed[:-1]))))


def counts_of(noted: Notes) -> Counter[str]:
    """Count *noted* by their rules' ids."""
    if isinstance(noted, Replaced):
        return noted.counts()
    return Counter([rule.rule.id for rule, _, _, _ in noted])


def places_of(noted: Notes, count: int, pseudonyms: Pseudonymizer) -> list[Place]:
    """Give the first *count* of *noted*, each with its fingerprint under *pseudonyms*."""
    if isinstance(noted, Replaced):
        return noted.places(count, pseudonyms)
    fingerprint = pseudonyms.fingerprint
    return [
        (rule.rule.id, offset, length, fingerprint(rule.kind, value)) for rule, offset, length, value in noted[:count]
    ]


def secrets_of(noted: Iterable[Noted]) -> Iterable[tuple[CompiledRule, bytes]]:
    """Give rule and value of the secrets among *noted*, of all that `secondlook.is_distinctive` may be true of."""
    if isinstance(noted, Replaced):
        return noted.secrets()
    return [(rule, value) for rule, _, _, value in noted if rule.rule.category == "secret"]
