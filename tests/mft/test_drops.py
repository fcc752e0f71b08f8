"""Deposits by every habit: files dropped at the root or in another vendor's directories, and what is unfiled."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import update

from mft.box import box_number
from mft.casesystem.behaviour import Behaviour
from mft.catalog.model import UNFILED, UPLOADS
from mft.unfiled import expire_unfiled
from protocols.errors import (
    AlreadyExistsError,
    NotFoundError,
    PermissionDeniedError,
    QuotaExceededError,
    RejectedError,
    UnavailableError,
)
from protocols.filesystem import WriteMode
from tests.core import running_core

if TYPE_CHECKING:
    from pathlib import Path

HABITS = [
    "/ACME-1_bundle.tgz",
    "/ACME-1-bundle.tgz",
    "/ACME-1.bundle.tgz",
    "/sosreport_ACME-1.tgz",
    "/home/ACME-1_bundle.tgz",
    "/ACME-1/bundle.tgz",
    "/cases/ACME-1/bundle.tgz",
    "/upload/issue/ACME-1/bundle.tgz",
    "/pub/incoming/ACME-1/bundle.tgz",
    "/incoming/ACME-1/bundle.tgz",
]


@pytest.mark.parametrize("path", HABITS)
def test_every_habit_ends_in_the_same_deposit(core, path):
    """However a customer names the case, the file is in its upload folder, and is found where it was put."""
    ann = core.client("ann")
    receipt = ann.put(path, b"content")
    name = path.rpartition("/")[2]
    assert receipt.document["case"] == "ACME-1"
    assert ann.names("/ACME-1/to-support") == [name]
    assert ann.stat(path).size == 7
    assert ann.get(path) == b"content"
    (row,) = core.rows()
    assert (row.zone, row.name, row.state) == ("upload", name, "landed")


def test_making_the_cases_folder_first(core):
    """Who makes a directory of the case's number and puts files into it gets what was meant."""
    ann = core.client("ann")
    for folder in ("/ACME-1", "/pub/incoming/ACME-1", "/home"):
        ann.mkdir(folder)
    ann.put("/pub/incoming/ACME-1/a.log", b"a")
    assert ann.names("/ACME-1/to-support") == ["a.log"]


@pytest.mark.parametrize("case", ["GLOBEX-1", "NOSUCH-77", "ACME-9"])
@pytest.mark.parametrize("path", ["/{}_a.log", "/{}/a.log", "/home/{}-a.log", "/upload/issue/{}/a.log", "/{}"])
def test_a_case_that_is_not_yours_cannot_be_told_from_one_that_is_not_there(core, case, path):
    """Another customer's case, a closed one and none at all are equally not found, by every habit."""
    ann = core.client("ann")
    with pytest.raises(NotFoundError, match=r"^no such file or directory$"):
        ann.put(path.format(case), b"x")
    with pytest.raises(NotFoundError, match=r"^no such file or directory$"):
        ann.mkdir(f"/{case}")
    assert core.rows() == []
    assert core.events("access.denied")


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("/bundle.tgz", "its name holds no case's number"),
        ("/bundle2.tar.gz", "its name holds no case's number"),
        ("/A-1.log", "its name holds no case's number"),
        ("/report_UTF-8.txt", "its name holds no case's number"),
        ("/home/bundle.tgz", "its name holds no case's number"),
        ("/upload/issue/bundle.tgz", "its name holds no case's number"),
        ("/upload/issue/nothing/bundle.tgz", "'nothing' is no case's number"),
        ("/ACME-1_ACME-2.log", "its name could mean more than one case: ACME-1, ACME-2"),
        ("/_unfiled/bundle.tgz", "its sender put it there"),
    ],
)
def test_what_names_no_case_is_unfiled(core, path, why):
    """It is kept in the sender's box, which shows it, says why it is there and until when; nothing scrubs it."""
    ann = core.client("ann")
    receipt = ann.put(path, b"content")
    name = path.rpartition("/")[2]
    assert receipt.document["case"] is None
    assert receipt.document["unfiled"]["why"] == why
    assert "_unfiled" in ann.names("/")
    assert ann.names("/_unfiled") == [".meta", name]
    assert ann.stat(path).size == 7
    assert ann.get(f"/_unfiled/{name}") == b"content"
    (waiting,) = core.unfiled.page()
    assert (waiting.name, waiting.why, waiting.login, waiting.customer) == (name, why, "ann", "acme")
    assert waiting.kept_until == pytest.approx(time.time() + 30 * 86400, abs=3600)
    (event,) = core.events("unfiled.received")
    assert event["upload"] == receipt.id


