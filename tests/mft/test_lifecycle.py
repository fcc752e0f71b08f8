"""What becomes of a closed case: read for a while, held, destroyed with a certificate; never half."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.catalog.model import BODIES, CASE_KEYS, CASES, DESTRUCTIONS, NODES, RECEIPTS, REPLICAS, UPLOADS
from mft.holds import HoldError, Holds
from mft.lifecycle.service import Fate
from mft.receipts import verify_receipt
from mft.retention import LifeRule, LifeRules, Stage
from mft.server.lifecycle import make_lifecycle
from protocols.errors import NotFoundError, PermissionDeniedError
from storage.errors import StoreUnavailableError
from storage.local import LocalStore
from tests.core import running_core, running_nursery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.lifecycle.service import Lifecycle
    from mft.scrubbing.nursery import Nursery
    from tests.core import Core

LONG_AGO = "2020-01-01T00:00:00Z"
SOON = {"retention": "1ms", "read_after_close": "0s"}


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    with running_nursery() as running:
        yield running


@pytest.fixture
def core(tmp_path: Path, nursery: Nursery) -> Iterator[Core]:
    with running_core(tmp_path, nursery, lifecycle=SOON) as running:
        yield running


def lifecycle_of(core: Core) -> Lifecycle:
    return make_lifecycle(
        config=core.config,
        credentials=core.parts.credentials,
        database=core.database,
        trail=core.parts.trail,
        lookup=core.parts.lookup,
        objects=core.parts.objects,
        zones=core.parts.zones,
    )


def holds_of(core: Core) -> Holds:
    return Holds(database=core.database, trail=core.parts.trail, lookup=core.parts.lookup)


def fill(core: Core, number: str = "ACME-1") -> None:
    """Put two files into a case, stored and copied, and close it."""
    client = core.client("ann")
    client.put(f"/{number}/to-support/jupiter.txt", b"first\n")
    client.mkdir(f"/{number}/to-support/saturn")
    client.put(f"/{number}/to-support/saturn/callisto.log", b"second\n")
    core.work()
    core.work()
    assert core.states() == ["stored", "stored"]
    core.system.change_case(number, {"state": "closed"})


def fate(core: Core, number: str = "ACME-1", **options: Any) -> Any:
    return next(each for each in lifecycle_of(core).plan(**options) if each.case == number)


def table(core: Core, what: Any) -> list[Any]:
    with core.database.read() as connection:
        return list(connection.execute(select(what)))


def objects_on_disk(core: Core) -> list[str]:
    return [each.name for region in core.config.regions.values() for each in LocalStore(region.store.path).list()]


def landing_logs(core: Core) -> list[str]:
    return [each for zone in core.parts.zones.values() for each in zone.ids()]


# -- rules ---------------------------------------------------------------------------------------------------------


RULES = LifeRules(
    read_after_close=10,
    retention=100,
    rules=(
        LifeRule(customer="acme", kind="outage", retention=50, reason="contract"),
        LifeRule(case="KEEP-*", keep_for_ever=True),
        LifeRule(classification="secret", read_after_close=0),
    ),
)


@pytest.mark.parametrize(
    ("facts", "read", "retention"),
    [
        ({"customer": "acme", "case": "A-1", "kind": "outage"}, 10, 50),
        ({"customer": "acme", "case": "A-1", "kind": "question"}, 10, 100),
        ({"customer": "globex", "case": "KEEP-1"}, 10, None),
        ({"customer": "globex", "case": "G-1", "classification": "secret"}, 0, 100),
        ({"customer": "globex", "case": "G-1"}, 10, 100),
    ],
)
def test_first_rule_that_fits_decides(facts, read, retention):
    """What a rule leaves out is as the defaults say."""
    life = RULES.of(**{"kind": None, "classification": None, **facts})
    assert (life.read_after_close, life.retention) == (read, retention)


@pytest.mark.parametrize(
    ("closed", "last", "now", "stage"),
    [
        (None, None, 1000, Stage.OPEN),
        (1000, None, 1000, Stage.READABLE),
        (1000, None, 1009.9, Stage.READABLE),
        (1000, None, 1010, Stage.SHUT),
        (1000, None, 1099.9, Stage.SHUT),
        (1000, None, 1100, Stage.DUE),
        (0, 1000, 1050, Stage.SHUT),
        (0, 1000, 1100, Stage.DUE),
    ],
)
def test_stages_follow_the_clock(closed, last, now, stage):
    """Open, to be read, shut, due; a closing date of long ago does not make a fresh upload due."""
    life = LifeRules(read_after_close=10, retention=100).of(customer="c", case="C-1", kind=None, classification=None)
    assert life.stage(closed_at=closed, last_upload_at=last, now=now) is stage


# -- reading after the close ---------------------------------------------------------------------------------------


@pytest.fixture
def lenient(tmp_path: Path, nursery: Nursery) -> Iterator[Core]:
    with running_core(tmp_path, nursery, lifecycle={"read_after_close": "1h"}) as running:
        yield running


def test_closed_case_is_read_and_not_written_within_its_time(lenient):
    """Its folder is listed and its files are read; nothing is put, made, renamed or removed there."""
    fill(lenient)
    client = lenient.client("ann")
    assert "ACME-1 Cannot boot" in client.names("/")
    assert client.get("/ACME-1/to-support/jupiter.txt") == b"first\n"
    for change in (
        lambda: client.begin("/ACME-1/to-support/new.txt"),
        lambda: client.mkdir("/ACME-1/to-support/new"),
        lambda: client.rename("/ACME-1/to-support/jupiter.txt", "/ACME-1/to-support/io.txt"),
        lambda: client.remove("/ACME-1/to-support/jupiter.txt"),
    ):
        with pytest.raises(PermissionDeniedError, match="the case is closed"):
            change()
    assert lenient.client("eve").get("/Acme Corp/ACME-1/to-support/jupiter.txt") == b"first\n"


def test_upload_that_is_under_way_ends_when_its_case_is_closed(lenient):
    """It takes nothing more, though the case can still be read."""
    handle = lenient.client("ann").begin("/ACME-1/to-support/long.bin")
    handle.write(0, b"begun")
    lenient.system.change_case("ACME-1", {"state": "closed"})
    lenient.parts.cases.recheck_all()
    with pytest.raises(NotFoundError):
        handle.write(5, b"more")
    handle.abort("closed")


def test_closed_case_is_gone_after_its_time(lenient):
    """Closed longer ago than it may be read: no folder, and the same error as for no case at all."""
    fill(lenient)
    lenient.system.change_case("ACME-1", {"closed": LONG_AGO})
    client = lenient.client("ann")
    assert "ACME-1 Cannot boot" not in client.names("/")
    with pytest.raises(NotFoundError):
        client.get("/ACME-1/to-support/jupiter.txt")


def test_closed_case_that_is_opened_again_is_written_again(lenient):
    """A case that comes back is as it was."""
    fill(lenient)
    assert lenient.client("ann").names("/ACME-1/to-support")
    lenient.system.change_case("ACME-1", {"state": "open"})
    lenient.client("ann").put("/ACME-1/to-support/again.txt", b"x")


# -- the plan ------------------------------------------------------------------------------------------------------


def test_plan_says_what_would_go_and_changes_nothing(core):
    """The closed case would go, the open one stays, and after looking all is as it was."""
    fill(core)
    core.client("ann").put("/ACME-5/to-support/open.txt", b"x")
    core.work()
    found = {each.case: each for each in lifecycle_of(core).plan()}
    assert found["ACME-1"].fate is Fate.DESTROY
    assert (found["ACME-1"].files, found["ACME-1"].bytes, found["ACME-1"].regions) == (2, 13, ("eu", "us"))
    assert found["ACME-5"].fate is Fate.KEEP
    assert core.client("ann").get("/ACME-5/to-support/open.txt") == b"x"
    assert not table(core, DESTRUCTIONS)
    assert core.states() == ["stored"] * 3


def test_plan_of_a_later_day(tmp_path, nursery):
    """What is not due yet is shown as due on the day that is asked about."""
    with running_core(tmp_path, nursery, lifecycle={"retention": "90d"}) as core:
        fill(core)
        assert fate(core).fate is Fate.LATER
        assert fate(core, at=time.time() + 91 * 86400).fate is Fate.DESTROY


def test_case_that_the_case_system_no_longer_knows_is_kept(core):
    """Removed there is not closed there: nothing is destroyed on a guess."""
    fill(core)
    core.system.remove_case("ACME-1")
    assert fate(core).fate is Fate.UNKNOWN
    assert not lifecycle_of(core).run(by="test").destroyed


def test_nothing_is_destroyed_while_the_case_system_is_silent(core):
    """No answer is no leave, whatever was answered before."""
    fill(core)
    assert fate(core).fate is Fate.DESTROY
    core.system.behaviour = type(core.system.behaviour)(status=503)
    assert not lifecycle_of(core).run(by="test").destroyed
    assert core.states() == ["stored", "stored"]


def touch(core: Core, customer: str, numbers: list[str]) -> None:
    """Open cases and have a folder made for each."""
    client = core.client({"acme": "ann", "globex": "gus"}[customer], {"acme": "eu", "globex": "us"}[customer])
    for number in numbers:
        core.system.put_case({"number": number, "title": number, "customer": customer, "state": "open"})
        client.names(f"/{number}/to-support")


def asked(core: Core) -> tuple[int, int]:
    """Return how often single cases were asked for, and pages of lists."""
    counts = core.system.requests
    return sum(n for path, n in counts.items() if path.startswith("/v1/cases/")), counts["/v1/cases"]


def test_plan_asks_for_lists_and_not_for_each_case(core):
    """Of a customer with many cases a list is asked for; each case appears once, customer by customer."""
    numbers = [f"MANY-{each}" for each in range(30)]
    touch(core, "globex", ["OTHER-1"])
    touch(core, "acme", numbers)
    core.system.requests.clear()
    found = [(each.customer, each.case) for each in lifecycle_of(core).plan(page=7)]
    assert found == [*(("acme", number) for number in numbers), ("globex", "OTHER-1")]
    single, lists = asked(core)
    assert single <= 3, "what stands alone on a page of the plan"
    assert 1 <= lists <= 5


def test_plan_does_not_page_through_more_than_it_needs(core, monkeypatch):
    """Where a customer has very many other cases, what the first pages do not hold is asked for by its number."""
    monkeypatch.setattr("mft.lifecycle.answers.MAX_LIMIT", 2)
    for each in range(40):
        core.system.put_case({"number": f"AAA-{each}", "title": "x", "customer": "acme", "state": "open"})
    numbers = [f"ZZZ-{each}" for each in range(6)]
    touch(core, "acme", numbers)
    core.system.requests.clear()
    assert [each.case for each in lifecycle_of(core).plan()] == numbers
    assert asked(core) == (6, 1)


def test_what_is_due_is_asked_for_anew(tmp_path, nursery):
    """A list that is remembered from before a case was opened again destroys nothing."""
    with running_core(tmp_path, nursery, lifecycle=SOON, lookup={"ttl": "30s"}, revocation={"bound": "60s"}) as core:
        numbers = [f"MANY-{each}" for each in range(6)]
        touch(core, "acme", numbers)
        core.client("ann").put("/MANY-3/to-support/a.log", b"x")
        core.work()
        for number in numbers:
            core.system.change_case(number, {"state": "closed"})
        core.parts.lookup.forget_everything()
        assert {each.fate for each in lifecycle_of(core).plan()} == {Fate.DESTROY}
        core.system.change_case("MANY-3", {"state": "open"})
        done = lifecycle_of(core).run(by="test")
        assert sorted(case for case, _ in done.destroyed) == sorted(set(numbers) - {"MANY-3"})


def test_run_for_one_case(core):
    """With a number the others that are due stay."""
    fill(core)
    touch(core, "acme", ["MANY-1"])
    core.system.change_case("MANY-1", {"state": "closed"})
    assert [case for case, _ in lifecycle_of(core).run(by="test", case="MANY-1").destroyed] == ["MANY-1"]
    assert lifecycle_of(core).run(by="test", case="NOSUCH-1").destroyed == ()
    assert fate(core).fate is Fate.DESTROY


# -- destruction ---------------------------------------------------------------------------------------------------


def test_destroyed_case_leaves_nothing_but_its_certificate(core):
    """No body, slot or landing log in any region, no key, no name in the catalog; and a signed list of what went."""
    fill(core)
    assert len(objects_on_disk(core)) == 8
    digests = {row.sha256 for row in core.rows()}
    keys = {row.key for row in table(core, BODIES)}
    ((case, destruction),) = lifecycle_of(core).run(by="test").destroyed
    assert case == "ACME-1"
    assert objects_on_disk(core) == []
    assert landing_logs(core) == []
    assert [row.wrapped for row in table(core, CASE_KEYS)] == [None, None]
    assert {row.landing_envelope for row in core.rows()} == {""}
    assert core.states() == ["destroyed", "destroyed"]
    assert {row.state for row in table(core, REPLICAS)} == {"destroyed"}
    assert not table(core, RECEIPTS)
    core.database.truncate_journal()
    for path in core.config.catalog.path.parent.glob("catalog.db*"):
        content = path.read_bytes()
        for name in (b"jupiter", b"saturn", b"callisto", b"Cannot boot"):
            assert name not in content, (path, name)
    (row,) = table(core, DESTRUCTIONS)
    claims = verify_receipt(json.loads(row.certificate), core.parts.credentials.receipt_key.public_key())
    assert (claims["kind"], claims["id"], claims["case"]) == ("destruction", destruction, "ACME-1")
    assert {each["sha256"] for each in claims["files"]} == digests
    assert {each["key"] for each in claims["objects"]} == keys
    assert {each["region"] for each in claims["keys"]} == {"eu", "us"}
    assert claims["rule"] == "lifecycle (no rule fits)"
    assert [event["destruction"] for event in core.events("case.destroyed")] == [destruction]


def test_hold_wins_until_it_is_released(core):
    """A held case is due and stays whole; released, it goes."""
    fill(core)
    holds = holds_of(core)
    hold = holds.set("ACME-1", reason="court order 12/26", by="test")
    assert fate(core).fate is Fate.HELD
    done = lifecycle_of(core).run(by="test")
    assert not done.destroyed
    assert "court order 12/26" in done.left[0][1]
    assert core.states() == ["stored", "stored"]
    assert holds.release("ACME-1", reason="over", by="test").id == hold.id
    assert lifecycle_of(core).run(by="test").destroyed


def test_hold_that_comes_between_plan_and_destruction_wins(core):
    """The hold is looked for in the transaction that destroys, not in the plan."""
    fill(core)
    lifecycle = lifecycle_of(core)
    planned = next(each for each in lifecycle.plan() if each.case == "ACME-1")
    holds_of(core).set("ACME-1", reason="just in time", by="test")
    with pytest.raises(Exception, match="just in time"):
        lifecycle._destruction.destroy(planned.case_id, planned.verdict, by="test")
    assert core.client("eve").filesystem is not None
    assert core.states() == ["stored", "stored"]


def test_hold_on_what_is_no_case_or_is_destroyed_is_refused(core):
    """A mistyped number would hold nothing, and neither does one whose files are gone."""
    fill(core)
    with pytest.raises(HoldError, match="mistyped"):
        holds_of(core).set("ACME-404", reason="x", by="test")
    with pytest.raises(HoldError, match="reason"):
        holds_of(core).set("ACME-1", reason=" ", by="test")
    with pytest.raises(HoldError, match="no hold"):
        holds_of(core).release("ACME-1", reason="x", by="test")
    lifecycle_of(core).run(by="test")
    with pytest.raises(HoldError, match="were destroyed at"):
        holds_of(core).set("ACME-1", reason="too late", by="test")


def test_partial_upload_of_a_held_case_is_kept(tmp_path, nursery):
    """What would expire is kept as long as the hold stands."""
    with running_core(tmp_path, nursery, landing={"partial_ttl": "1ms", "free_space": "1MiB"}) as core:
        core.client("ann").cut("/ACME-1/to-support/half.bin", b"half")
        core.client("ann").cut("/ACME-5/to-support/half.bin", b"half")
        holds_of(core).set("ACME-1", reason="x", by="test")
        time.sleep(0.01)
        core.intake._sweep.expire_partials()
        assert core.states() == ["interrupted", "expired"]


def test_case_with_an_upload_under_way_waits(core):
    """What is being received is not destroyed under its sender's hands."""
    fill(core)
    core.system.change_case("ACME-1", {"state": "open"})
    handle = core.client("ann").begin("/ACME-1/to-support/now.bin")
    core.system.change_case("ACME-1", {"state": "closed"})
    assert fate(core).fate is Fate.BUSY
    assert lifecycle_of(core).run(by="test").left == (("ACME-1", "an upload of it is under way"),)
    handle.abort("enough")
    assert lifecycle_of(core).run(by="test").destroyed


