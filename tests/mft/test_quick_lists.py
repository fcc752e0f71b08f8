"""Listings by rows, as SFTP asks for them, against listings by entries: the same names, sizes, times and order."""

from __future__ import annotations

import datetime as dt
import itertools
from itertools import islice
from typing import TYPE_CHECKING, Any

import pytest

from casemap.cached import CachedLookup, CacheSettings
from casemap.errors import LookupUnavailableError
from casemap.lookup import case_with_traits, traits_of
from casemap.model import parse_case
from casemap.names import folder_name
from mft.policy import Scope
from mft.registry import CaseRegister, CustomerRegister, Journal, RegistryLookup
from protocols.errors import NotADirectoryPathError, NotFoundError, UnavailableError
from protocols.path import parse_path
from tests.casebook import REGIONS, TITLE
from tests.core import running_core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.scrubbing.nursery import Nursery
    from tests.core import Client, Core

SPOT = "/ACME-1/to-support"


def rows(client: Client, path: str) -> list[tuple[Any, ...]]:
    """List by rows, as the SFTP head does."""
    pages = client.filesystem.scan_pages(parse_path(path))
    return [
        (name, bool(directory), size, float(modified), bool(writable))
        for page in pages
        for name, directory, size, modified, writable in page
    ]


def entries(client: Client, path: str) -> list[tuple[Any, ...]]:
    """List by entries, as the HTTP head does."""
    found = client.filesystem.scandir(parse_path(path))
    return [(each.name, each.is_directory, each.size, each.modified, each.writable) for each in found]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, nursery: Nursery) -> Iterator[Core]:
    """A case with files in every state, of two senders, and directories."""
    with running_core(tmp_path_factory.mktemp("core"), nursery) as house:
        fill(house)
        yield house


def fill(house: Core) -> None:
    ann, bob, eve = house.client("ann"), house.client("bob"), house.client("eve")
    ann.put(f"{SPOT}/both.log", b"of ann")
    bob.put(f"{SPOT}/both.log", b"of bob, longer")
    ann.put(f"{SPOT}/password=hunter2hunter2.log", b"password=hunter2hunter2\n")
    ann.mkdir(f"{SPOT}/logs")
    ann.put(f"{SPOT}/logs/a.log", b"inside")
    bob.mkdir(f"{SPOT}/zone")
    eve.put("/cases/ACME-1/from-support/fix.bin", b"\x7fELF")
    house.work()
    bob.put(f"{SPOT}/bob's.log", b"not scrubbed yet")
    ann.put(f"{SPOT}/ann's.log", b"not scrubbed yet either")
    ann.cut(f"{SPOT}/cut.log", b"half of it")
    ann.cut(f"{SPOT}/both.log", b"a new half")
    ann.cut(f"{SPOT}/aaa.log", b"first")
    ann.cut(f"{SPOT}/zzz.log", b"last")
    eve.filesystem.set_modified(parse_path("/cases/ACME-1/from-support/fix.bin"), 1_700_000_000.5)
    bob.filesystem.set_modified(parse_path(f"{SPOT}/both.log"), 1_700_000_001.5)


def test_no_directory_says_that_it_was_made_in_1970(filled):
    """A case's directories show when it was opened, if the case system says; others since when they are served."""
    filled.system.put_case(
        {"number": "ACME-7", "title": "Dated", "customer": "acme", "state": "open", "opened": "2026-11-01T09:30:00Z"}
    )
    for login, paths in {"ann": ("/", "/ACME-7", "/ACME-1/.meta"), "eve": ("/", "/Acme Corp", "/cases")}.items():
        client = filled.client(login)
        for path in paths:
            assert client.stat(path).modified > 1_600_000_000
            listed = {row[0]: row for row in rows(client, path) if row[1]}
            assert listed
            for name, _, _, modified, _ in listed.values():
                assert modified == client.stat(f"{path.rstrip('/')}/{name}").modified
                assert modified > 1_600_000_000
    opened = dt.datetime(2026, 11, 1, 9, 30, tzinfo=dt.UTC).timestamp()
    assert filled.client("ann").stat("/ACME-7/to-support").modified == opened


