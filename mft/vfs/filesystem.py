"""The `WritableFileSystem` of one session: every call names its case, enters it anew, asks policy, and goes one way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select

from casemap.model import Role
from casemap.names import CustomerFolders, folder_name
from casemap.resolver import (
    CaseRootTarget,
    CustomersTarget,
    CustomerTarget,
    LayoutSettings,
    RootTarget,
    UnknownTarget,
    Zone,
    ZoneTarget,
    resolve,
)
from mft.audit import customer_chain
from mft.catalog.model import UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from mft.faults import translated
from mft.policy import Action, Area, Part, may
from mft.upload.service import Deposit
from mft.vfs import changing, meta
from mft.vfs.reading import DocumentFile, SealedFile
from mft.vfs.tree import Place, find_leaf, list_leaves, walk_place
from protocols.errors import (
    AlreadyExistsError,
    IsADirectoryPathError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
)
from protocols.filesystem import Entry, SpaceReport
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from casemap.identifier import CustomerId
    from casemap.resolver import Target
    from mft.audit import AuditTrail
    from mft.cases import Cases, CaseTree, EnteredCase
    from mft.catalog.database import Database
    from mft.objects import Objects
    from mft.policy import Reader
    from mft.upload.landed import LandedFiles
    from mft.upload.room import MemoryBudget
    from mft.upload.service import Uploads
    from mft.vfs.reading import Readable
    from mft.vfs.tree import Leaf
    from protocols.filesystem import ReadHandle, WriteHandle, WriteMode
    from protocols.path import VirtualPath
    from protocols.session import Origin

_AREAS = {Zone.UPLOAD: Area.UPLOAD, Zone.DOWNLOAD: Area.DOWNLOAD, Zone.META: Area.META}
_NOTHING = "no such file or directory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the filesystem of every session is made of."""

    database: Database
    trail: AuditTrail
    cases: Cases
    uploads: Uploads
    landed: LandedFiles
    objects: Objects
    budget: MemoryBudget
    layout: LayoutSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class _Spot:
    """A path inside a zone that was entered: the directory that holds it, and its name there."""

    entered: EnteredCase
    tree: CaseTree
    zone: Zone
    place: Place
    name: str
    directories: tuple[str, ...]


