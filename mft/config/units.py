"""How numbers with a unit are written in the configuration, and the types of its fields."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from collections.abc import Callable

_DURATION_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_SIZE_BYTES = {
    "B": 1,
    "kB": 10**3,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_QUANTITY = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z%]*)", re.ASCII)


def _number(value: object) -> float | None:
    """Return a plain number that is finite and not negative, None for text.

    Raises:
        ValueError: neither a number nor text (a truth value is no number here), negative, or not finite.
    """
    if isinstance(value, str):
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")  # noqa: TRY004  every `parse_*` has one way to say no
    if not math.isfinite(value) or value < 0:
        raise ValueError("negative or not finite")
    return value


def _quantity(text: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise ValueError("not a number with a unit")
    return float(match[1]), match[2]


def parse_duration(value: object) -> float:
    """Return seconds for `250ms`, `30s`, `15m`, `1h`, `7d`, `2w`, or a number of seconds.

    Raises:
        ValueError: it is nothing of that kind.
    """
    number = _number(value)
    if number is not None:
        return float(number)
    amount, unit = _quantity(str(value))
    if unit not in _DURATION_SECONDS:
        raise ValueError("no such unit of time")
    return amount * _DURATION_SECONDS[unit]


def parse_size(value: object) -> int:
    """Return bytes for `64KiB`, `1.5GiB`, `10MB`, or a number of bytes.

    Raises:
        ValueError: it is nothing of that kind, or not a whole number of bytes.
    """
    number = _number(value)
    if number is None:
        amount, unit = _quantity(str(value))
        if unit not in _SIZE_BYTES:
            raise ValueError("no such unit of size")
        number = amount * _SIZE_BYTES[unit]
    if number != int(number):
        raise ValueError("not a whole number of bytes")
    return int(number)


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeSpace:
    """How much of a file system has to stay free: so many bytes, or a share of its size."""

    bytes: int = 0
    percent: float = 0.0

    def needed(self, total: int) -> int:
        """Return the bytes that have to stay free on a file system of *total* bytes."""
        return max(self.bytes, math.ceil(total * self.percent / 100))


def parse_free_space(value: object) -> FreeSpace:
    """Make a `FreeSpace` from a size or from a share such as `5%`.

    Raises:
        ValueError: it is nothing of that kind, or more than 100 %.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        percent, _ = _quantity(value)
        if percent > 100:
            raise ValueError("more than all of it")
        return FreeSpace(percent=percent)
    return FreeSpace(bytes=parse_size(value))


_PORTS = re.compile(r"([0-9]{1,5})\s*-\s*([0-9]{1,5})", re.ASCII)


def parse_ports(value: object) -> tuple[int, int]:
    """Return the first and the last port of `50000-50099`.

    Raises:
        ValueError: it is nothing of that kind, or there are no such ports.
    """
    match = _PORTS.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or not 0 < int(match[1]) <= int(match[2]) < 65536:
        raise ValueError("not a range of ports")
    return int(match[1]), int(match[2])


def whole_number(value: object) -> int:
    """Return a whole number; a number in text counts, because `${ENV}` only gives text.

    Raises:
        ValueError: it is something else, a truth value for one.
    """
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError("not a whole number")  # noqa: TRY004  every `parse_*` has one way to say no
    return int(value)


_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])", re.ASCII)


def parse_time_of_day(value: object) -> int:
    """Return minutes after midnight for `08:30`; `24:00` is the next midnight.

    Raises:
        ValueError: it is nothing of that kind.
    """
    match = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (minutes := int(match[1]) * 60 + int(match[2])) > 24 * 60:
        raise ValueError("not a time of day")
    return minutes


def parse_zone(value: object) -> str:
    """Return the name of a time zone that is known here.

    Raises:
        ValueError: there is none of that name.
    """
    from zoneinfo import ZoneInfo  # noqa: PLC0415  few configurations name one

    if not isinstance(value, str) or not value:
        raise ValueError("not a text")
    try:
        ZoneInfo(value)
    except (KeyError, OSError) as error:
        raise ValueError("no such zone") from error
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """How a field's value is read, carried in its type by `Annotated`."""

    expected: str
    parse: Callable[[object], object]
    """Raises ValueError; what it says is not shown, `expected` is."""
    accepts: Callable[[object], bool] = lambda _value: True


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretText:
    """Marks a text whose value is never shown."""


def _at_least(least: float) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int | float) and value >= least


def _within(least: int, most: int) -> Callable[[object], bool]:
    return lambda value: isinstance(value, int) and least <= value <= most


_DURATION = "a duration such as 250ms, 30s, 15m, 1h, 7d, or a number of seconds"
_SIZE = "a size such as 64KiB, 1GiB, or a number of bytes"

Seconds = Annotated[float, Unit(expected=_DURATION, parse=parse_duration)]
"""A duration, nought allowed."""
PositiveSeconds = Annotated[
    float, Unit(expected=f"{_DURATION}, longer than nought", parse=parse_duration, accepts=_at_least(0.000_001))
]
Bytes = Annotated[int, Unit(expected=_SIZE, parse=parse_size)]
"""A size, nought allowed."""
PositiveBytes = Annotated[int, Unit(expected=f"{_SIZE}, more than nought", parse=parse_size, accepts=_at_least(1))]
Watermark = Annotated[
    FreeSpace,
    Unit(expected="a size such as 1GiB, or a share of the file system such as 5%", parse=parse_free_space),
]
Count = Annotated[int, Unit(expected="a whole number, 1 or more", parse=whole_number, accepts=_at_least(1))]
CountOrNought = Annotated[int, Unit(expected="a whole number, 0 or more", parse=whole_number, accepts=_at_least(0))]
"""A count that may be nought."""
PortNumber = Annotated[int, Unit(expected="a port from 0 to 65535", parse=whole_number, accepts=_within(0, 65535))]
Ports = Annotated[tuple[int, int], Unit(expected="a range of ports such as 50000-50099", parse=parse_ports)]
"""The first and the last."""
Ipv4Prefix = Annotated[int, Unit(expected="a prefix length from 8 to 32", parse=whole_number, accepts=_within(8, 32))]
Ipv6Prefix = Annotated[
    int, Unit(expected="a prefix length from 16 to 128", parse=whole_number, accepts=_within(16, 128))
]
DayMinute = Annotated[int, Unit(expected='a time of day such as "08:30", up to "24:00"', parse=parse_time_of_day)]
"""Minutes after midnight."""
ZoneName = Annotated[str, Unit(expected="an IANA time zone such as Europe/Berlin", parse=parse_zone)]
Priority = Annotated[int, Unit(expected="a number from 1 to 5", parse=whole_number, accepts=_within(1, 5))]
Secret = Annotated[str, SecretText()]
"""A text that no message and no `repr` shows."""
