"""Uploads with addresses over the tree in memory: what `protocols.resumable` promises, and nothing else."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from protocols.errors import GoneError, LockedError, NotFoundError, OffsetMismatchError, RejectedError
from protocols.filesystem import Receipt, WriteMode
from protocols.resumable import UploadKind, UploadOrder, UploadStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

WEEK = 7 * 86400.0


@dataclass
class Kept:
    """One upload with an address."""

    id: str
    login: str
    order: UploadOrder
    partial: Any
    length: int | None
    parts: tuple[str, ...] = ()
    receipt: Receipt | None = None
    whole: bool = False
    """Of a part: every byte is there."""
    ended: bool = False
    unverified: int | None = None
    made: float = field(default_factory=time.time)


class MemoryNumberedHandle:
    """A handle of one."""

    def __init__(self, kept: Kept, inner: Any) -> None:
        self._kept = kept
        self._inner = inner
        self.id = kept.id

    @property
    def received(self) -> int:
        return int(self._inner.received)

    def write(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self._inner.write(offset, data)

    def sync(self) -> None:
        self._inner.sync()

    def truncate(self, size: int) -> None:
        partial = self._kept.partial
        del partial.data[size:]
        partial.prefix = min(partial.prefix, size)
        partial.islands.clear()

    def announce(self, length: int) -> None:
        if self._kept.length not in {None, length}:
            raise OffsetMismatchError("another length was told")
        self._kept.length = length

    def confirm(self) -> None:
        self._kept.unverified = None

    def commit(self, *, length: int | None = None, modified: float | None = None) -> Receipt:
        if self._kept.order.kind is UploadKind.PART:
            self._inner.sync()
            self._kept.whole = True
            self._inner.abort("the part is there")
            return Receipt(id=self.id, document={"kind": "part"})
        self._kept.receipt = self._inner.commit(length=length, modified=modified)
        return self._kept.receipt

    def abort(self, reason: str) -> None:
        self._inner.abort(reason)


class MemoryNumbered:
    """What a `MemoryFileSystem` mixes in; `handle` makes a handle of a partial upload."""

    tree: Any
    login: str

    def enter(self, operation: str, path: Any) -> None:
        raise NotImplementedError

    def begin_upload(self, order: UploadOrder) -> MemoryNumberedHandle:
        inner = self.open_write(order.path, order.mode, length=order.length)  # type: ignore[attr-defined]
        partial = inner._partial
        if order.kind is not UploadKind.WHOLE:
            del self.tree.partials[self.login, order.path.parts]
        kept = Kept(secrets.token_hex(16), self.login, order, partial, order.length)
        with self.tree.lock:
            self.tree.numbered[kept.id] = kept
        return MemoryNumberedHandle(kept, inner)

    def join_uploads(self, order: UploadOrder, parts: Sequence[str]) -> UploadStatus:
        for kept in self.tree.numbered.values():
            if kept.parts == tuple(parts) and kept.login == self.login:
                return self.upload_status(kept.id)
        if len(set(parts)) != len(parts):
            raise RejectedError("a part is given twice")
        for part in parts:
            if self._find(part).order.kind is not UploadKind.PART:
                raise RejectedError("only parts can be joined")
        lengths = [self._find(part).length for part in parts]
        kept = Kept(
            secrets.token_hex(16),
            self.login,
            order,
            None,
            None if None in lengths else sum(lengths),  # type: ignore[arg-type]
            parts=tuple(parts),
        )
        self.tree.numbered[kept.id] = kept
        return self.upload_status(kept.id)

    def upload_status(self, upload_id: str) -> UploadStatus:
        kept = self._find(upload_id)
        if kept.parts and kept.receipt is None:
            self._join(kept)
        complete = kept.receipt is not None or kept.whole
        offset = kept.length or 0 if complete or kept.partial is None else kept.partial.prefix
        if kept.unverified is not None:
            offset = min(offset, kept.unverified)
        return UploadStatus(
            id=kept.id,
            kind=UploadKind.JOINED if kept.parts else kept.order.kind,
            dialect=kept.order.dialect,
            path=kept.order.path,
            offset=offset,
            length=kept.length,
            complete=complete,
            described=kept.order.described,
            parts=kept.parts,
            expires=None if complete else kept.made + WEEK,
            receipt=kept.receipt,
        )

    def resume_upload(self, upload_id: str, *, unverified: bool = False) -> MemoryNumberedHandle:
        kept = self._find(upload_id)
        if kept.receipt is not None or kept.parts:
            raise LockedError("nothing more can be sent to it")
        self.enter("open_write", kept.order.path)
        handle = MemoryNumberedHandle(kept, self.handle(kept.order.path, kept.partial))  # type: ignore[attr-defined]
        if kept.unverified is not None:
            handle.truncate(kept.unverified)
        kept.unverified = handle.received if unverified else None
        return handle

    def remove_upload(self, upload_id: str) -> None:
        kept = self._find(upload_id)
        kept.ended = True
        if kept.partial is not None:
            kept.partial.holder = None
        self.tree.partials.pop((self.login, kept.order.path.parts), None)

    def _find(self, upload_id: str) -> Kept:
        kept = self.tree.numbered.get(upload_id)
        if kept is None or kept.login != self.login:
            raise NotFoundError("there is no such upload")
        if kept.ended:
            raise GoneError("it was ended")
        assert isinstance(kept, Kept)
        return kept

    def _join(self, kept: Kept) -> None:
        parts = [self._find(part) for part in kept.parts]
        if not all(part.whole for part in parts):
            return
        content = b"".join(bytes(part.partial.data) for part in parts)
        kept.length = len(content)
        inner = self.open_write(kept.order.path, WriteMode.REPLACE, length=len(content))  # type: ignore[attr-defined]
        inner.write(0, content)
        kept.receipt = inner.commit(length=len(content))
        for part in parts:
            part.ended = True
