"""A file NAME.password under way: held in memory, kept as the password of NAME, and never a file."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from mft.faults import translated
from mft.upload.passwords import ENDING, LONGEST, MOST, parse_note
from protocols.errors import LockedError, OffsetMismatchError, RejectedError
from protocols.filesystem import Receipt

if TYPE_CHECKING:
    from mft.upload.deposit import Deposit
    from mft.upload.passwords import ArchivePasswords

LIMIT = (LONGEST + 2) * MOST


class PasswordNote:
    """The `WriteHandle` of such a file."""

    def __init__(self, deposit: Deposit, passwords: ArchivePasswords) -> None:
        """Give what *deposit* (its name is NAME) is told to *passwords*."""
        self._deposit = deposit
        self._passwords = passwords
        self._content = bytearray()
        self._ended = False

    @property
    def received(self) -> int:
        """What came so far, in bytes."""
        return len(self._content)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Take *data*.

        Raises:
            RejectedError: it is more than passwords have.
        """
        if self._ended:
            raise LockedError("the file was closed")
        self._deposit.lease.check()
        end = offset + len(data)
        if end > LIMIT:
            raise RejectedError("a file NAME.password holds the password of NAME, on its first line, and no more")
        self._content.extend(bytes(max(0, end - len(self._content))))
        self._content[offset:end] = data

    def sync(self) -> None:
        """Do nothing: it lies nowhere."""

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:  # noqa: ARG002 - the interface's
        """Keep the passwords, sealed."""
        if self._ended:
            raise LockedError("the file was closed")
        self._deposit.lease.check()
        if length is not None and length != len(self._content):
            raise OffsetMismatchError(f"{len(self._content)} of {length} bytes came; send it again")
        try:
            with translated():
                self._passwords.leave(self._deposit, parse_note(bytes(self._content)))
        finally:
            self.abort("taken")
        return Receipt(id=secrets.token_hex(16), document={"kind": "password", "for": self._deposit.name})

    def abort(self, reason: str) -> None:  # noqa: ARG002 - the interface's
        """Forget what came."""
        self._ended = True
        self._content.clear()


def note_of(deposit: Deposit, passwords: ArchivePasswords) -> PasswordNote | None:
    """Return what takes *deposit* if it is a password and no file, else None."""
    name = deposit.name[: -len(ENDING)]
    if deposit.zone == "download" or not name or not deposit.name.lower().endswith(ENDING):
        return None
    named = replace(deposit, name=name)
    return PasswordNote(named, passwords) if passwords.expects(named) else None
