"""Random rules and random events against a simple model: not one body, slot, part, key or landing log outside.

Policy alone is held against the model by thousands of rule sets. Then whole houses live through histories: cases, rules
and customers' homes change, regions, disks and the case system fail, copies are cut, uploads break off, are held back
or name no case, cases are put on hold. Uploads, landing, reviews, copies, keys and the audit are the real ones, over
stores in memory that watch what they are given; a scrub child alone is replaced by sealing what landed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
import fnmatch
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select, update

from casemap.errors import LookupUnavailableError
from casemap.static import StaticLookup
from mft.box import ZONE, is_box
from mft.catalog.model import BODIES, CASE_KEYS, CASES, LANDING_MOVES, REPLICAS, UPLOADS
from mft.catalog.states import UploadState
from mft.holds import HoldError, Holds
from mft.intake import copying as copying_module
from mft.intake import service as intake_service
from mft.provenance import make_report, read_history
from mft.residency import CaseFacts, Hours, Residency, ResidencyError, ResidencyRule, ResidencyRules
from protocols.errors import FileSystemError
from protocols.path import parse_path
from storage.errors import StorageError, StoreUnavailableError
from storage.memory import MemoryStore
from storage.store import ObjectKey, new_object_key
from tests.core import running_core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from casemap.lookup import CaseLookup
    from tests.core import Client, Core

REGIONS = ("eu", "us", "in")
KINDS = (None, "outage", "question")
CLASSES = (None, "eu-only", "secret")
PATTERNS = (None, "acme", "a*", "*", "globex")
NOON = dt.datetime(2026, 11, 22, 12, tzinfo=dt.UTC)
NUMBERS = ("ACME-1", "ACME-2", "ACME-5")
WORKS_IN = {"raj": ("in",), "una": ("us",), "eve": None}


# -- the model ---------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Place:
    """What the model says of a case."""

    home: str
    copies: frozenset[str]
    on_demand: tuple[str, ...]

    @property
    def allowed(self) -> frozenset[str]:
        return frozenset({self.home, *self.copies, *self.on_demand})


def model(rules: ResidencyRules, case: dict[str, Any], customer_home: str | None) -> Place | None:
    """Say where a case lies, in the plainest words; None: nowhere."""
    chosen: ResidencyRule | None = None
    for rule in rules.rules:
        wanted = (rule.customer, case["customer"]), (rule.case, case["number"])
        wanted += (rule.kind, case.get("kind")), (rule.classification, case.get("classification"))
        if rule.hours is None and all(
            pattern is None or (value is not None and fnmatch.fnmatchcase(value, pattern)) for pattern, value in wanted
        ):
            chosen = rule
            break
    if chosen is None and rules.refuses_others:
        return None
    named = chosen.home if chosen is not None else None
    home = named or case.get("home_region") or customer_home or rules.home
    lies_in = set(case.get("regions") or REGIONS)
    if home not in REGIONS or home not in lies_in:
        return None
    copies = chosen.copies if chosen is not None and chosen.copies is not None else rules.copies
    demand = chosen.on_demand if chosen is not None and chosen.on_demand is not None else rules.on_demand
    kept = {region for region in copies if region in lies_in and region != home}
    return Place(home, frozenset(kept), tuple(r for r in demand if r in lies_in and r != home and r not in kept))


def some_regions(rng: random.Random) -> tuple[str, ...]:
    return tuple(rng.sample(REGIONS, rng.randrange(3)))


def some_rules(rng: random.Random) -> ResidencyRules:
    """Make up a rule set as a configuration could have it."""
    made = []
    for _ in range(rng.randrange(5)):
        facts: dict[str, Any] = {
            "customer": rng.choice(PATTERNS),
            "case": rng.choice((None, None, "ACME-1", "ACME-*")),
            "kind": rng.choice((*KINDS, "*")),
            "classification": rng.choice((*CLASSES, "*")),
        }
        if rng.random() < 0.25:
            start, end = rng.sample(range(1440), 2)
            hours = Hours(start=start, end=end, zone=rng.choice(("Europe/Berlin", "Asia/Kolkata", "UTC")))
            made.append(ResidencyRule(**facts, hours=hours, readers=(rng.choice(REGIONS),)))
        else:
            where = {"home": rng.choice((None, *REGIONS)), "copies": some_regions(rng), "on_demand": some_regions(rng)}
            made.append(ResidencyRule(**facts, **where, readers=rng.choice((None, REGIONS))))
    return ResidencyRules(
        regions=frozenset(REGIONS),
        home=rng.choice(REGIONS),
        copies=some_regions(rng),
        on_demand=some_regions(rng),
        refuses_others=rng.random() < 0.1,
        rules=tuple(made),
        nearest={region: tuple(r for r in REGIONS if r != region) for region in REGIONS},
    )


def some_facts(rng: random.Random) -> dict[str, Any]:
    """Make up what a case system says of a case."""
    return {
        "kind": rng.choice(KINDS),
        "classification": rng.choice(CLASSES),
        "home_region": rng.choice((None, None, *REGIONS, "mars")),
        "regions": rng.choice((None, None, ["eu"], ["eu", "us"], ["us", "in"], list(REGIONS))),
        "assignee": rng.choice((None, *WORKS_IN)),
        "state": rng.choice(("open", "open", "open", "closed")),
    }


def test_policy_agrees_with_the_model_on_thousands_of_rule_sets():
    """Home, copies and copies on demand are the model's at every hour; readers never go beyond what a rule names."""
    rng = random.Random(20261122)
    for _ in range(3000):
        rules, told = some_rules(rng), some_facts(rng)
        case = {"number": rng.choice(NUMBERS), "customer": rng.choice(("acme", "globex")), **told}
        facts = CaseFacts(
            number=case["number"],
            customer=case["customer"],
            open=True,
            kind=case["kind"],
            classification=case["classification"],
            home=case["home_region"],
            regions=None if case["regions"] is None else frozenset(case["regions"]),
        )
        expected = model(rules, case, None)
        for hour in (0, 9, 15):
            at = NOON + dt.timedelta(hours=hour)
            try:
                placed: Residency | None = rules.place(facts, at)
            except ResidencyError:
                placed = None
            found = None
            if placed is not None:
                found = Place(placed.home, frozenset(placed.copies), placed.on_demand)
                named = {region for rule in rules.rules for region in rule.readers or ()}
                assert placed.readers <= set(placed.regions) | named
            assert found == expected
            assert (rules.explain(facts, at).refusal is None) == (placed is not None)