def test_a_number_of_one_letter_counts_where_there_is_that_case(core):
    """Names often begin like that and mean nothing by it: only a case of the sender's makes a number of it."""
    core.system.put_case({"number": "C-100", "title": "One letter", "customer": "acme", "state": "open"})
    ann, gus = core.client("ann"), core.client("gus")
    for path in ("/C-100_a.log", "/logs-C-100.log"):
        assert ann.put(path, b"x").document["case"] == "C-100"
        assert gus.put(path, b"x").document["case"] is None
    assert ann.put("/ACME-1_C-100.log", b"x").document["case"] is None  # it could mean either


def test_a_number_of_digits_counts_at_the_beginning_where_there_is_that_case(core):
    """Dates look like that: only a case of the sender's makes a number of it, and only in front."""
    core.system.put_case({"number": "02436811", "title": "Digits", "customer": "acme", "state": "open"})
    ann, gus = core.client("ann"), core.client("gus")
    for path in ("/02436811_sosreport.gz", "/02436811-sosreport.gz", "/02436811.gz"):
        assert ann.put(path, b"x").document["case"] == "02436811"
        assert gus.put(path, b"x").document["case"] is None
    for path in ("/sosreport_02436811.gz", "/20261122_logs.gz", "/2026_02436811.gz"):
        assert ann.put(path, b"x").document["case"] is None
    assert ann.put("/20261122_ACME-1.log", b"x").document["case"] == "ACME-1"
    assert ann.put("/02436811_ACME-1.log", b"x").document["case"] is None  # it could mean either


def test_a_name_between_a_case_of_ones_own_and_a_foreign_one(core):
    """What a stranger has cannot make a difference: the name means the one case that is the sender's."""
    ann = core.client("ann")
    for foreign in ("GLOBEX-1", "NOSUCH-1"):
        assert ann.put(f"/ACME-1_{foreign}.log", b"x").document["case"] == "ACME-1"


def test_the_box_is_its_senders_alone(core):
    """A colleague, a stranger and an engineer see nothing of it."""
    core.client("ann").put("/bundle.tgz", b"secret")
    for login in ("bob", "gus", "eve"):
        other = core.client(login)
        assert "_unfiled" not in other.names("/")
        for path in ("/_unfiled/bundle.tgz", "/bundle.tgz", "/_unfiled/.meta/bundle.tgz.status.json"):
            with pytest.raises(NotFoundError):
                other.get(path)
    with pytest.raises(NotFoundError):
        core.client("eve").put("/bundle.tgz", b"x")


def test_no_path_names_a_box(core):
    """What a box has for a number in the catalog means nothing in a path."""
    core.client("ann").put("/bundle.tgz", b"secret")
    number = box_number("ann")
    for login in ("ann", "bob", "eve"):
        for path in (f"/{number}/bundle.tgz", f"/cases/{number}", f"/{number}", "/~unfiled"):
            with pytest.raises(NotFoundError):
                core.client(login).stat(path)


