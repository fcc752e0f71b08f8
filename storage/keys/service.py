"""The one door to keys: whoever asks gets the leaf key of one thing, never the key of a scope or of a region."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from storage.errors import KeyUnavailableError
from storage.keys.binding import KEY_BYTES, bind, unwrap_key, wrap_key
from storage.keys.envelope import Envelope, Region

if TYPE_CHECKING:
    from collections.abc import Mapping

    from storage.keys.wrapper import KeyWrapper

_SCOPE_LABEL = b"mft scope key v1"
_LEAF_LABEL = b"mft leaf key v1"


class KeyService(Protocol):
    """Make, open and move keys. Arguments and results are plain values, so that it may live in another process."""

    def new_scope(self, region: Region, scope: str) -> bytes:
        """Return a fresh scope key, wrapped by the region's current key and bound to region and scope."""

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Return a fresh 256-bit leaf key in clear, and the envelope that keeps it.

        Raises:
            AlteredKeyError: *scope_key* is not one of that region and scope.
            KeyUnavailableError: the region's key is not here.
        """

    def open_key(self, envelope: Envelope) -> bytes:
        """Return the leaf key in *envelope*.

        Raises:
            AlteredKeyError: the envelope was altered, or put together from others.
            KeyUnavailableError: the region's key is not here.
        """

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Return the same leaf key in an envelope of another region or scope, without handing the key out.

        The subject stays. Raises as `open_key` and `new_key` do.
        """


class LocalKeyService:
    """A key service over wrappers in this process: the heart of the key agent, and of tests."""

    def __init__(self, wrappers: Mapping[Region, KeyWrapper]) -> None:
        """Serve the regions that *wrappers* names."""
        self._wrappers = dict(wrappers)

    def new_scope(self, region: Region, scope: str) -> bytes:
        """Return a fresh scope key, wrapped by the region's current key and bound to region and scope."""
        return self._wrapper(region).wrap(os.urandom(KEY_BYTES), bind(_SCOPE_LABEL, region, scope))

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Return a fresh leaf key in clear, and the envelope that keeps it."""
        key = os.urandom(KEY_BYTES)
        return key, self._enclose(key, region, scope, scope_key, subject)

    def open_key(self, envelope: Envelope) -> bytes:
        """Return the leaf key in *envelope*."""
        scope_key = self._open_scope(envelope.region, envelope.scope, envelope.scope_key)
        context = bind(_LEAF_LABEL, envelope.region, envelope.scope, envelope.subject)
        return unwrap_key(scope_key, envelope.key, context=context)

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Return the same leaf key in an envelope of another region or scope."""
        return self._enclose(self.open_key(envelope), region, scope, scope_key, envelope.subject)

    def _enclose(self, key: bytes, region: Region, scope: str, scope_key: bytes, subject: str) -> Envelope:
        under = self._open_scope(region, scope, scope_key)
        wrapped = wrap_key(under, key, context=bind(_LEAF_LABEL, region, scope, subject))
        return Envelope(region=region, scope=scope, scope_key=scope_key, subject=subject, key=wrapped)

    def _open_scope(self, region: Region, scope: str, scope_key: bytes) -> bytes:
        return self._wrapper(region).unwrap(scope_key, bind(_SCOPE_LABEL, region, scope))

    def _wrapper(self, region: Region) -> KeyWrapper:
        try:
            return self._wrappers[region]
        except KeyError:
            raise KeyUnavailableError(f"no key of region {region!r} is held here") from None
