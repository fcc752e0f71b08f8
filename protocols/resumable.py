"""Uploads with an address of their own, declared here and implemented by the application.

A client makes one, sends its bytes in as many requests as it takes, in any session and through any worker, and asks in
between how much is there. That is what tus 1.0.0 and the IETF's resumable uploads have in common.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from protocols.filesystem import WriteHandle, WriteMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.filesystem import Receipt
    from protocols.path import VirtualPath


class UploadKind(enum.StrEnum):
    """What an upload is of."""

    WHOLE = "whole"
    """A file."""
    PART = "part"
    """A part of a file: it never lands by itself."""
    JOINED = "joined"
    """A file that is made of parts."""


class Dialect(enum.StrEnum):
    """How the client that made it speaks; who finds an upload finds that out too."""

    TUS = "tus"
    """It is whole once it has its length (tus 1.0.0)."""
    DRAFT = "draft"
    """It is whole once the client says so (draft-ietf-httpbis-resumable-upload)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadOrder:
    """An upload that is to be made."""

    path: VirtualPath
    """Of the file; of a part its directory, and a name that nobody sees."""
    kind: UploadKind = UploadKind.WHOLE
    dialect: Dialect = Dialect.TUS
    length: int | None = None
    """Bytes that it will have; None: not known yet."""
    described: str = ""
    """What the client tells of it: kept, and given back as it is."""
    mode: WriteMode = WriteMode.REPLACE
    modified: float | None = None
    """The client's own modification time, POSIX seconds; kept beside, decides nothing."""
    password: str | None = field(default=None, repr=False)
    """Of the archive that the file is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UploadStatus:
    """Where an upload stands."""

    id: str
    kind: UploadKind
    dialect: Dialect
    path: VirtualPath
    offset: int
    """Bytes from the first on that are there and would survive a power cut: where it goes on."""
    length: int | None
    complete: bool
    """A file: it has landed. A part: all of it is there."""
    described: str = ""
    parts: tuple[str, ...] = ()
    """Of a joined one the ids of its parts, in order."""
    expires: float | None = None
    """When it is given up, POSIX seconds; None once it is complete."""
    receipt: Receipt | None = None


@runtime_checkable
class NumberedHandle(WriteHandle, Protocol):
    """A write handle of an upload that has an address.

    `commit` of a part makes it durable and counts it as there; its receipt says no more. `abort` keeps what came, also
    where that is nothing.
    """

    @property
    def id(self) -> str:
        """What its address is made of: letters and digits that nobody guesses."""

    def truncate(self, size: int) -> None:
        """Throw away what came behind *size* bytes: a checksum did not hold."""

    def announce(self, length: int) -> None:
        """Take the length of the whole file, which was not known before.

        Raises:
            OffsetMismatchError: another one was told earlier.
            QuotaExceededError: no file may have it.
        """

    def confirm(self) -> None:
        """Count what came since it was opened as good; see `NumberedUploads.resume_upload`."""


@runtime_checkable
class NumberedUploads(Protocol):
    """Optional: a filesystem whose uploads can have addresses. An upload of another login is not found."""

    def begin_upload(self, order: UploadOrder) -> NumberedHandle:
        """Make an upload and open it at its first byte."""

    def join_uploads(self, order: UploadOrder, parts: Sequence[str]) -> UploadStatus:
        """Make a file of *parts* (ids), in that order, as soon as each of them is complete; return without waiting.

        What is asked for again is the same upload, not another one.

        Raises:
            NotFoundError: a part is not there.
            RejectedError: it is no part, is given twice, or is a part of another file.
        """

    def upload_status(self, upload_id: str) -> UploadStatus:
        """Say where an upload stands; one of which every byte is there, and which should have landed, lands now.

        Raises:
            NotFoundError: it is not there, or not this login's.
            GoneError: it is over.
        """

    def resume_upload(self, upload_id: str, *, unverified: bool = False) -> NumberedHandle:
        """Open an upload where it stands; whoever was writing it loses it.

        With *unverified*, what comes now counts for nothing until `confirm`, also if this process dies.

        Raises:
            NotFoundError, GoneError: as `upload_status`.
            LockedError: it has landed or is being joined, or another session is just taking it over.
        """

    def remove_upload(self, upload_id: str) -> None:
        """Give an upload up, and its address. What has landed stays.

        Raises:
            NotFoundError, GoneError: as `upload_status`.
        """
