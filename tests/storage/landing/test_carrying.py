"""A landing log carried to another zone: the same sealed bytes, whole under its name or not there at all."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import pytest

from storage.errors import LandingNotFoundError, StoreUnavailableError
from storage.landing import LandingZone

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KEY = os.urandom(32)


def names(directory: Path) -> set[str]:
    """Say what lies in a directory."""
    return {path.name for path in directory.iterdir()}


@pytest.fixture
def zones(tmp_path: Path) -> Iterator[tuple[LandingZone, LandingZone]]:
    with contextlib.ExitStack() as stack:
        pair = LandingZone(tmp_path / "eu"), LandingZone(tmp_path / "us")
        for zone in pair:
            stack.callback(zone.close)
        yield pair


def land(zone: LandingZone, content: bytes) -> None:
    writer = zone.create("one", KEY)
    writer.write(0, content)
    writer.sync()
    writer.close()


def fail(_count: int) -> None:
    raise StoreUnavailableError("the disk failed")


def test_log_opens_where_it_was_carried_to(zones, tmp_path):
    """Its bytes are those of the source, which stays; every byte of it was paced."""
    source, target = zones
    content = os.urandom(3 * 2**20 + 7)
    land(source, content)
    paced: list[int] = []
    length = source.carry("one", target, paced.append)
    sealed = (tmp_path / "eu" / "one.landing").read_bytes()
    assert (length, sum(paced), (tmp_path / "us" / "one.landing").read_bytes()) == (len(sealed), len(sealed), sealed)
    reader = target.open("one", KEY, size=len(content))
    assert reader.read(0, len(content)) == content
    reader.close()
    assert list(source.ids()) == list(target.ids()) == ["one"]


def test_carrying_that_failed_midway_leaves_no_log_and_may_be_done_again(zones, tmp_path):
    """What came is under a name that is no log's; the next attempt replaces it, and `destroy` removes it."""
    source, target = zones
    land(source, b"content")
    with pytest.raises(StoreUnavailableError):
        source.carry("one", target, fail)
    assert names(tmp_path / "us") == {".zone", "one.arriving"}
    assert list(target.ids()) == []
    source.carry("one", target, lambda _count: None)
    assert names(tmp_path / "us") == {".zone", "one.landing"}
    with pytest.raises(StoreUnavailableError):
        source.carry("one", target, fail)
    target.destroy("one")
    assert names(tmp_path / "us") == {".zone"}


def test_log_that_is_not_there_cannot_be_carried(zones, tmp_path):
    """The error is that of opening it, and the other zone stays empty."""
    source, target = zones
    with pytest.raises(LandingNotFoundError):
        source.carry("one", target, lambda _count: None)
    assert names(tmp_path / "us") == {".zone"}
