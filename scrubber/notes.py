"""What a reading ahead writes down of each segment of each text, as bytes: places and kinds, and lines that change.

Whoever reads them believes nothing that he can see for himself: which bytes a segment has, and how long it is.
"""

from __future__ import annotations

import base64
import json
import struct
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, cast

from scrubber.coding import crc32
from scrubber.patch import apply_patch, make_patch
from scrubber.tally import Tally

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from scrubber.segments import Cut

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One segment of one text."""

    text: int
    """Number of the text in its upload, in the order in which they are met."""
    segment: int
    final: bool
    size: int
    check: int
    """`sum_of` its bytes."""
    known: int
    """How many names were known when it was scrubbed."""
    since: int | None
    """Byte of the text at which its output begins; None: before what whoever reads this has in hand."""
    until: int
    state: str | None
    """Of whoever scrubbed it, at its end; None where nobody else can be in it."""
    clean: bool
    """Whether somebody who begins behind it is in that state."""
    blanked: int
    tally: Tally | None = field(repr=False)
    patch: bytes = field(repr=False)
    """What makes the output of the input."""

    def to_bytes(self) -> bytes:
        """Write it."""
        tally = None
        if self.tally is not None:
            secrets = [[rule, base64.b64encode(value).decode()] for rule, value in self.tally.secrets]
            tally = {"counts": self.tally.counts, "secrets": secrets, "places": self.tally.places}
        names = ("text", "segment", "final", "size", "check", "known", "since", "until", "state", "clean", "blanked")
        head = json.dumps({**{name: getattr(self, name) for name in names}, "tally": tally}).encode()
        return _LENGTH.pack(len(head)) + head + self.patch

    @classmethod
    def from_bytes(cls, data: bytes) -> Note:
        """Read what `to_bytes` wrote.

        Raises:
            ValueError: it is none.
        """
        try:
            end = _LENGTH.size + _LENGTH.unpack_from(data)[0]
            head: dict[str, Any] = json.loads(data[_LENGTH.size : end])
            told = head.pop("tally")
            tally = None
            if told is not None:
                tally = Tally(
                    counts=Counter(told["counts"]),
                    secrets=[(rule, base64.b64decode(value)) for rule, value in told["secrets"]],
                    places=[cast("tuple[str, int, int, str]", tuple(place)) for place in told["places"]],
                )
            return cls(**head, tally=tally, patch=data[end:])
        except (struct.error, KeyError, TypeError) as error:
            raise ValueError("these bytes are no note of a segment") from error

    def is_of(self, cut: Cut) -> bool:
        """Say whether *cut* has the bytes that this was made of."""
        segment = cut.segment
        same = self.final == segment.final and self.size == sum(map(len, segment.pieces))
        return same and self.check == sum_of(segment.pieces)

    def output(self, cut: Cut) -> bytes:
        """Give what scrubbing *cut* gives.

        Raises:
            ValueError: it was made of other bytes.
        """
        return apply_patch(_window(cut, self.since, self.until), self.patch)


def patch_for(cut: Cut, since: int, until: int, output: bytes) -> tuple[int | None, bytes]:
    """Give from where on *output* is written as changes of *cut*'s text, None for not at all, and these changes."""
    start: int | None = since if since >= cut.at - len(cut.context) else None
    return start, make_patch(_window(cut, start, until), output)


def _window(cut: Cut, since: int | None, until: int) -> bytes:
    if since is None:
        return b""
    text = b"".join((cut.context, *cut.segment.pieces))
    base = cut.at - len(cut.context)
    return text[since - base : until - base]


def sum_of(pieces: Iterable[bytes]) -> int:
    """Give a check sum of a segment's bytes: whether it is the segment that was noted, not whether it was altered."""
    made = 0
    for piece in pieces:
        made = crc32(piece, made)
    return made


def state_of(state: Hashable) -> str | None:
    """Give a `handover` as text that can be compared in another process; None for one that nothing is equal to."""
    return None if _is_its_own(state) else blake2b(repr(state).encode(), digest_size=16).hexdigest()


def _is_its_own(state: Hashable) -> bool:
    return type(state) is object or (isinstance(state, tuple) and any(map(_is_its_own, state)))
