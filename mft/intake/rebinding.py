"""Keys that go with a case to a new home: those of its pseudonyms, and of passwords that wait for their archives."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from mft.audit import customer_chain
from mft.catalog.model import ARCHIVE_PASSWORDS, PSEUDONYM_BOOKS
from storage.keys.envelope import Envelope, Region

if TYPE_CHECKING:
    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.intake.records import CaseBook
    from mft.residency import Residency
    from storage.keys.service import KeyService


class Rebinding:
    """Wraps a case's keys for its new home."""

    def __init__(self, *, database: Database, trail: AuditTrail, keys: KeyService, book: CaseBook) -> None:
        """Move them in *database*, by *keys*, which hands none of them out."""
        self._database = database
        self._trail = trail
        self._keys = keys
        self._book = book

    def move_books(self, case_id: int, residency: Residency) -> None:
        """Wrap the case's pseudonym key for its home, if it is wrapped for a region where the case may not lie.

        What a customer's cases share stays in its region: there is one for each, and another home has another.

        Raises:
            KeyUnavailableError: the key agent does not answer; nothing was changed.
        """
        here = PSEUDONYM_BOOKS.c.case_id == case_id
        with self._database.read() as connection:
            row = connection.execute(
                select(PSEUDONYM_BOOKS).where(here, PSEUDONYM_BOOKS.c.region.not_in(residency.regions))
            ).first()
        if row is None:
            return
        tree = self._book.tree(case_id)
        scope_key = self._book.scope_key(tree, residency.home)
        envelope = Envelope.from_dict(json.loads(row.envelope))
        moved = self._keys.move_key(envelope, Region(residency.home), tree.key_scope, scope_key)
        with self._database.write() as connection:
            connection.execute(
                update(PSEUDONYM_BOOKS)
                .where(here, PSEUDONYM_BOOKS.c.region == row.region)
                .values(region=residency.home, scope=tree.key_scope, envelope=json.dumps(moved.to_dict()))
            )
            self._trail.append(
                connection,
                customer_chain(tree.customer),
                "key.moved",
                case=tree.number,
                subject=envelope.subject,
                source=row.region,
                region=residency.home,
            )

    def move_passwords(self, case_id: int, residency: Residency) -> None:
        """Wrap the keys of archives' passwords for the case's home, where they are for a region that it may not lie in.

        Raises:
            KeyUnavailableError: the key agent does not answer; what was not done yet comes up again.
        """
        with self._database.read() as connection:
            rows = connection.execute(
                select(ARCHIVE_PASSWORDS.c.id, ARCHIVE_PASSWORDS.c.envelope).where(
                    ARCHIVE_PASSWORDS.c.case_id == case_id
                )
            ).all()
        envelopes = {row.id: Envelope.from_dict(json.loads(row.envelope)) for row in rows}
        strays = {each: held for each, held in envelopes.items() if held.region not in residency.regions}
        if not strays:
            return
        tree = self._book.tree(case_id)
        scope_key = self._book.scope_key(tree, residency.home)
        for password_id, envelope in strays.items():
            moved = self._keys.move_key(envelope, Region(residency.home), tree.key_scope, scope_key)
            with self._database.write() as connection:
                connection.execute(
                    update(ARCHIVE_PASSWORDS)
                    .where(ARCHIVE_PASSWORDS.c.id == password_id)
                    .values(envelope=json.dumps(moved.to_dict()))
                )
