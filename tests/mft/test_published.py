"""What brought other servers down, tried here: published vulnerabilities of paths and of ways that share a file.

Each test names what it is after. Those of tokens and logins lie beside tokens and logins.
"""

from __future__ import annotations

import json

import pytest

from protocols.errors import (
    FileSystemError,
    InvalidNameError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
)
from protocols.path import ROOT, parse_path

SECRET = b"another customer's"
ESCAPES = [
    "/ACME-1/../GLOBEX-1/to-support/theirs.log",
    "/ACME-1/to-support/../../GLOBEX-1/to-support/theirs.log",
    "/ACME-1/to-support/../../../../GLOBEX-1/to-support/theirs.log",
    "//GLOBEX-1//to-support//theirs.log",
    "///////GLOBEX-1/to-support/theirs.log",
    "/./GLOBEX-1/./to-support/./theirs.log",
    "/ACME-1/.meta/../../GLOBEX-1/to-support/theirs.log",
    "/ACME-1/.meta/scrubbed/../../../GLOBEX-1/to-support/theirs.log",
    "/ACME-1/.meta/versions/../../../GLOBEX-1/.meta/versions/theirs.log/1",
    "/cases/../cases/GLOBEX-1/to-support/theirs.log",
    "/home/../GLOBEX-1/to-support/theirs.log",
    "/upload/issue/GLOBEX-1/theirs.log",
    "/upload/issue/ACME-1/../GLOBEX-1/theirs.log",
    "/pub/incoming/GLOBEX-1/to-support/theirs.log",
    "/_unfiled/../GLOBEX-1/to-support/theirs.log",
    "/_unfiled/.meta/../../GLOBEX-1/to-support/theirs.log",
]
BACKSLASHES = [
    "/ACME-1\\..\\GLOBEX-1\\to-support\\theirs.log",
    "/ACME-1/to-support/..\\..\\..\\GLOBEX-1\\to-support\\theirs.log",
    "\\..\\..\\etc\\passwd",
    "/s3\\..\\local\\secret",
    "test\\..\\..\\oops/f",
]
UNSEEN = ["\0", "\n", "\x1b", "\u202e", "\u200b", "\u200d", "\u2066", "\u2028", "\ufeff", "\x7f", "\u00ad"]


@pytest.fixture
def stocked(house):
    """A file of another customer's, stored."""
    house.client("gus", "us").put("/GLOBEX-1/to-support/theirs.log", SECRET)
    house.work()
    return house


def test_cve_2026_30914_one_canonical_form_before_any_decision(stocked):
    """However a path is written, it is the path that it comes to, and somebody else's case is not found by it."""
    ann = stocked.client("ann")
    for path in ESCAPES:
        for attempt in (ann.get, ann.stat, ann.names, lambda p: ann.put(p, b"x"), ann.remove, ann.mkdir):
            with pytest.raises(NotFoundError):
                attempt(path)
    assert stocked.states() == ["stored"]


def test_cve_2026_30914_and_54093_a_backslash_parts_nothing(core):
    """No name holds one, so none can become a way out of a directory or of an archive elsewhere."""
    ann = core.client("ann")
    for path in BACKSLASHES:
        for attempt in (ann.get, ann.stat, lambda p: ann.put(p, b"x"), ann.mkdir):
            with pytest.raises(InvalidNameError, match="backslash"):
                attempt(path)
    assert core.rows() == []


@pytest.mark.parametrize("title", ["..", ".", "a/../b", "", "\0", "x" * 300, "../../etc", "\u202e..", "/"])
def test_cve_2026_30915_what_a_template_is_filled_with_is_one_name(core, title):
    """A hostile title makes the name of one directory, in its own case."""
    core.system.put_case({"number": "ACME-6", "title": title, "customer": "acme", "state": "open"})
    ann = core.client("ann")
    (folder,) = [name for name in ann.names("/") if name.startswith("ACME-6")]
    assert "/" not in folder
    assert len(folder.encode()) <= 255
    ann.put(f"/{folder}/to-support/a.log", b"mine")
    assert ann.names("/ACME-6/to-support") == ["a.log"]
    assert {row.name for row in core.rows()} == {"a.log"}


def test_cve_2026_49244_and_35605_a_prefix_ends_at_a_boundary(stocked):
    """A case, a zone and a drop folder are whole names: what merely begins like one is another."""
    stocked.system.put_case({"number": "GLOBEX-12", "title": "", "customer": "acme", "state": "open"})
    ann = stocked.client("ann")
    ann.put("/GLOBEX-12/to-support/mine.log", b"mine")
    for path in ("/GLOBEX-1", "/GLOBEX-1/to-support/mine.log", "/GLOBEX-12/to-support2", "/GLOBEX-12/.metadata"):
        with pytest.raises(NotFoundError):
            ann.stat(path)
    for path in ("/home2/x", "/upload/issues/x", "/_unfiled2/x"):
        with pytest.raises(NotFoundError):
            ann.put(path, b"x")


