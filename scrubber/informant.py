"""Read what texts tell of who is who with the compiled part: `Learner` without a step for each place.

It reads at the events of the scan of anchors, and gives each value once that it was told.
"""

from __future__ import annotations

import struct
from array import array
from typing import TYPE_CHECKING, NamedTuple

from scrubber.anchor import INDEX_MASK
from scrubber.programs import make_program
from scrubber.sieve import Sifted, add_rule, new_state

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Iterator

_HEAD = struct.Struct("=2I")
_GROUPS = 32
_LINES = 16


class Expression(NamedTuple):
    """What reads at an anchor."""

    expression: bytes
    flags: int
    kinds: tuple[str | None, ...]
    """For each group what it tells, if anything."""
    lines: bool = False
    """Whether an anchor anywhere says that all lines are to be read; the expression begins with a line break."""


class Informant:
    """Tells what it reads for the first time. One for each thread."""

    def __init__(self, library: ctypes.CDLL, expression_at: Callable[[int], Expression | None]) -> None:
        """Read by what *expression_at* gives for an anchor's number, nothing for one that is not read here.

        Raises:
            MemoryError: there is not enough.
        """
        self._library = library
        self._expression_at = expression_at
        self._state = new_state(library)
        self._kinds: list[str] = []

    def __del__(self) -> None:
        """Give the memory back."""
        if getattr(self, "_state", None):
            self._library.sieve_free(self._state)

    def forget(self) -> None:
        """Take everything as if it were told for the first time."""
        self._library.sieve_forget(self._state)

    def read(self, buf: bytes, events: bytes) -> tuple[list[tuple[str, bytes]], list[int]] | None:
        """Give what *buf* tells at *events*, and the events that are to be read by others; None where it gave up.

        *events* are as `AnchorScanner.pack` gives them.
        """
        library = self._library
        scan = library.sieve_scan(self._state, buf, len(buf))
        if not scan:
            return None
        read = Sifted(library, scan, buf, self)
        while True:
            if not library.sieve_learn(scan, buf, len(buf), events, len(events) // 8):
                return None
            unknown = array("Q", read.take(library.sieve_unknown))
            if not unknown:
                return list(self._told(read.take(library.sieve_told))), read.events()
            for index in {event & INDEX_MASK for event in unknown}:
                self._introduce(index)

    def _introduce(self, index: int) -> None:
        """Say what reads at an anchor that is met for the first time."""
        known = self._expression_at(index)
        program = make_program(known.expression, known.flags) if known is not None else None
        if known is None or program is None:
            self._library.sieve_leave(self._state, index, 1)
            return
        kinds = [0] * _GROUPS
        for group, kind in enumerate(known.kinds, 1):
            if kind is not None:
                if kind not in self._kinds:
                    self._kinds.append(kind)
                kinds[group] = self._kinds.index(kind) + 1
        numbers = (0, 0, _LINES if known.lines else 0, 0, *kinds)
        add_rule(self._library, self._state, program, anchors=(index, 1), numbers=numbers, kind="")

    def _told(self, told: bytes) -> Iterator[tuple[str, bytes]]:
        at = 0
        while at < len(told):
            kind, size = _HEAD.unpack_from(told, at)
            at += _HEAD.size + size
            yield self._kinds[kind], told[at - size : at]
