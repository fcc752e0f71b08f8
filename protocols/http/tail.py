"""What of a body waits to be written, and what is computed of all that is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from protocols.filesystem import WriteHandle

_FEW = 8
"""Pieces that are written one by one; more of them are small ones, and joined."""


class Running(Protocol):
    """Something that is computed of a body as it comes."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take *data* in."""


@dataclass(slots=True)
class Tail:
    """What of a body has come and is not written yet."""

    offset: int
    """Where the first of `pieces` belongs in the file."""
    pieces: list[bytes]
    size: int = 0
    checksum: Running | None = None
    """What is computed of all that is written."""

    def add(self, piece: bytes) -> None:
        """Keep *piece* for the next write."""
        self.pieces.append(piece)
        self.size += len(piece)

    def flush(self, handle: WriteHandle) -> None:
        """Write the pieces kept so far, and begin anew behind them; what is refused is dropped.

        A few large pieces are written as they are: joining them would copy every byte once more.
        """
        pieces, self.pieces, self.size = self.pieces, [], 0
        behind = self.offset + sum(map(len, pieces))
        try:
            for piece in pieces if len(pieces) <= _FEW else [b"".join(pieces)]:
                self.write(handle, piece)
        finally:
            self.offset = behind

    def write(self, handle: WriteHandle, piece: bytes | memoryview) -> None:
        """Write *piece* behind all that was written before; what is refused is dropped."""
        offset, self.offset = self.offset, self.offset + len(piece)
        if self.checksum is not None:
            self.checksum.update(piece)
        handle.write(offset, piece)