def test_the_box_says_where_its_files_stand(core):
    """The status names the state, the reason, what to do and until when it is kept; the receipt lies beside it."""
    ann = core.client("ann")
    receipt = ann.put("/bundle.tgz", b"content")
    status = ann.document("/_unfiled/.meta/bundle.tgz.status.json")
    assert status["state"] == "received"
    assert "holds no case's number" in status["reason"]
    assert "to-support" in status["what_to_do"]
    assert status["kept_until"] == receipt.document["unfiled"]["kept_until"]
    assert ann.document("/_unfiled/.meta/bundle.tgz.receipt.json")["id"] == receipt.id


def test_a_cut_drop_is_resumed(core):
    """An upload without a case that broke off goes on where it stood."""
    ann = core.client("ann")
    ann.cut("/big.bin", b"0123456789")
    assert ann.stat("/big.bin").partial
    assert ann.resume("/big.bin", b"0123456789abc").document["size"] == 13
    assert ann.get("/_unfiled/big.bin") == b"0123456789abc"


def test_a_closed_drop_is_resumed_within_its_grace(core):
    """What goes on in a closed file's log is unfiled like it."""
    ann = core.client("ann")
    ann.put("/big.bin", b"01234")
    handle = ann.begin("/big.bin", WriteMode.RESUME)
    handle.write(5, b"56789")
    handle.commit()
    assert ann.get("/big.bin") == b"0123456789"
    assert [each.version for each in core.unfiled.page()] == [1, 2]


def test_intake_leaves_what_is_unfiled_alone(house):
    """Without a case there is nobody's dictionary to scrub by and nowhere to store: it waits as it is."""
    house.client("ann").put("/bundle.tgz", b"content")
    house.work()
    assert house.states() == ["landed"]


def test_triage_assigns(house):
    """Assigned, it is a file of the case: scrubbed, stored, seen by engineers, with a final receipt that names it."""
    ann, eve = house.client("ann"), house.client("eve")
    receipt = ann.put("/notes.txt", b"mail to ann@acme.example")
    entered = house.parts.cases.placed("ACME-1")
    assigned = house.unfiled.assign(receipt.id, entered, by="trish")
    assert (assigned.case, assigned.version) == ("ACME-1", 1)
    house.work()
    assert house.states() == ["stored"]
    assert b"ann@acme" not in eve.get("/ACME-1/to-support/notes.txt")
    assert ann.names("/ACME-1/to-support") == ["notes.txt"]
    assert "_unfiled" not in ann.names("/")
    assert house.unfiled.page() == ()
    assert ann.document("/ACME-1/.meta/notes.txt.receipt.json")["case"] == "ACME-1"
    (event,) = house.events("unfiled.assigned")
    assert (event["by"], event["case"], event["upload"]) == ("trish", "ACME-1", receipt.id)
    with pytest.raises(RejectedError, match="assigned to the case ACME-1 already"):
        house.unfiled.assign(receipt.id, entered, by="trish")


def test_its_sender_moves_it_to_a_case(house):
    """A rename from the box into a folder of a case is an assignment by the sender."""
    ann = house.client("ann")
    ann.put("/a.log", b"a")
    ann.put("/b.log", b"b")
    ann.mkdir("/ACME-1/to-support/node-7")
    ann.rename("/_unfiled/a.log", "/ACME-1/to-support/node-7/first.log")
    ann.rename("/b.log", "/ACME-1_b.log")
    assert ann.names("/ACME-1/to-support") == ["ACME-1_b.log", "node-7"]
    house.work()
    assert house.client("eve").get("/ACME-1/to-support/node-7/first.log") == b"a"
    assert [event["by"] for event in house.events("unfiled.assigned")] == ["ann", "ann"]
    with pytest.raises(RejectedError):
        ann.rename("/ACME-1/to-support/node-7/first.log", "/_unfiled/first.log")


def test_a_sender_cannot_move_it_to_a_foreign_case(core):
    """The case is not found, and the file stays where it is."""
    ann = core.client("ann")
    ann.put("/a.log", b"a")
    for target in ("/GLOBEX-1/to-support/a.log", "/GLOBEX-1_a.log", "/ACME-9/a.log"):
        with pytest.raises(NotFoundError):
            ann.rename("/a.log", target)
    assert ann.get("/_unfiled/a.log") == b"a"


