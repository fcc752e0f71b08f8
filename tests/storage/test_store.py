"""Both stores of this package against the contract, and what is special to the local one."""

import errno
import os
import resource
import signal
import tempfile
from pathlib import Path

import pytest

from storage.errors import ObjectExistsError, ObjectNameError, OutOfSpaceError, StoreUnavailableError
from storage.local import LocalStore
from storage.memory import MemoryStore
from storage.store import body_name, new_object_key, parse_object_key, slot_name
from tests.contracts.store import StoreContract


class TestMemoryStore(StoreContract):
    """The contract on `MemoryStore`."""

    @pytest.fixture
    def store(self):
        return MemoryStore()


class TestLocalStore(StoreContract):
    """The contract on `LocalStore`, and crashes and full disks."""

    @pytest.fixture
    def store(self, tmp_path):
        return LocalStore(tmp_path / "region")

    def test_second_store_on_the_same_root_sees_the_same(self, store, tmp_path):
        """A restart finds what was stored."""
        store.put("a/b", [b"x"])
        assert LocalStore(tmp_path / "region").open("a/b").read(0, 1) == b"x"

    @pytest.mark.parametrize("left", ["nothing", "mount point", "file"])
    def test_disk_that_is_not_mounted_is_no_empty_store(self, store, tmp_path, left):
        """Nothing is written below the mount point, missed, or taken for deleted; with the disk all is back."""
        store.put("a/b", [b"x"])
        place, away = tmp_path / "region", tmp_path / "away"
        place.rename(away)
        if left == "mount point":
            place.mkdir()
        elif left == "file":
            place.write_text("no directory")
        for question in (
            lambda: store.put("a/c", [b"y"]),
            lambda: store.put("a/b", [b"y"], replace=True),
            lambda: LocalStore(place, make=False).put("d/e", [b"y"]),
            lambda: store.resume("a/c"),
            lambda: store.open("a/b"),
            lambda: store.stat("a/b"),
            lambda: store.delete("a/b"),
            lambda: list(store.list()),
        ):
            with pytest.raises(StoreUnavailableError, match="is its disk mounted"):
                question()
        assert left != "mount point" or list(place.iterdir()) == []
        if left != "nothing":
            place.rmdir() if place.is_dir() else place.unlink()
        away.rename(place)
        assert store.open("a/b").read(0, 1) == b"x"
        assert not store.delete("a/b")
        assert list(store.list()) == []

    @pytest.mark.parametrize("step", ["write", "fsync", "link"])
    @pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
    def test_failing_disk_leaves_nothing(self, store, tmp_path, monkeypatch, step, code):
        """A full or broken disk at any step is named, and nothing is left behind."""

        def fail(*_arguments, **_keywords):
            raise OSError(code, os.strerror(code))

        store.put("a/before", [b"x"])
        monkeypatch.setattr(os, step, fail)
        with pytest.raises(StoreUnavailableError if code == errno.EIO else OutOfSpaceError):
            store.put("a/b", [b"data"])
        monkeypatch.undo()
        files = [path.name for path in (tmp_path / "region").rglob("*") if path.is_file()]
        assert files == ["before"]
        store.put("a/b", [b"data"])

    @pytest.mark.parametrize("replace", [False, True])
    def test_disk_that_fills_at_any_step_leaves_the_old_or_the_new(self, tmp_path, monkeypatch, replace):
        """Whichever call of a put is the first to find the disk full: what was there stays, whole, and nothing else."""
        real = {step: getattr(os, step) for step in ("open", "write", "fsync", "link", "mkdir", "replace")}
        full_at = count = 0

        def failing(step):
            def call(*arguments, **keywords):
                nonlocal count
                count += 1
                if count == full_at:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                return real[step](*arguments, **keywords)

            return call

        refused = 0
        for full_at in range(1, 100):
            root = tmp_path / str(full_at)
            store = LocalStore(root)
            if replace:
                store.put("slots/ab/one", [b"old"])
            count = 0
            with monkeypatch.context() as patch:
                for step in real:
                    patch.setattr(os, step, failing(step))
                try:
                    store.put("slots/ab/one", [b"ne", b"w"], replace=replace)
                except OutOfSpaceError:
                    refused += 1
            found = {path.name: path.read_bytes() for path in root.rglob("*") if path.is_file()}
            if count < full_at:
                assert found == {"one": b"new"}
                break
            # The last call makes the name durable: when it fails the new is there, and was not acknowledged.
            assert found in ([{"one": b"old"}, {"one": b"new"}] if replace else [{}, {"one": b"new"}])
            store.put("slots/ab/two", [b"x"])
        assert refused >= 6

    def test_disk_that_is_really_full_takes_all_or_nothing(self, tmp_path):
        """Under a limit of the file system's or the process's every object is whole, or refused and gone."""
        store = LocalStore(tmp_path / "region")
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
            for size in range(90_000, 110_000, 1_999):
                try:
                    store.put(f"s{size}", [bytes(700)] * (size // 700))
                except OutOfSpaceError:
                    assert size // 700 * 700 > 100_000
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
            signal.signal(signal.SIGXFSZ, handler)
        sizes = [size // 700 * 700 for size in range(90_000, 110_000, 1_999)]
        assert {found.size for found in store.list()} == {size for size in sizes if size <= 100_000}
        assert [path for path in (tmp_path / "region/.incoming").rglob("*") if path.is_file()] == []

    def test_file_and_every_directory_are_synced_before_put_returns(self, store, tmp_path, monkeypatch):
        """The file, its directory and each newly made parent are fsynced, the file first."""
        synced = []
        fsync = os.fsync
        monkeypatch.setattr(
            os, "fsync", lambda fd: (synced.append(str(Path(f"/proc/self/fd/{fd}").readlink())), fsync(fd))
        )
        store.put("bodies/ab/one", [b"x"])
        root = str(tmp_path / "region")
        assert synced[0].startswith(root + "/.incoming/")
        assert synced[1:] == [root, root + "/bodies", root + "/bodies/ab"]

    def test_reap_removes_old_leftovers_only(self, store, tmp_path):
        """What a crash left is removed once it is old; what is stored never is."""
        store.put("a", [b"x"])
        left = tmp_path / "region" / ".incoming" / "crashed"
        left.write_bytes(b"sealed")
        store.put("probes/left", [b"x"])
        assert store.reap(3600) == 0
        for path in (left, tmp_path / "region/probes/left"):
            os.utime(path, (0, 0))
        assert store.reap(3600) == 2
        assert [found.name for found in store.list()] == ["a"]

    def test_immediate_read_gives_what_is_in_memory(self, store):
        """What was just written is; what is not there is not, and never an error."""
        store.put("a", [b"0123456789"])
        reader = store.open("a")
        into = memoryview(bytearray(4))
        assert reader.read_immediate(into, 3)
        assert bytes(into) == b"3456"
        assert not reader.read_immediate(into, 8)
        assert reader.read(8, 4) == b"89"
        reader.close()
        assert not reader.read_immediate(into, 0)

    @pytest.mark.parametrize("code", [errno.EAGAIN, errno.EOPNOTSUPP, errno.EIO])
    def test_immediate_read_says_no_where_it_would_wait(self, store, monkeypatch, code):
        """A page that is not in memory, a file system that cannot tell, a broken disk: `read` is for those."""

        def refuse(*_arguments):
            raise OSError(code, os.strerror(code))

        store.put("a", [b"0123456789"])
        reader = store.open("a")
        monkeypatch.setattr(os, "preadv", refuse)
        assert not reader.read_immediate(memoryview(bytearray(4)), 0)
        assert reader.read(3, 4) == b"3456"

    def test_immediate_read_takes_a_file_system_in_memory_at_its_word(self, tmp_path):
        """Where preadv2 knows no flags on tmpfs, all is in memory all the same."""
        memory = Path("/dev/shm")
        if not memory.is_dir():
            pytest.skip("no file system in memory here")
        with tempfile.TemporaryDirectory(dir=memory) as directory:
            store = LocalStore(Path(directory) / "region")
            store.put("a", [b"0123456789"])
            into = memoryview(bytearray(4))
            assert store.open("a").read_immediate(into, 3)
            assert bytes(into) == b"3456"

    def test_name_below_an_object_is_refused(self, store):
        """A file cannot become a directory."""
        store.put("a", [b"x"])
        with pytest.raises(ObjectExistsError):
            store.put("a/b", [b"y"])

    def test_files_are_for_their_owner_alone(self, store, tmp_path):
        """Objects have mode 0600."""
        store.put("a/b", [b"x"])
        assert (tmp_path / "region/a/b").stat().st_mode & 0o777 == 0o600


def test_object_keys_are_random_and_strict():
    """A key is 32 lower-case hexadecimal digits and nothing else."""
    key = new_object_key()
    assert parse_object_key(key) == key != new_object_key()
    assert (body_name(key), slot_name(key)) == (f"bodies/{key[:2]}/{key}", f"slots/{key[:2]}/{key}")
    for text in ("", key.upper().replace("0", "A"), key + "0", key[:-1], key[:-1] + "/", key + "\n"):
        with pytest.raises(ObjectNameError):
            parse_object_key(text)