@pytest.mark.parametrize("login", ["ann", "bob", "eve", "max"])
def test_rows_are_what_the_entries_are(filled, login):
    """Whoever looks, wherever: the two ways of listing say the same, in the same order."""
    client = filled.client(login)
    base = "" if login in {"ann", "bob"} else "/cases"
    top = [] if base else ["/"]
    for path in (*top, f"{base}/ACME-1", f"{base}{SPOT}", f"{base}{SPOT}/logs", f"{base}/ACME-1/from-support"):
        assert rows(client, path) == entries(client, path)
    assert len(rows(client, f"{base}{SPOT}")) >= 3
    with pytest.raises(NotFoundError):
        rows(client, f"{base}{SPOT}/nothing")
    with pytest.raises(NotADirectoryPathError):
        rows(client, f"{base}{SPOT}/both.log" if base else f"{SPOT}/both.log")


def test_rows_of_a_token_are_what_came_by_it(filled):
    """Who may see its own alone is shown its own alone, by rows too."""
    narrowed = filled.client("bob", only="ACME-1", scopes=frozenset({Scope.UPLOAD, Scope.LIST}))
    assert [row[0] for row in rows(narrowed, "/to-support")] == ["bob's.log", "both.log", "zone"]
    assert rows(narrowed, "/to-support") == entries(narrowed, "/to-support")


def test_rows_follow_what_a_name_shows(tmp_path, nursery):
    """Versions, renames onto another name, times set later, removals and assignments: rows say what entries say."""
    with running_core(tmp_path, nursery) as house:
        ann, bob, eve = house.client("ann"), house.client("bob"), house.client("eve")

        def check() -> list[list[str]]:
            found = [(rows(each, path), entries(each, path)) for each, path in ((ann, SPOT), (bob, SPOT), (eve, SPOT))]
            assert all(quick == slow for quick, slow in found)
            return [[row[0] for row in quick] for quick, _ in found]

        ann.put(f"{SPOT}/a.log", b"one")
        house.work()
        check()
        ann.put(f"{SPOT}/a.log", b"one, and more")
        check()
        ann.filesystem.set_modified(parse_path(f"{SPOT}/a.log"), 1_700_000_000.0)
        check()
        house.work()
        ann.filesystem.set_modified(parse_path(f"{SPOT}/a.log"), 1_700_000_009.0)
        check()
        assert eve.stat(f"{SPOT}/a.log").modified == 1_700_000_009.0
        ann.put(f"{SPOT}/b.log", b"another password=hunter2hunter2")
        check()
        ann.rename(f"{SPOT}/b.log", f"{SPOT}/a.log", replace=True)
        check()
        house.work()
        assert check() == [["a.log"]] * 3
        ann.put(f"{SPOT}/c.log", b"c")
        house.work()
        ann.rename(f"{SPOT}/c.log", f"{SPOT}/a.log", replace=True)
        house.work()
        assert check() == [["a.log"]] * 3
        ann.put("/unfiled.log", b"older")
        ann.put("/unfiled.log", b"the newer one")
        for name in ("d.log", "e.log"):
            ann.rename("/_unfiled/unfiled.log", f"{SPOT}/{name}")
            check()
        house.work()
        assert [row[2] for row in rows(ann, SPOT)] == [1, 13, 5]
        eve.put("/cases/ACME-1/from-support/fix.bin", b"fix")
        house.work()
        eve.remove("/cases/ACME-1/from-support/fix.bin")
        assert rows(ann, "/ACME-1/from-support") == entries(ann, "/ACME-1/from-support") == []


@pytest.mark.parametrize("login", ["ann", "bob", "eve"])
def test_pages_end_between_any_two_names(filled, monkeypatch, login):
    """Nothing comes twice or is lost, partial uploads stand in their place, whoever looks."""
    client, path = filled.client(login), SPOT if login != "eve" else f"/cases{SPOT}"
    whole = entries(client, path)
    for size in (1, 2, 3):
        monkeypatch.setattr("mft.vfs.tree.PAGE", size)
        monkeypatch.setattr("mft.vfs.tree.LONG_PAGE", size)
        pages = client.filesystem.scan_pages(parse_path(path))
        assert len(list(islice(pages, 100))) < 100
        assert rows(client, path) == whole


# -- the registry's folders ----------------------------------------------------------------------------------------


class Plain:
    """The registry without its quick way."""

    def __init__(self, lookup: RegistryLookup) -> None:
        for name in ("principal", "case", "customer", "cases", "customers"):
            setattr(self, name, getattr(lookup, name))


