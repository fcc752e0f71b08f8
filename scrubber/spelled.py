"""Make the pseudonyms of addresses that are not written as usual, in the layout that they have.

Net-SNMP leaves noughts out of MAC addresses, switches write them in two groups or three, DHCP as digits alone; reverse
zones of DNS (RFC 1035 section 3.5, RFC 3596) turn an address round, grants of MySQL's write half of it, FTP puts commas
into it. What stands for an address so spelled is what stands for it anywhere.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING

from scrubber.addresses import MAC_GROUPS
from scrubber.contacts import country_digits, is_phone_pseudonym

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.pseudonym import Pseudonymizer

_MARKS = re.compile(rb"[^0-9A-Fa-f]+")
_STATION = 12


def station_digits(text: bytes) -> bytes:
    """Give the twelve digits of a MAC address, in small letters; b"" where they are not as many."""
    groups = [group for group in _MARKS.split(text) if group]
    digits = b"".join(group.zfill(2) for group in groups) if len(groups) == 6 else b"".join(groups)
    return digits.lower() if len(digits) == _STATION else b""


def is_station(text: bytes) -> bool:
    """Say whether *text* is one station's address: not null, not broadcast, no group's, and none of our own."""
    digits = station_digits(text)
    return len(set(digits)) > 2 and not digits.startswith(MAC_GROUPS)


def is_part(text: bytes, mark: bytes = b".") -> bool:
    """Say whether *text* is an IPv4 address or its beginning, not loopback, multicast or reserved."""
    octets = [octet for octet in text.split(mark) if octet]
    return (
        0 < len(octets) <= 4
        and all(len(octet) <= 3 and int(octet) <= 255 for octet in octets)
        and 0 < int(octets[0]) < 224
        and int(octets[0]) != 127
    )


def is_prefix(text: bytes) -> bool:
    """Say whether the digits of *text*, from behind, begin a global, unique local or link-local IPv6 address."""
    head = b"".join(text.split(b".")[::-1]).lower()
    return head.startswith((b"2", b"3", b"fc", b"fd", b"fe8")) and not head.startswith((b"20010db8",))


SPELLED: dict[str, Callable[[bytes], bool]] = {
    "station": is_station,
    "octets": is_part,
    "octets_listed": lambda text: is_part(text, b","),
    "octets_reversed": lambda text: is_part(b".".join(reversed(text.split(b".")))),
    "nibbles": is_prefix,
}
"""What a rule may name in `check`, for its spelling."""


def spellings(pseudonyms: Pseudonymizer) -> dict[str, Callable[[bytes], bytes]]:
    """Give what makes the pseudonym of each spelling that a rule may name in `replace`."""
    return {
        "iban": pseudonyms.iban,
        "ipv4": pseudonyms.ipv4,
        "person": pseudonyms.person,
        "phone": partial(_phone, pseudonyms),
        "station": partial(_station, pseudonyms),
        "wildcard": partial(_joined, pseudonyms, b"."),
        "commas": partial(_joined, pseudonyms, b","),
        "reverse": partial(_reversed, pseudonyms),
        "nibbles": partial(_nibbles, pseudonyms),
    }


def _phone(pseudonyms: Pseudonymizer, text: bytes) -> bytes:
    """Give the same as wherever the number stands behind a key; nothing for one that was made."""
    return b"" if is_phone_pseudonym(text) else pseudonyms.phone(text, country_digits(text))


def _station(pseudonyms: Pseudonymizer, text: bytes) -> bytes:
    digits = station_digits(text)
    colons = b":".join(digits[at : at + 2] for at in range(0, _STATION, 2))
    made = pseudonyms.mac(colons)
    plain = _MARKS.sub(b"", text)
    if len(plain) != _STATION:
        return made
    following = iter(made.replace(b":", b"").decode())
    laid = "".join(next(following) if chr(c) in "0123456789abcdefABCDEF" else chr(c) for c in text)
    return (laid.upper() if text.isupper() else laid).encode()


def _joined(pseudonyms: Pseudonymizer, mark: bytes, text: bytes) -> bytes:
    """Map the first octets of an IPv4 address, or all four, which *mark* joins; a mark at the end stays."""
    octets = [octet for octet in text.split(mark) if octet]
    image = pseudonyms.ipv4(b".".join([*octets, *[b"0"] * (4 - len(octets))])).split(b".")
    return mark.join(image[: len(octets)]) + (mark if text.endswith(mark) else b"")


def _reversed(pseudonyms: Pseudonymizer, text: bytes) -> bytes:
    turned = b".".join(reversed(text.split(b".")))
    return b".".join(reversed(_joined(pseudonyms, b".", turned).split(b".")))


def _nibbles(pseudonyms: Pseudonymizer, text: bytes) -> bytes:
    """Map an IPv6 address or prefix, digit by digit from behind."""
    digits = text.split(b".")[::-1]
    whole = b"".join(digits).ljust(32, b"0")
    image = pseudonyms.ipv6(b":".join(whole[at : at + 4] for at in range(0, 32, 4)))
    groups = image.split(b"::")
    left = [g.zfill(4) for g in groups[0].split(b":") if g]
    right = [g.zfill(4) for g in groups[1].split(b":") if g] if len(groups) > 1 else []
    made = b"".join([*left, *[b"0000"] * (8 - len(left) - len(right)), *right]).decode()
    return ".".join(reversed(made[: len(digits)])).encode()
