"""A provider behind a door: opened when it is first needed, and left alone for a moment after it has failed."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from storage.errors import KeyProviderError, KeyringError, StorageError
from storage.keys.binding import CHECK_LABEL, KEY_BYTES, bind

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.keys.wrapper import KeyHolder

T = TypeVar("T")
PAUSE_SECONDS = 1.0
"""So long a provider that has just failed is not asked again: its callers hear at once what the first one heard."""


class KeyDoor:
    """A `KeyHolder` that opens its provider when it must, until that succeeds. Safe for several threads."""

    def __init__(self, open_keys: Callable[[], KeyHolder], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Open with *open_keys*, which may raise `KeyringError` or `KeyUnavailableError`."""
        self._open_keys = open_keys
        self._clock = clock
        self._guard = threading.Lock()
        self._keys: KeyHolder | None = None
        self._shut_until = 0.0
        self._why = ""

    @property
    def current(self) -> str:
        """Id of the key that wraps."""
        return self._ask(lambda keys: keys.current)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, the oldest first."""
        return self._ask(lambda keys: keys.key_ids)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped under the current key."""
        return self._ask(lambda keys: keys.wrap(key, context))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*."""
        return self._ask(lambda keys: keys.unwrap(wrapped, context))

    def rotate(self) -> str:
        """Make a new key current."""
        return self._ask(lambda keys: keys.rotate())

    def retire(self, key_id: str) -> None:
        """Destroy an older key."""
        self._ask(lambda keys: keys.retire(key_id))

    def opened(self) -> KeyHolder:
        """Return the provider itself, opened.

        Raises:
            KeyProviderError: it cannot be opened.
        """
        with self._guard:
            if self._keys is None:
                try:
                    self._keys = self._open_keys()
                except KeyringError as error:
                    raise KeyProviderError(str(error)) from error
            return self._keys

    def put(self, keys: KeyHolder) -> None:
        """Take *keys*, opened by somebody who had what it takes."""
        with self._guard:
            self._keys, self._shut_until = keys, 0.0

    def _ask(self, question: Callable[[KeyHolder], T]) -> T:
        if self._clock() < self._shut_until:
            raise KeyProviderError(self._why)
        try:
            return question(self.opened())
        except KeyProviderError as error:
            self._why = str(error)
            self._shut_until = self._clock() + PAUSE_SECONDS
            raise


def state_of(keys: KeyHolder) -> tuple[str, str]:
    """Say how a provider stands: (`open`, ``) or (`unavailable`, why).

    Ids may be remembered, and a key that is switched off is still described by its service: only what wraps and unwraps
    now is open.
    """
    drawn, context = os.urandom(KEY_BYTES), bind(CHECK_LABEL, "any", "check")
    try:
        _ = keys.key_ids
        same = keys.unwrap(keys.wrap(drawn, context), context) == drawn
    except StorageError as error:
        return "unavailable", str(error)
    return ("open", "") if same else ("unavailable", "what was wrapped a moment ago comes back as something else")