@pytest.fixture
def registry(core: Core) -> Iterator[tuple[CaseRegister, CustomerRegister]]:
    """The registry in place of the case system, with the customers."""
    journal = Journal(database=core.database, trail=core.parts.trail, regions=REGIONS)
    customers, cases = CustomerRegister(journal), CaseRegister(journal)
    customers.add({"id": "acme", "name": "Acme Corp", "home_region": "eu"}, by="test")
    customers.add({"id": "globex", "name": "Globex / Initech", "home_region": "us"}, by="test")
    before = core.parts.cases._lookup
    core.ask(CachedLookup(RegistryLookup(core.database), CacheSettings(ttl=0, negative_ttl=0)))
    yield cases, customers
    core.ask(before)


def test_registry_lists_the_folders_that_may_be_entered(core, registry):
    """Clearance, regions, state and customer decide as they do where every case is looked at."""
    cases, _ = registry
    for number, record in enumerate(
        [
            {"title": "plain"},
            {"title": TITLE},
            {"title": ""},
            {"title": "EU only", "classification": "eu-only"},
            {"title": "cleared", "clearance": 50},
            {"title": "US", "home_region": "us", "regions": ["us"]},
            {"title": "shut"},
            {"title": "kind", "kind": "outage", "customer": "globex"},
        ]
    ):
        cases.open({"number": f"C-{number}", "customer": "acme", **record}, by="test")
    cases.close("C-6", by="test")
    cases.change("C-0", {"title": "another title"}, by="test")
    quick = core.parts.cases._lookup
    found = {}
    for login, region, path in itertools.product(
        ("ann", "gus", "eve", "una", "max"), ("eu", "us"), ("/", "/Acme Corp", "/cases")
    ):
        client = core.client(login, region)
        for lookup in (quick, CachedLookup(Plain(quick._inner), CacheSettings(ttl=0, negative_ttl=0))):
            core.ask(lookup)
            try:
                found.setdefault((login, region, path), []).append((rows(client, path), entries(client, path)))
            except NotFoundError:
                found.setdefault((login, region, path), []).append(None)
    assert all(one == other and (one is None or one[0] == one[1]) for one, other in found.values())
    assert [row[0] for row in found["ann", "eu", "/"][0][0]] == [
        "C-0 another title",
        f"C-1 {folder_name(cases.get('C-1').case)[4:]}",
        "C-2",
        "C-3 EU only",
        "C-4 cleared",
    ]
    assert found["una", "eu", "/Acme Corp"] != found["una", "us", "/Acme Corp"]
    assert len(found["max", "eu", "/Acme Corp"][0][0]) > len(found["eve", "eu", "/Acme Corp"][0][0])


def test_registry_lists_page_by_page_and_notes_what_changes_meanwhile(core, registry, monkeypatch):
    """Rights are asked for anew with each page: what was withdrawn while a client waited is not on the next."""
    cases, _ = registry
    monkeypatch.setattr("mft.registry.lookup.FOLDERS", 3)
    for number in range(10):
        clearance = 50 if number in {4, 8} else 0
        cases.open({"number": f"C-{number}", "customer": "acme", "clearance": clearance}, by="test")
    pages = core.parts.cases.lists.folders(core.client("max").filesystem._finder.reader, "acme")
    assert [name for name, _ in next(pages)] == ["C-0", "C-1", "C-2"]
    cases.close("C-3", by="test")
    cases.change("C-4", {"clearance": 90}, by="test")
    assert [name for page in pages for name, _ in page] == ["C-5", "C-6", "C-7", "C-8", "C-9"]


def test_registry_that_cannot_be_read_says_so(core, registry, monkeypatch):
    """A catalog that does not answer is no empty folder."""
    monkeypatch.setattr(RegistryLookup, "folders", _fail)
    with pytest.raises(UnavailableError):
        core.client("ann").names("/")


def _fail(*_: object, **__: object) -> None:
    raise LookupUnavailableError("the catalog cannot be read now")


def test_traits_say_all_that_policy_looks_at():
    """A case made of its row is the case, as far as any decision goes."""
    case = parse_case(
        {
            "number": "C-1", "customer": "acme", "state": "open", "kind": "outage", "classification": "itar",
            "clearance": 7, "home_region": "us", "regions": ["us", "eu"], "title": "T", "assignee": "eve",
        }
    )  # fmt: skip
    made = case_with_traits("C-1", traits_of(case))
    for name in ("number", "customer", "state", "kind", "classification", "clearance", "home_region", "regions"):
        assert getattr(made, name) == getattr(case, name)
