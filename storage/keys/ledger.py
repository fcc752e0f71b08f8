"""The ledger of destroyed keys of a region: a file to which lines are added, and none is ever taken away.

A backup of stores and catalog holds wrapped keys that were destroyed since. Whoever opens keys reads this ledger, and
refuses what stands in it; so a restore that brings the ledger along, or plays it again, brings nothing back to life.
Each line is a JSON object that names the digest of the line before it (`docs/format.md`, section 10).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from storage.durable import disk_errors, sync_directory, write_all
from storage.errors import KeyringError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_FIRST = "0" * 64
_KINDS = ("scope", "key")


@dataclass(frozen=True, slots=True, kw_only=True)
class DestroyedKey:
    """One key that is gone."""

    kind: str
    """`scope`: a scope's key. `key`: a key of the region itself."""
    name: str
    """The scope, or the key's id."""
    why: str
    """In a few words without names of customers or files: a destruction's id, a rotation."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DestroyedKeys:
    """The ledger of one region. Safe for several threads and processes; what others add is seen at the next look."""

    def __init__(self, path: Path, region: str, *, clock: Callable[[], datetime] = _utc_now) -> None:
        """Keep the file *path*; it is made with its first line."""
        self.path = path
        self.region = region
        self._clock = clock
        self._guard = threading.Lock()
        self._known: set[tuple[str, str]] = set()
        self._read = 0
        self._last = _FIRST
        self._inode = 0

    def has(self, kind: str, name: str) -> bool:
        """Say whether a key stands in the ledger.

        Raises:
            KeyringError: the file was altered: fewer lines than before, or one that does not follow the one before.
        """
        with self._guard:
            self._catch_up()
            return (kind, name) in self._known

    def add(self, keys: Iterable[DestroyedKey]) -> int:
        """Add lines for those of *keys* that are not there yet, durably; return how many those were.

        Raises:
            KeyringError: as `has` says.
            StoreUnavailableError, OutOfSpaceError: they could not be written.
        """
        with self._guard, disk_errors(f"writing the ledger {self.path}"), self._locked() as fd:
            self._catch_up()
            os.ftruncate(fd, self._read)  # half a line that a crash has left
            lines = b""
            added: list[tuple[str, str]] = []
            last = self._last
            for each in keys:
                if each.kind not in _KINDS:
                    raise ValueError(f"no kind of key: {each.kind}")
                if (each.kind, each.name) in self._known or (each.kind, each.name) in added:
                    continue
                line = self._line(each, last)
                last = hashlib.sha256(line).hexdigest()
                lines += line + b"\n"
                added.append((each.kind, each.name))
            if not added:
                return 0
            os.lseek(fd, self._read, os.SEEK_SET)
            write_all(fd, lines)
            os.fsync(fd)
            sync_directory(self.path.parent)
            self._known.update(added)
            self._read, self._last = self._read + len(lines), last
            return len(added)

    def entries(self) -> tuple[dict[str, str], ...]:
        """Return the lines, the oldest first.

        Raises:
            KeyringError: as `has` says.
        """
        with self._guard:
            self._catch_up()
            try:
                data = self.path.read_bytes()[: self._read]
            except FileNotFoundError:
                return ()
            return tuple(json.loads(line) for line in data.splitlines())

    def _line(self, each: DestroyedKey, last: str) -> bytes:
        document = {
            "at": self._clock().isoformat(timespec="milliseconds"),
            "kind": each.kind,
            "name": each.name,
            "previous": last,
            "region": self.region,
            "why": each.why,
        }
        return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            yield fd
        finally:
            os.close(fd)

    def _catch_up(self) -> None:
        """Read what was added since the last look: one call of the system where that is nothing."""
        try:
            found = self.path.stat()
        except FileNotFoundError:
            if self._read:
                raise KeyringError(f"the ledger of destroyed keys {self.path} is gone: put it back") from None
            return
        before = self._known
        if found.st_ino != self._inode:
            self._known, self._read, self._last, self._inode = set(), 0, _FIRST, found.st_ino
        if found.st_size == self._read:
            return
        if found.st_size < self._read:
            raise KeyringError(f"the ledger of destroyed keys {self.path} was cut short: put it back")
        with self.path.open("rb") as file:
            file.seek(self._read)
            added = file.read()
        for line in added.splitlines(keepends=True):
            if not line.endswith(b"\n"):
                break  # being written, or what a crash has left
            self._take(line[:-1])
            self._read += len(line)
        if not before <= self._known:
            self._inode = 0
            self._known = before
            raise KeyringError(f"the ledger of destroyed keys {self.path} was replaced by one that lacks keys")

    def _take(self, line: bytes) -> None:
        try:
            document = json.loads(line)
            kind, name, previous = document["kind"], document["name"], document["previous"]
            good = previous == self._last and document["region"] == self.region and kind in _KINDS
        except (ValueError, KeyError, TypeError) as error:
            raise KeyringError(f"the ledger of destroyed keys {self.path} was altered at byte {self._read}") from error
        if not good:
            raise KeyringError(f"the ledger of destroyed keys {self.path} was altered at byte {self._read}")
        self._known.add((kind, name))
        self._last = hashlib.sha256(line).hexdigest()
