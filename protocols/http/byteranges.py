"""Several ranges of a file in one answer: `multipart/byteranges` (RFC 9110, section 14.6)."""

from __future__ import annotations

from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.http.conditions import Span


@dataclass(frozen=True, slots=True, kw_only=True)
class ByteRanges:
    """A body of several parts."""

    parts: tuple[tuple[bytes, Span], ...]
    """What stands before each part, and the part."""
    tail: bytes
    content_type: str

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return sum(len(head) + span.length for head, span in self.parts) + len(self.tail)


def byte_ranges(spans: Sequence[Span], size: int) -> ByteRanges:
    """Lay *spans* of a file of *size* bytes out, in the order in which they were asked for."""
    boundary = token_hex(16)
    parts = []
    for number, span in enumerate(spans):
        lines = (
            ("" if number == 0 else "\r\n") + f"--{boundary}",
            "Content-Type: application/octet-stream",
            f"Content-Range: bytes {span.start}-{span.end - 1}/{size}",
            "\r\n",
        )
        parts.append(("\r\n".join(lines).encode(), span))
    return ByteRanges(
        parts=tuple(parts),
        tail=f"\r\n--{boundary}--\r\n".encode(),
        content_type=f"multipart/byteranges; boundary={boundary}",
    )
