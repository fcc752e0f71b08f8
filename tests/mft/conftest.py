"""Fixtures of the application's tests: an installation without processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.core import Core, running_core, running_nursery

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.scrubbing.nursery import Nursery


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where scrub children come from; one for all tests."""
    with running_nursery() as nursery:
        yield nursery


@pytest.fixture
def core(tmp_path: Path) -> Iterator[Core]:
    """An installation that receives and shows, and scrubs nothing."""
    with running_core(tmp_path) as core:
        yield core


@pytest.fixture
def house(tmp_path: Path, nursery: Nursery) -> Iterator[Core]:
    """An installation with an intake: `house.work()` lets it do what waits."""
    with running_core(tmp_path, nursery) as core:
        yield core
