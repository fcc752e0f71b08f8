"""What was replaced in a block that the compiled part wrote: made into single notes only for whoever wants them."""

from __future__ import annotations

import struct
from collections import Counter
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from scrubber.candidate import Candidate, Noted
    from scrubber.rules import CompiledRule
    from scrubber.sieve import Sifted

_NOTE = struct.Struct("=i3I")
_OF_SIFTED = 0x80000000


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

    def _ranks(self) -> list[int]:
        return memoryview(self._notes).cast("i")[::4].tolist()

    def counts(self) -> Counter[str]:
        """Count them by their rules' ids."""
        ranked = self._ranked
        return Counter({ranked[rank].rule.id: count for rank, count in Counter(self._ranks()).items()})

    def secrets(self) -> Iterator[tuple[CompiledRule, bytes]]:
        """Give rule and value of those that are secrets."""
        ranks = self._ranks()
        secret = {rank for rank in set(ranks) if self._ranked[rank].rule.category == "secret"}
        if secret:
            ranked = self._ranked
            for rank, which in zip(ranks, memoryview(self._notes).cast("I")[3::4].tolist(), strict=True):
                if rank in secret:
                    yield ranked[rank], self._value(which)


def counts_of(noted: Notes) -> Counter[str]:
    """Count *noted* by their rules' ids."""
    if isinstance(noted, Replaced):
        return noted.counts()
    return Counter([rule.rule.id for rule, _, _, _ in noted])


def secrets_of(noted: Iterable[Noted]) -> Iterable[tuple[CompiledRule, bytes]]:
    """Give rule and value of the secrets among *noted*."""
    if isinstance(noted, Replaced):
        return noted.secrets()
    return [(rule, value) for rule, _, _, value in noted if rule.rule.category == "secret"]
