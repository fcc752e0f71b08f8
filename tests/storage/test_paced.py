"""A paced store is a store, and tells how much is read."""

from __future__ import annotations

import pytest

from storage.memory import MemoryStore
from storage.paced import PacedStore
from tests.contracts.store import StoreContract


class TestPacedStore(StoreContract):
    @pytest.fixture
    def store(self):
        return PacedStore(MemoryStore(), lambda _count: None)


def test_pace_is_told_every_byte_when_an_object_is_read():
    """What is read is what the pace is told."""
    told = []
    store = PacedStore(MemoryStore(), told.append)
    store.put("bodies/ab/x", [b"a" * 1000])
    reader = store.open("bodies/ab/x")
    reader.read(0, 600)
    reader.read(600, 600)
    reader.close()
    assert told == [600, 400]
