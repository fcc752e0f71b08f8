"""A customer with 100,000 cases, and a case with very many files: read page by page, never collected."""

from __future__ import annotations

import contextlib
import sqlite3
import tracemalloc
from itertools import islice
from typing import TYPE_CHECKING

import pytest

from bench.filling import FILE, fill_case
from bench.listings import measure_pages
from casemap.cached import CachedLookup, CacheSettings
from casemap.errors import CaseNotFoundError, CursorError
from casemap.lookup import Page
from casemap.model import Case, CaseState, Customer
from protocols.path import parse_path
from protocols.sftp.handles import LISTING_BYTES, Listing
from tests.core import Core, running_core

if TYPE_CHECKING:
    from collections.abc import Iterator

CASES = 100_000


class LongLookup:
    """A case system with very many cases, made when they are asked for; it counts what it is asked."""

    def __init__(self, principals: CachedLookup) -> None:
        self.principal = principals.principal
        self.pages = 0
        self.asked = 0

    def _case(self, number: int) -> Case:
        state = CaseState.OPEN
        kind = f"kind {number % 7}"
        return Case(number=f"ACME-{number:06}", title=f"Case {number}", customer="acme", state=state, kind=kind)

    def case(self, number: str) -> Case:
        self.asked += 1
        digits = number.removeprefix("ACME-")
        if len(digits) != 6 or not digits.isdecimal() or int(digits) >= CASES:
            raise CaseNotFoundError("no such case")
        return self._case(int(digits))

    def customer(self, customer: str) -> Customer:
        return Customer(id=customer, name="Acme Corp", home_region="eu")

    def cases(self, customer, *, state=CaseState.OPEN, cursor=None, limit=200) -> Page[Case]:
        self.pages += 1
        if cursor is not None and not cursor.isdecimal():
            raise CursorError("no such place")
        start = int(cursor or 0)
        end = min(start + limit, CASES)
        items = tuple(self._case(number) for number in range(start, end))
        return Page(items=items, next_cursor=str(end) if end < CASES else None)

    def customers(self, *, cursor=None, limit=200) -> Page[Customer]:
        return Page(items=(self.customer("acme"),))


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Iterator[Core]:
    layout = {
        "folders": [
            {
                "match": {"role": "engineer"},
                "paths": ["/by-kind/{case.kind}/{case.number}", "/all/{case.number} {case.title}"],
            }
        ]
    }
    with running_core(tmp_path_factory.mktemp("core"), layout=layout) as running:
        yield running


@pytest.fixture
def lookup(core: Core) -> Iterator[LongLookup]:
    before = core.parts.cases._lookup
    long = LongLookup(core.parts.lookup)
    core.ask(CachedLookup(long, CacheSettings()))
    yield long
    core.ask(before)


@pytest.mark.parametrize(("login", "path"), [("ann", "/"), ("eve", "/all"), ("eve", "/cases")])
def test_first_rows_of_a_long_list_need_its_first_pages(core, lookup, login, path):
    """What a client sees first does not wait for the rest."""
    rows = core.client(login).filesystem.scandir(parse_path(path))
    assert [entry.name for entry in islice(rows, 3)] == [f"ACME-{n:06} Case {n}" for n in range(3)]
    assert lookup.pages <= 2
    rows.close()


def test_whole_list_is_there_once_and_in_bounded_memory(core, lookup):
    """Names go by; of each case a few bytes stay until the end, so that none comes twice."""
    rows = core.client("ann").filesystem.scandir(parse_path("/"))
    seen = sum(1 for _ in islice(rows, 70_000))  # the cache is full by then
    tracemalloc.start()
    try:
        seen += sum(1 for _ in islice(rows, 20_000))
        _now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40 * 2**20
    *_, last = rows
    assert last.name == f"ACME-{CASES - 1:06} Case {CASES - 1}"
    assert seen == 90_000
    assert lookup.pages == CASES // 1000


@pytest.mark.parametrize(
    ("login", "path"),
    [("ann", "/ACME-050000"), ("ann", "/ACME-099999 Old title/to-support"), ("eve", "/by-kind/kind 6/ACME-000006")],
)
def test_one_case_of_many_is_found_without_a_list(core, lookup, login, path):
    """Its folder is asked for by its number."""
    assert core.client(login).stat(path).is_directory
    assert lookup.pages == 0
    assert lookup.asked >= 1


def test_folders_of_what_cases_have_in_common_are_few(core, lookup):
    """A hundred thousand cases stand in seven folders, found without keeping the cases."""
    assert core.client("eve").names("/by-kind") == [f"kind {n}" for n in range(7)]


def test_listing_looks_one_page_ahead_and_no_further(core, lookup):
    """The page after the one at hand is begun; closing lets it go."""
    begun = []

    def begin(call):
        begun.append(call)

    listing = Listing(core.client("ann").filesystem.scan_pages(parse_path("/")), begin=begin)
    listing.open()
    assert begun == []
    assert LISTING_BYTES - 2048 < len(listing.page().rows) <= LISTING_BYTES
    assert len(begun) == 1
    listing.finish()
    assert lookup.pages <= 2


def test_directory_of_many_files_is_read_by_pages(core):
    """Every file once, in the order of names, for its sender and for those who read."""
    with contextlib.closing(sqlite3.connect(core.config.catalog.path)) as connection:
        fill_case(connection, "ACME-1", "ann", "acme", 20_000)
        connection.commit()
    names = [FILE.format(number) for number in range(20_000)]
    assert core.client("ann").names("/ACME-1/to-support") == names
    assert core.client("bob").names("/ACME-1/to-support") == names
    assert core.client("eve").names("/cases/ACME-1/to-support") == names


def test_full_catalog_does_not_slow_a_page(tmp_path):
    """A page is the same query by the same index, whatever else the catalog holds; the bench measures a million."""
    pages = measure_pages(tmp_path, 30_000, few=3_000)
    assert pages["many"] == 33_000
    assert all(pages[way]["ratio"] > 0 for way in ("rows", "entries"))
    with contextlib.closing(sqlite3.connect(core_catalog(tmp_path))) as connection:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT id FROM node WHERE parent_id = 1 AND name > 'a' ORDER BY name LIMIT 256"
        ).fetchall()
    assert "USING" in plan[0][-1]
    assert "TEMP B-TREE" not in str(plan)


def core_catalog(directory):
    """Return an empty catalog of this release."""
    from mft.catalog.schema import upgrade

    path = directory / "catalog.db"
    upgrade(path)
    return path