def test_cve_2026_25890_leading_slashes_do_not_pass_a_rule(core):
    """What is read only stays so however many slashes stand before it."""
    ann = core.client("ann")
    for slashes in ("/", "//", "////////"):
        with pytest.raises(PermissionDeniedError):
            ann.put(f"{slashes}ACME-1{slashes}from-support{slashes}a.log", b"x")
        with pytest.raises(PermissionDeniedError):
            ann.put(f"{slashes}ACME-1{slashes}.meta{slashes}a.log", b"x")


def test_cve_2026_32758_and_64863_the_target_of_a_move_is_checked(stocked):
    """Neither a foreign case nor a read-only folder is reached by a rename, and none removes what must stay."""
    ann = stocked.client("ann")
    ann.put("/ACME-1/to-support/a.log", b"a")
    for target in ("/GLOBEX-1/to-support/a.log", "/GLOBEX-1_a.log", "/upload/issue/GLOBEX-1/a.log"):
        with pytest.raises(NotFoundError):
            ann.rename("/ACME-1/to-support/a.log", target)
    for target in ("/ACME-1/from-support/a.log", "/ACME-1/.meta/a.log", "/home"):
        with pytest.raises(PermissionDeniedError):
            ann.rename("/ACME-1/to-support/a.log", target)
    for target in ("/ACME-2/to-support/a.log", "/_unfiled/a.log", "/a.log"):
        with pytest.raises(RejectedError):
            ann.rename("/ACME-1/to-support/a.log", target)
    with pytest.raises(NotFoundError):
        ann.rename("/GLOBEX-1/to-support/theirs.log", "/ACME-1/to-support/stolen.log")
    with pytest.raises(PermissionDeniedError):
        ann.remove("/ACME-1/to-support/a.log")
    assert ann.names("/ACME-1/to-support") == ["a.log"]


def test_cve_2026_35606_the_ways_beside_the_plain_one_ask_for_the_same_right(stocked):
    """Scrubbed copies, versions, reports and receipts of a case are as closed as the case."""
    for login in ("ann", "una", "bob"):
        client = stocked.client(login, "us")
        for path in (
            "/GLOBEX-1/.meta/scrubbed/theirs.log",
            "/GLOBEX-1/.meta/versions/theirs.log/1",
            "/GLOBEX-1/.meta/theirs.log.status.json",
            "/GLOBEX-1/.meta/theirs.log.report.json",
        ):
            if login == "una":  # an engineer who may
                assert client.get(path)
            else:
                with pytest.raises(NotFoundError):
                    client.get(path)


def test_cve_2026_35604_what_was_shared_ends_with_the_right(stocked):
    """A handle, a listing and a status that were open when the case closed give nothing more."""
    gus = stocked.client("gus", "us")
    handle = gus.filesystem.open_read(parse_path("/GLOBEX-1/.meta/versions/theirs.log/1"))
    document = gus.filesystem.open_read(parse_path("/GLOBEX-1/.meta/theirs.log.status.json"))
    stocked.system.change_case("GLOBEX-1", {"state": "closed"})
    stocked.parts.cases.recheck_all()
    for each in (handle, document):
        with pytest.raises(NotFoundError):
            each.read(0, 10)
        each.close()


def test_cve_2026_54096_what_is_not_there_yet_cannot_be_opened_in_advance(core):
    """A name that somebody sends later is not readable by who asked for it before."""
    bob = core.client("bob")
    for path in ("/_unfiled/later.log", "/later.log", "/ACME-1/.meta/versions/later.log/1"):
        with pytest.raises(NotFoundError):
            bob.get(path)
    core.client("ann").put("/later.log", b"ann's alone")
    for path in ("/_unfiled/later.log", "/later.log"):
        with pytest.raises(NotFoundError):
            bob.get(path)


def test_cve_2026_62685_two_logins_never_share_a_box(core):
    """The box is by the exact login; another that looks like it has another, or is nobody."""
    core.client("ann").put("/secret.log", b"ann's")
    core.system.put_principal({**core.system.principal("ann"), "login": "ANN"})
    core.system.put_principal({**core.system.principal("ann"), "login": "a\u2060nn".replace("\u2060", "") + "a"})
    for login in ("ANN", "anna"):
        other = core.client(login)
        assert "_unfiled" not in other.names("/")
        with pytest.raises(NotFoundError):
            other.get("/_unfiled/secret.log")


