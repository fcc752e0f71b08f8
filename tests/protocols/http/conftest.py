"""Fixtures of the HTTPS head's tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.protocols.http.house import House, make_certificate, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def house(certificate: tuple[Path, Path]) -> Iterator[House]:
    """A running head with default limits."""
    with running(certificate) as house:
        yield house
