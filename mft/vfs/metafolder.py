"""`.meta` as a part of the tree: documents beside the names of the upload zone, and the scrubbed files themselves."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import select

from casemap.resolver import Zone
from mft.catalog.model import UPLOADS
from mft.catalog.states import UploadState
from mft.policy import Action
from mft.vfs import meta
from mft.vfs.finding import NOTHING, Spot
from mft.vfs.reading import DocumentFile
from mft.vfs.tree import find_leaf, list_leaves, read_tag, walk_place
from mft.vfs.versions import VERSIONS, list_versions, version_entry, walk_versions
from protocols.errors import IsADirectoryPathError, NotADirectoryPathError, NotFoundError
from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemap.resolver import ZoneTarget
    from mft.casetree import CaseTree, EnteredCase
    from mft.vfs.finding import Finder
    from mft.vfs.opening import Opener
    from mft.vfs.tree import Leaf, Place
    from protocols.filesystem import ReadHandle


class MetaFolder:
    """`.meta`, as one session sees it."""

    def __init__(self, finder: Finder, opener: Opener) -> None:
        """Look and open in the name of *finder*'s session."""
        self._finder = finder
        self._opener = opener

    def entries(self, target: ZoneTarget) -> Iterator[Entry]:
        """Yield what a directory of `.meta` holds."""
        entered = self._finder.enter(target)
        _tree, root = self._finder.place_of(entered, Zone.UPLOAD)
        if target.rest[:1] == (VERSIONS,):
            yield from self._version_entries(root, target.rest[1:])
            return
        rest, scrubbed = self._path(target)
        place = walk_place(self._finder.rooms.database, root, rest)
        if place is None:
            if not scrubbed:
                self.find(target)
                raise NotADirectoryPathError("it is a file")
            raise NotFoundError(NOTHING)
        if not rest and not scrubbed:
            for name in (meta.SCRUBBED, VERSIONS):
                yield Entry(name=name, is_directory=True, modified=self._finder.opened(entered.case))
        for leaf in list_leaves(self._finder.rooms.database, place):
            if leaf.is_directory:
                yield Entry(name=leaf.name, is_directory=True, modified=leaf.modified)
            elif scrubbed:
                entry = self._scrubbed_entry(leaf)
                if entry is not None:
                    yield entry
            else:
                yield from self._documents(leaf, place)

    def _version_entries(self, root: Place, rest: tuple[str, ...]) -> Iterator[Entry]:
        """Yield the files of a directory, each as a directory of its versions, or the versions of one file."""
        database = self._finder.rooms.database
        place = walk_place(database, root, rest)
        if place is not None:
            for leaf in list_leaves(database, place):
                if leaf.node_id is not None:
                    yield Entry(name=leaf.name, is_directory=True, modified=leaf.modified)
            return
        found = walk_versions(database, root, rest)
        if found is None:
            raise NotFoundError(NOTHING)
        place, leaf, version = found
        if version is not None:
            raise NotADirectoryPathError("it is a file")
        yield from map(version_entry, list_versions(database, place, leaf))

    def _find_version(
        self, entered: EnteredCase, tree: CaseTree, root: Place, rest: tuple[str, ...]
    ) -> tuple[Entry, bytes | None, Spot | None, Leaf | None]:
        directory = self._directory(entered, root, rest, VERSIONS)
        if directory is not None:
            return directory, None, None, None
        found = walk_versions(self._finder.rooms.database, root, rest)
        if found is None:
            raise NotFoundError(NOTHING)
        place, leaf, version = found
        if version is None:
            return Entry(name=rest[-1], is_directory=True, modified=leaf.modified), None, None, None
        spot = Spot(
            entered=entered, tree=tree, zone=Zone.UPLOAD, place=place, name=leaf.name, directories=tuple(rest[:-2])
        )
        return version_entry(version), None, spot, version

    def _directory(self, entered: EnteredCase, root: Place, rest: tuple[str, ...], name: str) -> Entry | None:
        """Describe the directory that mirrors the one at *rest*; that of all is called *name*. None: there is none."""
        if not rest:
            return Entry(name=name, is_directory=True, modified=self._finder.opened(entered.case))
        place = walk_place(self._finder.rooms.database, root, rest[:-1])
        leaf = None if place is None else find_leaf(self._finder.rooms.database, place, rest[-1])
        if leaf is None or not leaf.is_directory:
            return None
        return Entry(name=leaf.name, is_directory=True, modified=leaf.modified)

    def _path(self, target: ZoneTarget) -> tuple[tuple[str, ...], bool]:
        if target.rest[:1] == (meta.SCRUBBED,):
            return target.rest[1:], True
        return target.rest, False

    def _documents(self, leaf: Leaf, place: Place) -> Iterator[Entry]:
        for suffix in sorted(meta.SUFFIXES):
            content = meta.document_of(self._finder.rooms.database, leaf, suffix, sender=place.sender)
            if content is not None:
                yield self._document_entry(leaf, suffix, content)

    @staticmethod
    def _document_entry(leaf: Leaf, suffix: str, content: bytes) -> Entry:
        return Entry(
            name=leaf.name + suffix,
            is_directory=False,
            size=len(content),
            modified=leaf.created,
            etag=f"{leaf.upload_id}{suffix}-{leaf.state}" + (f"-{leaf.revision}" if leaf.revision else ""),
        )

    def _scrubbed_entry(self, leaf: Leaf) -> Entry | None:
        if leaf.state != UploadState.STORED:
            return None
        with self._finder.rooms.database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).one()
        return Entry(
            name=leaf.name,
            is_directory=False,
            size=row.scrubbed_size,
            modified=leaf.modified,
            etag=read_tag(row.id, row.revision),
        )

    def find(self, target: ZoneTarget) -> tuple[Entry, bytes | None, Spot | None, Leaf | None]:
        """Return the entry at a path in `.meta`, with its content or with the file that it stands for."""
        entered = self._finder.enter(target, Action.READ)
        tree, root = self._finder.place_of(entered, Zone.UPLOAD)
        if target.rest[:1] == (VERSIONS,):
            return self._find_version(entered, tree, root, target.rest[1:])
        rest, scrubbed = self._path(target)
        directory = self._directory(entered, root, rest, meta.SCRUBBED)
        if directory is not None:
            return directory, None, None, None
        place = walk_place(self._finder.rooms.database, root, rest[:-1])
        if place is None:
            raise NotFoundError(NOTHING)
        name = rest[-1]
        if scrubbed:
            leaf = find_leaf(self._finder.rooms.database, place, name)
            entry = None if leaf is None else self._scrubbed_entry(leaf)
            if entry is None:
                raise NotFoundError(NOTHING)
            spot = Spot(
                entered=entered, tree=tree, zone=Zone.UPLOAD, place=place, name=name, directories=tuple(rest[:-1])
            )
            return entry, None, spot, leaf
        for suffix in (*meta.SUFFIXES, meta.SARIF):
            if name.endswith(suffix):
                leaf = find_leaf(self._finder.rooms.database, place, name.removesuffix(suffix))
                content = (
                    None
                    if leaf is None
                    else meta.document_of(self._finder.rooms.database, leaf, suffix, sender=place.sender)
                )
                if leaf is not None and content is not None:
                    return self._document_entry(leaf, suffix, content), content, None, None
        ended = meta.ended_status(self._finder.rooms.database, place, name.removesuffix(meta.STATUS))
        if name.endswith(meta.STATUS) and place.sender and ended is not None:
            return (
                Entry(name=name, is_directory=False, size=len(ended), modified=self._finder.rooms.since),
                ended,
                None,
                None,
            )
        raise NotFoundError(NOTHING)

    def open(self, target: ZoneTarget) -> ReadHandle:
        """Open a document, or a file as others see it."""
        entry, content, spot, leaf = self.find(target)
        if spot is not None and leaf is not None:
            self._finder.enter(
                replace(target, zone=Zone.UPLOAD), Action.READ
            )  # a file's bytes, whatever the way to them
            return self._opener.open(spot, leaf)
        if content is None:
            raise IsADirectoryPathError("it is a directory")
        lease = self._finder.rooms.cases.lease(self._finder.reader, target.number)
        return DocumentFile(entry=entry, content=content, lease=lease)
