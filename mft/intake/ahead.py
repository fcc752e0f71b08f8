"""Reading ahead: a large upload is read while it still comes in, one upload at a time.

Its names are learned, and what is to be replaced is looked for. What comes of it is sealed, the names in this process's
memory, the rest in a file without a name, whose key is in this process's memory alone. It is used only where the upload
that landed is the one that was read: the same epoch, name, records and size, none of them written again. Whatever goes
otherwise, it is dropped, and the upload is read once it has landed, as any other.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from mft.box import ZONE
from mft.catalog.model import UPLOADS
from mft.catalog.states import UploadState
from mft.intake.records import chain_of
from mft.recipients import find_recipient
from mft.scrubbing.child import Errand
from mft.scrubbing.nursery import ChildFailedError, NurseryError
from mft.standing import PART_SUFFIXES
from scrubber.profile import find_profile
from storage.errors import StorageError
from storage.frames import new_frame_file

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Row

    from mft.audit import AuditTrail
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.pseudonyms import PseudonymBooks
    from mft.intake.records import CaseBook
    from mft.intake.settings import IntakeSettings
    from mft.scrubbing.nursery import Child, Nursery
    from mft.upload.landed import LandedFiles
    from storage.landing import LandingZone

log = logging.getLogger(__name__)

_KEPT = 16
"""Uploads whose names wait for their scrubbing."""
_LANDED = (UploadState.LANDED, UploadState.SCRUBBING)


@dataclass(slots=True, kw_only=True)
class Notes:
    """What was noted of an upload, in a file without a name. Close it."""

    fd: int
    key: bytes = field(repr=False)
    end: int = 0
    """Where the last note stands; 0: there are none."""

    def close(self) -> None:
        """Let go of the file; a second call does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreknown:
    """What was read of one upload before it landed, sealed, and which form of it that was. Close it."""

    epoch: int = 0
    name: str = ""
    records: int = 0
    size: int = 0
    names: bytes = field(default=b"", repr=False)
    """Empty: nobody has read it."""
    notes: Notes | None = None

    def close(self) -> None:
        """Let go of the notes."""
        if self.notes is not None:
            self.notes.close()


@dataclass(slots=True, kw_only=True)
class _Reading:
    """A child that reads ahead."""

    upload_id: str
    case_id: int
    epoch: int
    name: str
    child: Child
    notes: Notes | None
    """Where it notes what is to be replaced."""
    ending_fd: int | None
    """Where it is told that the upload has landed; None: it was."""
    landed: tuple[int, int] = (0, 0)
    """Records and size that it was told."""


