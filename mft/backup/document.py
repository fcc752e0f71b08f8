"""What a backup says of itself: every file with its digest, under the signature of the server that made it.

NAME/backup.json    what it is; names the digest of the next
NAME/backup.sig     the key's id and the signature of backup.json
NAME/files.jsonl    a line for each file: path, size, SHA-256
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.backup.errors import AlteredBackupError, NoBackupError
from mft.receipts import key_id, signer, verifier
from storage.durable import write_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

DOCUMENT, SIGNATURE, FILES = "backup.json", "backup.sig", "files.jsonl"
FORMAT, VERSION = "mft-backup", 1
_STATEMENT = b"mft backup v1\n"
_PIECE = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class BackedUp:
    """One file of a backup."""

    path: str
    """Below the backup's directory."""
    size: int
    sha256: str

    def line(self) -> str:
        """Return it as `files.jsonl` has it."""
        return json.dumps({"path": self.path, "size": self.size, "sha256": self.sha256}) + "\n"


def _statement(document: bytes) -> bytes:
    return _STATEMENT + hashlib.sha256(document).hexdigest().encode("ascii")


def write_document(
    directory: Path, claims: Mapping[str, object], files: Iterable[BackedUp], key: Ed25519PrivateKey
) -> None:
    """Write the three files that make a backup of a directory, the signature last."""
    lines = "".join(each.line() for each in sorted(files, key=lambda each: each.path)).encode()
    write_file(directory / FILES, lines, replace=True)
    document = json.dumps(
        {"format": FORMAT, "version": VERSION, **claims, "files_sha256": hashlib.sha256(lines).hexdigest()},
        indent=2,
        sort_keys=True,
    ).encode()
    write_file(directory / DOCUMENT, document, replace=True)
    signature = {"key": key_id(key.public_key()), "signature": signer(key)(_statement(document))}
    write_file(directory / SIGNATURE, json.dumps(signature).encode(), replace=True)


def read_document(directory: Path) -> dict[str, object]:
    """Return what a backup says of itself; its signature is for `check_signature`.

    Raises:
        NoBackupError: there is none, or not a whole one.
        AlteredBackupError: it is none of this release's, or its list of files is not the one that it names.
    """
    try:
        document = json.loads((directory / DOCUMENT).read_bytes())
        lines = (directory / FILES).read_bytes()
        (directory / SIGNATURE).stat()
    except (OSError, ValueError) as error:
        raise NoBackupError(f"{directory} is no backup, or not a whole one") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT or document.get("version") != VERSION:
        raise AlteredBackupError(f"{directory}: not a backup of version {VERSION}")
    if hashlib.sha256(lines).hexdigest() != document.get("files_sha256"):
        raise AlteredBackupError(f"{directory / FILES} is not the list that the backup was made with")
    return document


def check_signature(directory: Path, key: Ed25519PublicKey) -> None:
    """See that the server of *key* made the backup.

    Raises:
        AlteredBackupError: it did not.
    """
    try:
        told = json.loads((directory / SIGNATURE).read_bytes())
        document = (directory / DOCUMENT).read_bytes()
        fits = told["key"] == key_id(key) and verifier(key)(_statement(document), told["signature"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlteredBackupError(f"{directory / SIGNATURE} is no signature of a backup") from error
    if not fits:
        raise AlteredBackupError(f"{directory} does not bear the signature of the key {key_id(key)}")


def read_files(directory: Path) -> dict[str, BackedUp]:
    """Return the files of a backup by their paths.

    Raises:
        AlteredBackupError: the list cannot be understood, or a path of it leads out of the backup.
    """
    found = {}
    try:
        for line in (directory / FILES).read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            each = BackedUp(path=str(told["path"]), size=int(told["size"]), sha256=str(told["sha256"]))
            if each.path.startswith("/") or ".." in each.path.split("/"):
                raise AlteredBackupError(f"{directory / FILES}: {each.path!r} leads out of the backup")
            found[each.path] = each
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AlteredBackupError(f"{directory / FILES} cannot be read") from error
    return found


def digest_of(path: Path) -> tuple[int, str]:
    """Return size and SHA-256 of a file."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()


def check_file(directory: Path, each: BackedUp) -> None:
    """See that a file of a backup is what was written.

    Raises:
        AlteredBackupError: it is missing, or something else.
    """
    try:
        found = digest_of(directory / each.path)
    except OSError as error:
        raise AlteredBackupError(f"{directory / each.path} cannot be read: {error.strerror}") from error
    if found != (each.size, each.sha256):
        raise AlteredBackupError(f"{directory / each.path} is not what was written")
