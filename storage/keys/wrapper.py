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


class KeyHolder(KeyWrapper, Protocol):
    """A wrapper whose keys can be exchanged: every provider is one. Key ids are texts that the wrapped keys name."""

    @property
    def current(self) -> str:
        """Id of the key that wraps.

        Raises:
            KeyProviderError: it cannot be asked for now.
        """

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys that unwrap, the oldest first.

        Raises:
            KeyProviderError: they cannot be asked for now.
        """

    def rotate(self) -> str:
        """Make a new key current, keep the older ones for unwrapping, and return the new id once it is durable.

        Raises:
            KeyUnavailableError: it cannot be made; says what to do.
        """

    def retire(self, key_id: str) -> None:
        """Destroy an older key, so that nothing that it wrapped ever opens again.

        Raises:
            KeyUnavailableError: it is the current one, or there is none of that id; nothing was done.
        """
