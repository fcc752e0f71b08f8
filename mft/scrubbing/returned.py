"""What a scanner passes on of a file, as chunks of HTTP (RFC 9112, section 7.1): the same bytes, or others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mft.scrubbing.wire import WireError

if TYPE_CHECKING:
    from scrubber.model import Source

_LONGEST_LINE = 8192


class Returned:
    """A chunked body that comes back, held against what was sent as it comes."""

    def __init__(self, source: Source) -> None:
        """Hold it against *source*."""
        self._source = source
        self._held = bytearray()
        self._at = 0
        self._left = 0
        self.same = True
        """Whether all that came is what was sent."""
        self.ended = False
        """Whether its last chunk has come."""

    def take(self, data: bytes) -> None:
        """Take in what has come.

        Raises:
            WireError: it is cut up wrongly.
        """
        self._held += data
        while self.same and not self.ended and self._held:
            if self._left > 2:
                self._compare(min(len(self._held), self._left - 2))
            elif self._left:  # the line's end after a chunk
                dropped = min(len(self._held), self._left)
                del self._held[:dropped]
                self._left -= dropped
            elif not self._begin():
                return

    def _compare(self, size: int) -> None:
        self.same = self._source.read(self._at, size) == self._held[:size]
        del self._held[:size]
        self._at += size
        self._left -= size

    def _begin(self) -> bool:
        """Read the line that a chunk begins with; say whether it was there."""
        end = self._held.find(b"\n")
        if end < 0 and len(self._held) < _LONGEST_LINE:
            return False
        text = bytes(self._held[: max(end, 0)]).split(b";")[0].strip()
        if not text or len(text) > 15 or not set(text) <= set(b"0123456789abcdefABCDEF"):
            raise WireError("its answer is cut up wrongly")
        del self._held[: end + 1]
        size = int(text, 16)
        if size:
            self._left = size + 2
            self.same = self._at + size <= self._source.size
        else:
            self.ended = True
            self.same = self._at == self._source.size
        return True
