"""Small objects that are opened before they are asked for: in order, by the same rules, closed if nobody asks."""

from __future__ import annotations

import threading
import time

import pytest

from mft.vfs import readahead
from mft.vfs.readahead import ReadAhead
from protocols.errors import NotFoundError
from storage.encrypted import EncryptedStore, SealedReader
from storage.errors import KeyUnavailableError
from tests.core import running_core, until

IN = "/ACME-1/to-support"
FILES = 12


def content(number):
    """Return what the file of that number holds."""
    return f"2026-11-03 10:00:{number:02} INFO file {number} of many\n".encode() * 20


@pytest.fixture
def house(tmp_path, nursery):
    """An installation with a folder of small files that are stored."""
    with running_core(tmp_path, nursery) as core:
        sender = core.client("ann")
        sender.mkdir(f"{IN}/logs")
        for number in range(FILES):
            sender.put(f"{IN}/logs/{number:03}.log", content(number))
        core.work()
        yield core


@pytest.fixture
def opened_alone(monkeypatch):
    """Count the objects that are opened by themselves, not with others ahead."""
    counted = []
    original = EncryptedStore.open

    def count(self, object_key):
        counted.append(object_key)
        return original(self, object_key)

    monkeypatch.setattr(EncryptedStore, "open", count)
    return counted


@pytest.fixture
def still_open(monkeypatch):
    """Keep account of the readers that are open."""
    there = set()
    made, closed = SealedReader.__init__, SealedReader.close

    def note(self, *args, **kwargs):
        made(self, *args, **kwargs)
        there.add(self)

    def close(self):
        closed(self)
        there.discard(self)

    monkeypatch.setattr(SealedReader, "__init__", note)
    monkeypatch.setattr(SealedReader, "close", close)
    return there


def fetch(reader, numbers):
    """Read files one after the other, each when those that were begun ahead are there, and see that they are right."""
    for number in numbers:
        assert reader.get(f"{IN}/logs/{number:03}.log") == content(number)


@pytest.mark.parametrize("login", ["eve", "ann"])
def test_a_folder_that_is_read_in_order_is_opened_ahead(house, opened_alone, still_open, login):
    """From the fourth file on most are there when they are asked for; each opening is on record all the same."""
    before = len(house.events("file.opened"))
    reader = house.client(login)
    for number in range(FILES):
        fetch(reader, [number])
        batches = list(house.read_ahead._batches)
        until(lambda batches=batches: all(each.opened.done() for each in batches))
    assert len(opened_alone) == 3
    assert len(house.events("file.opened")) == before + FILES
    assert house.read_ahead.waiting == 0
    assert not still_open


def test_single_files_and_other_orders_open_nothing_ahead(house, opened_alone):
    """Who reads backwards, or here and there, has nothing opened that was not asked for."""
    fetch(house.client("eve"), reversed(range(FILES)))
    for number in range(FILES):
        fetch(house.client("eve"), [number])
    assert len(opened_alone) == 2 * FILES
    assert house.read_ahead.waiting == 0


def test_who_asks_for_few_of_many_is_soon_left_alone(house, still_open, monkeypatch):
    """Files of a folder in its order, but not one after the other: what was opened in vain is closed, no more is."""
    monkeypatch.setattr(readahead, "_WASTED", 2)
    reader = house.client("eve")
    fetch(reader, range(3))
    assert house.read_ahead.waiting == 4
    fetch(reader, [8])
    assert house.read_ahead.waiting == 0
    until(lambda: not still_open)
    fetch(reader, range(9, FILES))
    assert house.read_ahead.waiting == 0


def test_what_nobody_asks_for_is_closed_in_time(house, still_open):
    """A session that stops half-way leaves nothing open for long."""
    reader = house.client("eve")
    fetch(reader, range(4))
    until(lambda: len(still_open) >= 3)
    house.read_ahead.sweep()
    assert house.read_ahead.waiting
    house.read_ahead.clock = lambda clock=house.read_ahead.clock: clock() + 60
    house.read_ahead.sweep()
    assert house.read_ahead.waiting == 0
    until(lambda: not still_open)
    fetch(reader, range(4, FILES))  # and goes on


