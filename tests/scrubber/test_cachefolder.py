"""What is compiled from the rules is kept where nobody else can write, and only taken from there."""

from __future__ import annotations

import os
import stat

import pytest

from scrubber import cachefolder
from scrubber.anchor import Anchor
from scrubber.anchors import AnchorSet, HyperscanScanner, _compile


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "cache" / "mft"
    cachefolder.keep_in(place)
    yield place
    cachefolder.keep_in(None)


def test_kept_is_fetched(folder):
    """What was kept comes back; folder and file are closed to others."""
    cachefolder.keep("a", b"data")
    assert cachefolder.fetch("a") == b"data"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a").stat().st_mode) == 0o600
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_nothing_is_kept_without_a_folder(tmp_path, monkeypatch):
    """Without a folder nothing is written anywhere, and nothing is found."""
    monkeypatch.chdir(tmp_path)
    cachefolder.keep_in(None)
    cachefolder.keep("a", b"data")
    assert cachefolder.fetch("a") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_is_passed_over(folder, mode):
    """A file that a group or everybody may write to is not trusted."""
    cachefolder.keep("a", b"data")
    (folder / "a").chmod(mode)
    assert cachefolder.fetch("a") is None


@pytest.mark.parametrize("mode", [0o770, 0o777, 0o1777])
def test_folder_that_others_may_write_is_passed_over(folder, mode):
    """In a folder that others may write to nothing is trusted and nothing is kept."""
    cachefolder.keep("a", b"data")
    folder.chmod(mode)
    assert cachefolder.fetch("a") is None
    cachefolder.keep("b", b"data")
    assert not (folder / "b").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_folder_of_somebody_else_is_passed_over(folder):
    """Another user's folder is not trusted, whatever its mode."""
    cachefolder.keep("a", b"data")
    os.chown(folder, 12345, 12345)
    assert cachefolder.fetch("a") is None


def test_link_is_passed_over(folder, tmp_path):
    """A link in the file's or the folder's place is not followed."""
    cachefolder.keep("a", b"data")
    (folder / "b").symlink_to(folder / "a")
    assert cachefolder.fetch("b") is None
    (tmp_path / "link").symlink_to(folder)
    cachefolder.keep_in(tmp_path / "link")
    assert cachefolder.fetch("a") is None


@pytest.mark.parametrize("damage", [b"", b"short", b"\0" * 100])
def test_damaged_file_is_passed_over(folder, damage):
    """A file that is cut or altered is as none."""
    cachefolder.keep("a", b"data")
    (folder / "a").write_bytes(damage)
    assert cachefolder.fetch("a") is None


def test_place_that_cannot_be_made_is_no_failure(tmp_path):
    """Where the folder cannot be, all goes on without it."""
    (tmp_path / "file").write_bytes(b"")
    cachefolder.keep_in(tmp_path / "file" / "mft")
    try:
        cachefolder.keep("a", b"data")
        assert cachefolder.fetch("a") is None
    finally:
        cachefolder.keep_in(None)


def test_oldest_files_go(folder):
    """Old versions' files do not pile up."""
    for number in range(cachefolder.MOST_FILES + 3):
        cachefolder.keep(f"a{number}", b"data")
        os.utime(folder / f"a{number}", (number, number))
    cachefolder.keep("last", b"data")
    names = {path.name for path in folder.iterdir()}
    assert len(names) == cachefolder.MOST_FILES
    assert "last" in names
    assert "a0" not in names


def test_kept_database_finds_the_same(folder):
    """A scanner from a kept database gives the events of one that was compiled, and of one whose file is damaged."""
    pytest.importorskip("hyperscan")
    anchors = [Anchor(pattern=rb"ab[0-9]{2}"), Anchor(pattern=b"xyz", caseless=True)]
    block = b"ab12 XyZ ab9 xyz ab77"
    wanted = None
    for turn in range(3):
        _compile.cache_clear()
        events = sorted(HyperscanScanner(AnchorSet(anchors)).scan(block))
        wanted = wanted or events
        assert events == wanted
        (kept,) = folder.iterdir()
        if turn == 1:
            kept.write_bytes(b"damaged")
    assert len(events) == 4
    _compile.cache_clear()
