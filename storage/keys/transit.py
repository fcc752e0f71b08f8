"""The keys of a region in the transit engine of Vault or OpenBao: a derived AES-256 key that never leaves it.

`derived` makes Vault use another key for each context, so that what is bound to one scope opens with no other's
context (https://developer.hashicorp.com/vault/api-docs/secret/transit). Its versions are the keys: the newest wraps.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from storage.errors import AlteredKeyError, KeyProviderError, KeyUnavailableError
from storage.keys.binding import KEY_BYTES
from storage.keys.vault import VaultStatusError
from storage.keys.wrapped import TRANSIT, header_of, parse_wrapped

if TYPE_CHECKING:
    from storage.keys.vault import Vault

_TEXT = re.compile(rb"vault:v([1-9][0-9]{0,8}):([A-Za-z0-9+/]+={0,2})")
_TYPE = "aes256-gcm96"
_CHECK = b"mft transit check v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class TransitSettings:
    """Which key."""

    key: str
    mount: str = "transit"
    create: bool = False
    """Make the key if there is none; the policy must allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Versions:
    oldest: int
    newest: int


class TransitKeys:
    """The keys of one region in Vault: a `KeyHolder`. Opened at first use. Safe for several threads."""

    def __init__(self, vault: Vault, settings: TransitSettings) -> None:
        """Ask *vault* for the key that *settings* name."""
        self._vault = vault
        self._settings = settings
        self._guard = threading.Lock()
        self._versions: _Versions | None = None

    @property
    def current(self) -> str:
        """Name and newest version of the key, as `mft-eu:v3`."""
        return self._id(self._look().newest)

    @property
    def key_ids(self) -> tuple[str, ...]:
        """All versions that still decrypt, the oldest first."""
        versions = self._look(again=True)
        return tuple(self._id(number) for number in range(versions.oldest, versions.newest + 1))

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped under the newest version.

        Vault takes no associated data of ours in every version: the plaintext ends in a digest of the context instead.
        """
        self._look()
        answer = self._ask("encrypt", {"plaintext": _text(key + _check(context)), "context": _text(context)})
        ciphertext = str(answer.get("ciphertext", "")).encode()
        match = _TEXT.fullmatch(ciphertext)
        if match is None:
            raise KeyProviderError("Vault's answer holds no ciphertext in a form known here")
        number = int(match[1])
        if number > self._look().newest:  # rotated by somebody else
            self._forget()
        return header_of(TRANSIT, self._id(number)) + ciphertext

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*."""
        parsed = parse_wrapped(wrapped)
        match = _TEXT.fullmatch(parsed.payload)
        if parsed.form != TRANSIT or match is None or not _is_canonical(match[2]):
            raise AlteredKeyError("a wrapped scope key is not in the form of Vault's")
        number = int(match[1])
        name, _, version = parsed.key_id.rpartition(":v")
        if name != self._settings.key:
            raise KeyUnavailableError(f"the key {name!r} is not the one that the configuration names")
        if version != str(number):
            raise AlteredKeyError("a wrapped scope key names another version than its ciphertext")
        if not self._is_here(number):
            raise KeyUnavailableError(f"Vault no longer decrypts under {parsed.key_id}")
        try:
            answer = self._ask("decrypt", {"ciphertext": parsed.payload.decode("ascii"), "context": _text(context)})
        except VaultStatusError as error:
            if not self._is_here(number, again=True):
                raise KeyUnavailableError(f"Vault no longer decrypts under {parsed.key_id}") from error
            raise AlteredKeyError("a wrapped key was altered, or bound to another region, scope or subject") from error
        return _checked(answer, context)

    def rotate(self) -> str:
        """Make a new version and return its id."""
        self._look()
        self._ask_or_explain("POST", f"keys/{self._name}/rotate")
        self._forget()
        return self.current

    def retire(self, key_id: str) -> None:
        """Destroy a version, and those before it: Vault numbers them and trims from the oldest on."""
        versions = self._look(again=True)
        older = [self._id(number) for number in range(versions.oldest, versions.newest)]
        if key_id not in older:
            raise KeyUnavailableError(f"{key_id} is no older version of {self._settings.key!r}")
        if key_id != older[0]:
            raise KeyUnavailableError(f"Vault destroys versions from the oldest on: retire {older[0]} first")
        least = versions.oldest + 1
        self._ask_or_explain(
            "POST", f"keys/{self._name}/config", {"min_decryption_version": least, "min_encryption_version": least}
        )
        self._ask_or_explain("POST", f"keys/{self._name}/trim", {"min_available_version": least})
        self._forget()

    def close(self) -> None:
        """Begin anew with the next call."""
        self._forget()
        self._vault.close()

    @property
    def _name(self) -> str:
        return quote(self._settings.key, safe="")

    def _id(self, version: int) -> str:
        return f"{self._settings.key}:v{version}"

    def _is_here(self, number: int, *, again: bool = False) -> bool:
        versions = self._look(again=again)
        if not again and number > versions.newest:  # rotated by somebody else
            versions = self._look(again=True)
        return versions.oldest <= number <= versions.newest

    def _forget(self) -> None:
        with self._guard:
            self._versions = None

    def _look(self, *, again: bool = False) -> _Versions:
        with self._guard:
            known = self._versions
        if known is not None and not again:
            return known
        data = self._described()
        if data.get("derived") is not True or data.get("type") != _TYPE:
            raise KeyProviderError(
                f"the key {self._settings.key!r} in Vault is not a derived one of the type {_TYPE}: "
                f"`vault write -f {self._settings.mount}/keys/{self._settings.key} type={_TYPE} derived=true`"
            )
        try:
            oldest = max(int(data["min_decryption_version"]), int(data.get("min_available_version") or 0), 1)
            versions = _Versions(oldest=oldest, newest=int(data["latest_version"]))
        except (KeyError, TypeError, ValueError) as error:
            raise KeyProviderError("Vault's answer describes no key") from error
        with self._guard:
            self._versions = versions
        return versions

    def _described(self) -> dict[str, Any]:
        path = f"{self._settings.mount}/keys/{self._name}"
        try:
            return self._vault.ask("GET", path)
        except VaultStatusError as error:
            if error.status != 404 or not self._settings.create:
                raise KeyProviderError(
                    f"there is no key {self._settings.key!r} at {self._settings.mount!r} in Vault"
                ) from error
        self._ask_or_explain("POST", f"keys/{self._name}", {"type": _TYPE, "derived": True})
        return self._vault.ask("GET", path)

    def _ask(self, verb: str, body: dict[str, object]) -> dict[str, Any]:
        try:
            return self._vault.ask("POST", f"{self._settings.mount}/{verb}/{self._name}", body)
        except VaultStatusError as error:
            if verb == "decrypt" and error.status == 400:
                raise
            self._forget()
            raise KeyProviderError(
                f"Vault cannot {verb} with {self._settings.key!r} (status {error.status})"
            ) from error

    def _ask_or_explain(self, method: str, path: str, body: dict[str, object] | None = None) -> None:
        try:
            self._vault.ask(method, f"{self._settings.mount}/{path}", body)
        except VaultStatusError as error:
            raise KeyProviderError(f"Vault refuses {method} {path} (status {error.status})") from error


def _is_canonical(text: bytes) -> bool:
    """Say whether base64 is in the one form of its bytes: the last digit has bits that decoding does not look at."""
    try:
        return base64.b64encode(base64.b64decode(text, validate=True)) == text
    except binascii.Error:
        return False


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _check(context: bytes) -> bytes:
    return hashlib.sha256(_CHECK + context).digest()


def _checked(answer: dict[str, Any], context: bytes) -> bytes:
    try:
        plain = base64.b64decode(str(answer.get("plaintext", "")), validate=True)
    except binascii.Error as error:
        raise KeyProviderError("Vault's answer holds no plaintext in a form known here") from error
    key, check = plain[:KEY_BYTES], plain[KEY_BYTES:]
    if len(key) != KEY_BYTES or not hmac.compare_digest(check, _check(context)):
        raise AlteredKeyError("a wrapped key was altered, or bound to another region, scope or subject")
    return key
