"""Layouts from the configuration, as sessions see them: many ways to one case, and none to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mft.config import ConfigError, parse_config
from protocols.errors import NotFoundError, RejectedError
from tests.core import Core, running_core

if TYPE_CHECKING:
    from collections.abc import Iterator

STAFF = [
    "/{customer.name}/{case.number} {case.title}",
    "/by-status/{case.state}/{case.number} {case.title}",
    "/by-region/{case.region}/{customer.id}/{case.number}",
    "/by-kind/{case.kind}/{case.number}",
    "/inbox/{case.number}/to-support",
]
LAYOUT = {
    "directories": [
        {"match": {"kind": "rma*"}, "upload": "photos", "download": "labels"},
        {"match": {"kind": "notice"}, "upload": None},
    ],
    "folders": [
        {"match": {"role": "customer", "customer": "glob*"}, "paths": ["/my-cases/{case.number}"]},
        {"match": {"role": "customer"}, "paths": ["/{case.number} {case.title}", "/open/{case.number}"]},
        {"match": {"role": "engineer"}, "paths": STAFF, "mine": ["/my-cases/{case.number}"]},
    ],
}
WAYS = (
    "/Acme Corp/ACME-1 Cannot boot",
    "/by-status/open/ACME-1 Cannot boot",
    "/by-region/eu/acme/ACME-1",
    "/by-kind/none/ACME-1",
    "/inbox/ACME-1",
    "/cases/ACME-1",
    "/ACME-1",
)


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Iterator[Core]:
    with running_core(tmp_path_factory.mktemp("core"), layout=LAYOUT) as running:
        running.system.change_case("ACME-5", {"assignee": "eve"})
        open_case(running, "ACME-6", kind="rma-eu")
        open_case(running, "ACME-7", kind="notice")
        yield running


def open_case(core: Core, number: str, **facts: object) -> None:
    core.system.put_case({"number": number, "title": "", "customer": "acme", "state": "open", **facts})


def test_root_holds_the_folders_of_every_template(core):
    """Fixed names and customers stand beside one another."""
    assert core.client("eve").names("/") == [
        "Acme Corp",
        "Globex _ Initech",
        "by-kind",
        "by-region",
        "by-status",
        "inbox",
        "my-cases",
    ]


@pytest.mark.parametrize("way", WAYS)
def test_one_case_is_one_place_by_every_way(core, way):
    """What is made by one way is there by all."""
    core.client("ann").put("/ACME-1/to-support/same.log", b"same")
    eve = core.client("max")
    assert ".meta" in eve.names(way)
    assert eve.stat(f"{way}/to-support").is_directory
    assert eve.names(f"{way}/to-support") == []  # not scrubbed yet
    core.client("ann").put(
        f"{way if way in {'/ACME-1', '/cases/ACME-1'} else '/open/ACME-1'}/to-support/two.log", b"two"
    )
    assert core.client("ann").names("/ACME-1 Old title/to-support") == ["same.log", "two.log"]


@pytest.mark.parametrize(
    "way",
    [
        "/by-status/closed/ACME-1",
        "/by-status/closed/ACME-9",
        "/by-region/us/acme/ACME-1",
        "/by-region/eu/globex/ACME-1",
        "/by-kind/rma-eu/ACME-1",
        "/Globex _ Initech/ACME-1",
        "/my-cases/ACME-1",
        "/by-status/open/ACME-3",
        "/by-status/open/ACME-404",
        "/by-status/nonsense",
        "/by-kind/../../ACME-3",
        "/by-status/closed",
    ],
)
def test_case_is_not_found_in_a_folder_where_it_does_not_belong(core, way):
    """Nor is one that the session may not see, by whatever way."""
    eve = core.client("eve")
    for call in (eve.stat, eve.names, eve.get):
        with pytest.raises(NotFoundError):
            call(way)


def test_folders_list_the_cases_that_belong_in_them(core):
    """By status, by region, by kind, and those that one has been given."""
    eve = core.client("eve")
    assert eve.names("/by-status") == ["open"]
    assert eve.names("/by-region") == ["eu", "us"]
    assert eve.names("/by-region/us") == ["globex"]
    assert eve.names("/by-region/us/globex") == ["GLOBEX-1"]
    assert eve.names("/by-kind") == ["none", "notice", "rma-eu"]
    assert eve.names("/by-kind/rma-eu") == ["ACME-6"]
    assert eve.names("/my-cases") == ["ACME-5"]
    assert core.client("max").names("/my-cases") == []


def test_folder_shows_the_one_directory_that_its_template_names(core):
    """With `.meta`; the others are there by other ways."""
    eve = core.client("eve")
    assert eve.names("/inbox/ACME-1") == [".meta", "to-support"]
    assert eve.names("/cases/ACME-1") == [".meta", "from-support", "to-support"]
    with pytest.raises(NotFoundError):
        eve.stat("/inbox/ACME-1/from-support")


def test_customers_have_layouts_of_their_own(core):
    """By the customer, else by the role."""
    assert core.client("ann").names("/open") == [f"ACME-{number}" for number in (1, 2, 3, 5, 6, 7)]
    assert core.client("gus").names("/") == ["my-cases"]
    assert core.client("gus").names("/my-cases") == ["GLOBEX-1"]
    with pytest.raises(NotFoundError):
        core.client("gus").stat("/my-cases/ACME-1")


def test_directories_are_called_as_the_kind_of_case_has_them(core):
    """A file in the folder itself is a deposit into whatever the upload directory is called."""
    ann = core.client("ann")
    assert ann.names("/ACME-6") == [".meta", "labels", "photos"]
    ann.put("/ACME-6/door.jpg", b"one")
    ann.put("/ACME-6/photos/roof.jpg", b"two")
    assert ann.names("/ACME-6/photos") == ["door.jpg", "roof.jpg"]
    assert ann.names("/ACME-7") == [".meta", "from-support"]
    with pytest.raises(NotFoundError):
        ann.put("/ACME-7/file", b"one")


def test_rename_between_two_ways_to_one_case_is_a_rename(core):
    """And between two cases it stays refused, whatever the ways are called."""
    ann = core.client("ann")
    ann.put("/ACME-1/to-support/before", b"x")
    ann.rename("/open/ACME-1/to-support/before", "/cases/ACME-1/to-support/after")
    assert "after" in ann.names("/ACME-1/to-support")
    with pytest.raises(RejectedError):
        ann.rename("/open/ACME-1/to-support/after", "/open/ACME-2/to-support/after")


@pytest.mark.parametrize(
    ("layout", "path", "said"),
    [
        ({"folders": [{"paths": ["/{case.nummer}"]}]}, "layout.folders[0].paths[0]", "{case.number}"),
        (
            {"folders": [{"paths": ["/{case.number}", "/../{case.number}"]}]},
            "layout.folders[0].paths[1]",
            "every system",
        ),
        ({"folders": [{}]}, "layout.folders[0].paths", "at least one template"),
        ({"folders": [{"mine": ["/m/{case.number}"]}]}, "layout.folders[0].mine", "engineer"),
        (
            {"folders": [{"match": {"role": "engineer"}, "mine": ["/{case.title}"]}]},
            "layout.folders[0].mine[0]",
            "{case.number}",
        ),
        (
            {"folders": [{"match": {"role": "boss"}, "paths": ["/{case.number}"]}]},
            "layout.folders[0].match.role",
            "customer",
        ),
        ({"folders": [{"paths": ["/{case.number}"]}] * 2}, "layout.folders[0].match", "ever reached"),
        ({"directories": [{"upload": "../up"}]}, "layout.directories[0]", "cannot be the name"),
        ({"directories": [{"upload": "FROM-support"}]}, "layout.directories[0]", "different names"),
        ({"upload": "a."}, "layout", "every system"),
        ({"folder": []}, "layout.folder", "folders"),
    ],
)
def test_layout_that_cannot_work_is_refused_at_start(layout, path, said):
    """The error names the key, and says what would do."""
    document = {
        "listeners": [{"protocol": "sftp", "port": 2222}],
        "regions": {"eu": {"keyring": {"passphrase": "correct horse"}}},
        "lookup": {"table": {"customers": []}},
        "layout": layout,
    }
    with pytest.raises(ConfigError) as caught:
        parse_config(document, base=Path("/base"))
    found = {fault.path: f"{fault.expected} {fault.found} {fault.nearest}" for fault in caught.value.faults}
    assert path in found
    assert said in found[path]
