"""The demo's directory: what lies where, who may use it, and how it is made anew."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

CONNECTION = "connection.json"
_MARK = ".mft-demo"


class DemoError(Exception):
    """The demo cannot be given; says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Paths below the demo's directory."""

    root: Path

    @property
    def data(self) -> Path:
        """The server's data directory; nothing else is in it."""
        return self.root / "data"

    @property
    def configuration(self) -> Path:
        """What `mft serve` is given."""
        return self.root / "config.yaml"

    @property
    def records(self) -> Path:
        """What the case system knows at its start."""
        return self.root / "case-system.json"

    @property
    def secrets(self) -> Path:
        """Passphrases, and the secret shared with the case system."""
        return self.root / "secrets"

    @property
    def lookup_secret(self) -> Path:
        """What signs requests to the case system."""
        return self.secrets / "lookup.secret"

    @property
    def keys(self) -> Path:
        """The SSH keys of the people in the story."""
        return self.root / "keys"

    @property
    def known_hosts(self) -> Path:
        """The server's host keys, as OpenSSH's clients pin them."""
        return self.root / "known_hosts"

    @property
    def certificate(self) -> Path:
        """The server's certificate, where the server made it."""
        return self.data / "credentials" / "tls.crt"

    @property
    def receipt_key(self) -> Path:
        """The public key of receipts, as the server publishes it."""
        return self.root / "receipt-key.json"

    @property
    def customer(self) -> Path:
        """The customer's working directory."""
        return self.root / "customer"

    @property
    def engineer(self) -> Path:
        """The engineers' working directory."""
        return self.root / "engineer"

    @property
    def connection(self) -> Path:
        """Endpoints and credentials, for programs."""
        return self.root / CONNECTION

    @property
    def catalog(self) -> Path:
        """The server's catalog."""
        return self.data / "catalog.db"

    def log(self, name: str) -> Path:
        """Return the file that takes what a server says."""
        return self.root / f"{name}.log"

    def shown(self, path: Path) -> str:
        """Return *path* as short as it can be typed here."""
        try:
            return str(path.relative_to(Path.cwd()))
        except ValueError:
            return str(path)


def claim_ground(root: Path, *, keep: bool) -> Ground:
    """Return the ground at *root*, held by this process, empty unless *keep*.

    Raises:
        DemoError: another demo runs there, or something is there that no demo made.
    """
    root = root.absolute()
    mark = root / _MARK
    if root.exists() and any(root.iterdir()) and not mark.exists():
        raise DemoError(f"{root} is not empty and was not made by a demo; choose another directory with --data")
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(mark, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held until this process ends
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EAGAIN}:
            raise DemoError(f"another demo is running in {root}; end it, or choose another directory") from error
        raise
    ground = Ground(root=root)
    if not keep:
        _clear(root)
    for directory in (ground.secrets, ground.keys, ground.customer, ground.engineer):
        directory.mkdir(exist_ok=True, mode=0o700)
    return ground


def _clear(root: Path) -> None:
    for path in root.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != _MARK:
            path.unlink()


def write_private(path: Path, text: str) -> None:
    """Write *text* to *path*, whole or not at all, readable by this user alone."""
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
