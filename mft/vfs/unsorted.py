"""What triage sees of everybody's files that name no case: `_unfiled/CUSTOMER/LOGIN/NAME`, and beside it `.meta`.

They lie unscrubbed, so that seeing one is not reading it: `unfiled.triage_reads` says whether its bytes are given out.
A rename into a case's folder assigns it to that case, as `mft unfiled assign` does.
"""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from casemap.resolver import CaseRootTarget, Zone, ZoneTarget
from mft.audit import customer_chain
from mft.box import ZONE
from mft.catalog.model import UPLOADS
from mft.catalog.states import UploadState
from mft.policy import may_read_unsorted
from mft.standing import moment
from mft.vfs.finding import NOTHING
from mft.vfs.meta import STATUS
from mft.vfs.reading import DocumentFile, SealedFile
from mft.vfs.tree import Place, walk_place
from protocols.errors import (
    IsADirectoryPathError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
)
from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row

    from casemap.resolver import Target
    from mft.unfiled import UnfiledFile
    from mft.vfs.finding import Finder
    from protocols.filesystem import ReadHandle

_LOGIN, _NAME = 2, 3
"""Parts of the path of a login's folder, and of a file in it."""


class UnsortedFolder:
    """Everybody's boxes, as one session of triage sees them."""

    def __init__(self, finder: Finder) -> None:
        """Look and assign in the name of *finder*'s session."""
        self._finder = finder
        self._unfiled = finder.rooms.unfiled

    def entries(self, parts: tuple[str, ...]) -> Iterator[Entry]:
        """Yield what the directory at *parts* holds.

        Raises:
            NotFoundError: there is none.
            NotADirectoryPathError: it is a file.
        """
        entry, _, _ = self._find(parts)
        if not entry.is_directory:
            raise NotADirectoryPathError("it is a file")
        meta = self._finder.rooms.layout.meta
        match parts:
            case ():
                yield from map(self._folder, self._unfiled.customers())
            case (customer,):
                yield from map(self._folder, self._unfiled.senders(customer))
            case (customer, login):
                yield self._folder(meta)
                for file in self._unfiled.named(customer, login):
                    yield _file_entry(file)
            case _:  # `.meta`: there are no other directories
                for file in self._unfiled.named(parts[0], parts[1]):
                    yield _document_entry(file, _status(file))

    def stat(self, parts: tuple[str, ...]) -> Entry:
        """Describe what is at *parts*.

        Raises:
            NotFoundError: nothing.
        """
        return self._find(parts)[0]

    def open(self, parts: tuple[str, ...]) -> ReadHandle:
        """Open what is known of a file; or the file itself, where that is allowed, on the record.

        Raises:
            PermissionDeniedError: the bytes are not given out.
        """
        entry, file, document = self._find(parts)
        if file is None:
            raise IsADirectoryPathError("it is a directory")
        lease = WaitingLease(self._finder, file.id)
        if document is not None:
            return DocumentFile(entry=entry, content=document, lease=lease)
        rooms, reader = self._finder.rooms, self._finder.reader
        decision = may_read_unsorted(reader, file.region, allowed=rooms.drops.triage_reads)
        if not decision.allowed:
            rooms.cases.deny(reader, customer_chain(file.customer), target=f"unfiled/{file.id}", why=decision.reason)
            raise PermissionDeniedError(decision.reason)
        row = lease.row()
        rooms.budget.take()
        try:
            source = rooms.landed.open(row)
            self._record(file)
        except BaseException:
            rooms.budget.give_back()
            raise
        return SealedFile(entry=entry, source=source, lease=lease, released=rooms.budget.give_back)

    def assign(self, parts: tuple[str, ...], target: Target) -> None:
        """Make the file at *parts* one of the case at *target*: in its upload folder, under the name given there.

        Raises:
            RejectedError: *target* is no case's upload folder, or the case is not for it (`Unfiled.assign`).
        """
        file = self._find(parts)[1]
        if file is None or len(parts) != _NAME:
            raise RejectedError("files are assigned one by one; name a file")
        match target:
            case CaseRootTarget(number=number):
                rest: tuple[str, ...] = ()
            case ZoneTarget(number=number, zone=Zone.UPLOAD, rest=rest):
                pass
            case _:
                raise RejectedError("rename it into a case's folder to assign it to that case, such as /cases/CASE/")
        cases = self._finder.rooms.cases
        entered = cases.placed(number)
        *directories, name = rest or (file.name,)
        tree = cases.trees.of(entered)
        root = Place(case_id=tree.id, node_id=tree.upload_root, login=file.login, sender=True)
        place = walk_place(self._finder.rooms.database, root, tuple(directories))
        if place is None:
            raise NotFoundError(NOTHING)
        self._unfiled.assign(file.id, entered, by=self._finder.reader.login, parent_id=place.node_id, name=name)

    def _find(self, parts: tuple[str, ...]) -> tuple[Entry, UnfiledFile | None, bytes | None]:
        """Return what is at *parts*: its entry, the file that it is about, and the document that it is."""
        if not parts:
            return self._folder(self._finder.rooms.drops.box), None, None
        customer, login, *rest = (*parts, "")[: max(len(parts), _LOGIN)]
        there = self._unfiled.senders(customer)
        if not there or (login and login not in there):
            raise NotFoundError(NOTHING)
        match rest:
            case []:
                return self._folder(parts[-1]), None, None
            case [name] if name == self._finder.rooms.layout.meta:
                return self._folder(name), None, None
            case [name]:
                file = self._file(customer, login, name)
                return _file_entry(file), file, None
            case [meta, name] if meta == self._finder.rooms.layout.meta and name.endswith(STATUS):
                file = self._file(customer, login, name.removesuffix(STATUS))
                document = _status(file)
                return _document_entry(file, document), file, document
            case _:
                raise NotFoundError(NOTHING)

    def _file(self, customer: str, login: str, name: str) -> UnfiledFile:
        file = next(iter(self._unfiled.named(customer, login, name)), None)
        if file is None:
            raise NotFoundError(NOTHING)
        return file

    def _folder(self, name: str) -> Entry:
        return Entry(name=name, is_directory=True, modified=self._finder.rooms.since)

    def _record(self, file: UnfiledFile) -> None:
        finder = self._finder
        with finder.rooms.database.write() as connection:
            finder.rooms.trail.append(
                connection,
                customer_chain(file.customer),
                "file.opened",
                login=finder.reader.login,
                session=finder.session_id,
                protocol=finder.origin.protocol,
                peer=finder.origin.peer,
                case=None,
                zone=ZONE,
                upload=file.id,
                served_from=file.region,
                listener=finder.reader.listener,
                size=file.size,
            )


