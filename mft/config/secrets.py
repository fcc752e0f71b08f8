"""Secrets that the configuration keeps in files of their own."""

from __future__ import annotations

import base64
import binascii
import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from mft.config.decode import describe
from mft.config.errors import ConfigError, Fault, SecretFileError
from mft.config.load import load_document

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mft.config.access import LookupConfig
    from mft.config.keys import Pkcs11Config
    from mft.config.places import KeyringConfig
    from mft.config.stores import StoreConfig

MAX_SECRET_BYTES = 4096
MAX_DOCUMENT_BYTES = 64 * 1024


def load_secret(path: Path, key: str) -> str:
    """Return the first line of the file *path*, without its end; *key* is where the configuration names it.

    Raises:
        SecretFileError: it cannot be read, is empty, is no text, or is open to everyone on this machine.
    """
    raw = _closed_file(path, key, MAX_SECRET_BYTES)
    line = raw.splitlines()[0] if raw.splitlines() else b""
    if not line or len(raw) > MAX_SECRET_BYTES:
        raise _unusable(path, key, f"one line of text, at most {MAX_SECRET_BYTES} bytes", f"{len(raw)} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _unusable(path, key, "one line of UTF-8 text", "other bytes") from error


def _closed_file(path: Path, key: str, most: int) -> bytes:
    """Return what is in a file that others on this machine cannot open, up to a byte more than *most*."""
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            raw = file.read(most + 1)
    except OSError as error:
        raise _unusable(path, key, "a file that can be read", error.strerror or "an error") from error
    if mode & 0o007:
        raise _unusable(path, key, "a file that is closed to others (chmod 600)", f"mode {mode:04o}")
    return raw


def load_passphrase(keyring: KeyringConfig, region: str) -> str:
    """Return what opens the keyring of *region*.

    Raises:
        SecretFileError: see `load_secret`.
    """
    if keyring.passphrase_file is None:
        return keyring.passphrase or ""
    return load_secret(keyring.passphrase_file, f"regions.{region}.keyring.passphrase_file")


def load_pin(token: Pkcs11Config, key: str) -> str:
    """Return what opens a token; *key* is where the configuration names it.

    Raises:
        SecretFileError: see `load_secret`.
    """
    if token.pin_file is None:
        return token.pin or ""
    return load_secret(token.pin_file, f"{key}.pin_file")


def load_lookup_secret(lookup: LookupConfig) -> str:
    """Return what signs requests to the case system.

    Raises:
        SecretFileError: see `load_secret`.
    """
    if lookup.secret_file is None:
        return lookup.secret or ""
    return load_secret(lookup.secret_file, "lookup.secret_file")


def load_store_secret(store: StoreConfig, region: str) -> str | None:
    """Return the secret of a region's bucket: a key, or the JSON of a service account; None where it needs none.

    Raises:
        SecretFileError: see `load_secret`; or the file of a service account is not one.
    """
    key = f"regions.{region}.store"
    if store.s3 is not None and store.s3.secret_key_file is not None:
        return load_secret(store.s3.secret_key_file, f"{key}.s3.secret_key_file")
    if store.azure is not None and store.azure.account_key_file is not None:
        return load_secret(store.azure.account_key_file, f"{key}.azure.account_key_file")
    if store.gcs is not None and store.gcs.service_account_file is not None:
        return _service_account(store.gcs.service_account_file, f"{key}.gcs.service_account_file")
    return store.s3.secret_key if store.s3 is not None else store.azure.account_key if store.azure is not None else None


def _service_account(path: Path, key: str) -> str:
    raw = _closed_file(path, key, MAX_DOCUMENT_BYTES)
    try:
        found = json.loads(raw)
    except ValueError:
        found = None
    if len(raw) > MAX_DOCUMENT_BYTES or not isinstance(found, dict) or "private_key" not in found:
        raise _unusable(
            path, key, "the JSON key of a service account, with private_key", f"{len(raw)} bytes of another"
        )
    return raw.decode()


def load_webhook_secrets(paths: Sequence[Path], key: str) -> tuple[bytes, ...]:
    """Return the secrets in the files *paths*, which the configuration names at *key*.

    Raises:
        SecretFileError: see `load_secret`; or one is not `whsec_` and base64 of 24 to 64 bytes (Standard Webhooks).
    """
    secrets = []
    for index, path in enumerate(paths):
        place = f"{key}[{index}]"
        try:
            secrets.append(parse_webhook_secret(load_secret(path, place)))
        except ValueError as error:
            raise _unusable(path, place, f"{error}; `mft webhook secret` makes one", "something else") from error
    return tuple(secrets)


def parse_webhook_secret(text: str) -> bytes:
    """Return the bytes of a secret in the form of Standard Webhooks.

    Raises:
        ValueError: it is not in that form; what it says does not show it.
    """
    try:
        secret = base64.b64decode(text.strip().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not text.strip().startswith("whsec_") or not 24 <= len(secret) <= 64:
        raise ValueError("whsec_ and base64 of 24 to 64 bytes")
    return secret


def load_lookup_table(lookup: LookupConfig) -> Mapping[str, object]:
    """Return the static table of the lookup, read anew from its file where it has one.

    Raises:
        ConfigError: the file cannot be read, or is no YAML map. What is in the table is the lookup's to check.
    """
    if not isinstance(lookup.table, Path):
        return lookup.table or {}
    data = load_document(lookup.table).data
    if not isinstance(data, Mapping):
        fault = Fault(file=str(lookup.table), path="", expected="a map", found=describe(data))
        raise ConfigError((fault,))
    return cast("Mapping[str, object]", data)


def _unusable(path: Path, key: str, expected: str, found: str) -> SecretFileError:
    return SecretFileError((Fault(file=str(path), path=key, expected=expected, found=found),))
