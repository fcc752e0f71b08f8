"""From what went wrong to what an FTP client is told: one table, looked up along the class hierarchy."""

from __future__ import annotations

from protocols.errors import (
    AlreadyExistsError,
    FileSystemError,
    InvalidNameError,
    LockedError,
    NotFoundError,
    OffsetMismatchError,
    PermissionDeniedError,
    QuotaExceededError,
    RejectedError,
    UnavailableError,
)

CODES: dict[type, int] = {
    NotFoundError: 550,
    PermissionDeniedError: 550,
    AlreadyExistsError: 550,
    InvalidNameError: 553,
    OffsetMismatchError: 554,
    QuotaExceededError: 552,
    RejectedError: 550,
    LockedError: 450,
    UnavailableError: 451,
    FileSystemError: 451,
}
_MAX_TEXT = 1024
"""Longest text of one reply line, in characters."""


class ReplyError(Exception):
    """An answer other than success that a command gives on purpose."""

    def __init__(self, code: int, text: str) -> None:
        """Say the code and a sentence for the client."""
        super().__init__(text)
        self.code = code
        self.text = text


def as_reply(error: Exception) -> ReplyError | None:
    """Return what a client is told about *error*; None when it is none of ours and its text may not be sent."""
    if isinstance(error, ReplyError):
        return error
    for kind in type(error).__mro__:
        if kind in CODES:
            return ReplyError(CODES[kind], str(error) or "that is not possible")
    return None


def encode_reply(code: int, text: str, lines: tuple[str, ...] = ()) -> bytes:
    """Return a reply as it is sent: one line, or *text* with *lines* after it (RFC 959, section 4.2)."""
    if not lines:
        return f"{code} {printable(text)}\r\n".encode()
    shown = [f"{code}-{printable(text)}", *(f" {printable(line)}" for line in lines), f"{code} End"]
    return ("\r\n".join(shown) + "\r\n").encode()


def printable(text: str) -> str:
    """Return *text* as one line that no terminal is harmed by."""
    return "".join(character if character.isprintable() else "?" for character in text)[:_MAX_TEXT]
