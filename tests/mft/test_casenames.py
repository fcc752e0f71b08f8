"""What a case's uploads teach of names: kept for its next uploads, merged, sealed, and gone with its key."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.catalog.model import BODIES, DESTRUCTIONS, PSEUDONYM_BOOKS
from mft.intake import service as intake_service
from mft.keychannel import make_channel
from mft.scrubbing.nursery import Nursery
from mft.scrubbing.sealednames import open_names
from mft.server.lifecycle import make_lifecycle
from scrubber.pseudonym import Pseudonymizer
from tests.core import running_core, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core import Core

IN = "/ACME-1/to-support"
PASSWD = b"root:x:0:0:root:/root:/bin/bash\nqwertha:x:1007:1007::/home/qwertha:/bin/bash\n"
MENTION = b"the job of qwertha did not end\n"


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what failed be tried again at once, and what a crash left be adopted at once."""
    monkeypatch.setattr(intake_service, "REST_SECONDS", 0.0)
    monkeypatch.setattr(intake_service, "ADOPT_SECONDS", 0.0)


def sent(core: Core, path: str, content: bytes, login: str = "ann") -> bytes:
    """Send a file, have it scrubbed, and return what support reads."""
    core.client(login).put(path, content)
    core.work()
    return core.client("max").get(path)


def rows(core: Core, table: Any) -> list[Any]:
    with core.database.read() as connection:
        return list(connection.execute(select(table)))


def book(core: Core, path_case: str = "ACME-1", scope: Any = "case") -> Any:
    """Return the open book of a case, or of its customer."""
    entered = core.parts.cases.placed(path_case)
    return core.intake._scrubbing._books.open(core.parts.cases.trees.of(entered), entered.residency.home, scope)


def known(core: Core, path_case: str = "ACME-1", scope: Any = "case") -> dict[bytes, str]:
    opened = book(core, path_case, scope)
    return dict(open_names(opened.names, opened.key).terms())


def test_name_defined_in_one_upload_is_found_in_the_next(house):
    """A user whom only the first upload defines has in the second, of another login, the pseudonym of the first."""
    first = sent(house, f"{IN}/passwd", PASSWD)
    second = sent(house, f"{IN}/job.log", MENTION, "bob")
    pseudonym = second.split()[3]
    assert pseudonym.startswith(b"user-")
    assert pseudonym in first
    assert house.states() == ["stored", "stored"]


def test_names_stay_in_their_case(house):
    """What one case taught is not known in another one of the customer."""
    sent(house, f"{IN}/passwd", PASSWD)
    assert sent(house, "/ACME-3/to-support/job.log", MENTION) == MENTION


def test_names_of_a_customer_are_known_in_all_its_cases(tmp_path, nursery):
    """With the scope `customer` a name has one pseudonym in all cases of one home; another customer's stay apart."""
    rules = [{"match": {"customer": "acme"}, "pseudonym_scope": "customer"}]
    with running_core(tmp_path, nursery, scrub={"rules": rules}) as core:
        first = sent(core, f"{IN}/passwd", PASSWD)
        second = sent(core, "/ACME-3/to-support/job.log", MENTION)
        core.client("gus", "us").put("/GLOBEX-1/to-support/job.log", MENTION)
        core.work()
        assert core.client("una", "us").get("/GLOBEX-1/to-support/job.log") == MENTION
        assert second.split()[3] in first
        assert second != MENTION
        assert {(row.customer, row.case_id is None) for row in rows(core, PSEUDONYM_BOOKS)} == {
            ("acme", True),
            (None, False),
        }


def test_own_name_of_the_file_is_read_with_what_it_taught(house):
    """A host that the file itself defines is gone from the name that others see, and from a later name too."""
    house.client("ann").put(f"{IN}/qwertha.log", PASSWD)
    house.client("ann").put(f"{IN}/b.log", b"nothing\n")
    house.work()
    house.client("ann").rename(f"{IN}/b.log", f"{IN}/b-qwertha.log")
    house.work()
    names = house.client("eve").names(IN)
    assert len(names) == 2
    assert not [name for name in names if "qwertha" in name]


def test_quarantined_upload_teaches_nothing(house):
    """What is not let through adds nothing to what is known."""
    house.client("ann").put(f"{IN}/etc.tar", PASSWD + b"\x00" * 512 + os.urandom(8000))
    house.work()
    assert house.states() == ["quarantined"]
    assert known(house) == {}
    assert [(row.taught, row.book_id) for row in rows(house, BODIES)] == [(None, None)]


def test_file_of_an_engineer_teaches_nothing(house):
    """What goes out speaks of others than the customer."""
    house.client("eve").put("/ACME-1/from-support/passwd", PASSWD)
    house.work()
    assert known(house) == {}