def test_there_is_an_end_to_what_is_opened_ahead(house, monkeypatch):
    """However many sessions read, no more than so many objects wait; the oldest go first."""
    monkeypatch.setattr(house.read_ahead, "_most", 10)
    readers = [house.client("eve") for _ in range(6)]
    for number in range(6):
        for reader in readers:
            fetch(reader, [number])
            assert house.read_ahead.waiting <= 10
    for number in range(6, FILES):
        for reader in readers:
            fetch(reader, [number])


def test_a_file_that_is_sent_anew_is_read_anew(house):
    """What was opened ahead is an object, not a name: the version that counts when a file is opened is read."""
    reader = house.client("ann")
    fetch(reader, range(4))
    until(lambda: all(each.opened.done() for each in list(house.read_ahead._batches)))
    house.client("ann").put(f"{IN}/logs/004.log", b"another version\n")
    house.work()
    assert reader.get(f"{IN}/logs/004.log") == b"another version\n"
    fetch(reader, range(5, 8))
    house.system.change_case("ACME-1", {"state": "closed"})
    with pytest.raises(NotFoundError):
        reader.get(f"{IN}/logs/008.log")


def test_what_cannot_be_opened_ahead_is_opened_when_it_is_asked_for(house, monkeypatch):
    """No key, no store, no thread: the session notices nothing."""
    monkeypatch.setattr(house.keys, "open_keys", _refuse)
    fetch(house.client("eve"), range(FILES // 2))
    monkeypatch.undo()
    monkeypatch.setattr(EncryptedStore, "open_together", _fail)
    fetch(house.client("eve"), range(FILES // 2))
    house.read_ahead.close()
    fetch(house.client("eve"), range(FILES))


def test_a_store_that_is_slow_is_waited_for_once_for_several(house, monkeypatch):
    """Where each object takes its time, those that come next take it together."""
    gate, waiting = threading.Event(), []
    original = EncryptedStore.open_together

    def slowly(self, keys):
        waiting.append(len(keys))
        gate.wait(20)
        return original(self, keys)

    monkeypatch.setattr(EncryptedStore, "open_together", slowly)
    reader = house.client("eve")
    fetch(reader, range(3))
    until(lambda: waiting == [4])
    done = threading.Thread(target=fetch, args=(reader, range(3, FILES)))
    done.start()
    gate.set()
    done.join(20)
    assert not done.is_alive()


def test_where_each_object_takes_its_time_the_threads_share_them(house, monkeypatch):
    """A quick store is asked for many by one thread, a slow one for few by each of several."""
    original, asked = EncryptedStore.open_together, []

    def slowly(self, keys):
        asked.append(len(keys))
        time.sleep(0.03 * len(keys))
        return original(self, keys)

    fetch(house.client("eve"), range(FILES))
    assert house.read_ahead.together == 8
    monkeypatch.setattr(EncryptedStore, "open_together", slowly)
    for _ in range(2):
        fetch(house.client("eve"), range(FILES))
    assert house.read_ahead.together == 2
    assert asked[0] == 4
    assert max(asked[-3:]) == 2


def test_the_end_of_the_process_closes_everything(house, still_open):
    """Nothing is left open when a worker ends."""
    fetch(house.client("eve"), range(5))
    house.read_ahead.close()
    until(lambda: not still_open)


def test_nothing_is_begun_after_the_end(house):
    """A process that ends opens nothing any more."""
    ahead = ReadAhead(database=house.database, objects=house.parts.objects)
    ahead.close()
    assert ahead.begin([], house.parts.cases.peek("ACME-1"), "eu") is None


def _refuse(_envelopes):
    raise KeyUnavailableError("not now")


def _fail(_store, _keys):
    raise RuntimeError("whatever it may be")
