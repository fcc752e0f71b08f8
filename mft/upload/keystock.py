"""Keys for uploads that are about to begin: where one follows the other, the key agent is asked for several at once.

A question to the agent and its answer cost a small file a tenth of all its time. A key is bound to its upload, so ids
are given out together with keys. What is not used within a second is forgotten; nothing was ever sealed under it.
"""

from __future__ import annotations

import secrets
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from storage.keys.service import KEYS_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.keys.envelope import Envelope, Region
    from storage.keys.service import KeyService

KEPT_SECONDS = 1.0
"""How long a key may wait for its upload: a rotation that runs meanwhile is to meet all that it is used for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadKey:
    """The id of an upload, the key of its landing log, and the envelope that keeps that."""

    upload_id: str
    key: bytes = field(repr=False)
    envelope: Envelope


@dataclass(slots=True, kw_only=True)
class _Shelf:
    """Keys under one scope key."""

    made_at: float
    number: int
    """How many were made together."""
    waiting: list[UploadKey]


class KeyStock:
    """Keys under the scope keys of today. Safe for many threads."""

    def __init__(self, keys: KeyService, *, clock: Callable[[], float] = time.monotonic) -> None:
        """Have them made by *keys*."""
        self._keys = keys
        self._clock = clock
        self._shelves: dict[tuple[Region, str, bytes], _Shelf] = {}
        self._lock = threading.Lock()

    def take(self, region: Region, scope: str, scope_key: bytes) -> UploadKey:
        """Return a fresh key, of an upload that there is not yet. Raises as `KeyService.new_keys` does."""
        place = (region, scope, scope_key)
        with self._lock:
            before = self._fresh().get(place)
            if before is not None and before.waiting:
                return before.waiting.pop()
        number = 1 if before is None else min(KEYS_AT_ONCE, before.number * 2)
        ids = [secrets.token_hex(16) for _ in range(number)]
        made_at = self._clock()
        made = self._keys.new_keys(region, scope, scope_key, ids)
        first, *waiting = (
            UploadKey(upload_id=upload_id, key=key, envelope=envelope)
            for upload_id, (key, envelope) in zip(ids, made, strict=True)
        )
        with self._lock:
            self._shelves[place] = _Shelf(made_at=made_at, number=number, waiting=waiting)
        return first

    def _fresh(self) -> dict[tuple[Region, str, bytes], _Shelf]:
        """Forget what has waited for too long, and return what is left."""
        oldest = self._clock() - KEPT_SECONDS
        self._shelves = {place: shelf for place, shelf in self._shelves.items() if shelf.made_at > oldest}
        return self._shelves
