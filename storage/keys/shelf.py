"""Unwrapped scope keys, kept for a while where asking for them costs something."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 4096


class KeyShelf:
    """A bounded number of keys, each for a bounded time (monotonic: a clock that jumps changes nothing).

    Safe for several threads. What is looked up is a digest of the wrapped key and of all that it is bound to.
    """

    def __init__(self, *, ttl: float, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        """Keep up to *most* keys for *ttl* seconds each; with 0, none."""
        self._ttl = ttl
        self._most = most
        self._clock = clock
        self._keys: OrderedDict[bytes, tuple[float, str, bytes]] = OrderedDict()
        self._guard = threading.Lock()

    def get(self, wrapped: bytes, context: bytes) -> bytes | None:
        """Return the key in *wrapped*, if it is here and its time is not over."""
        name = _name(wrapped, context)
        with self._guard:
            found = self._keys.get(name)
            if found is None:
                return None
            if found[0] <= self._clock():
                del self._keys[name]
                return None
            self._keys.move_to_end(name)
            return found[2]

    def put(self, wrapped: bytes, context: bytes, key: bytes, *, scope: str) -> None:
        """Keep the key in *wrapped*; the one that was longest unused goes where there are too many."""
        if self._ttl <= 0:
            return
        with self._guard:
            self._keys[_name(wrapped, context)] = self._clock() + self._ttl, scope, key
            while len(self._keys) > self._most:
                self._keys.popitem(last=False)

    def forget(self, scope: str | None = None) -> int:
        """Drop the keys of *scope*, or all; return how many those were."""
        with self._guard:
            gone = [name for name, entry in self._keys.items() if scope is None or entry[1] == scope]
            for name in gone:
                del self._keys[name]
            return len(gone)

    def __len__(self) -> int:
        """Count the keys, those whose time is over too."""
        return len(self._keys)


def _name(wrapped: bytes, context: bytes) -> bytes:
    return hashlib.sha256(len(wrapped).to_bytes(4, "big") + wrapped + context).digest()
