"""Which region is read first: measurements against the configured order."""

import itertools

import pytest

from storage.errors import StoreUnavailableError
from storage.keys.envelope import Region
from storage.memory import MemoryStore
from storage.nearness import SAMPLES, Nearness, measure

EU, US, IN = Region("eu"), Region("us"), Region("in")


def settled(**seconds):
    nearness = Nearness()
    for _ in range(SAMPLES):
        for region, each in seconds.items():
            nearness.note(Region(region), each)
    return nearness


@pytest.mark.parametrize(
    ("seconds", "order"),
    [
        ({}, (EU, US, IN)),
        ({"eu": 0.08, "us": 0.08, "in": 0.08}, (EU, US, IN)),
        ({"eu": 0.2, "us": 0.08, "in": 0.01}, (IN, US, EU)),
        ({"eu": 0.08, "us": 0.07, "in": 0.06}, (EU, US, IN)),  # about as near
        ({"eu": 0.004, "us": 0.001}, (EU, US, IN)),  # not worth it
        ({"eu": 0.3, "in": 0.01}, (EU, US, IN)),  # what was not measured stays where it was put, and stops others
        ({"us": 0.3, "in": 0.01}, (EU, IN, US)),
    ],
)
def test_clearly_nearer_goes_first(seconds, order):
    """A region passes those that answer clearly later; else the configured order stands."""
    assert settled(**seconds).order((EU, US, IN)) == order


def test_a_few_measurements_say_nothing():
    """One answer that was late or early changes no order."""
    nearness = Nearness()
    for count in range(1, SAMPLES + 1):
        assert nearness.order((EU, US)) == (EU, US)
        nearness.note(EU, 0.2)
        nearness.note(US, 0.01)
        assert (nearness.seconds(EU) is None) == (count < SAMPLES)
    assert nearness.order((EU, US)) == (US, EU)


def test_regions_about_as_near_do_not_change_places_again_and_again():
    """Who is ahead stays so until the lead is lost, and has to win it anew."""
    nearness = settled(eu=0.100, us=0.060)
    assert nearness.order((EU, US)) == (US, EU)
    for _ in range(40):
        nearness.note(US, 0.085)
    assert nearness.order((EU, US)) == (US, EU)
    for _ in range(40):
        nearness.note(US, 0.095)
    assert nearness.order((EU, US)) == (EU, US)
    for _ in range(40):
        nearness.note(US, 0.085)
    assert nearness.order((EU, US)) == (EU, US)


def test_measuring_takes_the_best_of_some_tries():
    """A hold-up of one request is not a distance."""
    clock = itertools.accumulate([0.0, 0.9, 0.0, 0.02, 0.0, 0.4]).__next__
    assert measure(MemoryStore(), clock) == pytest.approx(0.02)


def test_store_that_does_not_answer_cannot_be_measured():
    """The error is told, and nothing is taken for an answer."""

    class SilentStore(MemoryStore):
        def stat(self, name):
            raise StoreUnavailableError(name)

    with pytest.raises(StoreUnavailableError):
        measure(SilentStore())