def test_assigning_what_must_not_be(core):
    """Another customer's case, a closed one and one at home elsewhere are refused, each with its reason."""
    core.system.put_case({"number": "ACME-7", "title": "", "customer": "acme", "state": "open", "home_region": "us"})
    receipt = core.client("ann").put("/a.log", b"a")
    cases = core.parts.cases
    for number, why in (
        ("GLOBEX-1", "not of the sender's customer"),
        ("ACME-9", "is closed"),
        ("ACME-7", "nothing is carried over a border"),
    ):
        with pytest.raises(RejectedError, match=why):
            core.unfiled.assign(receipt.id, cases.placed(number), by="trish")
    with pytest.raises(NotFoundError, match="no case"):
        cases.placed("NOSUCH-1")
    with pytest.raises(NotFoundError, match="no unfiled deposit"):
        core.unfiled.assign("0" * 32, cases.placed("ACME-1"), by="trish")
    core.client("ann").mkdir("/ACME-1/to-support/a.log")
    with pytest.raises(AlreadyExistsError):
        core.unfiled.assign(receipt.id, cases.placed("ACME-1"), by="trish")
    assert [each.id for each in core.unfiled.page()] == [receipt.id]


def test_assigning_over_the_cases_quota(tmp_path: Path):
    """A case takes no more by assignment than by upload."""
    with running_core(tmp_path, limits={"case_quota": 100}) as core:
        core.client("ann").put("/ACME-1_a.log", b"x" * 60)
        receipt = core.client("ann").put("/b.log", b"x" * 60)
        with pytest.raises(QuotaExceededError):
            core.unfiled.assign(receipt.id, core.parts.cases.placed("ACME-1"), by="trish")
        assert [each.id for each in core.unfiled.page()] == [receipt.id]


def test_two_unfiled_versions_of_one_name(house):
    """Both wait; when one is assigned, the other stays."""
    ann = house.client("ann")
    first, second = ann.put("/a.log", b"first"), ann.put("/a.log", b"second")
    placed = house.parts.cases.placed
    house.unfiled.assign(second.id, placed("ACME-1"), by="trish")
    assert ann.get("/_unfiled/a.log") == b"first"
    house.unfiled.assign(first.id, placed("ACME-1"), by="trish")
    house.work()
    assert house.client("eve").get("/ACME-1/to-support/a.log") == b"first"
    assert sorted(row.version for row in house.rows()) == [1, 2]


def test_a_drop_is_sealed_in_the_senders_home_region(core):
    """Whichever entrance took it, its bytes lie in the region of the sender's customer and in no other."""
    core.client("gus", "us").put("/a.log", b"theirs")
    core.client("ann", "us").put("/b.log", b"ours")
    assert {(row.login, row.region, row.copies) for row in core.rows()} == {("gus", "us", ""), ("ann", "eu", "")}
    landed = {region: [p for p in (core.data / "regions" / region / "landing").rglob("*") if p.is_file()]
              for region in ("eu", "us", "in")}  # fmt: skip
    assert [len(landed[region]) for region in ("eu", "us", "in")] == [1, 1, 0]


def test_a_drop_by_an_entrance_that_residency_forbids(core):
    """It is refused with the reason before a byte is taken."""
    with pytest.raises(PermissionDeniedError, match="not from region in"):
        core.client("ann", "in").put("/a.log", b"x")
    assert core.rows() == []


