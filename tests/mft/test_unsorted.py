"""What triage sees of files that name no case, over the file protocols, and what it may do with them."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import update

from mft.catalog.model import UNFILED
from protocols.errors import (
    IsADirectoryPathError,
    NotADirectoryPathError,
    NotFoundError,
    PermissionDeniedError,
    RejectedError,
)
from protocols.path import parse_path
from tests.core import Client, Core, running_core


def sorter(core: Core, *roles: str, login: str = "trish", region: str = "eu", **facts: object) -> Client:
    """Return a session of somebody with *roles*."""
    core.system.put_principal({"login": login, "roles": list(roles or ("triage",)), **facts})
    return core.client(login, region)


@pytest.fixture
def dropped(core: Core) -> Core:
    """Four drops by three logins of two customers."""
    core.client("ann").put("/bundle.tgz", b"first")
    core.client("ann").put("/core.gz", b"second one")
    core.client("bob").put("/bundle.tgz", b"bob's")
    core.client("gus", "us").put("/traces.txt", b"gus's")
    return core


def test_triage_walks_from_customer_to_sender_to_file(dropped):
    """The box holds a folder for each customer with something waiting, in it one for each sender, in it the files."""
    trish = sorter(dropped)
    assert "_unfiled" in trish.names("/")
    assert trish.names("/_unfiled") == ["acme", "globex"]
    assert trish.names("/_unfiled/acme") == ["ann", "bob"]
    assert trish.names("/_unfiled/acme/ann") == [".meta", "bundle.tgz", "core.gz"]
    entry = trish.stat("/_unfiled/acme/ann/core.gz")
    assert (entry.size, entry.is_directory, entry.writable) == (10, False, False)
    for folder in ("/_unfiled", "/_unfiled/acme", "/_unfiled/acme/ann", "/_unfiled/acme/ann/.meta"):
        assert trish.stat(folder).is_directory
        with pytest.raises(IsADirectoryPathError):
            trish.get(folder)
    with pytest.raises(NotADirectoryPathError):
        trish.names("/_unfiled/acme/ann/core.gz")


def test_what_is_known_of_a_file_is_a_document_beside_it(dropped):
    """`.meta/NAME.status.json` says what `mft unfiled list` says: whose it is, why it waits and until when."""
    trish = sorter(dropped)
    assert trish.names("/_unfiled/acme/ann/.meta") == ["bundle.tgz.status.json", "core.gz.status.json"]
    shown = trish.document("/_unfiled/acme/ann/.meta/core.gz.status.json")
    (listed,) = dropped.unfiled.named("acme", "ann", "core.gz")
    assert shown["id"] == listed.id
    assert {key: shown[key] for key in ("login", "customer", "region", "why")} == {
        "login": "ann", "customer": "acme", "region": "eu", "why": "its name holds no case's number",
    }  # fmt: skip
    assert trish.stat("/_unfiled/acme/ann/.meta/core.gz.status.json").size == len(json.dumps(shown, indent=2)) + 1


def test_seeing_is_not_reading(dropped):
    """What is unscrubbed is not given out unless the configuration says so, and the attempt is on the record."""
    with pytest.raises(PermissionDeniedError, match="assign it to its case"):
        sorter(dropped).get("/_unfiled/acme/ann/core.gz")
    (denied,) = dropped.events("access.denied")
    assert (denied["login"], denied["why"].split(",")[0]) == ("trish", "what names no case is unscrubbed")


def test_reading_where_the_configuration_allows_it(tmp_path):
    """With `unfiled.triage_reads` the bytes are read, on the record, through the region where they lie and no other."""
    with running_core(tmp_path, unfiled={"triage_reads": True}) as core:
        core.client("ann").put("/core.gz", b"second one")
        trish = sorter(core)
        assert trish.get("/_unfiled/acme/ann/core.gz") == b"second one"
        (opened,) = core.events("file.opened")
        assert (opened["login"], opened["zone"], opened["served_from"]) == ("trish", "unfiled", "eu")
        for other in (core.client("trish", "us"), sorter(core, "triage", login="tom", regions=["us"])):
            with pytest.raises(PermissionDeniedError, match="it lies unscrubbed in eu"):
                other.get("/_unfiled/acme/ann/core.gz")


def test_open_file_ends_when_it_was_assigned(tmp_path):
    """Whoever reads an unscrubbed file loses it once it belongs to a case."""
    with running_core(tmp_path, unfiled={"triage_reads": True}) as core:
        core.client("ann").put("/core.gz", b"second one")
        trish = sorter(core)
        handle = trish.filesystem.open_read(parse_path("/_unfiled/acme/ann/core.gz"))
        assert handle.read(0, 6) == b"second"
        trish.rename("/_unfiled/acme/ann/core.gz", "/ACME-1/core.gz")
        handle._lease._due = 0.0  # the second after which it asks again
        with pytest.raises(NotFoundError, match="does not wait"):
            handle.read(6, 4)
        handle.close()


@pytest.mark.parametrize(
    ("target", "name"),
    [
        ("/cases/ACME-1/core.gz", "core.gz"),
        ("/ACME-1/renamed.gz", "renamed.gz"),
        ("/ACME-1", "core.gz"),
        ("/ACME-1/to-support/core.gz", "core.gz"),
        ("/Acme Corp/ACME-1 Cannot boot/to-support/core.gz", "core.gz"),
    ],
)
def test_rename_into_a_case_assigns(dropped, target, name):
    """Moved into a case's folder the file is that case's, with who did it in the audit."""
    trish = sorter(dropped, "triage", "engineer")
    trish.rename("/_unfiled/acme/ann/core.gz", target)
    assert trish.names("/_unfiled/acme/ann") == [".meta", "bundle.tgz"]
    assert dropped.client("ann").names("/ACME-1/to-support") == [name]
    (event,) = dropped.events("unfiled.assigned")
    assert (event["by"], event["case"], event["login"]) == ("trish", "ACME-1", "ann")


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ("/_unfiled/acme/ann/other.gz", RejectedError),
        ("/_unfiled/globex/gus/core.gz", RejectedError),
        ("/core.gz", RejectedError),
        ("/Acme Corp/core.gz", RejectedError),
        ("/ACME-1/from-support/core.gz", RejectedError),
        ("/ACME-1/.meta/core.gz", RejectedError),
        ("/ACME-1/to-support/nowhere/core.gz", NotFoundError),
        ("/ACME-9/core.gz", RejectedError),
        ("/GLOBEX-1/core.gz", RejectedError),
        ("/NOSUCH-1/core.gz", NotFoundError),
    ],
)
def test_rename_that_assigns_nothing(dropped, target, error):
    """Only a case's upload folder takes it: of the sender's customer, open and at home in the region where it lies."""
    trish = sorter(dropped)
    with pytest.raises(error):
        trish.rename("/_unfiled/acme/ann/core.gz", target)
    assert trish.names("/_unfiled/acme/ann") == [".meta", "bundle.tgz", "core.gz"]
    assert dropped.events("unfiled.assigned") == []


def test_versions_of_a_name_are_assigned_one_after_another(core):
    """The newest that waits is the one that shows; when it is assigned, the one before shows."""
    ann = core.client("ann")
    ann.put("/core.gz", b"one")
    ann.put("/core.gz", b"the second")
    trish = sorter(core)
    assert trish.names("/_unfiled/acme/ann") == [".meta", "core.gz"]
    assert trish.stat("/_unfiled/acme/ann/core.gz").size == 10
    trish.rename("/_unfiled/acme/ann/core.gz", "/ACME-1/core.gz")
    assert trish.stat("/_unfiled/acme/ann/core.gz").size == 3
    trish.rename("/_unfiled/acme/ann/core.gz", "/ACME-2/core.gz")
    assert trish.names("/_unfiled") == []


def test_nothing_else_can_be_done_there(dropped):
    """Triage sends, makes and removes nothing in others' boxes."""
    trish = sorter(dropped)
    for change in (
        lambda: trish.put("/_unfiled/acme/ann/new.txt", b"x"),
        lambda: trish.mkdir("/_unfiled/acme/ann/folder"),
        lambda: trish.remove("/_unfiled/acme/ann/core.gz"),
        lambda: trish.remove("/_unfiled/acme", directory=True),
    ):
        with pytest.raises(PermissionDeniedError):
            change()


