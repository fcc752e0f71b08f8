"""Fixtures of the end-to-end tests: a house that the tests of a module share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.house import running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.house import House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A running house, for all tests of a module: each uses names of its own."""
    with running_house(tmp_path_factory.mktemp("house")) as house:
        yield house
