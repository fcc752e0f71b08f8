"""Digests of files as `stat` shows them: to a sender of what it sent, to everybody else of what was made of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from sqlalchemy import select

from mft.catalog.model import UPLOADS
from mft.catalog.states import PARTIAL, UploadState
from protocols.errors import NotFoundError

if TYPE_CHECKING:
    from mft.catalog.database import Database
    from mft.upload.landed import LandedFiles
    from mft.vfs.tree import Leaf

_PIECE = 1 << 20
_NOT_LANDED = PARTIAL | {UploadState.EXPIRED, UploadState.DESTROYED}


class KnownDigests:
    """What the catalog knows of digests, and what can be found out from what a login sent itself."""

    def __init__(self, database: Database, landed: LandedFiles) -> None:
        """Look into *database*, and at *landed* files as long as they are kept."""
        self._database = database
        self._landed = landed

    def digest(self, leaf: Leaf, algorithm: str) -> bytes | None:
        """Return the digest of *leaf*'s file; None where that can only be read, by who may.

        A sender may know it of its own file without the right to read: it had the bytes.
        """
        if leaf.is_directory or leaf.upload_id is None or leaf.state in PARTIAL:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == leaf.upload_id)).one()
        known = row.sha256 if leaf.own else row.scrubbed_sha256
        if algorithm == "sha256" and known:
            return bytes.fromhex(known)
        if not leaf.own or row.state in _NOT_LANDED:
            return None
        try:
            source = self._landed.open(row)
        except NotFoundError:  # it was destroyed, some time after it was stored
            return None
        digest, at = hashlib.new(algorithm, usedforsecurity=False), 0
        try:
            while data := source.read(at, _PIECE):
                digest.update(data)
                at += len(data)
        finally:
            source.close()
        return digest.digest()
