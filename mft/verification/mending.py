"""Mending a copy from a good one: the body as it is, its key wrapped anew for the region.

A crash half-way leaves a copy that is not there, which reading and the next round both know how to do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select, update

from mft.casetree import case_key, case_tree
from mft.catalog.model import CASES, REPLICAS
from protocols.errors import FileSystemError
from storage.errors import StorageError
from storage.keys.envelope import Region
from storage.paced import PacedStore
from storage.regional import Placement, RegionalStore
from storage.slot import Slot
from storage.store import body_name, slot_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sqlalchemy import Connection

    from mft.catalog.database import Database
    from mft.verification.examination import Examination, Examiner, Listed
    from storage.keys.service import KeyService
    from storage.store import ObjectStore


class NotMendedError(Exception):
    """It was left as it is; says why."""


class Mender:
    """Puts good copies in the place of bad ones."""

    def __init__(
        self,
        *,
        database: Database,
        stores: Mapping[str, ObjectStore],
        keys: KeyService,
        examiner: Examiner,
        pace: Callable[[int], None],
    ) -> None:
        """Mend in *stores* (by region); a good copy is read no faster than *pace* lets it."""
        self._database = database
        self._stores = stores
        self._keys = keys
        self._examiner = examiner
        self._pace = pace

    def mend(self, listed: Listed, region: str) -> str:
        """Make the copy of *listed* in *region* good again; return from where.

        Raises:
            NotMendedError: no other region holds what is missing, or it cannot be written; nothing good was touched.
        """
        found = self._examiner.examine(listed, listed.regions, deep=True)
        source = next((each for each in listed.regions if each != region and each in found.bodies), None)
        opener = next((each for each in listed.regions if each != region and each in found.slots), None)
        if region in found.sound:
            return region
        try:
            if region not in found.bodies:
                self._mend_body(listed, region, source, found)
            if region not in found.slots:
                self._mend_slot(listed, region, opener, found)
        except (StorageError, FileSystemError, OSError) as error:
            raise NotMendedError(f"it could not be mended: {error}") from error
        if region not in self._examiner.examine(listed, (region,), deep=True).sound:
            raise NotMendedError("what was written did not read back")
        return source or opener or region

    def withdraw(self, listed: Listed, region: str, allowed: frozenset[str]) -> None:
        """Take away a copy that may not be where it is, once a good one is known to be where it may be.

        Raises:
            NotMendedError: there is none; it is the last, and stays.
        """
        others = [each for each in listed.regions if each != region and each in allowed]
        if not self._examiner.examine(listed, others, deep=True).sound:
            raise NotMendedError("it is the last good copy: none is where the case may lie")
        try:
            self._stores[region].delete(slot_name(listed.key))
            self._stores[region].delete(body_name(listed.key))
        except StorageError as error:
            raise NotMendedError(f"it could not be deleted: {error}") from error

    def _mend_body(self, listed: Listed, region: str, source: str | None, found: Examination) -> None:
        if source is None:
            raise NotMendedError("no other region holds its body whole")
        if not found.slots:
            raise NotMendedError("no slot of it opens: what another region holds cannot be told from rot")
        name = body_name(listed.key)
        self._stores[region].delete(name)
        stores = {Region(source): PacedStore(self._stores[source], self._pace), Region(region): self._stores[region]}
        placement = Placement(home=Region(source), copies=(Region(region),))
        RegionalStore(stores, placement).copy(name, Region(source), Region(region))

    def _mend_slot(self, listed: Listed, region: str, opener: str | None, found: Examination) -> None:
        if opener is None:
            raise NotMendedError("no other region holds a slot of it that opens")
        with self._database.read() as connection:
            tree = case_tree(connection.execute(select(CASES).where(CASES.c.id == listed.case_id)).one())
        slot = found.slots[opener]
        scope_key = case_key(self._database, self._keys, tree, region)
        envelope = self._keys.move_key(slot.envelope, Region(region), tree.key_scope, scope_key)
        fresh = Slot(envelope=envelope, sealed_manifest=slot.sealed_manifest)
        self._stores[region].put(slot_name(listed.key), [fresh.serialise()], replace=True)


def note_withdrawn(connection: Connection, key: str, region: str, now: float) -> None:
    """Have the catalog say that a region holds an object no more."""
    connection.execute(
        update(REPLICAS)
        .where(REPLICAS.c.object_key == key, REPLICAS.c.region == region)
        .values(state="withdrawn", withdrawn_at=now)
    )
