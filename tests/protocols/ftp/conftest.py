"""Fixtures of the FTPS head's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protocols.ftp.rig import House, running
from tests.protocols.http.house import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def house(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A running head with explicit TLS."""
    with running(certificate) as house:
        yield house
