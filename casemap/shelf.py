"""One kind of record, remembered for a while.

The rule: what is given out was *asked for* no longer ago than the settings allow, and never before the last `forget`.
Age counts from when the question was sent, for the answer may have been made at once and travelled long.
"""

from __future__ import annotations

import copy
import threading
from collections import OrderedDict
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from casemap.errors import CaseMapError, LookupUnavailableError, RecordNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from casemap.breaker import Breaker

K = TypeVar("K", bound="Hashable")
V = TypeVar("V")
_TRIES = 3
"""How often a question is asked anew because of a `forget` meanwhile."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetimes:
    """How long an answer is good, in seconds."""

    ttl: float
    negative_ttl: float
    stale_if_error: float
    wait: float
    """How long a call waits for another call's answer to the same question."""


@dataclass(slots=True)
class Tally:
    """What a shelf has done, for the metrics."""

    hits: int = 0
    negative_hits: int = 0
    misses: int = 0
    joined: int = 0
    """Calls that shared another call's question."""
    stale: int = 0


@dataclass(slots=True, eq=False)
class _Flight(Generic[V]):
    """A question under way and those who wait for its answer."""

    landing: Future[V] = field(default_factory=Future)
    forgotten: bool = False


class Shelf(Generic[K, V]):
    """Answers by key: fresh ones, absent ones, and for a bounded time stale ones while nobody answers."""

    def __init__(
        self,
        lifetimes: Lifetimes,
        *,
        breaker: Breaker,
        clock: Callable[[], float],
        capacity: int,
        weigh: Callable[[V], int] = lambda _: 1,
    ) -> None:
        """Hold at most *capacity* in weight, and as many absences; *clock* is monotonic, in seconds."""
        self.tally = Tally()
        self._lifetimes = lifetimes
        self._breaker = breaker
        self._clock = clock
        self._capacity = capacity
        self._weigh = weigh
        self._lock = threading.Lock()
        self._kept: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self._weight = 0
        # Apart from what is kept: guessing names must not push out the names that exist.
        self._absent: OrderedDict[K, tuple[float, RecordNotFoundError]] = OrderedDict()
        self._flights: dict[K, _Flight[V]] = {}

    def __len__(self) -> int:
        """Return how many answers are held, absences too."""
        return len(self._kept) + len(self._absent)

    def get(self, key: K, ask: Callable[[], V]) -> V:
        """Return the answer to *key*, by *ask* if none is fresh; many callers at once ask once.

        Raises:
            CaseMapError: what *ask* raises; absence is remembered too.
        """
        with self._lock:
            now = self._clock()
            kept = self._kept.get(key)
            if kept is not None and now - kept[0] < self._lifetimes.ttl:
                self._kept.move_to_end(key)
                self.tally.hits += 1
                return kept[1]
            absent = self._absent.get(key)
            if absent is not None and now - absent[0] < self._lifetimes.negative_ttl:
                self.tally.negative_hits += 1
                raise copy.copy(absent[1])
            under_way = self._flights.get(key)
            flight = under_way or self._flights.setdefault(key, _Flight())
            if under_way is None:
                self.tally.misses += 1
            else:
                self.tally.joined += 1
        return self._lead(key, flight, ask) if under_way is None else self._follow(flight)

    def forget(self, key: K) -> None:
        """Drop what is known of *key*; a question under way is asked again."""
        with self._lock:
            self._drop(key)
            self._absent.pop(key, None)
            if key in self._flights:
                self._flights[key].forgotten = True

    def clear(self) -> None:
        """Drop everything; questions under way are asked again."""
        with self._lock:
            self._kept.clear()
            self._absent.clear()
            self._weight = 0
            for flight in self._flights.values():
                flight.forgotten = True

    def _lead(self, key: K, flight: _Flight[V], ask: Callable[[], V]) -> V:
        try:
            value = self._ask(key, flight, ask)
        except BaseException as error:
            with self._lock:
                if self._flights.get(key) is flight:  # else it is settled, and another may be under way
                    del self._flights[key]
            flight.landing.set_exception(error)
            raise
        flight.landing.set_result(value)
        return value

    def _ask(self, key: K, flight: _Flight[V], ask: Callable[[], V]) -> V:
        for _ in range(_TRIES):
            started = self._clock()
            try:
                answer: V | CaseMapError = self._breaker.call(ask)
            except CaseMapError as error:
                answer = error
            with self._lock:
                if flight.forgotten:
                    flight.forgotten = False
                    continue
                del self._flights[key]
                return self._settle(key, started, answer)
        raise LookupUnavailableError("it changed each time while it was being read", retry_after=1.0)

    def _settle(self, key: K, started: float, answer: V | CaseMapError) -> V:
        """Remember *answer* and return what it comes to. The lock is held."""
        if isinstance(answer, LookupUnavailableError):
            kept = self._kept.get(key)
            if kept is None or self._clock() - kept[0] >= self._lifetimes.ttl + self._lifetimes.stale_if_error:
                self._drop(key)
                raise answer
            self.tally.stale += 1
            return kept[1]
        self._drop(key)
        self._absent.pop(key, None)
        if isinstance(answer, CaseMapError):
            if isinstance(answer, RecordNotFoundError):
                self._absent[key] = (started, copy.copy(answer))
                while len(self._absent) > self._capacity:
                    self._absent.popitem(last=False)
            raise answer
        if self._weigh(answer) <= self._capacity:
            self._kept[key] = (started, answer)
            self._weight += self._weigh(answer)
        while self._weight > self._capacity:
            self._drop(next(iter(self._kept)))
        return answer

    def _drop(self, key: K) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._weight -= self._weigh(kept[1])

    def _follow(self, flight: _Flight[V]) -> V:
        try:
            return flight.landing.result(timeout=self._lifetimes.wait)
        except CaseMapError as error:
            raise copy.copy(error) from error  # an instance that two threads raise mixes their tracebacks
        except TimeoutError as error:
            raise LookupUnavailableError("the case system takes too long") from error
        except Exception as error:
            raise LookupUnavailableError("the call that asked for all failed") from error
