"""The names that others than the sender see: scrubbed, and never two alike in a directory."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, select, update

from mft.catalog.fixed import Fixed
from mft.catalog.model import CASES, NODES
from mft.scrubbing.child import Errand
from protocols.path import MAX_NAME_BYTES

if TYPE_CHECKING:
    from mft.casetree import CaseTree
    from mft.catalog.database import Database
    from mft.intake.pseudonyms import PseudonymBooks
    from mft.intake.records import CaseBook
    from mft.intake.settings import IntakeSettings
    from mft.scrubbing.nursery import Nursery


# Made once: it is run for every file that is published, and the catalog is locked meanwhile.
_SHOWN_AS = Fixed(
    select(NODES.c.id).where(NODES.c.parent_id == bindparam("parent"), NODES.c.shown_name == bindparam("called"))
)
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f]")


def free_name(connection: Connection, parent_id: int, name: str) -> str:
    """Two names may be one once they are scrubbed: number the later ones."""
    stem, dot, suffix = name.rpartition(".")
    number, candidate = 1, name
    while _SHOWN_AS.scalar(connection, {"parent": parent_id, "called": candidate}) is not None:
        number += 1
        candidate = f"{stem} ({number}){dot}{suffix}" if stem else f"{name} ({number})"
    return candidate


def safe_names(names: list[str]) -> list[str]:
    """Scrubbed names are still names, whoever made them: nothing in them may part a path, or be more than a name."""
    cut = [
        _UNSAFE.sub("_", name).encode("utf-8", "replace")[:MAX_NAME_BYTES].decode("utf-8", "ignore") for name in names
    ]
    return ["_" if name in {"", ".", ".."} else name for name in cut]


class Naming:
    """Scrubs the names of what was renamed after it had been stored."""

    def __init__(
        self, *, database: Database, book: CaseBook, books: PseudonymBooks, nursery: Nursery, settings: IntakeSettings
    ) -> None:
        """Ask *nursery* for children that look at names alone."""
        self._database = database
        self._book = book
        self._books = books
        self._nursery = nursery
        self._settings = settings

    def show_renamed(self) -> int:
        """Give every stored file and directory that was renamed its scrubbed name; return how many."""
        children = NODES.alias("child")
        with self._database.read() as connection:
            rows = connection.execute(
                select(NODES).where(
                    NODES.c.shown_name.is_(None),
                    NODES.c.hidden_at.is_(None),
                    NODES.c.parent_id.is_not(None),
                    NODES.c.head_upload.is_not(None)
                    | (
                        NODES.c.is_directory
                        & select(children.c.id)
                        .where(children.c.parent_id == NODES.c.id, children.c.shown_name.is_not(None))
                        .exists()
                    ),
                )
            ).all()
        for row in rows:
            tree = self._book.tree(row.case_id)
            with self._database.read() as connection:
                home = connection.execute(select(CASES.c.home_region).where(CASES.c.id == row.case_id)).scalar_one()
                outbound = _root_of(connection, row) == tree.download_root
            shown = row.name if outbound else self._scrub_name(tree, home, row.name)
            with self._database.write() as connection:
                free = free_name(connection, row.parent_id, shown)
                connection.execute(
                    update(NODES).where(NODES.c.id == row.id, NODES.c.name == row.name).values(shown_name=free)
                )
        return len(rows)

    def _scrub_name(self, tree: CaseTree, region: str, name: str) -> str:
        treatment = self._settings.treatments.of(
            customer=tree.customer, case=tree.number, kind=tree.kind, classification=tree.classification
        )
        book = self._books.open(tree, region, treatment.scope)
        errand = Errand(
            names=(name,),
            profile=treatment.profile,
            deny=treatment.terms.deny,
            allow=treatment.terms.allow,
            pseudonym_key=book.key,
            dictionary=book.names,
            cage=self._settings.cage,
            limits=dict(self._settings.limits),
            scratch=str(self._settings.scratch[region]),
        )
        with contextlib.closing(self._nursery.begin(errand, landing_fd=None, wall=60.0)) as child:
            return safe_names([str(child.result()["shown"][0])])[0]


def _root_of(connection: Connection, row: Row[Any]) -> int:
    node = row
    while node.parent_id is not None:
        node = connection.execute(select(NODES).where(NODES.c.id == node.parent_id)).one()
    return int(node.id)
