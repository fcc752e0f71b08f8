"""What can go wrong for who sends or fetches a file.

ClientError
├── RefusedError      the server says no; its words, and the status
├── UnreachableError  the server does not answer any more: to be gone on with later
├── FolderError       what was asked for as a file is a folder
├── ChangedError      the file is not what it was when this began
├── MismatchError     what has arrived is not what was sent
└── TrustError        the server is not the one that was named
"""

from __future__ import annotations


class ClientError(Exception):
    """Base of everything that ends a transfer."""


class RefusedError(ClientError):
    """The server says no."""

    def __init__(self, message: str, *, status: int) -> None:
        """Say it in the server's words."""
        super().__init__(message)
        self.status = status


class UnreachableError(ClientError):
    """The server does not answer, or the connection broke off too often: a later run goes on."""


class FolderError(ClientError):
    """What was asked for as a file is a folder."""


class ChangedError(ClientError):
    """The file changed while it was sent or fetched."""


class MismatchError(ClientError):
    """What has arrived is not what was sent."""


class TrustError(ClientError):
    """The server's certificate is not the one that is trusted."""
