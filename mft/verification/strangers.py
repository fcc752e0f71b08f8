"""What lies in a store and the catalog does not name there: leftovers, copies in the wrong place, unknown objects.

A row comes before its file everywhere, so what is listed first and looked up afterwards is never one that is just being
made. What could still be opened is never taken for a leftover.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

from sqlalchemy import select

from mft.catalog.model import BODIES, CASE_KEYS, CASES, REPLICAS
from mft.verification.fault import Flaw
from storage.errors import KeyUnavailableError, ObjectNotFoundError, StorageError, TamperedError
from storage.probe import PROBES
from storage.store import ObjectKey, slot_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mft.catalog.database import Database
    from mft.verification.examination import Examiner
    from storage.store import ObjectStore

_BATCH = 500
_NAME = re.compile(r"(bodies|slots)/[0-9a-f]{2}/([0-9a-f]{32})", re.ASCII)
_AT_WORK = frozenset({"writing", "discarded", "obsolete"})
"""Bodies that intake is making, or that its sweep takes away."""
_NOT_THERE_YET = frozenset({"present", "wanted", "leaving", "destroying"})
"""States of a copy whose files are where they belong, or on their way in or out."""


@runtime_checkable
class DatedStore(Protocol):
    """What some stores can tell besides."""

    def modified(self, name: str) -> float:
        """Return when an object was last written, POSIX seconds.

        Raises:
            ObjectNotFoundError: there is none.
        """


class Stranger(NamedTuple):
    """One name in a store that should not be there."""

    name: str
    flaw: Flaw
    detail: str
    removable: bool
    """Whether nothing is lost with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    body: str | None
    """The state of the object, where the catalog knows it."""
    copy: str | None
    """The state of its copy in this region, where there is one."""
    other: bool
    """Whether another region holds it."""


class Strangers:
    """Holds the names of a store against the catalog."""

    def __init__(self, *, database: Database, stores: Mapping[str, ObjectStore], examiner: Examiner) -> None:
        """Look into *stores* (by region)."""
        self._database = database
        self._stores = stores
        self._examiner = examiner
        self.names = 0
        """How many names were looked at."""

    def find(self, region: str) -> Iterator[Stranger]:
        """Yield what does not belong into the store of *region*.

        Raises:
            StorageError: the store does not answer.
        """
        names = self._stores[region].list()
        while batch := [entry.name for entry in itertools.islice(names, _BATCH)]:
            self.names += len(batch)
            known = self._known(region, batch)
            for name in batch:
                match = _NAME.fullmatch(name)
                if match is None and name.startswith(PROBES):
                    continue
                if match is None:
                    yield Stranger(name, Flaw.ORPHANED, "no name that mft gives; it is left alone", removable=False)
                    continue
                stranger = self._judge(region, name, ObjectKey(match[2]), known[match[2]])
                if stranger is not None:
                    yield stranger

    def _known(self, region: str, names: list[str]) -> dict[str, _Known]:
        keys = {match[2] for match in map(_NAME.fullmatch, names) if match is not None}
        with self._database.read() as connection:
            bodies = {
                row.key: row.state
                for row in connection.execute(select(BODIES.c.key, BODIES.c.state).where(BODIES.c.key.in_(keys)))
            }
            copies: dict[str, dict[str, str]] = {}
            for row in connection.execute(
                select(REPLICAS.c.object_key, REPLICAS.c.region, REPLICAS.c.state).where(
                    REPLICAS.c.object_key.in_(keys)
                )
            ):
                copies.setdefault(row.object_key, {})[row.region] = row.state
        return {
            key: _Known(
                body=bodies.get(key),
                copy=copies.get(key, {}).get(region),
                other=any(state == "present" for where, state in copies.get(key, {}).items() if where != region),
            )
            for key in keys
        }

    def _judge(self, region: str, name: str, key: ObjectKey, known: _Known) -> Stranger | None:
        if known.body is None:
            return self._unknown(region, name, key)
        if known.body in _AT_WORK or known.copy in _NOT_THERE_YET:
            return None
        if known.body == "destroyed":
            return Stranger(
                name, Flaw.ORPHANED, "its case was destroyed, or another object stands in its place", removable=True
            )
        return Stranger(
            name, Flaw.MISPLACED, "a copy that the catalog does not name in this region", removable=known.other
        )

    def _unknown(self, region: str, name: str, key: ObjectKey) -> Stranger | None:
        if name.startswith("slots/"):
            return self._unknown_slot(region, name, key)
        if self._has_slot(region, key):
            return None  # told once, of its slot
        return Stranger(name, Flaw.ORPHANED, "a body without a slot, which nothing opens", removable=True)

    def _unknown_slot(self, region: str, name: str, key: ObjectKey) -> Stranger | None:
        try:
            slot = self._examiner.slot(key, region)
            if self._is_destroyed(slot.envelope.scope, region):
                return Stranger(name, Flaw.ORPHANED, "its keys were destroyed", removable=True)
            self._examiner.manifest(slot)
        except KeyUnavailableError as error:
            told = f"an object that the catalog does not know; it cannot be opened here: {error}"
            return Stranger(name, Flaw.UNLISTED, told, removable=False)
        except TamperedError as error:
            told = f"a slot that does not open ({error.what}) of an object that the catalog does not know"
            return Stranger(name, Flaw.ORPHANED, told, removable=True)
        except ObjectNotFoundError:
            return None  # gone meanwhile
        told = "a whole object that the catalog does not know: `mft rebuild` takes it in"
        return Stranger(name, Flaw.UNLISTED, told, removable=False)

    def _has_slot(self, region: str, key: ObjectKey) -> bool:
        try:
            self._stores[region].stat(slot_name(key))
        except ObjectNotFoundError:
            return False
        except StorageError:
            return True  # not known: then it is no leftover
        return True

    def _is_destroyed(self, scope: str, region: str) -> bool:
        with self._database.read() as connection:
            row = connection.execute(
                select(CASE_KEYS.c.destroyed_at)
                .join(CASES, CASES.c.id == CASE_KEYS.c.case_id)
                .where(CASES.c.scope == scope.removeprefix("case:"), CASE_KEYS.c.region == region)
            ).first()
        return row is not None and row.destroyed_at is not None