class CaseFileSystem:
    """The folders that one session sees."""

    def __init__(self, *, rooms: Rooms, reader: Reader, session_id: str, origin: Origin) -> None:
        """Serve *reader*, who came in by *origin*."""
        self._rooms = rooms
        self._reader = reader
        self._session_id = session_id
        self._origin = origin
        self._role = Role.CUSTOMER if reader.part is Part.CUSTOMER else Role.ENGINEER

    # -- looking ---------------------------------------------------------------------------------------------------

    def scandir(self, path: VirtualPath) -> Iterator[Entry]:
        """Yield the entries of a directory, lazily."""
        with translated():
            match self._resolve(path):
                case RootTarget():
                    yield from self._case_folders(self._reader.customer if self._role is Role.CUSTOMER else None)
                case CustomersTarget():
                    yield from self._customer_folders()
                case CustomerTarget(customer=customer):
                    yield from self._case_folders(customer)
                case CaseRootTarget() as target:
                    self._enter(target)
                    yield from self._zones()
                case ZoneTarget(zone=Zone.META) as target:
                    yield from self._meta_entries(target)
                case ZoneTarget() as target:
                    yield from self._zone_entries(target)
                case UnknownTarget():
                    raise NotFoundError(_NOTHING)

    def stat(self, path: VirtualPath) -> Entry:
        """Describe what is at *path*."""
        with translated():
            match self._resolve(path):
                case RootTarget() | CustomersTarget():
                    return Entry(name=path.name, is_directory=True)
                case CustomerTarget(customer=customer):
                    if next(self._rooms.cases.visible(self._reader, customer), None) is None:
                        raise NotFoundError(_NOTHING)
                    return Entry(name=path.name, is_directory=True)
                case CaseRootTarget() as target:
                    entered = self._enter(target)
                    opened = entered.case.opened
                    return Entry(name=path.name, is_directory=True, modified=opened.timestamp() if opened else 0.0)
                case ZoneTarget(rest=()) as target:
                    self._enter(target)
                    return self._zone_entry(target.zone)
                case ZoneTarget(zone=Zone.META) as target:
                    return self._meta_find(target)[0]
                case ZoneTarget() as target:
                    spot = self._spot(target)
                    return self._entry(self._leaf(spot), spot)
                case UnknownTarget():
                    raise NotFoundError(_NOTHING)

    def open_read(self, path: VirtualPath) -> ReadHandle:
        """Open the file at *path* for reading."""
        with translated():
            match self._resolve(path):
                case ZoneTarget(zone=Zone.META, rest=(_, *_)) as target:
                    return self._open_meta(target)
                case ZoneTarget(rest=(_, *_)) as target:
                    spot = self._spot(target)
                    return self._open_leaf(spot, self._leaf(spot))
                case UnknownTarget():
                    raise NotFoundError(_NOTHING)
                case _:
                    self.stat(path)
                    raise IsADirectoryPathError("it is a directory")

    # -- changing --------------------------------------------------------------------------------------------------

    def open_write(self, path: VirtualPath, mode: WriteMode, *, length: int | None = None) -> WriteHandle:
        """Begin or resume the upload of *path*."""
        with translated():
            spot = self._writable_spot(path, Action.WRITE)
            deposit = Deposit(
                tree=spot.tree,
                home=spot.entered.residency.home,
                copies=spot.entered.residency.copies,
                zone=spot.zone.value,
                directories=spot.directories,
                parent_id=spot.place.node_id,
                name=spot.name,
                login=self._reader.login,
                session_id=self._session_id,
                protocol=self._origin.protocol,
                peer=self._origin.peer,
                lease=self._rooms.cases.lease(self._reader, spot.tree.number),
            )
            return self._rooms.uploads.open(deposit, mode, length=length)

    def mkdir(self, path: VirtualPath) -> None:
        """Make one directory."""
        with translated():
            spot = self._writable_spot(path, Action.MKDIR)
            with self._rooms.database.write() as connection:
                node = changing.make_directory(connection, spot.place, spot.name)
                self._event(connection, spot, "directory.made", node=node)

    def rename(self, source: VirtualPath, target: VirtualPath, *, replace: bool = False) -> None:
        """Move *source* within its zone of its case."""
        with translated():
            old = self._writable_spot(source, Action.RENAME)
            new = self._writable_spot(target, Action.RENAME)
            if (old.tree.id, old.zone) != (new.tree.id, new.zone):
                raise RejectedError(
                    "files stay in the case and the folder that they were sent to; upload it there instead"
                )
            leaf = self._leaf(old)
            with self._rooms.database.write() as connection:
                changing.rename(connection, old.place, leaf, new.place, new.name, replace=replace)
                self._event(connection, old, "file.renamed", node=leaf.node_id, upload=leaf.upload_id)
            self._rooms.uploads.wake()

    def remove(self, path: VirtualPath, *, directory: bool) -> None:
        """Remove a file, or an empty directory."""
        with translated():
            spot = self._writable_spot(path, Action.REMOVE)
            leaf = self._leaf(spot)
            with self._rooms.database.write() as connection:
                done = changing.remove(connection, spot.place, leaf, self._reader.part, directory=directory)
                self._event(connection, spot, done, node=leaf.node_id, upload=leaf.upload_id)

    def set_modified(self, path: VirtualPath, modified: float) -> None:
        """Keep the client's modification time beside the file; it decides nothing."""
        with translated():
            spot = self._writable_spot(path, Action.WRITE)
            leaf = self._leaf(spot)
            if not leaf.is_directory:
                with self._rooms.database.write() as connection:
                    changing.set_modified(connection, leaf, self._reader.login, modified)

    def space(self, path: VirtualPath) -> SpaceReport:
        """Say how much room this session has at *path*."""
        with translated():
            target = self._resolve(path)
            if isinstance(target, CaseRootTarget | ZoneTarget):
                entered = self._enter(target)
                return self._rooms.uploads.space(self._rooms.cases.tree(entered), entered.residency.home)
            self.stat(path)
            return SpaceReport(total=0, free=0)

    # -- finding ---------------------------------------------------------------------------------------------------

    def _resolve(self, path: VirtualPath) -> Target:
        return resolve(path.parts, self._role, layout=self._rooms.layout, customer_of=self._customer_of)

    def _customer_of(self, folder: str) -> CustomerId | None:
        return self._folders().customer_of(folder)

    def _folders(self) -> CustomerFolders:
        return CustomerFolders(self._rooms.cases.customers(), reserved=self._rooms.layout.reserved)

    def _enter(self, target: CaseRootTarget | ZoneTarget, action: Action = Action.LIST) -> EnteredCase:
        entered = self._rooms.cases.enter(self._reader, target.number)
        if target.under is not None and entered.case.customer != target.under:
            raise NotFoundError(_NOTHING)
        area = _AREAS[target.zone] if isinstance(target, ZoneTarget) else Area.ROOT
        decision = may(self._reader.part, action, area)
        if not decision.allowed:
            chain = customer_chain(entered.case.customer)
            self._rooms.cases.deny(self._reader, chain, target=f"{target.number}/{area.value}", why=decision.reason)
            raise PermissionDeniedError(decision.reason)
        return entered

    def _place_of(self, entered: EnteredCase, zone: Zone) -> tuple[CaseTree, Place]:
        tree = self._rooms.cases.tree(entered)
        root = tree.download_root if zone is Zone.DOWNLOAD else tree.upload_root
        sender = may(self._reader.part, Action.WRITE, _AREAS[zone]).allowed
        return tree, Place(case_id=tree.id, node_id=root, login=self._reader.login, sender=sender)

    def _spot(self, target: ZoneTarget, action: Action = Action.READ) -> _Spot:
        entered = self._enter(target, action)
        tree, root = self._place_of(entered, target.zone)
        *directories, name = target.rest
        place = walk_place(self._rooms.database, root, tuple(directories))
        if place is None:
            raise NotFoundError(_NOTHING)
        return _Spot(
            entered=entered, tree=tree, zone=target.zone, place=place, name=name, directories=tuple(directories)
        )

    def _writable_spot(self, path: VirtualPath, action: Action) -> _Spot:
        match self._resolve(path):
            case ZoneTarget(rest=(_, *_)) as target:
                return self._spot(target, action)
            case UnknownTarget():
                raise NotFoundError(_NOTHING)
            case _:
                self.stat(path)  # what may not be known of is not found; what is there cannot be changed
                if action is Action.MKDIR:
                    raise AlreadyExistsError("it is there already")
                raise PermissionDeniedError("folders that come from the case system cannot be changed")

    def _leaf(self, spot: _Spot) -> Leaf:
        leaf = find_leaf(self._rooms.database, spot.place, spot.name)
        if leaf is None:
            raise NotFoundError(_NOTHING)
        return leaf

    # -- describing ------------------------------------------------------------------------------------------------

    def _case_folders(self, customer: str | None) -> Iterator[Entry]:
        if self._role is Role.CUSTOMER and customer is None:
            return
        cases = [entered.case for entered in self._rooms.cases.visible(self._reader, customer)]
        if not cases and self._role is Role.ENGINEER and customer is not None:
            raise NotFoundError(_NOTHING)
        for case in sorted(cases, key=folder_name):
            opened = case.opened.timestamp() if case.opened else 0.0
            yield Entry(name=folder_name(case), is_directory=True, modified=opened)

    def _customer_folders(self) -> Iterator[Entry]:
        customers = {entered.case.customer for entered in self._rooms.cases.visible(self._reader, None)}
        folders = self._folders()
        names = (folders.name_of(customer) for customer in customers)
        for name in sorted(name for name in names if name is not None):
            yield Entry(name=name, is_directory=True)

    def _zones(self) -> Iterator[Entry]:
        for zone in sorted(Zone, key=self._rooms.layout.name_of):
            yield self._zone_entry(zone)

    def _zone_entry(self, zone: Zone) -> Entry:
        writable = may(self._reader.part, Action.WRITE, _AREAS[zone]).allowed
        return Entry(name=self._rooms.layout.name_of(zone), is_directory=True, writable=writable)

    def _zone_entries(self, target: ZoneTarget) -> Iterator[Entry]:
        entered = self._enter(target)
        _tree, place = self._place_of(entered, target.zone)
        if target.rest:
            spot = self._spot(target)
            leaf = self._leaf(spot)
            if not leaf.is_directory or leaf.node_id is None:
                raise NotADirectoryPathError("it is a file")
            place = Place(case_id=place.case_id, node_id=leaf.node_id, login=place.login, sender=place.sender)
        for leaf in list_leaves(self._rooms.database, place):
            yield self._entry_in(leaf, place)

    def _entry(self, leaf: Leaf, spot: _Spot) -> Entry:
        return self._entry_in(leaf, spot.place)

    @staticmethod
    def _entry_in(leaf: Leaf, place: Place) -> Entry:
        return Entry(
            name=leaf.name,
            is_directory=leaf.is_directory,
            size=leaf.size,
            modified=leaf.modified,
            created=leaf.created,
            writable=place.sender,
            etag=None if leaf.is_directory else f"{leaf.upload_id}-{'sent' if leaf.own else 'scrubbed'}",
        )

    # -- opening ---------------------------------------------------------------------------------------------------

    def _open_leaf(self, spot: _Spot, leaf: Leaf) -> ReadHandle:
        if leaf.is_directory:
            raise IsADirectoryPathError("it is a directory")
        if leaf.state in PARTIAL:
            raise PermissionDeniedError("the upload is not complete; resume it before you read it back")
        with self._rooms.database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).one()
        stored = row.state == UploadState.STORED
        size = row.scrubbed_size if stored else row.size
        entry = Entry(
            name=leaf.name,
            is_directory=False,
            size=size,
            modified=leaf.modified,
            created=leaf.created,
            writable=spot.place.sender,
            etag=f"{row.id}-{'scrubbed' if stored else 'sent'}",
        )
        self._rooms.budget.take()
        try:
            if stored:
                opened = self._rooms.objects.open(
                    ObjectKey(row.object_key), spot.entered.residency, self._reader.listener
                )
                source: Readable = opened.reader
                region = opened.region
            else:
                source, region = self._rooms.landed.open(row), row.region
            with self._rooms.database.write() as connection:
                self._event(
                    connection,
                    spot,
                    "file.opened",
                    upload=row.id,
                    object=row.object_key,
                    served_from=region,
                    listener=self._reader.listener,
                    size=size,
                )
        except BaseException:
            self._rooms.budget.give_back()
            raise
        lease = self._rooms.cases.lease(self._reader, spot.tree.number)
        return SealedFile(entry=entry, source=source, lease=lease, released=self._rooms.budget.give_back)

    # -- .meta -----------------------------------------------------------------------------------------------------

    def _meta_entries(self, target: ZoneTarget) -> Iterator[Entry]:
        entered = self._enter(target)
        _tree, root = self._place_of(entered, Zone.UPLOAD)
        rest, scrubbed = self._meta_path(target)
        place = walk_place(self._rooms.database, root, rest)
        if place is None:
            if not scrubbed:
                self._meta_find(target)
                raise NotADirectoryPathError("it is a file")
            raise NotFoundError(_NOTHING)
        if not rest and not scrubbed:
            yield Entry(name=meta.SCRUBBED, is_directory=True)
        for leaf in list_leaves(self._rooms.database, place):
            if leaf.is_directory:
                yield Entry(name=leaf.name, is_directory=True, modified=leaf.modified)
            elif scrubbed:
                entry = self._scrubbed_entry(leaf)
                if entry is not None:
                    yield entry
            else:
                yield from self._documents(leaf, place)

    def _meta_path(self, target: ZoneTarget) -> tuple[tuple[str, ...], bool]:
        if target.rest[:1] == (meta.SCRUBBED,):
            return target.rest[1:], True
        return target.rest, False

    def _documents(self, leaf: Leaf, place: Place) -> Iterator[Entry]:
        for suffix in sorted(meta.SUFFIXES):
            content = meta.document_of(self._rooms.database, leaf, suffix, sender=place.sender)
            if content is not None:
                yield self._document_entry(leaf, suffix, content)

    @staticmethod
    def _document_entry(leaf: Leaf, suffix: str, content: bytes) -> Entry:
        return Entry(
            name=leaf.name + suffix,
            is_directory=False,
            size=len(content),
            modified=leaf.created,
            etag=f"{leaf.upload_id}{suffix}-{leaf.state}",
        )

    def _scrubbed_entry(self, leaf: Leaf) -> Entry | None:
        if leaf.state != UploadState.STORED:
            return None
        with self._rooms.database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).one()
        return Entry(
            name=leaf.name,
            is_directory=False,
            size=row.scrubbed_size,
            modified=leaf.modified,
            etag=f"{row.id}-scrubbed",
        )

    def _meta_find(self, target: ZoneTarget) -> tuple[Entry, bytes | None, _Spot | None, Leaf | None]:
        """Return the entry at a path in `.meta`, with its content or with the file that it stands for."""
        entered = self._enter(target, Action.READ)
        tree, root = self._place_of(entered, Zone.UPLOAD)
        rest, scrubbed = self._meta_path(target)
        place = walk_place(self._rooms.database, root, rest)
        if place is not None:
            return Entry(name=target.rest[-1], is_directory=True), None, None, None
        place = walk_place(self._rooms.database, root, rest[:-1])
        if place is None:
            raise NotFoundError(_NOTHING)
        name = rest[-1]
        if scrubbed:
            leaf = find_leaf(self._rooms.database, place, name)
            entry = None if leaf is None else self._scrubbed_entry(leaf)
            if entry is None:
                raise NotFoundError(_NOTHING)
            spot = _Spot(
                entered=entered, tree=tree, zone=Zone.UPLOAD, place=place, name=name, directories=tuple(rest[:-1])
            )
            return entry, None, spot, leaf
        for suffix in meta.SUFFIXES:
            if name.endswith(suffix):
                leaf = find_leaf(self._rooms.database, place, name.removesuffix(suffix))
                content = (
                    None if leaf is None else meta.document_of(self._rooms.database, leaf, suffix, sender=place.sender)
                )
                if leaf is not None and content is not None:
                    return self._document_entry(leaf, suffix, content), content, None, None
        raise NotFoundError(_NOTHING)

    def _open_meta(self, target: ZoneTarget) -> ReadHandle:
        entry, content, spot, leaf = self._meta_find(target)
        if spot is not None and leaf is not None:
            return self._open_leaf(spot, leaf)
        if content is None:
            raise IsADirectoryPathError("it is a directory")
        lease = self._rooms.cases.lease(self._reader, target.number)
        return DocumentFile(entry=entry, content=content, lease=lease)

    # -- recording -------------------------------------------------------------------------------------------------

    def _event(self, connection: Connection, spot: _Spot, kind: str, **details: object) -> None:
        self._rooms.trail.append(
            connection,
            customer_chain(spot.tree.customer),
            kind,
            login=self._reader.login,
            session=self._session_id,
            protocol=self._origin.protocol,
            peer=self._origin.peer,
            case=spot.tree.number,
            zone=spot.zone.value,
            **details,
        )
