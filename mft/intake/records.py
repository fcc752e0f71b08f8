"""What intake asks the catalog about an upload's case."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, bindparam, select

from mft.audit import customer_chain
from mft.casetree import CaseTree, case_key, case_tree
from mft.catalog.fixed import Fixed
from mft.catalog.model import CASES, NODES

if TYPE_CHECKING:
    from mft.catalog.database import Database
    from storage.keys.service import KeyService


_CASE = Fixed(select(CASES).where(CASES.c.id == bindparam("of")))
_NODE = Fixed(select(NODES.c.name, NODES.c.parent_id).where(NODES.c.id == bindparam("of")))


def moment(seconds: float) -> str:
    """Write a time as receipts and manifests have it."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds")


def tree_in(connection: Connection, case_id: int) -> CaseTree:
    """Return what the catalog keeps of a case."""
    row = _CASE.first(connection, {"of": case_id})
    return case_tree(row)


def chain_of(connection: Connection, case_id: int) -> str:
    """Name the audit chain of a case's customer."""
    return customer_chain(tree_in(connection, case_id).customer)


class CaseBook:
    """Cases, their trees and their keys."""

    def __init__(self, *, database: Database, keys: KeyService) -> None:
        """Read from *database*; ask *keys* for keys."""
        self._database = database
        self._keys = keys

    def tree(self, case_id: int) -> CaseTree:
        """Return what the catalog keeps of a case."""
        with self._database.read() as connection:
            return tree_in(connection, case_id)

    def scope_key(self, tree: CaseTree, region: str) -> bytes:
        """Return the case's scope key in a region, wrapped."""
        return case_key(self._database, self._keys, tree, region)

    def path_of(self, row: Row[Any]) -> tuple[str, ...]:
        """Return the path of an upload's node below its zone's root."""
        names: list[str] = []
        with self._database.read() as connection:
            node = _NODE.first(connection, {"of": row.node_id})
            while node.parent_id is not None:
                names.append(node.name)
                node = _NODE.first(connection, {"of": node.parent_id})
        return tuple(reversed(names))
