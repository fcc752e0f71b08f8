"""The `WritableFileSystem` of one session: every call names its case, enters it anew, asks policy, and goes one way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from casemap.model import Role
from casemap.resolver import CaseRootTarget, FolderTarget, UnknownTarget, Zone, ZoneTarget, is_shown
from mft.box import ZONE, is_box
from mft.catalog.states import PARTIAL
from mft.faults import translated
from mft.policy import Action, may
from mft.upload.service import Deposit
from mft.vfs import changing
from mft.vfs.digests import KnownDigests
from mft.vfs.dropping import DropFolderTarget, Drops, DropTarget, UnsortedTarget
from mft.vfs.finding import AREAS, NOTHING, Finder, Rooms, Spot
from mft.vfs.folders import Folders
from mft.vfs.locks import CatalogLocks
from mft.vfs.metafolder import MetaFolder
from mft.vfs.numbered import NumberedUploadsOfSession
from mft.vfs.opening import Opener
from mft.vfs.properties import change_properties, properties_in, properties_of
from mft.vfs.tree import list_leaves, list_rows
from mft.vfs.unsorted import UnsortedFolder
from protocols.errors import (
    AlreadyExistsError,
    IsADirectoryPathError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
)
from protocols.filesystem import Changes, Entry, SpaceReport, WriteMode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from casemap.resolver import Target
    from mft.casetree import EnteredCase
    from mft.policy import Reader
    from mft.vfs.tree import Leaf, Place
    from protocols.filesystem import ReadHandle, Row, WriteHandle
    from protocols.path import VirtualPath
    from protocols.resumable import NumberedHandle, UploadOrder, UploadStatus
    from protocols.session import Origin

__all__ = ["CaseFileSystem", "Rooms"]

COPY_PIECE = 1 << 20
"""Bytes that are copied at a time."""


class CaseFileSystem:
    """The folders that one session sees."""

    def __init__(self, *, rooms: Rooms, reader: Reader, session_id: str, origin: Origin) -> None:
        """Serve *reader*, who came in by *origin*."""
        self._finder = Finder(rooms=rooms, reader=reader, session_id=session_id, origin=origin)
        self._drops = Drops(self._finder, rooms.drops)
        self._folders = Folders(self._finder)
        self._opener = Opener(self._finder)
        self._known = KnownDigests(rooms.database, rooms.landed)
        self._meta = MetaFolder(self._finder, self._opener)
        self._unsorted = UnsortedFolder(self._finder)
        self._numbered = NumberedUploadsOfSession(rooms.uploads, login=reader.login, place=self._deposit)

    # -- looking ---------------------------------------------------------------------------------------------------

    def scandir(self, path: VirtualPath) -> Iterator[Entry]:
        """Yield the entries of a directory, lazily."""
        with translated():
            match self._found(path):
                case DropFolderTarget():
                    return
                case UnsortedTarget(parts=parts):
                    yield from self._unsorted.entries(parts)
                case FolderTarget() as target:
                    box = self._drops.box_row() if not path.parts else None
                    yield from self._folders.entries(target, box)
                case CaseRootTarget() as target:
                    entered = self._finder.enter(target)
                    yield from self._zones(entered, target)
                case ZoneTarget(zone=Zone.META) as target:
                    yield from self._meta.entries(target)
                case ZoneTarget() as target:
                    yield from self._zone_entries(target)
                case UnknownTarget():
                    raise NotFoundError(NOTHING)

    def scan_pages(self, path: VirtualPath) -> Iterator[Sequence[Row]]:
        """Yield the same as `scandir`, as rows and some at a time."""
        with translated():
            match self._found(path):
                case FolderTarget() as target:
                    box = self._drops.box_row() if not path.parts else None
                    yield from self._folders.pages(target, box)
                case ZoneTarget(zone=Zone.UPLOAD | Zone.DOWNLOAD) as target if not is_box(target.number):
                    yield from list_rows(self._finder.rooms.database, self._place(target))
                case _:
                    for entry in self.scandir(path):
                        yield ((entry.name, entry.is_directory, entry.size, entry.modified, entry.writable),)

    def stat(self, path: VirtualPath) -> Entry:
        """Describe what is at *path*."""
        with translated():
            match self._found(path):
                case DropFolderTarget():
                    return Entry(name=path.name, is_directory=True, modified=self._finder.rooms.since, writable=True)
                case UnsortedTarget(parts=parts):
                    return self._unsorted.stat(parts)
                case FolderTarget() as target:
                    return self._folders.stat(target, path.name)
                case CaseRootTarget() as target:
                    entered = self._finder.enter(target, Action.STAT)
                    return Entry(name=path.name, is_directory=True, modified=self._finder.opened(entered.case))
                case ZoneTarget() as target:
                    return self._stat_in_zone(target, path.name)
                case UnknownTarget():
                    raise NotFoundError(NOTHING)

    def _stat_in_zone(self, target: ZoneTarget, name: str) -> Entry:
        if not target.rest:
            return self._zone_entry(self._finder.enter(target, Action.STAT), target.zone, name)
        if target.zone is Zone.META:
            return self._meta.find(target)[0]
        spot = self._finder.spot(target, Action.STAT)
        return self._entry_in(self._finder.leaf(spot), spot.place)

    def open_read(self, path: VirtualPath) -> ReadHandle:
        """Open the file at *path* for reading."""
        with translated():
            match self._found(path):
                case ZoneTarget(zone=Zone.META, rest=(_, *_)) as target:
                    return self._meta.open(target)
                case ZoneTarget(rest=(_, *_)) as target:
                    spot = self._finder.spot(target)
                    return self._opener.open(spot, self._finder.leaf(spot))
                case UnsortedTarget(parts=parts):
                    return self._unsorted.open(parts)
                case UnknownTarget():
                    raise NotFoundError(NOTHING)
                case _:
                    self.stat(path)
                    raise IsADirectoryPathError("it is a directory")

    # -- changing --------------------------------------------------------------------------------------------------

    def open_write(self, path: VirtualPath, mode: WriteMode, *, length: int | None = None) -> WriteHandle:
        """Begin or resume the upload of *path*."""
        with translated():
            return self._finder.rooms.uploads.open(self._deposit(path), mode, length=length)

    def sha256(self, path: VirtualPath) -> str | None:
        """Return the SHA-256 of what a reader of *path* gets; see `protocols.filesystem.Digest`."""
        with translated():
            match self._found(path):
                case ZoneTarget(zone=Zone.UPLOAD | Zone.DOWNLOAD, rest=(_, *_)) as target:
                    return self._opener.digest(self._finder.leaf(self._finder.spot(target, Action.STAT)))
                case _:
                    return None

    def _deposit(self, path: VirtualPath) -> Deposit:
        """Say what a file that is sent to *path* is, if this session may send one there."""
        target, why = self._placed(path)
        spot = self._writable_spot(path, Action.WRITE, target)
        unfiled = is_box(spot.tree.number)
        return Deposit(
            tree=spot.tree,
            home=spot.entered.residency.home,
            copies=spot.entered.residency.copies,
            zone=ZONE if unfiled else spot.zone.value,
            directories=spot.directories,
            parent_id=spot.place.node_id,
            name=spot.name,
            login=self._finder.reader.login,
            session_id=self._finder.session_id,
            protocol=self._finder.origin.protocol,
            peer=self._finder.origin.peer,
            lease=self._finder.rooms.cases.lease(
                self._finder.reader, spot.tree.number, writing=True, home=spot.entered.residency.home
            ),
            why_unfiled=why or ("its sender put it there" if unfiled else ""),
        )

    def begin_upload(self, order: UploadOrder) -> NumberedHandle:
        """Make an upload that has an address; see `protocols.resumable`."""
        return self._numbered.begin_upload(order)

    def join_uploads(self, order: UploadOrder, parts: Sequence[str]) -> UploadStatus:
        """Make a file of parts."""
        return self._numbered.join_uploads(order, parts)

    def upload_status(self, upload_id: str) -> UploadStatus:
        """Say where an upload stands."""
        return self._numbered.upload_status(upload_id)

    def resume_upload(self, upload_id: str, *, unverified: bool = False) -> NumberedHandle:
        """Open an upload where it stands."""
        return self._numbered.resume_upload(upload_id, unverified=unverified)

    def remove_upload(self, upload_id: str) -> None:
        """Give an upload up."""
        self._numbered.remove_upload(upload_id)

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory."""
        with translated():
            target = self._drops.target(path)
            match target:
                case CaseRootTarget() if self._finder.role is Role.CUSTOMER:
                    self._finder.enter(target)  # to make a case's folder first is a habit; it is there already
                    return
                case DropFolderTarget():
                    return
                case DropTarget(folder=CaseRootTarget() as folder):
                    self._finder.enter(folder)
                    raise NotFoundError(NOTHING)
                case DropTarget():
                    raise PermissionDeniedError("the root has a folder for each case; make directories inside of them")
                case ZoneTarget(number=number) if is_box(number):
                    raise PermissionDeniedError("what is unfiled has no directories")
                case _:
                    spot = self._writable_spot(path, Action.MKDIR, target)
            with self._finder.rooms.database.write() as connection:
                node = changing.make_directory(connection, spot.place, spot.name)
                self._finder.event(connection, spot, "directory.made", node=node)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        """Move *source* within its zone of its case."""
        with translated():
            if isinstance(unsorted := self._drops.target(source), UnsortedTarget):
                self._unsorted.assign(unsorted.parts, self._finder.resolve(target))
                return
            old = self._writable_spot(source, Action.RENAME)
            new = self._writable_spot(target, Action.RENAME, self._placed(target)[0])
            if is_box(old.tree.number) and not is_box(new.tree.number):
                self._assign(old, new)
                return
            if (old.tree.id, old.zone) != (new.tree.id, new.zone):
                raise RejectedError(
                    "files stay in the case and the folder that they were sent to; upload it there instead"
                )
            leaf = self._finder.leaf(old)
            with self._finder.rooms.database.write() as connection:
                changing.rename(connection, old.place, leaf, new.place, new.name, replace=replace)
                self._finder.event(connection, old, "file.renamed", node=leaf.node_id, upload=leaf.upload_id)
            self._finder.rooms.uploads.wake()

    def _assign(self, old: Spot, new: Spot) -> None:
        """Let a sender move what it sent without a case into one of its cases."""
        leaf = self._finder.leaf(old)
        if leaf.node_id is None or leaf.upload_id is None:
            raise RejectedError("the upload is not complete; resume it before you move it to a case")
        self._finder.rooms.unfiled.assign(
            leaf.upload_id, new.entered, by=self._finder.reader.login, parent_id=new.place.node_id, name=new.name
        )

    def remove(self, path: VirtualPath, *, directory: bool) -> None:
        """Remove a file, or an empty directory."""
        with translated():
            spot = self._writable_spot(path, Action.REMOVE)
            leaf = self._finder.leaf(spot)
            with self._finder.rooms.database.write() as connection:
                done = changing.remove(connection, spot.place, leaf, self._finder.reader.part, directory=directory)
                self._finder.event(connection, spot, done, node=leaf.node_id, upload=leaf.upload_id)

    def set_modified(self, path: VirtualPath, modified: float) -> None:
        """Keep the client's modification time beside the file; it decides nothing."""
        with translated():
            spot = self._writable_spot(path, Action.WRITE)
            leaf = self._finder.leaf(spot)
            if not leaf.is_directory:
                with self._finder.rooms.database.write() as connection:
                    changing.set_modified(connection, leaf, modified)

    def digest(self, path: VirtualPath, algorithm: str) -> bytes | None:
        """Return the digest of the file at *path* as `stat` shows it, where that is known; see `Digests`."""
        with translated():
            match self._found(path):
                case ZoneTarget(zone=Zone.UPLOAD | Zone.DOWNLOAD, rest=(_, *_)) as target:
                    spot = self._finder.spot(target, Action.STAT)
                    return self._known.digest(self._finder.leaf(spot), algorithm)
                case _:
                    return None

    def changes(self, path: VirtualPath) -> Changes:
        """Say what this session may do to the entries of the directory at *path*, its own at least."""
        with translated():
            match self._found(path):
                case ZoneTarget() as target:
                    return self._finder.changes(target)
                case _:
                    return Changes()  # what the case system lays out is changed by nobody

    def space(self, path: VirtualPath) -> SpaceReport:
        """Say how much room this session has at *path*.

        Outside of cases it is that of the entrance's landing zone: mounts ask at the root, and programs that copy
        into them believe a zero.
        """
        with translated():
            target = self._found(path)
            if isinstance(target, CaseRootTarget | ZoneTarget):
                entered = self._finder.enter(target)
                return self._finder.rooms.uploads.space(
                    self._finder.rooms.cases.trees.of(entered), entered.residency.home
                )
            self.stat(path)
            return self._finder.rooms.uploads.space(None, self._finder.origin.region)

    def copy(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        """Make a new version at *target*, in the same case, of what a reader of *source* gets."""
        with translated():
            old, new = self._found(source), self._placed(target)[0]
            if not (isinstance(old, ZoneTarget) and isinstance(new, ZoneTarget) and old.number == new.number):
                raise RejectedError("files are copied within their case alone; upload it there instead")
        reading = self.open_read(source)
        try:
            size = reading.entry.size
            mode = WriteMode.REPLACE if replace else WriteMode.CREATE
            writing = self.open_write(target, mode, length=size)
            try:
                for offset in range(0, size, COPY_PIECE):
                    writing.write(offset, reading.read(offset, min(COPY_PIECE, size - offset)))
                writing.commit(length=size, modified=reading.entry.modified or None)
            except BaseException:
                writing.abort("the copy broke off")
                raise
        finally:
            reading.close()

    # -- marks -----------------------------------------------------------------------------------------------------

    @property
    def locks(self) -> CatalogLocks:
        """Return everybody's write locks."""
        rooms = self._finder.rooms
        return CatalogLocks(rooms.database, most=rooms.most_locks)

    def lock_place(self, path: VirtualPath, *, changing: bool = False) -> str | None:
        """Return the name that *path* has for locks; None outside of the zones of cases."""
        target = self._drops.target(path)
        if not isinstance(target, ZoneTarget) or target.zone is Zone.META or is_box(target.number):
            return None
        with translated():
            if changing and target.rest:
                self._finder.spot(target, Action.WRITE)
            try:
                entered = self._finder.enter(target, Action.WRITE if changing else Action.STAT)
            except (NotFoundError, PermissionDeniedError):
                if changing:
                    raise
                return None
            tree = self._finder.rooms.cases.trees.of(entered)
        return "/".join(("", str(tree.id), target.zone.value, *target.rest))

    def properties(self, path: VirtualPath, *, children: bool = False) -> dict[str, dict[str, str]]:
        """Return what clients want said of *path*, and of what it holds; to those who may write there."""
        with translated():
            target = self._found(path)
            if not isinstance(target, ZoneTarget) or target.zone is Zone.META or is_box(target.number):
                return {}
            entered = self._finder.enter(target)
            node = self._finder.place_of(entered, target.zone)[1]
            if not node.sender or node.own_only:
                return {}
            node_id: int | None = node.node_id
            if target.rest:
                node_id = self._finder.leaf(self._finder.spot(target)).node_id
            if node_id is None:
                return {}
            with self._finder.rooms.database.read() as connection:
                found = properties_in(connection, node_id) if children else {}
                return {**found, "": properties_of(connection, node_id)}

    def change_properties(self, path: VirtualPath, changes: Mapping[str, str | None]) -> None:
        """Set what a client wants said of *path*."""
        with translated():
            spot = self._writable_spot(path, Action.WRITE)
            leaf = self._finder.leaf(spot)
            with self._finder.rooms.database.write() as connection:
                change_properties(connection, spot.place, leaf, changes)

    def _found(self, path: VirtualPath) -> Target | DropFolderTarget | UnsortedTarget:
        """Say what *path* means for whoever looks for something that is there."""
        target = self._drops.target(path)
        return self._drops.find(target) if isinstance(target, DropTarget) else target

    def _placed(self, path: VirtualPath) -> tuple[Target | DropFolderTarget | UnsortedTarget, str]:
        """Say what *path* means for a file that is to be there, and why it is unfiled if it is."""
        target = self._drops.target(path)
        if not isinstance(target, DropTarget):
            return target, ""
        placed = self._drops.place(target)
        return placed.target, placed.why_unfiled

    def _writable_spot(
        self, path: VirtualPath, action: Action, target: Target | DropFolderTarget | UnsortedTarget | None = None
    ) -> Spot:
        match target or self._found(path):
            case ZoneTarget(rest=(_, *_)) as target:
                return self._finder.spot(target, action)
            case UnknownTarget():
                raise NotFoundError(NOTHING)
            case UnsortedTarget():
                raise PermissionDeniedError("what names no case is moved into its case's folder, and not changed")
            case DropFolderTarget():
                raise PermissionDeniedError("it is a directory that means the root; it cannot be changed")
            case _:
                self.stat(path)  # what may not be known of is not found; what is there cannot be changed
                if action is Action.MKDIR:
                    raise AlreadyExistsError("it is there already")
                raise PermissionDeniedError("folders that come from the case system cannot be changed")

    # -- describing ------------------------------------------------------------------------------------------------

    def _zones(self, entered: EnteredCase, target: CaseRootTarget) -> Iterator[Entry]:
        names = self._finder.rooms.layout.zones_of(entered.case)
        for zone, name in sorted(names.items(), key=lambda pair: pair[1]):
            if is_shown(target.folder, zone):
                yield self._zone_entry(entered, zone, name)

    def _zone_entry(self, entered: EnteredCase, zone: Zone, name: str) -> Entry:
        writable = may(self._finder.reader.part, Action.WRITE, AREAS[zone]).allowed
        return Entry(name=name, is_directory=True, modified=self._finder.opened(entered.case), writable=writable)

    def _place(self, target: ZoneTarget) -> Place:
        """Return the directory that is to be listed.

        Raises:
            NotADirectoryPathError: it is a file.
        """
        entered = self._finder.enter(target)
        _tree, place = self._finder.place_of(entered, target.zone)
        if not target.rest:
            return place
        spot = self._finder.spot(target, Action.LIST)
        leaf = self._finder.leaf(spot)
        if not leaf.is_directory or leaf.node_id is None:
            raise NotADirectoryPathError("it is a file")
        return replace(place, node_id=leaf.node_id)

    def _zone_entries(self, target: ZoneTarget) -> Iterator[Entry]:
        place = self._place(target)
        if is_box(target.number) and not target.rest:
            yield Entry(name=self._finder.rooms.layout.meta, is_directory=True, modified=self._finder.rooms.since)
        for leaf in list_leaves(self._finder.rooms.database, place):
            yield self._entry_in(leaf, place)

    @staticmethod
    def _entry_in(leaf: Leaf, place: Place) -> Entry:
        return Entry(
            name=leaf.name,
            is_directory=leaf.is_directory,
            size=leaf.size,
            modified=leaf.modified,
            created=leaf.created,
            writable=place.sender,
            partial=leaf.state in PARTIAL,
            read_size=leaf.scrubbed_size,
            read_etag=None if leaf.scrubbed_size is None else leaf.read_tag,
            etag=None if leaf.is_directory else f"{leaf.upload_id}-sent" if leaf.own else leaf.read_tag,
        )
