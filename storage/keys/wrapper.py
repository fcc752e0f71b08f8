"""What holds a region's key: a keyring file, a hardware token, a cloud's key service."""

from __future__ import annotations

from typing import Protocol


class KeyWrapper(Protocol):
    """Wrap and unwrap keys under the current key of one region. Both are safe to call from several threads."""

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped, so that only the same *context* unwraps it; the result names the key that it is under.

        Raises:
            KeyUnavailableError: the region's key cannot be used now.
        """

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*, also when it is under an older key of the region.

        Raises:
            AlteredKeyError: *wrapped* was altered, or wrapped with another context.
            KeyUnavailableError: the key that it is under is not here.
        """
