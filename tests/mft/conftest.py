"""Fixtures of the application's tests: an installation without processes."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

import pytest

import mft.cli
from tests.core import Core, running_core, running_nursery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mft.scrubbing.nursery import Nursery


@pytest.fixture(autouse=True)
def _no_burst(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let tests send as fast as they can, and have it worked on at once."""
    monkeypatch.setattr("mft.intake.waiting.BURST_FILES", 1000)


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """Where scrub children come from; one for all tests."""
    with running_nursery() as nursery:
        yield nursery


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Return a function that runs `mft` in this process: (exit code, standard output, standard error)."""
    monkeypatch.delenv("MFT_CONFIG", raising=False)

    def run(*arguments: object, stdin: bytes = b"") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mft", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        try:
            mft.cli.main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        else:
            code = 0
        out, error = capfd.readouterr()
        return code, out, error

    return run


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