def test_uploads_that_were_scrubbed_at_once_are_all_kept(house):
    """Two children began with the same names: what each learned is known afterwards, whoever is settled first."""
    for name in (b"qwertha", b"zuxolan", b"mirvetta"):
        house.client("ann").put(f"{IN}/{name.decode()}.txt", PASSWD.replace(b"qwertha", name))
    outcomes = [(row.id, house.intake._scrubbing.scrub(row.id)) for row in house.rows()]
    assert known(house) == {}
    for upload_id, outcome in reversed(outcomes):
        house.intake._settling.settle(upload_id, outcome)
    assert house.states() == ["stored"] * 3
    assert {b"qwertha", b"zuxolan", b"mirvetta"} <= known(house).keys()


def test_book_that_changed_while_names_were_merged_is_read_again(house, monkeypatch):
    """A lesson that was overtaken is not written over what others have taught: it is made anew."""
    for name in (b"qwertha", b"zuxolan"):
        house.client("ann").put(f"{IN}/{name.decode()}.txt", PASSWD.replace(b"qwertha", name))
    outcomes = [(row.id, house.intake._scrubbing.scrub(row.id)) for row in house.rows()]
    settling, make = house.intake._settling, house.intake._scrubbing._books.lesson
    with monkeypatch.context() as patched:

        def overtaken(object_key: Any) -> Any:
            lesson = make(object_key)
            patched.undo()
            settling.settle(*outcomes[1])
            return lesson

        patched.setattr(house.intake._scrubbing._books, "lesson", overtaken)
        settling.settle(*outcomes[0])
    assert house.states() == ["stored", "stored"]
    assert {b"qwertha", b"zuxolan"} <= known(house).keys()


def two_networks_with_one_image(key: bytes) -> tuple[bytes, bytes]:
    """Return addresses of two public networks that the key alone gives the same 24 bits."""
    images, seen = Pseudonymizer(key), dict[bytes, bytes]()
    for first, second, third in itertools.product(range(11, 100), range(20, 60), range(256)):
        address = b"%d.%d.%d.9" % (first, second, third)
        net = images.ipv4(address).rpartition(b".")[0]
        if seen.setdefault(net, address) != address:
            return seen[net], address
    raise AssertionError("no two of them share one")


def test_networks_that_would_share_an_image_are_told_apart(house):
    """The second network of an image gets another, in the next upload too, and the first keeps its own."""
    one, other = two_networks_with_one_image(book(house).key)
    first = sent(house, f"{IN}/a", b"from host %s now\n" % one)
    second = sent(house, f"{IN}/b", b"from host %s now\n" % other)
    both = sent(house, f"{IN}/c", b"from host %s now\nfrom host %s now\n" % (other, one))
    assert first.split()[2].rpartition(b".")[0] != second.split()[2].rpartition(b".")[0]
    assert both == second + first


def test_uploads_that_contradict_each_other_are_scrubbed_again(house):
    """Two children at once give one image to two networks: the one that is settled later begins anew, uncounted."""
    one, other = two_networks_with_one_image(book(house).key)
    house.client("ann").put(f"{IN}/a", b"from host %s now\n" % one)
    house.client("ann").put(f"{IN}/b", b"from host %s now\n" % other)
    outcomes = [(row.id, house.intake._scrubbing.scrub(row.id)) for row in house.rows()]
    for each in outcomes:
        house.intake._settling.settle(*each)
    assert house.states() == ["stored", "landed"]
    house.work()
    assert [(row.state, row.attempts) for row in house.rows()] == [("stored", 1), ("stored", 1)]
    images = {house.client("eve").get(f"{IN}/{name}").split()[2].rpartition(b".")[0] for name in "ab"}
    assert len(images) == 2


def test_names_are_kept_with_the_publishing_or_not_at_all(house, monkeypatch):
    """A crash between the two is none: either both are in the catalog or neither, and the next attempt has both."""
    house.client("ann").put(f"{IN}/passwd", PASSWD)
    with monkeypatch.context() as patched:
        patched.setattr(house.intake._scrubbing._books, "keep", lambda *_: 1 / 0)
        house.intake.start_due()
    assert house.states() == ["scrubbing"]
    assert house.events("upload.stored") == []
    assert known(house) == {}
    house.work()
    assert house.states() == ["stored"]
    assert b"qwertha" in known(house)
    assert [row.taught for row in rows(house, BODIES) if row.state == "stored"] == [None]


def test_nothing_of_the_names_lies_in_clear(house):
    """No name that was learned stands in any file of the installation."""
    sent(house, f"{IN}/passwd", PASSWD)
    house.database.truncate_journal()
    for path in house.data.rglob("*"):
        if path.is_file():
            assert b"qwertha" not in path.read_bytes(), path


def destroy(core: Core, number: str) -> Any:
    core.system.change_case(number, {"state": "closed"})
    lifecycle = make_lifecycle(
        config=core.config,
        credentials=core.parts.credentials,
        database=core.database,
        trail=core.parts.trail,
        lookup=core.parts.lookup,
        objects=core.parts.objects,
        zones=core.parts.zones,
    )
    assert [case for case, _ in lifecycle.run(by="test").destroyed] == [number]
    return json.loads(rows(core, DESTRUCTIONS)[-1].certificate)