def test_cve_2026_10031_and_55668_there_are_no_links(core):
    """A name is a directory or a file of the catalog: none leads anywhere else, and none is on the disk."""
    ann = core.client("ann")
    ann.put("/ACME-1/to-support/link -> etc.log", b"x")
    found = [path for path in core.data.rglob("*") if "link" in path.name]
    assert found == []
    assert not any(path.is_symlink() for path in core.data.rglob("*"))
    assert {(entry.is_directory, entry.name) for entry in ann.filesystem.scandir(parse_path("/ACME-1/to-support"))} == {
        (False, "link -> etc.log")
    }


@pytest.mark.parametrize(
    "name",
    [
        "<script>alert(1)<script>.log",
        '"><img src=x onerror=alert(1)>.log',
        "=cmd|' !A0.csv",
        "a'b\"c.log",
        "${jndi}.log",
    ],
)
def test_cve_2022_39220_a_hostile_name_is_data_in_every_document(core, name):
    """Status and receipt are JSON that gives the name back as it was, and nothing else."""
    ann = core.client("ann")
    receipt = ann.put(f"/ACME-1/to-support/{name}", b"x")
    assert receipt.document["name"] == name
    status = ann.document(f"/ACME-1/.meta/{name}.status.json")
    assert status["name"] == name
    assert json.loads(json.dumps(status)) == status


@pytest.mark.parametrize("path", ["/ACME-1/to-support/a{}b.log", "/a{}b.log", "/_unfiled/a{}b.log", "/ACME-1{}/a.log"])
def test_d39e90fd_nul_bidi_and_zero_width_characters(core, path):
    """What cannot be seen in a name cannot be in one, wherever the name stands; the answer says which it was."""
    ann = core.client("ann")
    for character in UNSEEN:
        for attempt in (lambda p: ann.put(p, b"x"), ann.mkdir, ann.stat, ann.get):
            with pytest.raises(InvalidNameError, match=f"U\\+{ord(character):04X}"):
                attempt(path.format(character))
    assert core.rows() == []


@pytest.mark.parametrize("name", ["x" * 256, "\u00e4" * 128, "\U0001f600" * 64])
def test_names_of_more_than_255_bytes(core, name):
    """Bytes count, not characters; the answer says how many there are."""
    ann = core.client("ann")
    for path in (f"/ACME-1/to-support/{name}", f"/{name}", f"/ACME-1_{name}", f"/{name}/a"):
        with pytest.raises(InvalidNameError, match="255"):
            ann.put(path, b"x")
    assert ann.put(f"/ACME-1_{'x' * 248}", b"x").document["case"] == "ACME-1"


def test_empty_and_dots_are_the_root_and_never_a_file(core):
    """They come to the root, which is no file; nothing is written, moved or removed there."""
    ann = core.client("ann")
    attempts = (
        lambda path: ann.put(path, b"x"),
        ann.remove,
        lambda path: ann.remove(path, directory=True),
        lambda path: ann.rename(path, "/ACME-1/to-support/a"),
        ann.mkdir,
        ann.get,
    )
    for path in ("", ".", "..", "/", "/..", "/../..", "/.", "//", "ACME-1/.."):
        assert parse_path(path) == ROOT
        assert ann.stat(path).is_directory
        for attempt in attempts:
            with pytest.raises(FileSystemError):
                attempt(path)
    assert core.rows() == []


def test_names_that_another_system_would_obey_are_only_names(core):
    """They are kept as they are in the catalog, reach no file system, and come back as they went in."""
    ann = core.client("ann")
    names = ["CON", "nul.txt", "COM1", "a.", " a", "a ", "...", "-rf", "~", "%2e%2e", "a:b", "*?"]
    for name in names:
        ann.put(f"/ACME-1/to-support/{name}", b"x")
    assert ann.names("/ACME-1/to-support") == sorted(names)
    assert not [path for path in core.data.rglob("*") if path.name in names]


def test_two_spellings_of_one_name_are_one_name(core):
    """A name in another normal form is the same file, not a second one beside it."""
    ann = core.client("ann")
    ann.put("/ACME-1/to-support/\u00e4.log", b"composed")
    assert ann.put("/ACME-1/to-support/a\u0308.log", b"decomposed").document["version"] == 2
    assert ann.names("/ACME-1/to-support") == ["\u00e4.log"]


def test_cve_2024_50623_nothing_that_is_sent_is_ever_run(core):
    """Bytes land sealed, in files of names of our own that nobody may execute."""
    core.client("ann").put("/ACME-1/to-support/run.sh", b"#!/bin/sh\ntouch /tmp/owned\n")
    files = [path for path in core.data.rglob("*") if path.is_file()]
    assert not any(b"#!/bin/sh" in path.read_bytes() for path in files)
    assert not any(path.stat().st_mode & 0o111 for path in files)
