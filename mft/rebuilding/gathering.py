"""Objects as the stores of all regions tell of them, one after another."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import KeyDestroyedError, KeyUnavailableError, ObjectNotFoundError, StorageError, TamperedError
from storage.store import ObjectKey, body_name, parse_object_key

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mft.verification.examination import Examiner
    from storage.body import BodyInfo
    from storage.slot import Slot
    from storage.store import ObjectStore

_PREFIX = "slots/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object that opens, and whose body is as long as it must be in each of its regions."""

    key: ObjectKey
    body: BodyInfo
    facts: Mapping[str, Any]
    slots: Mapping[str, Slot]
    """By region."""

    @property
    def scope(self) -> str:
        """Name of its case's keys, without what kind of name it is."""
        return next(iter(self.slots.values())).envelope.scope.removeprefix("case:")

    @property
    def home(self) -> str:
        """Where it was stored first."""
        told = self.facts.get("home")
        return told if isinstance(told, str) and told in self.slots else next(iter(self.slots))


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """Something that was not taken."""

    key: str
    why: str


class Gathering:
    """Reads slots of every region."""

    def __init__(self, stores: Mapping[str, ObjectStore], examiner: Examiner) -> None:
        """Read *stores* (by region); *examiner* opens what is in them."""
        self._stores = stores
        self._examiner = examiner

    def objects(self, regions: tuple[str, ...]) -> Iterator[ObjectKey]:
        """Yield the key of every object of which one of *regions* has a slot, in order.

        Raises:
            StorageError: one of them does not answer.
        """
        names = heapq.merge(*((entry.name for entry in self._stores[region].list(_PREFIX)) for region in regions))
        for name, _ in itertools.groupby(names):
            key = name.rpartition("/")[2]
            try:
                yield parse_object_key(key)
            except StorageError:
                continue  # no name of ours: `mft verify` tells

    def look(self, key: ObjectKey, regions: tuple[str, ...]) -> Found | Passed:
        """Open an object's slots, as many of them as open."""
        slots: dict[str, Slot] = {}
        manifest, why = None, "there is no slot of it"
        for region in regions:
            try:
                slot = self._examiner.slot(key, region)
                opened = self._examiner.manifest(slot)
                size = self._stores[region].stat(body_name(key)).size
            except KeyDestroyedError:
                return Passed(key=key, why="its keys were destroyed")
            except ObjectNotFoundError as error:
                why = str(error) if why.startswith("there is no slot") else why
                continue
            except (KeyUnavailableError, TamperedError, StorageError) as error:
                why = f"in {region}: {error}"
                continue
            if size != opened.body.stored_size:
                why = f"in {region}: its body has {size} bytes, and {opened.body.stored_size} were stored"
                continue
            slots[region], manifest = slot, opened
        if manifest is None:
            return Passed(key=key, why=why)
        if not isinstance(manifest.facts.get("upload"), str) or not isinstance(manifest.facts.get("case"), str):
            return Passed(key=key, why="its manifest tells neither upload nor case")
        return Found(key=key, body=manifest.body, facts=manifest.facts, slots=slots)
