"""What one case has learned: its users, hosts, domains and people by name, and pseudonyms that had to be settled.

It holds real names, so it leaves a process only sealed. `to_bytes` and `from_bytes` are the way in and out; merging
keeps what was learned first, so that the next upload agrees with the last.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["user", "host", "domain", "realm", "person", "program"]

KINDS: tuple[Kind, ...] = ("user", "host", "domain", "realm", "person", "program")
"""What a name may be. A program's stays: that the customer calls it so says whose login of that name is nobody's."""
MAX_TERMS = 50_000
MAX_SETTLED = 100_000
MAX_TERM = 256
"""Bytes of a name: no host's, domain's or person's is longer (RFC 1035, section 2.3.4)."""
MAX_IMAGE = 64
"""Bytes of a slot, an owner and an image that are settled."""
MAX_BYTES = 32 * 2**20
"""Of a dictionary as `to_bytes` writes it."""


class Dictionary:
    """Learned names by kind, and which value owns which pseudonym where two could share one. Safe for threads."""

    def __init__(self, *, settling: bool = False) -> None:
        """Begin with nothing learned.

        *settling* is for one that is kept from upload to upload: where two values would share a pseudonym, the later
        one gets another, and the dictionary must be there ever after. Without it a pseudonym depends on the key alone.
        """
        self._settling = settling
        self._terms: dict[bytes, Kind] = {}
        self._overruled = 0
        self._owners: dict[bytes, bytes] = {}
        self._images: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the names learned."""
        return len(self._terms)

    @property
    def extent(self) -> int:
        """Count all that it holds, and what it has learned better: it only ever rises."""
        return len(self._terms) + len(self._owners) + self._overruled

    @property
    def overruled(self) -> int:
        """Count the logins that turned out to be programs."""
        return self._overruled

    def __repr__(self) -> str:
        """Show nothing of what was learned."""
        return f"Dictionary({len(self._terms)} names)"

    def __contains__(self, value: bytes) -> bool:
        """Say whether *value* was learned, whatever its letters' case."""
        return value.lower() in self._terms

    @property
    def settling(self) -> bool:
        """Say whether the later of two values that would share a pseudonym gets another."""
        return self._settling

    def learn(self, kind: Kind, value: bytes) -> bool:
        """Add *value*, unless it is known already or the dictionary is full; say whether it was added.

        A login that is a program's as well is that: called after the program, it is nobody's.
        """
        key = value.lower()
        if kind == "program" and self._terms.get(key) == "user":
            self._terms[key] = kind
            self._overruled += 1
            return True
        if key in self._terms or len(self._terms) >= MAX_TERMS or not 0 < len(key) <= MAX_TERM:
            return False
        self._terms[key] = kind
        return True

    def terms(self) -> Iterator[tuple[bytes, Kind]]:
        """Give each name, in lower case, with its kind, in the order in which they were learned."""
        yield from list(self._terms.items())

    def settle(self, slot: bytes, value: bytes, image: bytes) -> bool:
        """Give *image* to *value* of the kind *slot* and say yes, or say no if another value has it already.

        The first image that a value was given stays its own.
        """
        if not self._settling:
            return True
        key, own = slot + b"\0" + image, slot + b"\0" + value
        with self._lock:
            owner = self._owners.get(key)
            short = max(len(slot), len(value), len(image)) <= MAX_IMAGE
            if owner is None and own not in self._images and short and len(self._owners) < MAX_SETTLED:
                self._owners[key] = value
                self._images[own] = image
                return True
        return owner is None or owner == value

    def settled(self, slot: bytes, value: bytes) -> bytes | None:
        """Give the pseudonym that *value* of the kind *slot* was given before, None where it has none yet."""
        return self._images.get(slot + b"\0" + value)

    def merge(self, other: Dictionary) -> bool:
        """Add what *other* has and this has not; say whether that was anything. Where they differ, this one stays."""
        before = self.extent
        for value, kind in other.terms():
            self.learn(kind, value)
        for key, value in list(other._owners.items()):
            slot, _, image = key.partition(b"\0")
            self.settle(slot, value, image)
        return self.extent > before

    def contradicts(self, other: Dictionary) -> bool:
        """Say whether a value has one pseudonym here and another there, or two values share one."""
        return any(self._owners.get(key, value) != value for key, value in list(other._owners.items())) or any(
            self._images.get(own, image) != image for own, image in list(other._images.items())
        )

    def to_bytes(self) -> bytes:
        """Write everything, in records that `from_bytes` reads. It holds real names: seal it before it goes anywhere.

        A record is a letter for its kind, then texts, each behind its length in two bytes (big-endian): a name, or
        slot, image and owner of what was settled.
        """
        made = bytearray(_HEAD)
        for value, kind in self.terms():
            made += _LETTERS[kind] + _framed(value)
        for key, value in list(self._owners.items()):
            slot, _, image = key.partition(b"\0")
            made += _SETTLED + _framed(slot) + _framed(image) + _framed(value)
        return bytes(made)

    @classmethod
    def from_bytes(cls, data: bytes, *, settling: bool = False) -> Dictionary:
        """Read what `to_bytes` wrote; empty bytes are an empty dictionary.

        Whoever wrote *data* need not be trusted: no record is longer, and there are no more of them, than a dictionary
        has, and reading takes no more memory than that.

        Raises:
            ValueError: *data* is not such a dictionary.
        """
        made = cls(settling=settling)
        if not data:
            return made
        if len(data) > MAX_BYTES or not data.startswith(_HEAD):
            raise ValueError("these bytes are no dictionary, or one of a newer version")
        at, count = len(_HEAD), 0
        while at < len(data):
            letter, at, count = data[at : at + 1], at + 1, count + 1
            if count > MAX_TERMS + MAX_SETTLED:
                raise ValueError("a dictionary has not so many records")
            if letter == _SETTLED:
                slot, at = _unframed(data, at, MAX_IMAGE)
                image, at = _unframed(data, at, MAX_IMAGE)
                value, at = _unframed(data, at, MAX_IMAGE)
                made.settle(slot, value, image)
            elif letter in _KINDS:
                value, at = _unframed(data, at, MAX_TERM)
                made.learn(_KINDS[letter], value)
            else:
                raise ValueError("a dictionary has no such record")
        return made


_HEAD = b"mft names 1\n"
_SETTLED = b"="
_LETTERS: dict[Kind, bytes] = {
    "user": b"u",
    "host": b"h",
    "domain": b"d",
    "realm": b"r",
    "person": b"p",
    "program": b"a",
}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}


def _framed(text: bytes) -> bytes:
    return len(text).to_bytes(2, "big") + text


def _unframed(data: bytes, at: int, most: int) -> tuple[bytes, int]:
    begin = at + 2
    end = begin + int.from_bytes(data[at:begin], "big")
    if not begin < end <= min(len(data), begin + most):
        raise ValueError("a dictionary has a record that is too long, or cut off")
    return data[begin:end], end
