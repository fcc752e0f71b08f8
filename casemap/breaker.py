"""A circuit breaker: a case system that is down is asked now and then, not by everybody at once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

from casemap.errors import CaseMapError, LookupUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Breaker:
    """Refuses calls after *failures* in a row that got no answer, for *rest* seconds; then lets one through to try.

    Nonsense and "there is none" are answers: neither opens it, so no single record and nobody who guesses logins can
    cut everyone off.
    """

    def __init__(self, *, failures: int, rest: float, clock: Callable[[], float]) -> None:
        """Make it closed; *clock* is monotonic, in seconds."""
        self._limit = failures
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def is_open(self) -> bool:
        """Whether calls are being refused."""
        return self._opened is not None

    def call(self, action: Callable[[], T]) -> T:
        """Call *action* if that makes sense now.

        Raises:
            LookupUnavailableError: it does not; or what *action* raises.
        """
        self._admit()
        try:
            result = action()
        except LookupUnavailableError:
            self._failed()
            raise
        except CaseMapError:
            self._answered()
            raise
        except BaseException:
            self._failed()
            raise
        self._answered()
        return result

    def _admit(self) -> None:
        with self._lock:
            if self._opened is None:
                return
            left = self._opened + self._rest - self._clock()
            if left > 0 or self._trying:
                raise LookupUnavailableError("the case system did not answer lately", retry_after=max(left, 1.0))
            self._trying = True

    def _answered(self) -> None:
        with self._lock:
            self._failures, self._opened, self._trying = 0, None, False

    def _failed(self) -> None:
        with self._lock:
            self._failures += 1
            self._trying = False
            if self._failures >= self._limit:
                self._opened = self._clock()
