"""Fixtures of WebDAV's tests: one head for a module's tests, each with a folder of its own."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from tests.protocols.http.dav.folder import Folder
from tests.protocols.http.house import make_certificate, running
from tests.protocols.memory import MemoryTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.protocols.http.house import House

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def house(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A running head over a tree with a folder that nobody may write in."""
    with running(certificate, tree=MemoryTree("/out")) as house:
        house.tree.read_only.add(("out",))
        house.tree.add("/out/report.txt", b"report")
        house.authenticator.passwords["bob"] = "pass"
        yield house


@pytest.fixture
def folder(house: House) -> Folder:
    """An empty folder that is this test's alone."""
    name = f"folder{next(_numbers)}"
    house.tree.directories.add((name,))
    return Folder(house, name)