# -- the world ---------------------------------------------------------------------------------------------------------


class Books:
    """A case system in this process, which can be silent."""

    def __init__(self) -> None:
        self.silent = False
        self.home: str | None = None
        """The home region of the customer."""
        people = [{"login": "ann", "roles": ["customer"], "customer": "acme"}]
        people += [
            {"login": login, "roles": ["engineer"], **({} if regions is None else {"regions": list(regions)})}
            for login, regions in WORKS_IN.items()
        ]
        self.table: dict[str, Any] = {
            "customers": [{"id": "acme", "name": "Acme"}],
            "principals": people,
            "cases": [{"number": n, "title": "t", "customer": "acme", "state": "open"} for n in NUMBERS],
        }
        self._lookup: CaseLookup = StaticLookup(self.table)

    def case_of(self, number: str) -> dict[str, Any]:
        found: dict[str, Any] = next(case for case in self.table["cases"] if case["number"] == number)
        return found

    def change(self, number: str, facts: dict[str, Any]) -> None:
        case = self.case_of(number)
        kept = {name: case[name] for name in ("number", "title", "customer", "state")}
        if facts["regions"] is not None and facts["home_region"] not in facts["regions"]:
            facts = {**facts, "home_region": None}  # the contract refuses such a record
        case.clear()
        case.update(kept | {name: value for name, value in facts.items() if value is not None})
        self._lookup = StaticLookup(self.table)

    def move(self, home: str | None) -> None:
        self.home = home
        named = {} if home is None else {"home_region": home}
        self.table["customers"] = [{"id": "acme", "name": "Acme", **named}]
        self._lookup = StaticLookup(self.table)

    def __getattr__(self, name: str) -> Any:
        if self.silent:
            raise LookupUnavailableError("silent")
        return getattr(self._lookup, name)


