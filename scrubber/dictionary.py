"""What one case has learned: its users, hosts, domains and people by name, and pseudonyms that had to be settled.

It holds real names, so it leaves a process only sealed. `to_bytes` and `from_bytes` are the way in and out; merging
keeps what was learned first, so that the next upload agrees with the last.
"""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["user", "host", "domain", "realm", "person"]

KINDS: tuple[Kind, ...] = ("user", "host", "domain", "realm", "person")
MAX_TERMS = 50_000
MAX_SETTLED = 100_000


class Dictionary:
    """Learned names by kind, and which value owns which pseudonym where two could share one. Safe for threads."""

    def __init__(self, *, settling: bool = False) -> None:
        """Begin with nothing learned.

        *settling* is for one that is kept from upload to upload: where two values would share a pseudonym, the later
        one gets another, and the dictionary must be there ever after. Without it a pseudonym depends on the key alone.
        """
        self._settling = settling
        self._terms: dict[bytes, Kind] = {}
        self._owners: dict[bytes, bytes] = {}
        self._images: dict[bytes, bytes] = {}
        self._kept: dict[bytes, bytes] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """Count the names learned."""
        return len(self._terms)

    def __repr__(self) -> str:
        """Show nothing of what was learned."""
        return f"Dictionary({len(self._terms)} names)"

    def __contains__(self, value: bytes) -> bool:
        """Say whether *value* was learned, whatever its letters' case."""
        return value.lower() in self._terms

    def learn(self, kind: Kind, value: bytes) -> bool:
        """Add *value*, unless it is known already as anything or the dictionary is full; say whether it was added."""
        key = value.lower()
        if key in self._terms or len(self._terms) >= MAX_TERMS:
            return False
        self._terms[key] = kind
        return True

    def terms(self) -> Iterator[tuple[bytes, Kind]]:
        """Give each name, in lower case, with its kind, in the order in which they were learned."""
        yield from list(self._terms.items())

    def settle(self, slot: bytes, value: bytes, image: bytes, *, keep: bool) -> bool:
        """Give *image* to *value* of the kind *slot* and say yes, or say no if another value has it already.

        Only what is to *keep* is written by `to_bytes`: what the key alone does not say.
        """
        if not self._settling:
            return True
        key = slot + b"\0" + image
        with self._lock:
            owner = self._owners.get(key)
            if owner is None and len(self._owners) < MAX_SETTLED:
                self._owners[key] = value
                self._images[slot + b"\0" + value] = image
                if keep:
                    self._kept[key] = value
                return True
        return owner is None or owner == value

    def settled(self, slot: bytes, value: bytes) -> bytes | None:
        """Give the pseudonym that *value* of the kind *slot* was given before, None where it has none yet."""
        return self._images.get(slot + b"\0" + value)

    def merge(self, other: Dictionary) -> bool:
        """Add what *other* has and this has not; say whether that was anything."""
        before = (len(self._terms), len(self._kept))
        for value, kind in other.terms():
            self.learn(kind, value)
        for key, value in list(other._kept.items()):
            slot, _, image = key.partition(b"\0")
            self.settle(slot, value, image, keep=True)
        return before != (len(self._terms), len(self._kept))

    def to_bytes(self) -> bytes:
        """Write everything as JSON. It holds real names: seal it before it goes anywhere."""
        terms: dict[str, list[str]] = {kind: [] for kind in KINDS}
        for value, kind in self._terms.items():
            terms[kind].append(_text(value))
        owners: dict[str, dict[str, str]] = {}
        for key, value in self._kept.items():
            slot, _, image = key.partition(b"\0")
            owners.setdefault(_text(slot), {})[_text(image)] = _text(value)
        return json.dumps({"version": 1, "terms": terms, "settled": owners}, separators=(",", ":")).encode()

    @classmethod
    def from_bytes(cls, data: bytes, *, settling: bool = False) -> Dictionary:
        """Read what `to_bytes` wrote; empty bytes are an empty dictionary.

        Raises:
            ValueError: *data* is not such a dictionary.
        """
        made = cls(settling=settling)
        if not data:
            return made
        try:
            plain = json.loads(data)
            if plain["version"] != 1:
                raise ValueError("this dictionary was written by a newer version")
            for kind, values in plain["terms"].items():
                for value in values:
                    if kind in KINDS:
                        made.learn(cast("Kind", kind), _bytes(value))
            for slot, images in plain["settled"].items():
                for image, value in images.items():
                    made.settle(_bytes(slot), _bytes(value), _bytes(image), keep=True)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("these bytes are no dictionary") from error
        return made


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
