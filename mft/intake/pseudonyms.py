"""Pseudonym keys, of a case or of a customer in a region, each with the names that its uploads have taught.

A child is given both and gives back the names with what it learned. They are kept in the transaction that publishes its
upload, merged with what others have taught meanwhile: nothing that was learned is lost, and where two uploads gave one
pseudonym to two values, the later one is scrubbed again. What a child gave back is read here with its bounds, and is
put into its own scope alone.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sqlalchemy import select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_nothing

from mft.catalog.model import BODIES, PSEUDONYM_BOOKS
from mft.scrubbing.sealednames import open_names, seal_names
from storage.keys.envelope import Envelope, Region

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row

    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.records import CaseBook
    from mft.treatment import Scope
    from storage.keys.service import KeyService
    from storage.store import ObjectKey


class OvertakenError(Exception):
    """Others have added names since these were merged: merge again."""


class ContradictedError(Exception):
    """An upload gave a value another pseudonym than one that was kept meanwhile: it must be scrubbed again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PseudonymBook:
    """One scope's key, and the names that it knows, sealed."""

    id: int
    key: bytes = field(repr=False)
    names: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesson:
    """What is to be kept with an upload's publishing: the names of its book, with what it taught."""

    book_id: int
    serial: int
    names: bytes = field(repr=False)


class PseudonymBooks:
    """Opens them for children, and adds what children have learned."""

    def __init__(self, *, database: Database, keys: KeyService, book: CaseBook) -> None:
        """Keep them in *database*, their keys wrapped by *keys*."""
        self._database = database
        self._keys = keys
        self._book = book

    def open(self, tree: CaseTree, region: str, scope: Scope) -> PseudonymBook:
        """Return the book of a case at home in *region*, or with the scope `customer` that of its customer there."""
        wanted = (
            PSEUDONYM_BOOKS.c.case_id == tree.id
            if scope == "case"
            else (PSEUDONYM_BOOKS.c.customer == tree.customer) & (PSEUDONYM_BOOKS.c.region == region)
        )
        with self._database.read() as connection:
            row = connection.execute(select(PSEUDONYM_BOOKS).where(wanted)).first()
        if row is None:
            self._begin(tree, region, scope)
            with self._database.read() as connection:
                row = connection.execute(select(PSEUDONYM_BOOKS).where(wanted)).one()
        key = self._keys.open_key(Envelope.from_dict(json.loads(row.envelope)))
        return PseudonymBook(id=row.id, key=key, names=row.names or b"")

    def _begin(self, tree: CaseTree, region: str, scope: Scope) -> None:
        """Make the key and the row, unless somebody else is faster."""
        if scope == "case":
            name, scope_key = tree.key_scope, self._book.scope_key(tree, region)
        else:
            name = f"customer:{secrets.token_hex(16)}"
            scope_key = self._keys.new_scope(Region(region), name, owner=tree.customer)
        _key, envelope = self._keys.new_key(Region(region), name, scope_key, "pseudonym")
        owner = {"case_id": tree.id} if scope == "case" else {"customer": tree.customer}
        with self._database.write() as connection:
            connection.execute(
                insert_or_nothing(PSEUDONYM_BOOKS)
                .values(
                    **owner,
                    region=region,
                    scope=name,
                    envelope=json.dumps(envelope.to_dict()),
                    serial=0,
                    created_at=time.time(),
                )
                .on_conflict_do_nothing()
            )

    def lesson(self, object_key: ObjectKey) -> Lesson | None:
        """Return what the upload behind *object_key* taught, with what its book has; None where that is nothing.

        Raises:
            ContradictedError: the two do not agree.
            NamesUnreadableError: one of them cannot be read.
            KeyUnavailableError: the key agent does not answer.
        """
        with self._database.read() as connection:
            row = connection.execute(
                select(BODIES.c.taught, PSEUDONYM_BOOKS)
                .join(PSEUDONYM_BOOKS, PSEUDONYM_BOOKS.c.id == BODIES.c.book_id)
                .where(BODIES.c.key == object_key, BODIES.c.taught.is_not(None))
            ).first()
        return None if row is None else self._lesson(row, row.taught)

    def lesson_for(self, book_id: int, taught: bytes) -> Lesson | None:
        """Return what several uploads at once taught, *taught*, with what their book has; raises as `lesson` does."""
        if not taught:
            return None
        with self._database.read() as connection:
            row = connection.execute(select(PSEUDONYM_BOOKS).where(PSEUDONYM_BOOKS.c.id == book_id)).one()
        return self._lesson(row, taught)

    def _lesson(self, row: Row[Any], given: bytes) -> Lesson:
        key = self._keys.open_key(Envelope.from_dict(json.loads(row.envelope)))
        kept, taught = open_names(row.names or b"", key), open_names(given, key)
        if kept.contradicts(taught):
            raise ContradictedError
        kept.merge(taught)
        return Lesson(book_id=row.id, serial=row.serial, names=seal_names(kept, key))

    def note_reverse_map(self, object_key: ObjectKey, sealed: bytes) -> None:
        """Lay the reverse map of what was scrubbed beside its object."""
        with self._database.write() as connection:
            connection.execute(update(BODIES).where(BODIES.c.key == object_key).values(reverse_map=sealed))

    @staticmethod
    def keep(connection: Connection, object_key: ObjectKey, lesson: Lesson | None) -> None:
        """Write *lesson* into its book, in the transaction of *connection*.

        Raises:
            OvertakenError: the book is not as it was when the lesson was made.
        """
        if lesson is None:
            return
        same: ColumnElement[bool] = (PSEUDONYM_BOOKS.c.id == lesson.book_id) & (
            PSEUDONYM_BOOKS.c.serial == lesson.serial
        )
        kept = connection.execute(
            update(PSEUDONYM_BOOKS).where(same).values(names=lesson.names, serial=lesson.serial + 1)
        )
        if kept.rowcount != 1:
            raise OvertakenError
        connection.execute(update(BODIES).where(BODIES.c.key == object_key).values(taught=None, book_id=None))
