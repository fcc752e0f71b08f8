"""Fixtures of the SFTP head's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protocols.sftp.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A running server with the accounts `alice` and `bob`."""
    running = Rig(tmp_path)
    yield running
    running.stop()
