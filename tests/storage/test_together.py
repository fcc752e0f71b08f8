"""Body and slot put at once: what a full disk, a failing one, a killed process and a power cut leave of them."""

import errno
import os
import signal
from pathlib import Path

import pytest

from storage.errors import ObjectExistsError, ObjectNotFoundError, OutOfSpaceError, StoreUnavailableError
from storage.local import LocalStore
from storage.regional import Placement, RegionalStore

BODY, SLOT = "bodies/ab/one", "slots/ab/one"
STEPS = ("open", "write", "fsync", "mkdir", "link", "unlink")


@pytest.fixture(autouse=True, params=["with names", "without"])
def _naming(request, monkeypatch):
    """Files on their way have names where the system has none without."""
    if request.param == "with names":
        monkeypatch.setattr("storage.incoming._HAS_NAMELESS", False)


def put(store, body=(b"sealed ", b"body"), slot=(b"the slot",)):
    return store.put_together([(BODY, body), (SLOT, slot)])


def stored(root):
    """Give what has a name, by name."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file() and ".incoming" not in path.parts
    }


def watch(monkeypatch, happen):
    """Have *happen* told of each step, by its number and with its arguments, before it is taken."""
    count = 0

    def watched(step, real):
        def call(*arguments, **keywords):
            nonlocal count
            count += 1
            happen(count, step, arguments)
            return real(*arguments, **keywords)

        return call

    for step in STEPS:
        monkeypatch.setattr(os, step, watched(step, getattr(os, step)))


def test_both_are_there_and_described(tmp_path):
    """Both objects are stored as if each had been put, and neither is put over what is there."""
    store = LocalStore(tmp_path)
    assert [(each.name, each.size) for each in put(store)] == [(BODY, 11), (SLOT, 8)]
    assert (store.open(BODY).read(0, 99), store.open(SLOT).read(0, 99)) == (b"sealed body", b"the slot")
    with pytest.raises(ObjectExistsError):
        put(store, [b"another"])
    with pytest.raises(ObjectExistsError):
        store.put_together([("bodies/ab/two", [b"x"]), (SLOT, [b"y"])])
    assert stored(tmp_path) == {BODY: b"sealed body", SLOT: b"the slot"}


def test_second_is_asked_for_once_the_first_has_ended(tmp_path):
    """What the slot says of the body is known only when the body has been read."""
    read = []

    def body():
        yield b"one"
        yield b"two"
        read.append("all")

    def slot():
        yield " ".join(read).encode()

    put(LocalStore(tmp_path), body(), slot())
    assert stored(tmp_path)[SLOT] == b"all"


@pytest.mark.parametrize("breaks", ["body", "slot"])
def test_source_that_breaks_off_leaves_neither(tmp_path, breaks):
    """An exception of either source comes out, and nothing has a name."""

    def broken():
        yield b"begun"
        raise EOFError

    store = LocalStore(tmp_path)
    with pytest.raises(EOFError):
        put(store, **{breaks: broken()})
    assert stored(tmp_path) == {}
    assert list((tmp_path / ".incoming").iterdir()) == []


@pytest.mark.parametrize(("code", "error"), [(errno.ENOSPC, OutOfSpaceError), (errno.EIO, StoreUnavailableError)])
def test_disk_that_fails_at_any_step_leaves_neither(tmp_path, monkeypatch, code, error):
    """Whichever step finds the disk full or broken: the error says so, and neither has a name; next time both have."""
    refused = 0
    for fails_at in range(1, 60):
        root = tmp_path / str(fails_at)
        store = LocalStore(root)

        def fail(number, step, _arguments, fails_at=fails_at):
            if number == fails_at and step != "unlink":
                raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            watch(patch, fail)
            try:
                put(store)
            except error:
                refused += 1
                assert stored(root) == {}
            else:
                assert len(stored(root)) == 2
                if refused > 8:
                    break
                continue
        put(store)
        assert len(stored(root)) == 2
    assert refused > 8


def test_process_killed_at_any_step_leaves_no_slot_without_its_body(tmp_path):
    """After kill -9 before any step the slot is there with all of its body or not at all, and the rest is reaped."""
    outcomes = set()
    for number in range(1, 60):
        root = tmp_path / str(number)
        store = LocalStore(root)
        child = os.fork()
        if not child:
            _put_until_killed(store, number)
        _, status = os.waitpid(child, 0)
        found = stored(root)
        assert found.get(SLOT, b"the slot") == b"the slot"
        assert found.get(BODY, b"sealed body") == b"sealed body"
        assert SLOT not in found or BODY in found
        outcomes.add(len(found))
        again = LocalStore(root)
        again.reap(0)
        assert list((root / ".incoming").iterdir()) == []
        for name in (SLOT, BODY):
            again.delete(name)
        put(again)
        if not os.WIFSIGNALED(status):
            break
    assert outcomes == {0, 1, 2}


def _put_until_killed(store, number):
    """Put in a process that is killed before its step of that *number*, and end it."""

    def kill(count, _step, _arguments):
        if count == number:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        watch(pytest.MonkeyPatch(), kill)
        put(store)
        os._exit(0)
    finally:
        os._exit(1)


def test_order_of_what_is_made_durable(tmp_path, monkeypatch):
    """Both files are synced before either has a name, the body has its name first, and both names are synced last."""
    store = LocalStore(tmp_path)
    put(store)
    for name in (SLOT, BODY):
        store.delete(name)
    seen = []

    def note(_number, step, arguments):
        if step == "fsync":
            seen.append(f"sync {_place(arguments[0], tmp_path)}")
        elif step == "link":
            seen.append(f"name {Path(arguments[1]).relative_to(tmp_path)}")

    watch(monkeypatch, note)
    put(store)
    assert seen == [
        "sync .incoming", "sync .incoming", f"name {BODY}", f"name {SLOT}", "sync bodies/ab", "sync slots/ab",
    ]  # fmt: skip


def _place(fd, root):
    path = Path(f"/proc/self/fd/{fd}").readlink()
    return path.relative_to(root) if path.is_dir() else path.parent.relative_to(root)


class SeparateStore:
    """A store that knows nothing of putting together, over one that does."""

    def __init__(self, inner, failing=""):
        self.inner = inner
        self.failing = failing

    def put(self, name, chunks, *, replace=False):
        done = self.inner.put(name, chunks, replace=replace)
        if name == self.failing:
            raise StoreUnavailableError("the answer was lost")
        return done

    def stat(self, name):
        return self.inner.stat(name)

    def delete(self, name):
        self.inner.delete(name)


@pytest.mark.parametrize("failing", [BODY, SLOT])
def test_store_without_it_puts_one_after_the_other(tmp_path, failing):
    """Where a store cannot, each is put by itself; if the second fails, or may have failed, the first goes too."""
    regional = RegionalStore({"eu": SeparateStore(LocalStore(tmp_path))}, Placement(home="eu"))
    assert [each.size for each in put(regional)] == [11, 8]
    regional.delete(SLOT)
    regional.delete(BODY)
    failed = RegionalStore({"eu": SeparateStore(LocalStore(tmp_path), failing)}, Placement(home="eu"))
    with pytest.raises(StoreUnavailableError):
        put(failed)
    with pytest.raises(ObjectNotFoundError):
        failed.stat(SLOT, region="eu")
    assert (BODY in stored(tmp_path)) == (failing == BODY)
