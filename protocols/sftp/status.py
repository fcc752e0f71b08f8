"""Which SFTP status stands for which error: one table, looked up along the class hierarchy."""

from __future__ import annotations

from protocols.errors import FileSystemError, NotFoundError, PermissionDeniedError
from protocols.sftp.wire import Status

_CODES: dict[type, Status] = {
    NotFoundError: Status.NO_SUCH_FILE,
    PermissionDeniedError: Status.PERMISSION_DENIED,
    FileSystemError: Status.FAILURE,
}
"""Version 3 knows no more: the reason is in the message (design, section 9)."""
_MAX_MESSAGE = 512
"""Longest message sent, in characters."""


class UnsupportedError(FileSystemError):
    """This server does not do that at all."""


class EndOfFileError(FileSystemError):
    """Nothing is left to read. SFTP says so with a status, not with an empty reply."""


_CODES[UnsupportedError] = Status.OP_UNSUPPORTED
_CODES[EndOfFileError] = Status.EOF


def status_of(error: FileSystemError) -> tuple[Status, str]:
    """Return the status code and the message for *error*."""
    code = next(_CODES[kind] for kind in type(error).__mro__ if kind in _CODES)
    text = str(error) or code.name.replace("_", " ").lower()
    printable = "".join(character if character.isprintable() else "?" for character in text)
    return code, printable[:_MAX_MESSAGE]