class _CutError(BaseException):
    """The process dies."""


@pytest.mark.parametrize("at", range(6))
def test_crash_at_any_step_of_clearing_is_made_good_by_the_next_round(core, monkeypatch, at):
    """Killed after so many deletions, nothing can be read any more, and the next round finishes and certifies."""
    fill(core)
    count = iter(range(1000))
    delete = LocalStore.delete

    def cut(self: LocalStore, name: str) -> None:
        if next(count) == at:
            raise _CutError
        delete(self, name)

    monkeypatch.setattr(LocalStore, "delete", cut)
    with pytest.raises(_CutError):
        lifecycle_of(core).run(by="test")
    monkeypatch.undo()
    assert [row.wrapped for row in table(core, CASE_KEYS)] == [None, None]
    assert table(core, DESTRUCTIONS)[0].certificate is None
    assert lifecycle_of(core).run(by="test").finished == 1
    assert objects_on_disk(core) == []
    assert table(core, DESTRUCTIONS)[0].certificate is not None


def test_crash_within_the_one_transaction_leaves_the_case_whole(core, monkeypatch):
    """Until it commits, nothing has happened."""
    fill(core)

    def cut(*_: object, **__: object) -> None:
        raise _CutError

    monkeypatch.setattr("mft.lifecycle.destruction.destroy_uploads", cut)
    with pytest.raises(_CutError):
        lifecycle_of(core).run(by="test")
    monkeypatch.undo()
    core.system.change_case("ACME-1", {"state": "open"})
    assert core.client("ann").get("/ACME-1/to-support/jupiter.txt") == b"first\n"
    assert not table(core, DESTRUCTIONS)


