"""One line of the kit: a promise, and whether it is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from casemap.errors import CaseMapError, LookupUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

_UNAVAILABLE = "see that it answers: address, TLS, secret, clock, time-out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """Names that are there, to ask for."""

    login: str | None = None
    case: str | None = None
    customer: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What was looked at, and what came of it."""

    name: str
    passed: bool | None
    """None: it was left out."""
    seen: str = ""
    """What came back, or why it was left out."""
    advice: str = ""
    """What to do, where it is not as promised."""


class FailedError(Exception):
    """A promise is not kept; says what was seen instead."""


class LeftOutError(Exception):
    """A promise cannot be looked at; says why."""


def run(name: str, advice: str, look: Callable[[], str | None]) -> Check:
    """Call *look* and make a line of it: what it returns is worth telling, what it raises is what is wrong."""
    try:
        return Check(name=name, passed=True, seen=look() or "")
    except LeftOutError as error:
        return Check(name=name, passed=None, seen=str(error))
    except LookupUnavailableError as error:
        return Check(name=name, passed=False, seen=str(error), advice=_UNAVAILABLE)
    except (FailedError, CaseMapError) as error:
        return Check(name=name, passed=False, seen=str(error), advice=advice)


def expect(condition: object, seen: str) -> None:
    """Fail with what was *seen* unless *condition* holds."""
    if not condition:
        raise FailedError(seen)
