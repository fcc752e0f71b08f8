"""Opening files: the stored object, or to its sender what landed, as long as nothing is stored."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, select

from mft.catalog.fixed import Fixed
from mft.catalog.model import UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from mft.vfs.readahead import SMALL_BYTES, Lookahead
from mft.vfs.reading import SealedFile
from mft.vfs.tree import read_tag
from protocols.errors import IsADirectoryPathError, NotFoundError, PermissionDeniedError
from protocols.filesystem import Entry
from storage.errors import StorageError, WrongObjectError
from storage.store import ObjectKey

if TYPE_CHECKING:
    from sqlalchemy import Row

    from mft.objects import OpenedObject
    from mft.vfs.finding import Finder, Spot
    from mft.vfs.reading import Readable
    from mft.vfs.tree import Leaf
    from protocols.filesystem import ReadHandle

# Made once: it is run for every file that is opened.
_UPLOAD = Fixed(select(UPLOADS).where(UPLOADS.c.id == bindparam("of")))


class Opener:
    """Opens files for one session."""

    def __init__(self, finder: Finder) -> None:
        """Open in the name of *finder*'s session."""
        self._finder = finder
        self._lookahead = Lookahead(finder.rooms.read_ahead, listener=finder.reader.listener)

    def digest(self, leaf: Leaf) -> str | None:
        """Return the SHA-256 of what `open` would give; None where it is not known yet."""
        with self._finder.rooms.database.read() as connection:
            row = _UPLOAD.first(connection, {"of": leaf.upload_id})
        if row is None or row.state in PARTIAL:
            return None
        digest: str | None = row.scrubbed_sha256 if row.state == UploadState.STORED else row.sha256
        return digest

    def open(self, spot: Spot, leaf: Leaf) -> ReadHandle:
        """Open what *spot* holds, on the record before its first byte is read.

        Raises:
            IsADirectoryPathError: a directory.
            NotFoundError: it has just gone.
            PermissionDeniedError: an upload that has not come to its end, or was held back after it was stored.
        """
        if leaf.is_directory:
            raise IsADirectoryPathError("it is a directory")
        if leaf.state in PARTIAL:
            raise PermissionDeniedError("the upload is not complete; resume it before you read it back")
        with self._finder.rooms.database.read() as connection:
            row = _UPLOAD.first(connection, {"of": leaf.upload_id})
        if row is None:
            raise NotFoundError("it was just taken away")
        stored = row.state == UploadState.STORED
        if row.state == UploadState.QUARANTINED and row.landing_gone_at is not None:
            raise PermissionDeniedError("it is held back, and what was sent is gone; send the file again if need be")
        size = row.scrubbed_size if stored else row.size
        entry = Entry(
            name=leaf.name,
            is_directory=False,
            size=size,
            modified=leaf.modified,
            created=leaf.created,
            writable=spot.place.sender,
            etag=read_tag(row.id, row.revision) if stored else f"{row.id}-sent",
        )
        self._finder.rooms.budget.take()
        try:
            if stored:
                opened = self._opened(ObjectKey(row.object_key), spot)
                source: Readable = opened.reader
                region = opened.region
                self._check_facts(row, spot, opened)
            else:
                source, region = self._finder.rooms.landed.open(row), row.region
            with self._finder.rooms.database.write() as connection:
                self._finder.event(
                    connection,
                    spot,
                    "file.opened",
                    upload=row.id,
                    object=row.object_key,
                    served_from=region,
                    listener=self._finder.reader.listener,
                    size=size,
                )
            if stored and size <= SMALL_BYTES:
                with contextlib.suppress(StorageError):  # which the first read says
                    source.read(0, 1)
        except BaseException:
            self._finder.rooms.budget.give_back()
            raise
        if stored:
            self._lookahead.note(spot.place, spot.entered.residency, leaf.name)
        lease = self._finder.rooms.cases.lease(self._finder.reader, spot.tree.number)
        return SealedFile(entry=entry, source=source, lease=lease, released=self._finder.rooms.budget.give_back)

    def _opened(self, key: ObjectKey, spot: Spot) -> OpenedObject:
        """Return an object, opened now or ahead."""
        residency = spot.entered.residency
        ahead = self._lookahead.take(key, residency)
        return ahead or self._finder.rooms.objects.open(key, residency, self._finder.reader.listener)

    def _check_facts(self, row: Row[Any], spot: Spot, opened: OpenedObject) -> None:
        """See that the object says of itself, under its own key, that it is this upload's, and of the case entered.

        Who can write to the catalog and has no key can give an upload another's object, and can seal no other facts.

        Raises:
            WrongObjectError: it is another's; that is in the audit.
        """
        facts = opened.reader.manifest.facts
        told = (facts.get("upload"), facts.get("case"))
        if told == (row.id, spot.tree.number):
            return
        opened.reader.close()
        with self._finder.rooms.database.write() as connection:
            found = {"upload": row.id, "object": row.object_key, "region": opened.region}
            self._finder.event(connection, spot, "object.tampering_found", what="wrong object", **found)
        raise WrongObjectError(f"{row.object_key} is the object of upload {told[0]} of case {told[1]}, not of {row.id}")