def test_region_that_does_not_answer_is_cleared_later(core, monkeypatch):
    """The keys are shredded at once; the certificate waits until the last body is gone."""
    fill(core)
    delete = LocalStore.delete
    dead = core.config.regions["us"].store.path

    def silent(self: LocalStore, name: str) -> None:
        if self._root == dead:
            raise StoreUnavailableError("no answer")
        delete(self, name)

    monkeypatch.setattr(LocalStore, "delete", silent)
    lifecycle_of(core).run(by="test")
    assert table(core, DESTRUCTIONS)[0].finished_at is None
    assert len(objects_on_disk(core)) == 4
    monkeypatch.undo()
    assert lifecycle_of(core).run(by="test").finished == 1
    assert objects_on_disk(core) == []


def test_number_that_was_destroyed_can_be_a_case_again(core):
    """A case that is opened under the number again begins with nothing, under new keys."""
    fill(core)
    lifecycle_of(core).run(by="test")
    core.parts.cases.forget("ACME-1")
    core.system.change_case("ACME-1", {"state": "open"})
    client = core.client("ann")
    assert client.names("/ACME-1/to-support") == []
    client.put("/ACME-1/to-support/new.txt", b"new\n")
    core.work()
    assert client.get("/ACME-1/to-support/new.txt") == b"new\n"
    numbers = [row.number for row in table(core, CASES)]
    assert "ACME-1" in numbers
    assert sum(number.startswith("~destroyed/") for number in numbers) == 1


def test_names_of_destroyed_nodes_are_overwritten(core):
    """Every name below the zones' roots is gone, and every node hidden."""
    fill(core)
    lifecycle_of(core).run(by="test")
    for row in table(core, NODES):
        if row.parent_id is not None:
            assert row.name == f"destroyed-{row.id}"
            assert row.shown_name is None
            assert row.hidden_at is not None
    assert {row.name for row in table(core, UPLOADS)} == {"destroyed"}


def test_catalog_holds_together_after_a_destruction(core):
    """No row points at one that is gone."""
    fill(core)
    lifecycle_of(core).run(by="test")
    with sqlite3.connect(core.config.catalog.path) as connection:
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    connection.close()
