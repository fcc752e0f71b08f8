"""What one channel has open, by the names that the client was given for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from protocols.errors import FileSystemError
from protocols.sftp.handles import Download, Listing, Upload
from protocols.sftp.wire import uint32

if TYPE_CHECKING:
    from protocols.path import VirtualPath
    from protocols.sftp.handles import OpenHandle
    from protocols.sftp.wire import Fields

H = TypeVar("H", Upload, Download, Listing)


class HandleTable:
    """The open handles of a channel, so many at most."""

    def __init__(self, most: int) -> None:
        """Hold *most* handles at a time."""
        self.most = most
        self._open: dict[bytes, OpenHandle] = {}
        self._next = 0

    def __bool__(self) -> bool:
        """Whether anything is open."""
        return bool(self._open)

    @property
    def transfers(self) -> int:
        """Number of files that are open."""
        return sum(handle.is_transfer for handle in list(self._open.values()))

    def check_room(self) -> None:
        """Return if one more may be opened.

        Raises:
            FileSystemError: too many are.
        """
        if len(self._open) >= self.most:
            raise FileSystemError(f"{self.most} files are open already; close one")

    def add(self, handle: OpenHandle) -> bytes:
        """Keep *handle*, and return the name that the client is to use for it."""
        name = uint32(self._next & 0xFFFFFFFF)
        self._next += 1
        self._open[name] = handle
        return name

    def get(self, name: bytes) -> OpenHandle | None:
        """Return what is open by that name."""
        return self._open.get(name)

    def take(self, fields: Fields) -> OpenHandle:
        """Return the handle that a request names, which is then open no more.

        Raises:
            FileSystemError: there is none.
        """
        handle = self._open.pop(fields.string(), None)
        if handle is None:
            raise FileSystemError("no such handle")
        return handle

    def take_all(self) -> list[OpenHandle]:
        """Return all that was open."""
        handles, self._open = list(self._open.values()), {}
        return handles

    def any(self, fields: Fields) -> Upload | Download | Listing:
        """Return the handle that a request names.

        Raises:
            FileSystemError: there is none.
        """
        handle = self._open.get(fields.string())
        if isinstance(handle, (Upload, Download, Listing)):
            return handle
        raise FileSystemError("no such handle")

    def upload_to(self, path: VirtualPath) -> Upload | None:
        """Return what is open to be written to *path*."""
        uploads = (each for each in list(self._open.values()) if isinstance(each, Upload))
        return next((each for each in uploads if each.path == path), None)

    def of(self, fields: Fields, kind: type[H]) -> H:
        """Return the handle that a request names, if it is of *kind*.

        Raises:
            FileSystemError: it is none.
        """
        handle = self.any(fields)
        if not isinstance(handle, kind):
            raise FileSystemError(f"the handle is of {type(handle).__name__.lower()}, not of {kind.__name__.lower()}")
        return handle
