"""Find the numbers by which states know people, in the form in which each state writes them.

Only forms that say what they are: with separators of their own or letters in fixed places, and with a check digit or a
date that holds. What is digits alone is left to the key or the column beside it (`fields`). Sources: the issuing
authorities' descriptions, for the European Union as the Commission's portal on tax identification numbers gives them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.checks import luhn

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_SPANISH = b"TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH = b"0123456789ABCDEFHJKLMNPRSTUVWXY"
_CHINESE = b"10X98765432"
_SINGAPORE = {b"S": b"JZIHGFEDCBA", b"T": b"GFEDCBAJZIH", b"F": b"XWUTRQPNMLK", b"G": b"RQPNMLKXWUT"}
_ITALIAN_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_VERHOEFF_TIMES = (
    b"\0\1\2\3\4\5\6\7\x08\x09\1\2\3\4\0\6\7\x08\x09\5\2\3\4\0\1\7\x08\x09\5\6\3\4\0\1\2\x08\x09\5\6\7\4\0\1\2\3\x09\5\6\7\x08"
    b"\5\x09\x08\7\6\0\4\3\2\1\6\5\x09\x08\7\1\0\4\3\2\7\6\5\x09\x08\2\1\0\4\3\x08\7\6\5\x09\3\2\1\0\4\x09\x08\7\6\5\4\3\2\1\0"
)
"""The multiplication of the dihedral group of ten, row by row (Verhoeff 1969)."""
_VERHOEFF_STEP = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)
_AROUND = frozenset(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
_UNDERSCORE = 0x5F


def _sum(digits: bytes, weights: Sequence[int]) -> int:
    return sum((digit - 0x30) * weight for digit, weight in zip(digits, weights, strict=False))


def _is_day(month: bytes, day: bytes) -> bool:
    return 1 <= int(month) <= 12 and 1 <= int(day) <= 31


def _belgian(n: bytes) -> bool:
    return _is_day(n[2:4], n[4:6]) and int(n[9:]) in {97 - int(n[:9]) % 97, 97 - int(b"2" + n[:9]) % 97}


def _french(n: bytes) -> bool:
    number = int(n[:13].replace(b"2A", b"19", 1).replace(b"2B", b"18", 1)) if n[5:7] in {b"2A", b"2B"} else int(n[:13])
    return number > 0 and 97 - number % 97 == int(n[13:])


def _spanish(n: bytes) -> bool:
    digits = n[:-1].translate(bytes.maketrans(b"XYZ", b"012"))
    return _SPANISH[int(digits) % 23] == n[-1]


def _italian(n: bytes) -> bool:
    total = 0
    for place, char in enumerate(n[:15]):
        number = char - 0x30 if char < 0x3A else char - 0x41
        total += number if place & 1 else _ITALIAN_ODD[number]
    return 0x41 + total % 26 == n[15]


def _brazilian(n: bytes) -> bool:
    first = _sum(n[:9], range(10, 1, -1)) * 10 % 11 % 10
    second = _sum(n[:10], range(11, 1, -1)) * 10 % 11 % 10
    return len(set(n)) > 1 and n[9:] == b"%d%d" % (first, second)


def _finnish(n: bytes) -> bool:
    return _is_day(n[2:4], n[:2]) and _FINNISH[int(n[:6] + n[-4:-1]) % 31] == n[-1]


def _swedish(n: bytes) -> bool:
    ten = n[-10:]
    return _is_day(ten[2:4], b"%d" % ((int(ten[4:6]) - 1) % 60 + 1)) and luhn(ten)


def _swiss(n: bytes) -> bool:
    return (10 - _sum(n[:12], (1, 3) * 6)) % 10 == n[12] - 0x30


def _chilean(n: bytes) -> bool:
    check = 11 - _sum(n[-2::-1], (2, 3, 4, 5, 6, 7, 2, 3, 4)) % 11
    return n[-1:].upper() == {10: b"K", 11: b"0"}.get(check, b"%d" % check)


def _argentine(n: bytes) -> bool:
    return (11 - _sum(n, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11 == n[10] - 0x30


def _mexican(n: bytes) -> bool:
    return _is_day(n[6:8], n[8:10])


def _chinese(n: bytes) -> bool:
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    return n[6:8] in {b"19", b"20"} and _is_day(n[10:12], n[12:14]) and _CHINESE[_sum(n[:17], weights) % 11] == n[17]


def _korean(n: bytes) -> bool:
    return _is_day(n[2:4], n[4:6])


def _singaporean(n: bytes) -> bool:
    return _SINGAPORE[n[:1]][_sum(n[1:8], (2, 7, 6, 5, 4, 3, 2)) % 11] == n[8]


def _british(n: bytes) -> bool:
    return n[:2] not in {b"BG", b"GB", b"NK", b"KN", b"TN", b"NT", b"ZZ"} and not set(n[:2]) & set(b"DFIQUV")


def _latvian(n: bytes) -> bool:
    return _is_day(n[2:4], n[:2]) and (1101 - _sum(n, (1, 6, 3, 7, 9, 10, 5, 8, 4, 2))) % 11 == n[10] - 0x30


def _czech(n: bytes) -> bool:
    return _is_day(b"%d" % (int(n[2:4]) % 50 % 20), n[4:6]) and int(n) % 11 == 0


def _german(n: bytes) -> bool:
    product = 10
    for digit in n[:10]:
        total = (digit - 0x30 + product) % 10 or 10
        product = total * 2 % 11
    counts = sorted(map(n[:10].count, set(n[:10])))
    return counts[-1] in {2, 3} and counts[-2] == 1 and (11 - product) % 10 == n[10] - 0x30


def _indian(n: bytes) -> bool:
    check = 0
    for place, digit in enumerate(reversed(n)):
        number = digit - 0x30
        for _ in range(place % 8):
            number = _VERHOEFF_STEP[number]
        check = _VERHOEFF_TIMES[check * 10 + number]
    return check == 0


_FORMS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], bool]], ...] = tuple(
    (re.compile(form), check)
    for form, check in (
        (rb"\d\d\.\d\d\.\d\d-\d{3}\.\d\d", _belgian),
        (rb"[12] \d\d \d\d \d[\dAB] \d{3} \d{3} \d\d", _french),
        (rb"[12]\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[1-8]\d|9[0-5]|2[AB])\d{8}", _french),
        (rb"(?:[XYZ][ -]?\d{7}|\d{8})[ -]?[A-Z]", _spanish),
        (rb"[A-Z]{6}\d\d[A-EHLMPRST]\d\d[A-Z]\d{3}[A-Z]", _italian),
        (rb"\d{3}\.\d{3}\.\d{3}-\d\d", _brazilian),
        (rb"\d{6}[-+A]\d{3}[0-9A-FHJ-NPR-Y]", _finnish),
        (rb"(?:19|20)?\d{6}[-+]\d{4}", _swedish),
        (rb"756\.\d{4}\.\d{4}\.\d\d", _swiss),
        (rb"\d{1,2}\.\d{3}\.\d{3}-[\dKk]", _chilean),
        (rb"2[03-7]-\d{8}-\d", _argentine),
        (rb"[A-Z]{4}\d{6}[HM][A-Z]{5}[A-Z0-9]\d", _mexican),
        (rb"[1-9]\d{16}[\dX]", _chinese),
        (rb"\d{6}-[1-4]\d{6}", _korean),
        (rb"[STFG]\d{7}[A-Z]", _singaporean),
        (rb"[A-Z]{2} \d\d \d\d \d\d [A-D]", _british),
        (rb"\d{6}-[012]\d{4}", _latvian),
        (rb"\d{6}/\d{4}", _czech),
        (rb"[1-9]\d \d{3} \d{3} \d{3}", _german),
        (rb"[2-9]\d{3} \d{4} \d{4}", _indian),
        (rb"[1-79]\d\d-\d{3}-\d{3}", luhn),
    )
)


_MADE_BEFORE = re.compile(
    rb"(?<![A-Za-z0-9])(?:[A-Za-z]{2}00(?:[ \-][0-9A-Za-z]{4}){0,8}|"
    rb"(?:000|0[ .\-/]00|00[ .\-/]0|XXX|XX[ .\-/]?0)[0-9A-Z]{0,9}"
    rb"(?:[ .\-/](?:[A-Z]{1,2}|(?=[A-Z]{0,8}[0-9])[0-9A-Z]{1,9})(?![0-9A-Z])){0,6})[ .\-/]\Z"
)
"""The beginning of an account number (`Pseudonymizer.iban`) or a national number that was made by us."""
_BETWEEN = frozenset(b" .-/")
_BACK = 45


def is_in_made(buf: bytes, start: int) -> bool:
    """Say whether a group of digits at *start* belongs to a number that was made by us."""
    return (
        start > 0
        and buf[start - 1] in _BETWEEN
        and buf[start - 2 : start - 1].isalnum()
        and _MADE_BEFORE.search(buf[max(0, start - _BACK) : start]) is not None
    )


def is_in_dump(buf: bytes, start: int, end: int) -> bool:
    """Say whether a number of groups stands amid groups of four hexadecimal digits, as in a dump of memory."""
    return (buf[start - 1 : start] == b" " and _DUMP_BEFORE.search(buf, max(0, start - 11), start) is not None) or (
        buf[end : end + 1] == b" " and _DUMP_AFTER.match(buf, end) is not None
    )


_DUMP_BEFORE = re.compile(
    rb"(?<![0-9A-Za-z])(?:[0-9A-Fa-f]{4} {1,2}[0-9A-Fa-f]{4}|(?=[0-9]{0,3}[A-Fa-f])[0-9A-Fa-f]{4}) {1,2}\Z"
)
_DUMP_AFTER = re.compile(
    rb" {1,2}(?:[0-9A-Fa-f]{4} {1,2}[0-9A-Fa-f]{4}|(?=[0-9]{0,3}[A-Fa-f])[0-9A-Fa-f]{4})(?![0-9A-Za-z])"
)


def find_national(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of national numbers; what fails its check, or was made by us, stays."""

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        start += buf[start] == _UNDERSCORE
        before = buf[start - 1] if start else 0x20
        if before in _AROUND or (before in b".-/+" and _goes_on(buf, start)):
            return None
        if before == 0x20 and (buf[max(0, start - 5) : max(0, start - 1)].isdigit() or is_in_made(buf, start)):
            return None  # a group of many, or of a number that was made by us
        for form, check in _FORMS:
            match = form.match(buf, start)
            if match is None or not _ends(buf, match.end()):
                continue
            plain = bytes(c for c in match[0] if c in _AROUND)
            if not all(c in b"0X" for c in plain[:3]) and check(plain) and not is_in_dump(buf, start, match.end()):
                return start, match.end(), plain, pseudonyms.national("national", match[0])
        return None

    return find


def _goes_on(buf: bytes, start: int) -> bool:
    """Say whether a sign before *start* joins it to what stands before; a letter and a stroke are a path's."""
    earlier = buf[start - 2 : start - 1]
    return earlier.isdigit() or (earlier.isalpha() and buf[start - 1 : start] != b"/")


def _ends(buf: bytes, end: int) -> bool:
    """Say whether a number ends at *end*: no letter, no digit behind a separator, no further group of four."""
    if buf[end : end + 1] in {b".", b"-", b"/", b":"}:
        return not buf[end + 1 : end + 2].isdigit()
    if buf[end : end + 1] == b" ":
        return not buf[end + 1 : end + 5].isdigit() or len(buf) < end + 5
    return end >= len(buf) or buf[end] not in _AROUND