class WatchedStore(MemoryStore):
    """A store of one region that says what is put there, can be down, and can break off."""

    def __init__(self, world: World, region: str) -> None:
        super().__init__()
        self._world, self._region = world, region
        self.down = False
        self.breaks_after: int | None = None

    def put(self, name: str, chunks: Any, *, replace: bool = False) -> Any:
        self._refuse()
        stored = super().put(name, self._broken(chunks), replace=replace)
        self._world.was_put(self._region, name)
        return stored

    def open(self, name: str) -> Any:
        self._refuse()
        return super().open(name)

    def resume(self, name: str) -> Any:
        self._refuse()
        return super().resume(name)

    def delete(self, name: str) -> None:
        self._refuse()
        super().delete(name)

    def held(self) -> set[str]:
        """Return the object keys of which anything is here: bodies, slots and parts."""
        return {name.rpartition("/")[2] for name in (*self._objects, *(n for n, part in self._parts.items() if part))}

    def _refuse(self) -> None:
        if self.down:
            raise StoreUnavailableError("down")

    def _broken(self, chunks: Any) -> Iterator[Any]:
        for chunk in chunks:
            if self.breaks_after is not None:
                self.breaks_after -= 1
                if self.breaks_after < 0:
                    self.breaks_after = None
                    raise StoreUnavailableError("broke off")
            yield chunk


