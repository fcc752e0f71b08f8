"""The keys of one region in a file, sealed with a passphrase.

The file is a JSON object: what a reader needs to know in clear, and the keys sealed with AES-256-GCM under
Argon2id of the passphrase (RFC 9106). Its associated data are the clear part, so that nothing of it can be changed.
`docs/format.md` has it byte by byte.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from storage.durable import disk_errors, write_file
from storage.errors import AlteredKeyError, KeyringError, KeyUnavailableError, WrongPassphraseError
from storage.keys.binding import KEY_BYTES, NONCE_BYTES, unwrap_key, wrap_key
from storage.keys.envelope import Region
from storage.keys.wrapped import KEYRING, header_of, parse_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_FORMAT = "mft-keyring"
_VERSION = 1
_SALT_BYTES = 16
_ID_BYTES = 8
_MAX_MEMORY_KIB = 4 * 1024 * 1024
_MAX_ITERATIONS = 64
_MAX_LANES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class PassphraseCost:
    """What one try of a passphrase costs: the parameters of Argon2id (RFC 9106, section 4)."""

    memory_kib: int = 64 * 1024
    iterations: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        """Refuse what no keyring of ours has: a file must not make its reader allocate without bound."""
        if not (
            8 * self.lanes <= self.memory_kib <= _MAX_MEMORY_KIB
            and 1 <= self.iterations <= _MAX_ITERATIONS
            and 1 <= self.lanes <= _MAX_LANES
        ):
            raise KeyringError(f"Argon2id parameters out of range: {self}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionKey:
    """One key of a region."""

    key: bytes
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """What seals the file: the derived key and how it was derived."""

    salt: bytes
    cost: PassphraseCost
    key: bytes


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _derive(passphrase: str, salt: bytes, cost: PassphraseCost) -> _Lock:
    if not passphrase:
        raise KeyringError("a keyring needs a passphrase that is not empty")
    kdf = Argon2id(
        salt=salt, length=KEY_BYTES, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
    )
    return _Lock(salt=salt, cost=cost, key=kdf.derive(passphrase.encode()))


def _canonical(document: object) -> bytes:
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decode(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _clear_part(region: Region, lock: _Lock) -> dict[str, object]:
    return {
        "format": _FORMAT,
        "version": _VERSION,
        "region": region,
        "kdf": {
            "name": "argon2id",
            "salt": _encode(lock.salt),
            "memory_kib": lock.cost.memory_kib,
            "iterations": lock.cost.iterations,
            "lanes": lock.cost.lanes,
        },
    }


class Keyring:
    """The keys of one region: a `KeyWrapper`. One key is current and wraps; the older ones still unwrap."""

    def __init__(self, path: Path, region: Region, lock: _Lock, keys: dict[str, RegionKey], current: str) -> None:
        """Hold what `create` made or `load` read; call those instead."""
        self.path = path
        self.region = region
        self._lock = lock
        self._keys = keys
        self._current = current
        self._guard = threading.Lock()

    @classmethod
    def create(
        cls,
        path: Path,
        region: Region,
        passphrase: str,
        *,
        cost: PassphraseCost | None = None,
        clock: Callable[[], datetime] = _utc_now,
    ) -> Keyring:
        """Make a keyring with one key and write its file, durably and with mode 0600.

        Raises:
            KeyringError: a file is there already; a lost key is lost data, so none is ever overwritten.
        """
        lock = _derive(passphrase, os.urandom(_SALT_BYTES), cost or PassphraseCost())
        name, key = _new_region_key(clock)
        ring = cls(path, region, lock, {name: key}, name)
        try:
            ring._write(lock, ring._keys, name, replace=False)
        except FileExistsError as error:
            raise KeyringError(f"{path} is there already; it is never overwritten") from error
        return ring

    @classmethod
    def load(cls, path: Path, passphrase: str) -> Keyring:
        """Read the keyring file at *path*.

        Raises:
            WrongPassphraseError: *passphrase* does not open it, or the file was altered.
            KeyringError: there is no keyring, or it is of a later version.
        """
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError as error:
            raise KeyringError(f"{path} is not there") from error
        except ValueError as error:
            raise KeyringError(f"{path} is not a keyring file") from error
        if not isinstance(document, dict):
            raise KeyringError(f"{path} is not a keyring file")
        try:
            return cls._open(path, document, passphrase)
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise KeyringError(f"{path} is not a keyring file of version {_VERSION}") from error

    @classmethod
    def _open(cls, path: Path, document: dict[str, object], passphrase: str) -> Keyring:
        nonce, sealed = _decode(str(document.pop("nonce"))), _decode(str(document.pop("sealed")))
        kdf = document["kdf"]
        known = document["format"] == _FORMAT and document["version"] == _VERSION
        if not known or not isinstance(kdf, dict) or kdf["name"] != "argon2id":
            raise KeyringError(f"{path} is not a keyring file of version {_VERSION}")
        cost = PassphraseCost(memory_kib=kdf["memory_kib"], iterations=kdf["iterations"], lanes=kdf["lanes"])
        lock = _derive(passphrase, _decode(kdf["salt"]), cost)
        try:
            plain = json.loads(AESGCM(lock.key).decrypt(nonce, sealed, _canonical(document)))
        except InvalidTag as error:
            raise WrongPassphraseError(f"the passphrase does not open {path}, or the file was altered") from error
        keys = {
            name: RegionKey(key=_decode(entry["key"]), created=datetime.fromisoformat(entry["created"]))
            for name, entry in sorted(plain["keys"].items(), key=lambda each: each[1]["created"])
        }
        return cls(path, Region(str(document["region"])), lock, keys, plain["current"])

    @property
    def current(self) -> str:
        """Id of the key that wraps (16 hexadecimal digits)."""
        return self._current

    @property
    def key_ids(self) -> tuple[str, ...]:
        """Ids of all keys, oldest first."""
        return tuple(self._keys)

    def created(self, key_id: str) -> datetime:
        """Say when a key was made (UTC)."""
        return self._keys[key_id].created

    def rotate(self, *, clock: Callable[[], datetime] = _utc_now) -> str:
        """Make a new key current, keep the older ones for unwrapping, and return the new id once it is durable."""
        with self._guard:
            name, key = _new_region_key(clock)
            keys = {**self._keys, name: key}
            self._write(self._lock, keys, name)
            self._keys = keys  # before the other: whoever wraps reads them after it
            self._current = name
            return name

    def change_passphrase(self, passphrase: str, *, cost: PassphraseCost | None = None) -> None:
        """Seal the file with another passphrase, another cost of trying one, or both; the keys in it stay."""
        lock = _derive(passphrase, os.urandom(_SALT_BYTES), cost or self._lock.cost)
        with self._guard:
            self._write(lock, self._keys, self._current)
            self._lock = lock

    def retire(self, key_id: str) -> None:
        """Take an older key out of the file, durably: what it wrapped never opens again.

        Copies of the file are others' to destroy: with the passphrase of their time they still hold it.

        Raises:
            KeyUnavailableError: it is the current one, or there is none of that id.
        """
        with self._guard:
            if key_id not in self._keys or key_id == self._current:
                raise KeyUnavailableError(f"{key_id} is no older key of the keyring of {self.region!r}")
            keys = {name: key for name, key in self._keys.items() if name != key_id}
            self._write(self._lock, keys, self._current)
            self._keys = keys

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped under the current key: version, key id, nonce, sealed key."""
        current = self._current
        return wrap_key(self._keys[current].key, key, context=context, header=header_of(KEYRING, current))

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*, under whichever key of the region it names."""
        parsed = parse_wrapped(wrapped)
        if parsed.form != KEYRING:
            raise AlteredKeyError("a wrapped scope key is not in the form of a keyring")
        held = self._keys.get(parsed.key_id)
        if held is None:
            raise KeyUnavailableError(f"the keyring of {self.region!r} has no key {parsed.key_id}")
        return unwrap_key(held.key, wrapped, context=context, header=parsed.header)

    def _write(self, lock: _Lock, keys: dict[str, RegionKey], current: str, *, replace: bool = True) -> None:
        clear = _clear_part(self.region, lock)
        entries = {n: {"key": _encode(k.key), "created": k.created.isoformat()} for n, k in keys.items()}
        nonce = os.urandom(NONCE_BYTES)
        sealed = AESGCM(lock.key).encrypt(nonce, _canonical({"current": current, "keys": entries}), _canonical(clear))
        document = {**clear, "nonce": _encode(nonce), "sealed": _encode(sealed)}
        data = (json.dumps(document, indent=2) + "\n").encode()
        with disk_errors(f"writing the keyring {self.path}"):
            write_file(self.path, data, replace=replace)


def _new_region_key(clock: Callable[[], datetime]) -> tuple[str, RegionKey]:
    return os.urandom(_ID_BYTES).hex(), RegionKey(key=os.urandom(KEY_BYTES), created=clock())