class Ahead:
    """Has large uploads read while they come in. Safe for many threads."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        book: CaseBook,
        books: PseudonymBooks,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        nursery: Nursery,
        settings: IntakeSettings,
    ) -> None:
        """Read uploads of *settings*' host from `ahead` bytes on; never where that is None."""
        self._database = database
        self._trail = trail
        self._book = book
        self._books = books
        self._zones = zones
        self._landed = landed
        self._nursery = nursery
        self._settings = settings
        self._lock = threading.Lock()
        self._reading: _Reading | None = None
        self._known: dict[str, Foreknown] = {}
        self._tried: set[tuple[str, int]] = set()
        """Uploads, by id and epoch, that are not to be tried again."""

    def look(self) -> None:
        """Follow the upload that is read, and begin with another where none is."""
        if self._settings.ahead is None:
            return
        with self._lock:
            if self._reading is not None:
                self._watch(self._reading)
            if self._reading is None:
                self._begin_next(self._settings.ahead)

    def take(self, row: Row[Any]) -> Foreknown:
        """Return what was read of the upload *row*, which has landed; the caller closes it.

        Waits for a child that still reads it: that has less to do than one that begins now.
        """
        with self._lock:
            reading = self._reading
            if reading is not None and reading.upload_id == row.id:
                self._reading = None
                self._tell(reading, row)
            else:
                reading = None
        if reading is not None:
            self._conclude(reading, wall=self._settings.wall)
        with self._lock:
            known = self._known.pop(row.id, None)
        if known is None:
            return Foreknown()
        read, landed = (known.epoch, known.records, known.size), (row.epoch, row.records, row.size)
        if read != landed or known.name != self._book.path_of(row)[-1]:
            known.close()
            return Foreknown()
        return known

    def close(self) -> None:
        """End what is under way."""
        with self._lock:
            if self._reading is not None:
                self._let_go(self._reading)
                self._reading = None
            for known in self._known.values():
                known.close()
            self._known.clear()

    def _watch(self, reading: _Reading) -> None:
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == reading.upload_id)).first()
        if row is None or row.epoch != reading.epoch or row.state not in {UploadState.RECEIVING, *_LANDED}:
            self._reading = None
            self._let_go(reading)
            self._note_dropped(reading, "the upload did not land as it was begun")
            return
        if row.state in _LANDED:
            self._tell(reading, row)
        if reading.child.has_answered:
            self._reading = None
            self._conclude_locked(reading, wall=60.0)

    def _tell(self, reading: _Reading, row: Row[Any]) -> None:
        """Tell the child where its upload has ended."""
        if reading.ending_fd is None:
            return
        reading.landed = (row.records, row.size)
        with contextlib.suppress(BrokenPipeError):  # it has answered already
            os.write(reading.ending_fd, json.dumps({"records": row.records, "size": row.size}).encode() + b"\n")
        os.close(reading.ending_fd)
        reading.ending_fd = None

    def _conclude(self, reading: _Reading, *, wall: float) -> None:
        known, why = self._answer_of(reading, wall)
        with self._lock:
            self._keep(reading, known, why)

    def _conclude_locked(self, reading: _Reading, *, wall: float) -> None:
        self._keep(reading, *self._answer_of(reading, wall))

    def _answer_of(self, reading: _Reading, wall: float) -> tuple[bytes, str]:
        """Return the names that a child has learned, or none and why."""
        reading.child.allow(wall)
        try:
            result = reading.child.result()
        except ChildFailedError as error:
            return b"", str(error)
        finally:
            self._end(reading)
        if reading.notes is not None:
            end = result.get("notes_end")
            reading.notes.end = end if type(end) is int and end > 0 else 0
        why = result.get("dropped")
        return reading.child.names, why if isinstance(why, str) else "it has told nothing"

    def _keep(self, reading: _Reading, names: bytes, why: str) -> None:
        notes = reading.notes
        if notes is not None and not (names and notes.end):
            notes.close()
            notes = None
        if not names:
            self._note_dropped(reading, why)
            return
        records, size = reading.landed
        while len(self._known) >= _KEPT:
            self._known.pop(next(iter(self._known))).close()
        known = Foreknown(epoch=reading.epoch, name=reading.name, records=records, size=size, names=names, notes=notes)
        before = self._known.pop(reading.upload_id, None)
        if before is not None:
            before.close()
        self._known[reading.upload_id] = known

    def _let_go(self, reading: _Reading) -> None:
        self._end(reading)
        if reading.notes is not None:
            reading.notes.close()

    def _end(self, reading: _Reading) -> None:
        if reading.ending_fd is not None:
            os.close(reading.ending_fd)
            reading.ending_fd = None
        reading.child.close()

    def _begin_next(self, least: int) -> None:
        """Begin with the largest upload under way that has *least* bytes and was not tried yet."""
        with self._database.read() as connection:
            rows = connection.execute(
                select(UPLOADS)
                .where(
                    UPLOADS.c.state == UploadState.RECEIVING,
                    UPLOADS.c.host == self._settings.host,
                    UPLOADS.c.zone.not_in([ZONE, "download"]),
                    UPLOADS.c.prefix >= least,
                )
                .order_by(UPLOADS.c.prefix.desc())
                .limit(100)
            ).all()
        self._tried &= {(row.id, row.epoch) for row in rows}
        for row in rows:
            if (row.id, row.epoch) not in self._tried:
                self._tried.add((row.id, row.epoch))
                if self._begin(row):
                    return

    def _begin(self, row: Row[Any]) -> bool:
        """Start a child on an upload under way; say whether there was anything to be learned."""
        tree = self._book.tree(row.case_id)
        treatment = self._settings.treatments.of(
            customer=tree.customer, case=tree.number, kind=tree.kind, classification=tree.classification
        )
        if "personal" not in find_profile(treatment.profile).categories:
            return False
        name = final_name(row.name)
        notes = self._new_notes(row, tree)
        try:
            book = self._books.open(tree, row.region, treatment.scope)
            errand = Errand(
                names=(name,),
                ahead=True,
                profile=treatment.profile,
                deny=treatment.terms.deny,
                allow=treatment.terms.allow,
                pseudonym_key=book.key,
                dictionary=book.names if notes is not None else b"",
                notes_key=b"" if notes is None else notes.key,
                cage=self._settings.cage,
                limits=dict(self._settings.limits),
                scratch=str(self._settings.scratch[row.region]),
                landing_id=row.landing_id,
                landing_key=self._landed.key_of(row),
            )
            child, ending_fd = self._start(row, errand, notes)
        except (NurseryError, StorageError) as error:
            log.warning("ahead.put_off", extra={"upload": row.id, "why": type(error).__name__})
            if notes is not None:
                notes.close()
            return False
        self._reading = _Reading(
            upload_id=row.id,
            case_id=row.case_id,
            epoch=row.epoch,
            name=name,
            child=child,
            notes=notes,
            ending_fd=ending_fd,
        )
        self._note(row.id, row.case_id, "scrub.ahead", received=row.prefix)
        return True

    def _new_notes(self, row: Row[Any], tree: CaseTree) -> Notes | None:
        """Make a file for notes, unless pseudonyms are written down as they are made, or there is no room."""
        if self._settings.reverse_map:
            with self._database.read() as connection:
                if find_recipient(connection, tree.customer) is not None:
                    return None
        try:
            fd, key = new_frame_file(self._settings.scratch[row.region])
        except StorageError:
            return None
        return Notes(fd=fd, key=key)

    def _start(self, row: Row[Any], errand: Errand, notes: Notes | None) -> tuple[Child, int]:
        landing_fd = self._zones[row.region].open_fd(row.landing_id)
        ending_read, ending_write = os.pipe()
        try:
            notes_fd = None if notes is None else notes.fd
            child = self._nursery.follow(errand, landing_fd=landing_fd, ending_fd=ending_read, notes_fd=notes_fd)
        except BaseException:
            os.close(ending_write)
            raise
        else:
            return child, ending_write
        finally:
            os.close(landing_fd)
            os.close(ending_read)

    def _note_dropped(self, reading: _Reading, why: str) -> None:
        self._note(reading.upload_id, reading.case_id, "scrub.ahead_dropped", why=why)

    def _note(self, upload_id: str, case_id: int, kind: str, **details: object) -> None:
        with self._database.write() as connection:
            self._trail.append(connection, chain_of(connection, case_id), kind, upload=upload_id, **details)


def final_name(name: str) -> str:
    """Return the name that a file will have, as far as its part-file name tells."""
    for suffix in PART_SUFFIXES:
        if name.endswith(suffix) and len(name) > len(suffix):
            return name[: -len(suffix)]
    return name
