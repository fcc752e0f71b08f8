"""An upload with an address of its own, as a protocol head holds it while a request brings bytes."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from protocols.errors import OffsetMismatchError, QuotaExceededError
from protocols.filesystem import Receipt
from protocols.resumable import UploadKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.upload.handle import UploadHandle
    from mft.upload.resources import Resources


class NumberedUpload:
    """The `NumberedHandle` of the heads."""

    def __init__(
        self,
        handle: UploadHandle,
        resources: Resources,
        *,
        kind: UploadKind,
        length: int | None,
        limit: int | None,
        part_came: Callable[[str], None],
    ) -> None:
        """Write into *handle*; *part_came* is called with the id of a part once all of it is there."""
        self._handle = handle
        self._resources = resources
        self._kind = kind
        self._length = length
        self._limit = limit
        self._part_came = part_came

    @property
    def id(self) -> str:
        """What its address is made of."""
        return self._handle.id

    @property
    def received(self) -> int:
        """End of the contiguous prefix received so far, in bytes."""
        return self._handle.received

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Store *data*; see `protocols.filesystem.WriteHandle.write`."""
        self._handle.write(offset, data)

    def lend(self, offset: int) -> memoryview | None:
        """Return memory for bytes from *offset* on; see `protocols.filesystem.Lends.lend`."""
        return self._handle.lend(offset)

    def is_immediate(self, end: int) -> bool:
        """Say whether a write up to *end* needs nobody else."""
        return self._handle.is_immediate(end)

    def truncate(self, size: int) -> None:
        """Throw away what came behind *size* bytes."""
        self._handle.truncate(size)

    def sync(self) -> None:
        """Return when every byte written so far would survive a power cut."""
        self._handle.sync()

    def give_password(self, password: str) -> None:
        """Keep the password of the archive that is sent."""
        self._handle.give_password(password)

    def announce(self, length: int) -> None:
        """Take the length of the whole file; see `protocols.resumable.NumberedHandle.announce`."""
        if self._limit is not None and length > self._limit:
            raise QuotaExceededError(f"an upload may have {self._limit} bytes; this one has {length}")
        if length < self.received:
            raise OffsetMismatchError(f"{self.received} bytes came already; the file cannot have {length}")
        self._resources.set_length(self.id, length)
        self._length = length

    def confirm(self) -> None:
        """Count what came since it was opened as good."""
        self._resources.trust(self.id)

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        """Declare the transfer whole; a part is made durable, and may complete the file that waits for it."""
        if self._kind is not UploadKind.PART:
            return self._handle.commit(length=length, modified=modified)
        self._handle.sync()
        if length is not None and self.received != length:
            raise OffsetMismatchError(f"{self.received} of {length} bytes came")
        self._handle.abort("the part is there")
        self._part_came(self.id)
        return Receipt(id=secrets.token_hex(16), document={"kind": "part", "id": self.id, "size": self.received})

    def abort(self, reason: str) -> None:
        """Keep what came for later. Never raises."""
        self._handle.abort(reason)
