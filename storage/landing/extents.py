"""Which bytes of a file lie in which record of its log. Pure: no file, no key.

Arrays, not objects: 28 bytes an extent, so that a sequential file of 40 GB takes some 5 MB.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """A run of bytes that one record holds."""

    start: int
    """First byte, from the start of the file."""
    length: int
    position: int
    """Where the record begins in the log."""
    number: int
    """The record's number."""
    skip: int
    """How many bytes of the record's plaintext come before this run."""

    @property
    def end(self) -> int:
        """First byte behind the run."""
        return self.start + self.length


class ExtentIndex:
    """The runs of a file in order, none overlapping: of two records for one byte the later one wins."""

    def __init__(self) -> None:
        """Begin with an empty file."""
        self._starts = array("Q")
        self._lengths = array("I")
        self._positions = array("Q")
        self._numbers = array("I")
        self._skips = array("I")
        self._prefix = 0
        self._size = 0

    def __len__(self) -> int:
        """Count the runs."""
        return len(self._starts)

    @property
    def prefix(self) -> int:
        """How many bytes from the first on are there without a hole."""
        return self._prefix

    @property
    def size(self) -> int:
        """End of the file: of the farthest byte, or where a truncation put it."""
        return self._size

    def add(self, extent: Extent) -> None:
        """Take *extent* in; what it covers of others is hidden from now on."""
        at = len(self._starts)
        if at and extent.start < self._starts[-1] + self._lengths[-1]:
            self._make_room(extent.start, extent.end)
            at = bisect_right(self._starts, extent.start)
        self._insert(at, extent)
        self._size = max(self._size, extent.end)
        if extent.start <= self._prefix < extent.end:
            self._prefix = self.contiguous_end(extent.end)

    def truncate(self, size: int) -> None:
        """End the file at *size*: what lies behind is gone, and what is missing before is a hole."""
        if size < self._size:
            self._make_room(size, self._size)
        self._size = size
        self._prefix = min(self._prefix, size)

    def contiguous_end(self, offset: int) -> int:
        """Return the end of the bytes that follow *offset* without a hole; *offset* itself if it is one."""
        at = bisect_right(self._starts, offset) - 1
        if at >= 0 and self._starts[at] + self._lengths[at] > offset:
            offset = self._starts[at] + self._lengths[at]
        at += 1
        while at < len(self._starts) and self._starts[at] == offset:
            offset += self._lengths[at]
            at += 1
        return offset

    def find(self, offset: int, end: int) -> list[Extent]:
        """Return the runs that overlap the bytes from *offset* to *end*, in order, whole."""
        at = max(0, bisect_right(self._starts, offset) - 1)
        found = []
        while at < len(self._starts) and self._starts[at] < end:
            extent = self._get(at)
            if extent.end > offset:
                found.append(extent)
            at += 1
        return found

    def _make_room(self, start: int, end: int) -> None:
        """Cut the bytes from *start* to *end* out of the runs that are there."""
        covered = self.find(start, end)
        if not covered:
            return
        at = bisect_right(self._starts, covered[0].start) - 1
        for column in self._columns:
            del column[at : at + len(covered)]
        first, last = covered[0], covered[-1]
        if last.end > end:
            cut = end - last.start
            self._insert(
                at,
                Extent(
                    start=end,
                    length=last.end - end,
                    position=last.position,
                    number=last.number,
                    skip=last.skip + cut,
                ),
            )
        if first.start < start:
            self._insert(
                at,
                Extent(
                    start=first.start,
                    length=start - first.start,
                    position=first.position,
                    number=first.number,
                    skip=first.skip,
                ),
            )

    @property
    def _columns(self) -> tuple[array[int], ...]:
        return self._starts, self._lengths, self._positions, self._numbers, self._skips

    def _insert(self, at: int, extent: Extent) -> None:
        self._starts.insert(at, extent.start)
        self._lengths.insert(at, extent.length)
        self._positions.insert(at, extent.position)
        self._numbers.insert(at, extent.number)
        self._skips.insert(at, extent.skip)

    def _get(self, at: int) -> Extent:
        return Extent(
            start=self._starts[at],
            length=self._lengths[at],
            position=self._positions[at],
            number=self._numbers[at],
            skip=self._skips[at],
        )