class World:
    """One house, what is true of it, and what was put where."""

    def __init__(self, core: Core, rng: random.Random) -> None:
        self.core, self.rng, self.books = core, rng, Books()
        self.stores = {region: WatchedStore(self, region) for region in REGIONS}
        core.parts.objects._stores = dict(self.stores)
        core.ask(self.books)
        core.intake.placing._regions_of = WORKS_IN.get
        core.intake._carrying._pace = self._disk
        self.holds = Holds(database=core.database, trail=core.parts.trail, lookup=core.parts.lookup)
        self.disk_fails = False
        self.case_of: dict[str, str] = {}
        self.wrong: list[str] = []
        self.open: list[Any] = []
        self.count = 0
        self.rules = ResidencyRules(regions=frozenset(REGIONS), home="eu", copies=("us",))
        self.set_rules(self.rules)
        self.clients: dict[str, Client] = {}

    def set_rules(self, rules: ResidencyRules) -> None:
        """Change the configuration, as a restart does: everything is reviewed, what was flagged is forgotten."""
        rules = dataclasses.replace(rules, readers=REGIONS)
        self.rules = self.core.parts.cases.rules = self.core.parts.objects._rules = rules

    def place(self, number: str) -> Place | None:
        if is_box(number):  # its sender's home, and no copies
            place = model(self.rules, {"number": number, "customer": "acme"}, self.books.home)
            return None if place is None else Place(place.home, frozenset(), ())
        return model(self.rules, self.books.case_of(number), self.books.home)

    def _disk(self, _source: str, _target: str) -> Any:
        """Return what a landing log's pieces wait for on their way: now and then the disk fails, or a rule changes."""

        def wait(_count: int) -> None:
            if self.rng.random() < 0.2:
                self.change_case()
            if self.disk_fails and self.rng.random() < 0.5:
                raise StoreUnavailableError("the disk failed")

        return wait

    def was_put(self, region: str, name: str) -> None:
        """Hold what was just put against what is true at this moment."""
        number = self.case_of[name.rpartition("/")[2]]
        place = self.place(number)
        if name.startswith("slots/") and (place is None or region not in place.allowed):
            self.wrong.append(f"a slot of {number} was put into {region}, which may hold {place}")

    # -- what happens --------------------------------------------------------------------------------------------------

    def upload(self) -> None:
        client = self._client()
        self.count += 1
        with contextlib.suppress(FileSystemError, StorageError):
            folder = self.rng.choice(("", *(f"/{number}/to-support" for number in NUMBERS)))
            handle = client.begin(f"{folder}/f{self.count}")
            handle.write(0, self.rng.randbytes(300))
            if self.rng.random() < 0.3:
                self.open.append(handle)
            elif self.rng.random() < 0.2:
                handle.abort("cut")
            else:
                handle.commit()

    def go_on(self) -> None:
        for handle in self.open:
            try:
                handle.write(300, b"the rest")
                handle.commit()
            except FileSystemError:
                handle.abort("refused")
        self.open.clear()

    def store(self) -> None:
        """Do what a scrub child and its settling do, with what landed."""
        scrubbing, settling = self.core.intake._scrubbing, self.core.intake._settling
        for row in self.core.rows():
            if row.state not in {UploadState.LANDED, UploadState.SCRUBBING} or row.zone == ZONE:
                continue
            row = scrubbing._claim(row.id)  # noqa: PLW2901 - the same row, claimed
            with self.core.database.read() as connection:
                number = connection.execute(select(CASES.c.number).where(CASES.c.id == row.case_id)).scalar_one()
            if self.rng.random() < 0.3:
                settling.settle(row.id, json.dumps({"outcome": "quarantine", "reason": "made up"}))
                continue
            key = new_object_key()
            self.case_of[key] = number
            with contextlib.suppress(FileSystemError, StorageError):
                self._seal(row, key, scrubbing)
                told = {"outcome": "accept", "object": key, "reason": None}
                settling.settle(row.id, json.dumps(told))

    def _seal(self, row: Any, key: ObjectKey, scrubbing: Any) -> None:
        tree = scrubbing._book.tree(row.case_id)
        region = scrubbing._new_body(row, tree, key)
        scope_key = scrubbing._book.scope_key(tree, region)
        reader = self.core.parts.landed.open(row)
        content = reader.read(0, row.size)
        reader.close()
        home = Residency(home=region, copies=(), readers=frozenset(), rule="", reason="")
        sealed = self.core.parts.objects.store(home).put(key, tree.key_scope, scope_key, [content], {})
        with self.core.database.write() as connection:
            connection.execute(
                update(UPLOADS).where(UPLOADS.c.id == row.id).values(report='{"counts": {}}', shown_path="[]")
            )
            facts = {"size": row.size, "stored_size": sealed.body.stored_size, "sha256": sealed.body.sha256.hex()}
            connection.execute(update(BODIES).where(BODIES.c.key == key).values(**facts))

    def change_case(self) -> None:
        number = self.rng.choice(NUMBERS)
        self.books.change(number, some_facts(self.rng))
        self.core.parts.cases.recheck_all()
        if self.rng.random() < 0.7:  # else it is not announced, and a review of everything finds it
            self.core.intake.placing.flag(number)

    def change_rules(self) -> None:
        self.set_rules(some_rules(self.rng))
        self.core.parts.cases.recheck_all()

    def fail(self) -> None:
        store = self.stores[self.rng.choice(REGIONS)]
        store.down = not store.down
        self.disk_fails = not self.disk_fails
        if self.rng.random() < 0.5:
            self.stores[self.rng.choice(REGIONS)].breaks_after = self.rng.randrange(3)

    def hold(self) -> None:
        """Put a case on hold, or release it."""
        number = self.rng.choice(NUMBERS)
        with contextlib.suppress(HoldError):
            if self.rng.random() < 0.5:
                self.holds.set(number, reason="made up", by="test")
            else:
                self.holds.release(number, reason="made up", by="test")

    def move_customer(self) -> None:
        """Have the case system name another home for the customer; a review of everything finds it."""
        self.books.move(self.rng.choice((None, *REGIONS)))
        self.core.parts.cases.recheck_all()

    def hush(self) -> None:
        self.books.silent = not self.books.silent

    def work(self) -> None:
        self.core.intake.placing.review_flagged()
        if self.rng.random() < 0.3:
            for _number in self.core.intake.placing.review_all():
                pass
        with self.core.database.write() as connection:  # waits are over
            connection.execute(update(REPLICAS).values(due_at=0.0))
            connection.execute(update(LANDING_MOVES).values(due_at=0.0))
        for landing_id in self.core.intake._carrying.waiting(10):
            self.core.intake._carry_job(landing_id, "")
        for key, region in self.core.intake._waiting_copies():
            if self.rng.random() < 0.2:  # something else happens between two copies
                self.rng.choice((self.change_case, self.hush, self.fail))()
            self.core.intake._copy_job(key, region)

    def read(self) -> None:
        number = self.rng.choice(NUMBERS)
        place, before = self.place(number), len(self.core.events("file.opened"))
        with contextlib.suppress(FileSystemError, StorageError):
            client = self._client()
            for entry in client.filesystem.scandir(parse_path(f"/{number}/to-support")):
                client.get(f"/{number}/to-support/{entry.name}")
                break
        for event in self.core.events("file.opened")[before:]:
            if event.get("object") and (place is None or event["served_from"] not in place.allowed):
                self.wrong.append(f"{number} was read from {event['served_from']}, which may hold {place}")

    def _client(self) -> Client:
        region = self.rng.choice(REGIONS)
        if region not in self.clients:
            self.clients[region] = self.core.client("ann", region)
        return self.clients[region]

    # -- in the end ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything come up again and everything that waits be done."""
        self.books.silent = False
        for store in self.stores.values():
            store.down, store.breaks_after = False, None
        self.disk_fails = False
        self.core.intake._carrying._pace = lambda _source, _target: lambda _count: None
        self.go_on()
        for _ in range(6):
            self.store()
            for _number in self.core.intake.placing.review_all():
                pass
            self.core.intake.placing.review_flagged()
            with self.core.database.write() as connection:
                connection.execute(update(REPLICAS).values(due_at=0.0))
                connection.execute(update(LANDING_MOVES).values(due_at=0.0))
            for key, region in self.core.intake._waiting_copies():
                self.core.intake._copy_job(key, region)
            for landing_id in self.core.intake._carrying.waiting(100):
                self.core.intake._carry_job(landing_id, "")
            self.core.intake._sweep.clear_attempts()

    def check(self) -> None:
        """Hold every byte, key and record against the model."""
        assert self.wrong == []
        with self.core.database.read() as connection:
            stored = connection.execute(
                select(BODIES.c.key, CASES.c.number)
                .join(CASES, CASES.c.id == BODIES.c.case_id)
                .where(BODIES.c.state == "stored")
            ).all()
            keys = connection.execute(
                select(CASES.c.number, CASE_KEYS.c.region)
                .join(CASES, CASES.c.id == CASE_KEYS.c.case_id)
                .where(CASE_KEYS.c.wrapped.is_not(None))
            ).all()
            history = read_history(connection, "acme")
        self._check_landing()
        for key, number in stored:
            place = self.place(number)
            held = {region for region, store in self.stores.items() if key in store.held()}
            assert held, f"{key} of {number} is lost"
            if place is not None:
                assert held <= place.allowed, f"{key} of {number} lies in {held}, and may in {place}"
                assert {place.home, *place.copies} <= held, f"{key} of {number} lies in {held} alone, of {place}"
        for region, store in self.stores.items():
            for key in store.held():
                place = self.place(self.case_of[key])
                assert place is None or region in place.allowed, f"something of {key} is left in {region}, of {place}"
        for number, region in keys:
            place = self.place(number)
            assert place is None or region in place.allowed, f"a key of {number} is in {region}, which may hold {place}"
        made = make_report(history, customer="acme", now=dt.datetime.now(dt.UTC))
        assert made["violations"] == []

    def _check_landing(self) -> None:
        """Hold every file of every landing zone against the model, and see that what waits can be read."""
        with self.core.database.read() as connection:
            of_cases = select(UPLOADS, CASES.c.number).join(CASES, CASES.c.id == UPLOADS.c.case_id)
            rows = connection.execute(of_cases).all()
        cases = {row.landing_id: row.number for row in rows}
        for region in REGIONS:
            for path in self.core.config.regions[region].landing.iterdir():
                if path.is_file():
                    place = self.place(cases[path.stem])
                    assert place is None or region in place.allowed, f"{path.name} is in {region}, and may in {place}"
        for row in rows:
            if row.state in {UploadState.LANDED, UploadState.QUARANTINED}:
                reader = self.core.parts.landed.open(row)
                assert len(reader.read(0, row.size)) == row.size
                reader.close()


@pytest.mark.parametrize("seed", [0, 3, 5, 7, 9, 11, 20951, 24715])
def test_nothing_is_ever_outside_whatever_happens(seed, tmp_path, nursery, monkeypatch):
    """A history of forty events, checked at every put and read; then, once all is up again, every byte and key."""
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    monkeypatch.setattr(copying_module, "CHECK_SECONDS", 0.0)
    rng = random.Random(seed)
    with running_core(tmp_path, nursery) as core:
        world = World(core, rng)
        events = (
            world.upload, world.upload, world.upload, world.go_on, world.store, world.store, world.change_case,
            world.change_case, world.change_rules, world.fail, world.hold, world.move_customer, world.hush, world.work,
            world.work, world.read,
        )  # fmt: skip
        for _ in range(40):
            rng.choice(events)()
        world.settle()
        world.check()