class WaitingLease:
    """The right to look at a file that names no case: as long as it waits and its reader sorts."""

    def __init__(self, finder: Finder, upload_id: str, *, every: float = 1.0) -> None:
        """Ask again every so many seconds."""
        self._finder = finder
        self._upload_id = upload_id
        self._every = every
        self._due = time.monotonic() + every

    def row(self) -> Row[Any]:
        """Return the upload's row, while it waits.

        Raises:
            NotFoundError: it was assigned or has expired, or its reader may no more see it.
        """
        with self._finder.rooms.database.read() as connection:
            row = connection.execute(
                select(UPLOADS).where(
                    UPLOADS.c.id == self._upload_id, UPLOADS.c.zone == ZONE, UPLOADS.c.state == UploadState.LANDED
                )
            ).first()
        if row is None or not self._finder.sorts:
            raise NotFoundError("it does not wait for a case any more")
        return row

    def check(self) -> None:
        """Return if it still stands (`mft.vfs.reading.Standing`)."""
        if not self.is_fresh:
            self.row()
            self._due = time.monotonic() + self._every

    @property
    def is_fresh(self) -> bool:
        """Whether `check` would return at once."""
        return time.monotonic() < self._due


def _file_entry(file: UnfiledFile) -> Entry:
    return Entry(
        name=file.name,
        is_directory=False,
        size=file.size,
        modified=file.landed_at,
        created=file.landed_at,
        etag=file.id,
    )


def _document_entry(file: UnfiledFile, document: bytes) -> Entry:
    return Entry(
        name=file.name + STATUS,
        is_directory=False,
        size=len(document),
        modified=file.landed_at,
        etag=f"{file.id}{STATUS}",
    )


def _status(file: UnfiledFile) -> bytes:
    """Return what `mft unfiled list` shows of *file*."""
    shown = {
        "id": file.id,
        "name": file.name,
        "version": file.version,
        "size": file.size,
        "sha256": file.sha256 or "pending",
        "customer": file.customer,
        "login": file.login,
        "region": file.region,
        "why": file.why,
        "received_at": moment(file.landed_at),
        "kept_until": moment(file.kept_until),
    }
    return json.dumps(shown, indent=2, ensure_ascii=False).encode() + b"\n"
