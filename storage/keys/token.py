"""The keys of a region in a hardware token, by PKCS#11: AES-256 keys that never leave it.

Every key bears the label that the settings name; the one with the greatest CKA_ID is current. Wrapping is AES-256-GCM
in the token (PKCS#11 v3.0, section 2.12.4), with our header and the context as associated data. Written for
`python-pkcs11`; a session of it is not for several threads, so that one lock stands before each token.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from storage.errors import AlteredKeyError, KeyProviderError, KeyUnavailableError
from storage.keys.binding import NONCE_BYTES
from storage.keys.wrapped import TOKEN, header_of, parse_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_TAG_BITS = 128
_PROBE = bytes(32)
_MODULES = threading.RLock()
"""C_Initialize and C_Finalize are of a whole process: one at a time, whichever token asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSettings:
    """Which keys of which token."""

    module: Path
    """The library of the token's maker, such as /usr/lib/softhsm/libsofthsm2.so."""
    token: str
    """The token's label."""
    key: str
    """The label of the keys in it."""
    pin: str = field(repr=False)
    """The user's PIN."""
    create: bool = False
    """Make the first key if there is none."""


class TokenKeys:
    """The keys of one region in a token: a `KeyHolder`. Opened at first use; opened again when the token was away."""

    def __init__(self, settings: TokenSettings, *, clock: Callable[[], float] = time.time) -> None:
        """Use the token that *settings* name; nothing is opened yet."""
        self._settings = settings
        self._clock = clock
        self._guard = threading.RLock()
        self._session: Any = None
        self._keys: dict[str, Any] = {}

    @property
    def current(self) -> str:
        """Id of the key that wraps: its CKA_ID in hexadecimal."""
        with self._talking():
            self._open()
            return next(reversed(self._keys))

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, the smallest first: those that the token has now, whoever made them."""
        with self._talking():
            self._open()
            self._list_keys()
            if not self._keys:
                self.close()
                self._open()  # which says what is missing
            return tuple(self._keys)

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped under the current key."""
        with self._talking():
            self._open()
            name = next(reversed(self._keys))
            header = header_of(TOKEN, name)
            nonce = os.urandom(NONCE_BYTES)
            sealed: bytes = self._keys[name].encrypt(key, **_gcm(nonce, header + context))
            return header + nonce + sealed

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*."""
        parsed = parse_wrapped(wrapped)
        if parsed.form != TOKEN:
            raise AlteredKeyError("a wrapped scope key is not in the form of a token")
        nonce, sealed = parsed.payload[:NONCE_BYTES], parsed.payload[NONCE_BYTES:]
        with self._talking():
            self._open()
            if parsed.key_id not in self._keys:
                self._list_keys()  # somebody else may have made it
            held = self._keys.get(parsed.key_id)
            if held is None:
                raise KeyUnavailableError(f"the token {self._settings.token!r} has no key {parsed.key_id}")
            return self._decrypted(held, sealed, nonce, parsed.header + context)

    def rotate(self) -> str:
        """Make a new key in the token, not to be taken out of it, and return its id."""
        with self._talking():
            self._open()
            return self._make_key()

    def retire(self, key_id: str) -> None:
        """Destroy an older key in the token."""
        with self._talking():
            self._open()
            if key_id not in self._keys or key_id == next(reversed(self._keys)):
                raise KeyUnavailableError(f"{key_id} is no older key of the token {self._settings.token!r}")
            self._keys[key_id].destroy()
            self._list_keys()

    def close(self) -> None:
        """Let go of the token."""
        with self._guard:
            session, self._session, self._keys = self._session, None, {}
            if session is not None:
                with contextlib.suppress(Exception):  # whatever the maker's library says of a session that is lost
                    session.close()

    def _decrypted(self, held: Any, sealed: bytes, nonce: bytes, data: bytes) -> bytes:  # noqa: ANN401 - a key's handle
        from pkcs11.exceptions import EncryptedDataInvalid, GeneralError  # noqa: PLC0415 - few have a token

        try:
            key: bytes = held.decrypt(sealed, **_gcm(nonce, data))
        except (EncryptedDataInvalid, GeneralError) as error:
            # Makers differ in what they say of a wrong tag. A token that still decrypts what is right has said that.
            probe = held.encrypt(_PROBE, **_gcm(nonce, data + b"probe"))
            if held.decrypt(probe, **_gcm(nonce, data + b"probe")) != _PROBE:
                raise
            raise AlteredKeyError("a wrapped key was altered, or bound to another region, scope or subject") from error
        return key

    # -- the token's session; the caller holds the lock ----------------------------------------------------------------

    @contextlib.contextmanager
    def _talking(self) -> Iterator[None]:
        """Hold the token; what its library says of a breakdown becomes ours, and the next call begins anew.

        Raises:
            KeyProviderError: the token is away, locked, or broken; says which, and no PIN.
        """
        from pkcs11.exceptions import PKCS11Error  # noqa: PLC0415 - few have a token

        with self._guard:
            try:
                yield
            except PKCS11Error as error:
                self.close()
                raise KeyProviderError(
                    f"the token {self._settings.token!r} cannot be used ({type(error).__name__}): "
                    "is it plugged in, its PIN right, and not locked?"
                ) from error

    def _open(self) -> None:
        if self._session is not None:
            return
        with _MODULES:
            try:
                self._session = self._log_in()
            except Exception as error:
                if type(error).__name__ in {"PinIncorrect", "PinLocked", "PinExpired", "PinLenRange", "PinInvalid"}:
                    raise
                self._load().reinitialize()  # a token that was away is only seen by a library that begins anew
                self._session = self._log_in()
        self._list_keys()
        if not self._keys and self._settings.create:
            self._make_key()
        if not self._keys:
            self.close()  # the next call looks anew: somebody may make one
            raise KeyUnavailableError(
                f"the token {self._settings.token!r} has no key with the label {self._settings.key!r}: make one there, "
                "or set `create`"
            )

    def _log_in(self) -> Any:  # noqa: ANN401 - a session
        from pkcs11.exceptions import UserAlreadyLoggedIn  # noqa: PLC0415 - few have a token

        token = self._load().get_token(token_label=self._settings.token)
        try:
            return token.open(rw=True, user_pin=self._settings.pin)
        except UserAlreadyLoggedIn:  # another region's keys in the same token: a login is of the process
            return token.open(rw=True)

    def _load(self) -> Any:  # noqa: ANN401 - a library
        try:
            import pkcs11  # noqa: PLC0415 - few have a token
        except ImportError as error:
            raise KeyProviderError("keys in a token need python-pkcs11: pip install 'mft[pkcs11]'") from error
        return pkcs11.lib(str(self._settings.module))

    def _list_keys(self) -> None:
        from pkcs11 import Attribute, KeyType, ObjectClass  # noqa: PLC0415 - few have a token

        wanted = {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.AES,
            Attribute.LABEL: self._settings.key,
        }
        found = {each.id: each for each in self._session.get_objects(wanted)}
        order = sorted(found, key=lambda name: int.from_bytes(name, "big"))
        self._keys = {name.hex(): found[name] for name in order if name}

    def _make_key(self) -> str:
        from pkcs11 import Attribute, KeyType  # noqa: PLC0415 - few have a token

        newest = max((int(name, 16) >> 24 for name in self._keys if len(name) == 16), default=0)
        moment = max(int(self._clock()), newest + 1)  # a clock that was set back makes no older key
        name = moment.to_bytes(5, "big") + os.urandom(3)
        if self._keys and int.from_bytes(name, "big") <= max(int(each, 16) for each in self._keys):
            raise KeyUnavailableError(
                f"the token {self._settings.token!r} has a key whose id is greater than any that is made here: make "
                "the next one there, with a greater id still"
            )
        self._session.generate_key(
            KeyType.AES,
            256,
            id=name,
            label=self._settings.key,
            store=True,
            template={Attribute.SENSITIVE: True, Attribute.EXTRACTABLE: False, Attribute.MODIFIABLE: False},
        )
        self._list_keys()
        return name.hex()


def _gcm(nonce: bytes, data: bytes) -> dict[str, Any]:
    from pkcs11 import Mechanism  # noqa: PLC0415 - few have a token
    from pkcs11.mechanisms import GCMParams  # noqa: PLC0415

    return {"mechanism": Mechanism.AES_GCM, "mechanism_param": GCMParams(nonce=nonce, aad=data, tag_bits=_TAG_BITS)}