def test_nobody_else_sees_it(dropped):
    """Engineers, operators, and sessions for one case have no such folder."""
    for other in (
        dropped.client("eve"),
        sorter(dropped, "operator", login="olga"),
        sorter(dropped, "engineer", "triage", login="ted") and dropped.client("ted", only="ACME-1"),
    ):
        assert "_unfiled" not in other.names("/")
        for path in ("/_unfiled", "/_unfiled/acme/ann/core.gz"):
            with pytest.raises(NotFoundError):
                other.stat(path)
        with pytest.raises((NotFoundError, PermissionDeniedError)):
            other.rename("/_unfiled/acme/ann/core.gz", "/ACME-1/core.gz")
    assert dropped.events("unfiled.assigned") == []


@pytest.mark.parametrize(
    "path", ["/_unfiled/nobody", "/_unfiled/acme/gus", "/_unfiled/acme/ann/no", "/_unfiled/a/b/c/d"]
)
def test_what_is_not_there_is_not_found(dropped, path):
    """A customer without waiting files, a login of another customer, a name that nobody sent."""
    trish = sorter(dropped)
    with pytest.raises(NotFoundError):
        trish.stat(path)
    with pytest.raises(NotFoundError):
        trish.names(path)


def test_long_box_comes_in_pages(core, monkeypatch):
    """A box of more than a page is listed whole, each name once, in order."""
    monkeypatch.setattr("mft.unfiled.PAGE", 3)
    ann = core.client("ann")
    for number in (4, 1, 3, 2, 0, 3, 3, 3, 3):
        ann.put(f"/file{number}.txt", f"{number}{len(core.rows())}".encode())
    with core.database.write() as connection:
        connection.execute(update(UNFILED).values(customer="acme"))
    assert sorter(core).names("/_unfiled/acme/ann")[1:] == [f"file{number}.txt" for number in range(5)]