def test_names_end_with_their_case(tmp_path, nursery):
    """Destruction shreds the pseudonym key and the names with it, and the certificate names their scope."""
    with running_core(tmp_path, nursery, lifecycle={"retention": "1ms"}) as core:
        sent(core, f"{IN}/passwd", PASSWD)
        (before,) = rows(core, PSEUDONYM_BOOKS)
        certificate = destroy(core, "ACME-1")
        assert rows(core, PSEUDONYM_BOOKS) == []
        assert certificate["pseudonyms"] == [{"scope": before.scope, "region": "eu"}]
        core.database.truncate_journal()
        content = b"".join(path.read_bytes() for path in core.config.catalog.path.parent.glob("catalog.db*"))
        assert before.names not in content


def test_names_of_a_customer_end_with_its_last_case(tmp_path, nursery):
    """As long as the customer has another case, its names are needed there."""
    settings = {"lifecycle": {"retention": "1ms"}, "scrub": {"pseudonym_scope": "customer"}}
    with running_core(tmp_path, nursery, **settings) as core:
        sent(core, f"{IN}/passwd", PASSWD)
        sent(core, "/ACME-3/to-support/job.log", MENTION)
        assert destroy(core, "ACME-1")["pseudonyms"] == []
        assert len(rows(core, PSEUDONYM_BOOKS)) == 1
        assert len(destroy(core, "ACME-3")["pseudonyms"]) == 1
        assert rows(core, PSEUDONYM_BOOKS) == []


_HOSTILE_NURSERY = """
import json, os, signal, socket, sys, threading
from mft.scrubbing import nursery
from mft.scrubbing.sealednames import _key
from storage.sealed import seal_piece
kept = nursery.run_errand

def run_errand(errand, descriptors, **more):
    if not errand.names[-1].startswith("hostile"):
        return kept(errand, descriptors, **more)
    here, there = os.pipe()
    if os.fork() == 0:
        kept(errand, [*descriptors[:-1], there])
        os._exit(0)
    os.close(there)
    os.close(descriptors[1])
    with os.fdopen(here, "rb") as pipe:
        honest = pipe.read()
    with os.fdopen(descriptors[-1], "wb") as pipe:
        size = 4 + int.from_bytes(honest[:4], "big")
        exec(json.loads(sys.argv[2])[int(errand.names[-1].removeprefix("hostile"))])

nursery.run_errand = run_errand
nursery.shut_in = lambda _scratch: None
stopped = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stopped.set())
nursery.serve_nursery(socket.socket(fileno=int(sys.argv[1])), stopped.is_set)
"""
_HOSTILE = {
    "no end": "[pipe.write(bytes(2**20)) for _ in range(80)]",
    "no document": "pipe.write(honest[:4] + b'[' * (len(honest) - 4))",
    "another document": "pipe.write((2).to_bytes(4, 'big') + b'{}')",
    "cut off": "pipe.write(honest[:60])",
    "names of another key": "pipe.write(honest[:size] + bytes(100))",
    "names that are none": "pipe.write(honest[:size] + seal_piece(_key(errand.pseudonym_key), "
    "b'mft names 1\\nu' + bytes([255, 255]), context=b'mft case names v1'))",
    "other names": "pipe.write(honest.replace(b'[\"hostile', b'[\"../../'))",
}


@pytest.fixture(scope="module")
def hostile_nursery() -> Iterator[Nursery]:
    """A nursery whose children are taken over by files that are called so."""
    here, there = make_channel()
    process = subprocess.Popen(
        [sys.executable, "-c", _HOSTILE_NURSERY, str(there.fileno()), json.dumps(list(_HOSTILE.values()))],
        pass_fds=(there.fileno(),),
        cwd=Path(__file__).parents[2],
    )
    there.close()
    try:
        yield Nursery(here)
    finally:
        process.terminate()
        process.wait(20)
        here.close()


def test_answer_of_a_child_that_was_taken_over_harms_its_file_alone(tmp_path, hostile_nursery):
    """Whatever it says, its upload is held back, what its case knows stays, and the next upload is fine."""
    with running_core(tmp_path, hostile_nursery, scrub={"attempts": 1}) as core:
        sent(core, f"{IN}/passwd", PASSWD)
        before = rows(core, PSEUDONYM_BOOKS)
        for number in range(len(_HOSTILE)):
            core.client("ann").put(f"{IN}/hostile{number}", PASSWD.replace(b"qwertha", b"zuxolan"))
        until(lambda: core.work() or not {"landed", "scrubbing"} & set(core.states()))
        assert dict(zip(_HOSTILE, core.states()[1:], strict=True)) == dict.fromkeys(_HOSTILE, "quarantined")
        assert rows(core, PSEUDONYM_BOOKS) == before
        assert sent(core, f"{IN}/job.log", MENTION) != MENTION
