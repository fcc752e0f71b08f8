"""Reading from the region whose store answers soonest."""

from __future__ import annotations

import time

import pytest

from mft.objects import Objects
from mft.policy import Residency, ResidencyRules
from mft.server.distances import Distances
from storage.errors import StoreUnavailableError
from storage.memory import MemoryStore
from storage.nearness import SAMPLES

PLACED = Residency(home="eu", copies=("us",), readers=frozenset({"eu", "us"}), rule="", reason="")


class FarStore(MemoryStore):
    """One behind a long line; cut, it does not answer."""

    cut = False

    def stat(self, name):
        if self.cut:
            raise StoreUnavailableError("no answer")
        time.sleep(0.05)
        return super().stat(name)


def objects(*, by_latency):
    rules = ResidencyRules(home="eu", regions=frozenset({"eu", "us"}), nearest={"eu": ("us",), "us": ("eu",)})
    stores = {"eu": FarStore(), "us": MemoryStore()}
    return Objects(database=None, keys=None, stores=stores, rules=rules, by_latency=by_latency), stores


def test_nearest_is_what_answers_soonest():
    """An entrance reads elsewhere than at its own region where that is measured to be clearly nearer."""
    made, _ = objects(by_latency=True)
    assert made.read_order(PLACED, "eu") == ("eu", "us")
    for _ in range(SAMPLES):
        made.measure("eu")
        made.measure("us")
    assert made.read_order(PLACED, "eu") == ("us", "eu")


def test_configured_order_stands_where_nothing_is_measured():
    """With `reading.nearness: configured` no answer changes the order."""
    made, _ = objects(by_latency=False)
    for _ in range(SAMPLES):
        assert made.measure("eu") is None
        assert made.measure("us") is None
    assert made.read_order(PLACED, "eu") == ("eu", "us")


def test_region_that_does_not_answer_is_read_last():
    """A measurement that fails is told to the readers before one of them has to wait for it."""
    made, stores = objects(by_latency=True)
    stores["eu"].cut = True
    for _ in range(SAMPLES):
        with pytest.raises(StoreUnavailableError):
            made.measure("eu")
    assert made.read_order(PLACED, "eu") == ("us", "eu")


def test_each_region_is_measured_by_itself():
    """One that does not answer keeps nobody from measuring the others."""
    made, stores = objects(by_latency=True)
    stores["eu"].cut = True
    distances = Distances(made, every=0.01)
    distances.start()
    deadline = time.monotonic() + 60
    while made.read_order(PLACED, "eu") != ("us", "eu") and time.monotonic() < deadline:
        time.sleep(0.02)
    distances.stop()
    assert made.read_order(PLACED, "eu") == ("us", "eu")
