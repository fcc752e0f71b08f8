"""The directory of landing logs of one node in one region."""

from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from storage.descriptor import Descriptor
from storage.durable import disk_errors, sync_directory
from storage.errors import LandingError, LandingExistsError, LandingNotFoundError, StoreUnavailableError
from storage.landing.carrying import carry_log
from storage.landing.reader import LandingReader
from storage.landing.writer import LandingWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_SUFFIX = ".landing"
_MARK = ".zone"
"""A directory that lies in each zone: below a mount point whose disk is not mounted it does not."""
_UPLOAD_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", re.ASCII)
_HASHERS = 2
_SYNCERS = 4
"""Threads; both kinds leave the interpreter to others meanwhile. Apart, so that a slow disk delays no digest."""


def is_zone(directory: Path) -> bool:
    """Say whether a landing zone lies there."""
    return (directory / _MARK).is_dir()


def make_zone(directory: Path) -> None:
    """Make a landing zone there, for its owner alone, if there is none.

    Raises:
        OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
    """
    with disk_errors(f"making the landing zone {directory}"):
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        (directory / _MARK).mkdir(exist_ok=True, mode=0o700)
        sync_directory(directory)
        sync_directory(directory.parent)


class LandingZone:
    """Where uploads arrive. Safe to call from several threads; several processes may share the directory.

    One whose disk is away is not taken for empty: then it raises `StoreUnavailableError`, and comes back with it.
    """

    def __init__(self, directory: Path, *, make: bool = True) -> None:
        """Use *directory*, which is made if it is not there; without *make* there is no zone until one lies there."""
        self._directory = directory
        self._hashers = ThreadPoolExecutor(_HASHERS, thread_name_prefix="landing-hash")
        self._syncers = ThreadPoolExecutor(_SYNCERS, thread_name_prefix="landing-sync")
        if make:
            make_zone(directory)

    def check_is_there(self) -> None:
        """Return if the zone is at hand.

        Raises:
            StoreUnavailableError: it is not.
        """
        if not is_zone(self._directory):
            raise StoreUnavailableError(f"there is no landing zone at {self._directory}: is its disk mounted?")

    def create(self, upload_id: str, key: bytes, *, hashed: bool = True) -> LandingWriter:
        """Begin the log of a new upload. Its name is durable with the writer's first `sync`.

        Args:
            upload_id: letters, digits, `-` and `_`, at most 128.
            key: 32 bytes, of this upload alone.
            hashed: whether its digest will be asked for; else none is computed.

        Raises:
            LandingExistsError: there is one already.
            OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
        """
        self.check_is_there()
        try:
            writer = self._writer(upload_id, key, os.O_RDWR | os.O_CREAT | os.O_EXCL, hashed=hashed)
        except FileExistsError as error:
            raise LandingExistsError(f"{upload_id} has landed here already") from error
        try:
            writer.begin()
        except BaseException:
            writer.close()
            self.destroy(upload_id)
            raise
        return writer

    def resume(self, upload_id: str, key: bytes, *, records: int | None = None, hashed: bool = True) -> LandingWriter:
        """Go on with an upload: replay its log, cut off what a crash has torn, make the rest durable.

        Args:
            upload_id: as it was created.
            key: the same.
            records: how many records the catalog knows to be durable, if it does.
            hashed: as for `create`.

        Raises:
            LandingNotFoundError: there is no such log.
            LandingBusyError: another handle, here or in another process, is still writing it.
            RolledBackError: there are fewer than *records*.
            AlteredRecordError, WrongKeyError, UnknownFormatError: it is not this upload's log, or was altered where no
                torn tail can be the reason; nothing was cut.
        """
        try:
            writer = self._writer(upload_id, key, os.O_RDWR, hashed=hashed)
        except FileNotFoundError as error:
            self.check_is_there()
            raise LandingNotFoundError(f"{upload_id} has not landed here") from error
        try:
            writer.recover(records)
        except BaseException:
            writer.close()
            raise
        return writer

    def open(self, upload_id: str, key: bytes, *, records: int | None = None, size: int | None = None) -> LandingReader:
        """Open an upload for reading, as it is now on the disk; see `LandingReader.from_fd`.

        Raises:
            LandingNotFoundError: there is no such log.
            RolledBackError, AlteredRecordError, WrongKeyError, UnknownFormatError: as `LandingReader.from_fd` says.
        """
        return LandingReader.from_fd(self.open_fd(upload_id), upload_id, key, records, size)

    def open_fd(self, upload_id: str) -> int:
        """Return a descriptor of the log, open for reading: to be handed to a child, and closed by the caller.

        Raises:
            LandingNotFoundError: there is no such log.
        """
        try:
            return self._open(upload_id, os.O_RDONLY)
        except FileNotFoundError as error:
            self.check_is_there()
            raise LandingNotFoundError(f"{upload_id} has not landed here") from error

    def destroy(self, upload_id: str) -> None:
        """Remove a log and return when that is durable; where there is none, nothing happens.

        Raises:
            StoreUnavailableError: the zone is not there, or the disk fails.
        """
        self.check_is_there()
        with disk_errors(f"destroying {upload_id}"):
            self._path(upload_id).unlink(missing_ok=True)
            self._arriving(upload_id).unlink(missing_ok=True)
            sync_directory(self._directory)

    def carry(self, upload_id: str, target: LandingZone, pace: Callable[[int], None]) -> int:
        """Copy a log as it is, sealed, into another zone, and return how many bytes that were.

        It is there when it is whole, durable, and the same when read back; what a crash has left of an earlier attempt
        is replaced. This zone keeps its own.

        Args:
            upload_id: whose log. What is appended meanwhile may be missing: the caller knows whether anything was.
            target: another region's zone, on this machine.
            pace: called with the bytes of each piece before it is written; what it raises ends the copy.

        Raises:
            LandingNotFoundError: there is no such log.
            DifferingCopyError: what was read back is not what was written.
            OutOfSpaceError, StoreUnavailableError: a disk is full or fails.
        """
        target.check_is_there()
        source = self.open_fd(upload_id)
        try:
            with disk_errors(f"carrying the landing log {upload_id}"):
                return carry_log(source, target._arriving(upload_id), target._path(upload_id), pace)
        finally:
            os.close(source)

    def ids(self) -> Iterator[str]:
        """Yield the ids of all uploads that have a log here, in no order."""
        self.check_is_there()
        with disk_errors(f"listing the landing zone {self._directory}"), os.scandir(self._directory) as entries:
            for entry in entries:
                name = entry.name.removesuffix(_SUFFIX)
                if name != entry.name and _UPLOAD_ID.fullmatch(name):
                    yield name

    def log_size(self, upload_id: str) -> int:
        """Return how many bytes the log of an upload takes on the disk.

        Raises:
            LandingNotFoundError: there is no such log.
        """
        try:
            return self._path(upload_id).stat().st_size
        except FileNotFoundError as error:
            self.check_is_there()
            raise LandingNotFoundError(f"{upload_id} has not landed here") from error

    def close(self) -> None:
        """Stop the threads, once what they are doing is done. Close the writers first."""
        self._hashers.shutdown()
        self._syncers.shutdown()

    def _writer(self, upload_id: str, key: bytes, flags: int, *, hashed: bool) -> LandingWriter:
        file, hashers = Descriptor(self._open(upload_id, flags)), self._hashers if hashed else None
        return LandingWriter(file, self._path(upload_id), upload_id, key, hashers=hashers, syncers=self._syncers)

    def _open(self, upload_id: str, flags: int) -> int:
        with disk_errors(f"opening the landing log {upload_id}"):
            return os.open(self._path(upload_id), flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def _arriving(self, upload_id: str) -> Path:
        return self._path(upload_id).with_suffix(".arriving")

    def _path(self, upload_id: str) -> Path:
        if not _UPLOAD_ID.fullmatch(upload_id):
            raise LandingError(f"{upload_id!r} is not an upload id")
        return self._directory / (upload_id + _SUFFIX)