def test_what_nobody_assigns_is_destroyed(house):
    """After the retention its state says so to its sender, and its bytes are gone."""
    ann = house.client("ann")
    receipt = ann.put("/a.log", b"x" * 1000)
    long_ago = time.time() - 40 * 86400
    with house.database.write() as connection:
        connection.execute(update(UNFILED).values(kept_until=long_ago))
        connection.execute(update(UPLOADS).values(landed_at=long_ago))
    house.intake._sweep.run()
    assert house.states() == ["expired"]
    assert ann.names("/_unfiled") == [".meta"]
    status = ann.document("/_unfiled/.meta/a.log.status.json")
    assert (status["state"], status["reason"]) == ("expired", "nobody assigned it to a case in time")
    assert [event["upload"] for event in house.events("unfiled.expired")] == [receipt.id]
    assert house.rows()[0].landing_gone_at is not None
    assert not [p for p in (house.data / "regions" / "eu" / "landing").rglob("*") if p.is_file()]
    with pytest.raises(NotFoundError, match="its time is over"):
        house.unfiled.assign(receipt.id, house.parts.cases.placed("ACME-1"), by="trish")
    assert expire_unfiled(house.database, house.parts.trail, time.time()) == 0


def test_pages_of_what_waits(core):
    """Triage reads the list page by page, and can ask for one customer or login."""
    for login, region in (("ann", "eu"), ("bob", "eu"), ("gus", "us")):
        for number in range(3):
            core.client(login, region).put(f"/{login}-file{number}x.log", str(number).encode())
    seen, after = [], None
    while page := core.unfiled.page(after=after, limit=2):
        seen += [each.name for each in page]
        after = page[-1].place
    assert len(seen) == len(set(seen)) == 9
    assert {each.login for each in core.unfiled.page(customer="acme")} == {"ann", "bob"}
    assert len(core.unfiled.page(login="gus")) == 3


def test_a_silent_case_system_files_nothing_wrongly(tmp_path: Path):
    """While it cannot be asked whose a number is, a drop is refused and can be tried again."""
    with running_core(tmp_path) as core:
        ann = core.client("ann")
        core.system.behaviour = Behaviour(status=500)
        with pytest.raises(UnavailableError):
            ann.put("/ACME-1_a.log", b"x")
        assert core.rows() == []


def test_a_session_for_one_case(core):
    """Whatever a name holds, and in whichever directory, it goes to the case that the session is for."""
    ann = core.client("ann", only="ACME-1")
    for path in ("/a.log", "/home/b.log", "/GLOBEX-1_c.log", "/upload/issue/ACME-1/d.log", "/ACME-1/e.log"):
        assert ann.put(path, b"x").document["case"] == "ACME-1"
    with pytest.raises(NotFoundError):
        ann.put("/upload/issue/ACME-2/f.log", b"x")
    assert core.unfiled.page() == ()


def test_a_drop_folder_is_a_directory(core):
    """Clients that change into it first find it, empty."""
    ann = core.client("ann")
    assert ann.stat("/home").is_directory
    assert ann.stat("/pub/incoming").is_directory
    assert ann.names("/home") == []
    assert ann.stat("/_unfiled").is_directory
    with pytest.raises(PermissionDeniedError):
        ann.put("/home", b"x")
    assert "home" not in ann.names("/")


def test_grammars_and_folders_of_an_installation(tmp_path: Path):
    """The configuration says what numbers look like and which directories mean the root."""
    deposit = {
        "case_numbers": [{"pattern": "[0-9]{8}", "check": "luhn"}],
        "drop_folders": ["toibm/aix"],
    }
    with running_core(tmp_path, deposit=deposit, unfiled={"folder": "lost+found", "retention": "2d"}) as core:
        core.system.put_case({"number": "79927398", "title": "", "customer": "acme", "state": "open"})
        ann = core.client("ann")
        assert ann.put("/toibm/aix/79927398.zip", b"x").document["case"] == "79927398"
        unfiled = ann.put("/79927399.zip", b"x").document["unfiled"]
        assert unfiled["why"] == "its name holds no case's number"
        assert ann.names("/lost+found") == [".meta", "79927399.zip"]
        (waiting,) = core.unfiled.page()
        assert waiting.kept_until == pytest.approx(time.time() + 2 * 86400, abs=3600)
        assert json.dumps(unfiled)
