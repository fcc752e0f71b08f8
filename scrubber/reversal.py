"""Write down which value each pseudonym stands for, for the one who may know: the customer.

Personal data alone: what a secret was is in nobody's list. The list is as sensitive as what was sent; whoever keeps it
seals it first (`ReverseMap.to_bytes` is plaintext).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scrubber.pseudonym import Pseudonymizer

if TYPE_CHECKING:
    from scrubber.dictionary import Dictionary

SEALED_FOR = b"reverse-map.mft.v1"
"""What a list is sealed for, so that nothing else that is sealed to the same key passes for one."""
MAX_PAIRS = 200_000
MAX_BYTES = 8 * 2**20
_LONGEST = 512


class ReverseMap:
    """Pseudonyms with the values that they stand for."""

    def __init__(self) -> None:
        """Begin with none."""
        self._values: dict[bytes, bytes] = {}
        self._size = 0
        self.left_out = 0
        """Pairs beyond what a list holds."""

    def __len__(self) -> int:
        """Count the pairs."""
        return len(self._values)

    def __repr__(self) -> str:
        """Show nothing of it."""
        return f"ReverseMap({len(self._values)} pairs)"

    def add(self, pseudonym: bytes, value: bytes) -> bytes:
        """Note that *pseudonym* stands for *value*; give it back."""
        if pseudonym in self._values or pseudonym == value:
            return pseudonym
        size = len(pseudonym) + len(value)
        if len(self._values) >= MAX_PAIRS or self._size + size > MAX_BYTES or size > _LONGEST:
            self.left_out += 1
        else:
            self._values[pseudonym] = value
            self._size += size
        return pseudonym

    def to_bytes(self) -> bytes:
        """Write it as JSON: `{"version": 1, "left_out": N, "pairs": {pseudonym: value}}`. Plaintext: seal it."""
        pairs = {_text(pseudonym): _text(value) for pseudonym, value in self._values.items()}
        document = {"version": 1, "left_out": self.left_out, "pairs": dict(sorted(pairs.items()))}
        return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


class RecordingPseudonymizer(Pseudonymizer):
    """Makes the same pseudonyms, and notes in a list what each stands for."""

    is_plain = False

    def __init__(self, key: bytes, dictionary: Dictionary | None, reverse: ReverseMap) -> None:
        """Note into *reverse*."""
        super().__init__(key, dictionary)
        self._reverse = reverse

    def ipv4(self, text: bytes) -> bytes:
        """Map an IPv4 address."""
        return self._reverse.add(super().ipv4(text), text)

    def ipv6(self, text: bytes) -> bytes:
        """Map an IPv6 address."""
        return self._reverse.add(super().ipv6(text), text)

    def mac(self, text: bytes) -> bytes:
        """Map a MAC address."""
        return self._reverse.add(super().mac(text), text)

    def email(self, text: bytes) -> bytes:
        """Map an e-mail address."""
        return self._reverse.add(super().email(text), text)

    def host(self, text: bytes) -> bytes:
        """Map a host name."""
        return self._reverse.add(super().host(text), text)

    def domain(self, text: bytes) -> bytes:
        """Map a domain."""
        return self._reverse.add(super().domain(text), text)

    def word(self, kind: str, text: bytes) -> bytes:
        """Map a word."""
        return self._reverse.add(super().word(kind, text), text)

    def card(self, text: bytes) -> bytes:
        """Map a card number."""
        return self._reverse.add(super().card(text), text)

    def iban(self, text: bytes) -> bytes:
        """Map an IBAN."""
        return self._reverse.add(super().iban(text), text)

    def phone(self, text: bytes, country: int) -> bytes:
        """Map a telephone number."""
        return self._reverse.add(super().phone(text, country), text)

    def ssn(self, text: bytes) -> bytes:
        """Map a US social security number."""
        return self._reverse.add(super().ssn(text), text)

    def sid(self, text: bytes) -> bytes:
        """Map a Windows SID."""
        return self._reverse.add(super().sid(text), text)

    def national(self, kind: str, text: bytes) -> bytes:
        """Map a national number."""
        return self._reverse.add(super().national(kind, text), text)

    def date(self, text: bytes) -> bytes:
        """Map a date."""
        return self._reverse.add(super().date(text), text)
