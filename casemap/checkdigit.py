"""Check digits: whether a number is one that its issuer could have given out. Letters and marks are passed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_DIHEDRAL: Final = (
    "0123456789",
    "1234067895",
    "2340178956",
    "3401289567",
    "4012395678",
    "5987604321",
    "6598710432",
    "7659821043",
    "8765932104",
    "9876543210",
)
"""Multiplication in the dihedral group of order ten."""
_PERMUTED: Final = (
    "0123456789",
    "1576283094",
    "5803796142",
    "8916043527",
    "9453126870",
    "4286573901",
    "2793806415",
    "7046913258",
)


def _digits(number: str) -> list[int]:
    return [int(character) for character in number if "0" <= character <= "9"]


def luhn(number: str) -> bool:
    """Say whether the last digit is the Luhn digit of the others (ISO/IEC 7812-1, annex B)."""
    digits = _digits(number)[::-1]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
    return len(digits) > 1 and (sum(digits[::2]) + sum(doubled)) % 10 == 0


def mod11(number: str) -> bool:
    """Say whether the digits, weighted 1, 2, 3 … from the last, add up to a multiple of 11; a last `X` is ten."""
    digits = _digits(number)[::-1]
    if number[-1:] in {"X", "x"}:
        digits.insert(0, 10)
    return len(digits) > 1 and sum(weight * digit for weight, digit in enumerate(digits, 1)) % 11 == 0


def mod97(number: str) -> bool:
    """Say whether the digits, as one number, leave 1 when divided by 97 (ISO/IEC 7064, MOD 97-10)."""
    digits = _digits(number)
    return len(digits) > 2 and int("".join(map(str, digits))) % 97 == 1


def verhoeff(number: str) -> bool:
    """Say whether the last digit is the Verhoeff digit of the others (J. Verhoeff, 1969)."""
    state = 0
    digits = _digits(number)[::-1]
    for place, digit in enumerate(digits):
        state = int(_DIHEDRAL[state][int(_PERMUTED[place % 8][digit])])
    return len(digits) > 1 and state == 0


def anything(_number: str) -> bool:
    """Say yes: the numbers have no check digit."""
    return True


RULES: Final[Mapping[str, Callable[[str], bool]]] = {
    "none": anything,
    "luhn": luhn,
    "mod11": mod11,
    "mod97": mod97,
    "verhoeff": verhoeff,
}
"""The rules by the names that a configuration has for them."""
