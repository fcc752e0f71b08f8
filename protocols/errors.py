"""What can go wrong between a protocol head and the filesystem behind it.

    FileSystemError
    ├── NotFoundError            nothing there, or nothing that this login may know of
    │   ├── NotADirectoryPathError   a file stands where a directory was asked for
    │   ├── GoneError                it was there for this login, and is over
    │   └── ElsewhereError           it is there for this login, by another entrance; names it
    ├── PermissionDeniedError    it is there, and this login may not do that to it
    │   └── IsADirectoryPathError    a directory stands where a file was asked for
    ├── AlreadyExistsError
    ├── InvalidNameError         the name cannot be a name here; says why
    ├── OffsetMismatchError      a resume at another place than where the upload stands
    ├── QuotaExceededError       a limit or a quota stands against it
    │   └── NoSpaceError             the server's disk does; that may pass
    ├── RejectedError            policy says no, with a reason for the sender
    ├── DamagedError             no whole copy of it is left; nobody is helped by trying again
    ├── LockedError              somebody else is writing it; try again
    │   └── LockConflictError        a write lock stands against it; names its place
    └── UnavailableError         the case system or a store does not answer; try again

    AuthenticationError          the credential was not accepted (never says which part)
    ├── EndedTokenError          a token that was good, or is good elsewhere; says why
    ├── WrongEntranceError       the login is good, by another entrance; names it
    └── ThrottledError           too many failures; says when to try again

The text of each of these may be sent to the client. The text of any other exception may not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class FileSystemError(Exception):
    """Base of everything a filesystem may tell a client."""


class NotFoundError(FileSystemError):
    """Nothing is there, or nothing that this login may know of."""


class NotADirectoryPathError(NotFoundError):
    """A file stands where a directory was asked for."""


class GoneError(NotFoundError):
    """It was there for this login, and is over."""


class ElsewhereError(NotFoundError):
    """It is there for this login, who has to come in by another entrance."""

    def __init__(self, message: str, *, authorities: Mapping[str, str]) -> None:
        """Say where it is; *authorities* has for each protocol host and port as a URL has them."""
        super().__init__(message)
        self.authorities = authorities


class PermissionDeniedError(FileSystemError):
    """It is there, and this login may not do that to it."""


class IsADirectoryPathError(PermissionDeniedError):
    """A directory stands where a file was asked for."""


class AlreadyExistsError(FileSystemError):
    """Something is there already."""


class InvalidNameError(FileSystemError):
    """The name cannot be a name here."""


class OffsetMismatchError(FileSystemError):
    """A resume begins elsewhere than where the upload stands."""


class QuotaExceededError(FileSystemError):
    """A limit or a quota stands against it."""


class NoSpaceError(QuotaExceededError):
    """The disk is full, or below the free-space watermark."""


class RejectedError(FileSystemError):
    """Policy refuses it; the text is the reason for the sender."""


class DamagedError(FileSystemError):
    """It should be there, and no whole copy of it can be given."""


class LockedError(FileSystemError):
    """Somebody else is writing it."""


class LockConflictError(LockedError):
    """A write lock stands against it."""

    def __init__(self, message: str, *, place: str) -> None:
        """Say it, and the place (as `Locking.lock_place` has it) that is locked."""
        super().__init__(message)
        self.place = place


class UnavailableError(FileSystemError):
    """Something that is needed does not answer; a later try may succeed."""

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        """Say what does not answer and after how many seconds a retry makes sense."""
        super().__init__(message)
        self.retry_after = retry_after


class AuthenticationError(Exception):
    """The credential was not accepted. Never says which part of it."""


class EndedTokenError(AuthenticationError):
    """A token that is known, with its secret, is not good here any more: its text says why, to whoever holds it.

    The text is one line without quotation marks.
    """


class WrongEntranceError(AuthenticationError):
    """The credential is good, and what it is for is served at another entrance: its text names that, in one line."""

    def __init__(self, message: str, *, authorities: Mapping[str, str]) -> None:
        """Say where it is; *authorities* has for each protocol host and port as a URL has them."""
        super().__init__(message)
        self.authorities = authorities


class ThrottledError(AuthenticationError):
    """Too many failures from this account or network."""

    def __init__(self, message: str, *, retry_after: float) -> None:
        """Say it, and after how many seconds a try is looked at again."""
        super().__init__(message)
        self.retry_after = retry_after
