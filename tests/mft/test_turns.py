"""Whose turn it is where few may go at once."""

from __future__ import annotations

import contextlib
import threading
import time

from mft.intake.turns import Turns


def test_most_urgent_of_those_that_wait_goes_next():
    """Whoever comes late and is urgent passes those that wait; among equals it goes by who came first."""
    turns, went, threads = Turns(1), [], []

    def go(name, urgency):
        with turns.taken(urgency):
            went.append(name)

    with turns.taken(3):
        for count, (name, urgency) in enumerate([("a", 4), ("b", 4), ("c", 3), ("d", 1)], start=1):
            threads.append(threading.Thread(target=go, args=(name, urgency)))
            threads[-1].start()
            while len(turns._waiting) < count:
                time.sleep(0.001)
        assert went == []
    for each in threads:
        each.join()
    assert went == ["d", "c", "a", "b"]


def test_as_many_go_at_once_as_may():
    """Two turns are had at once, a third waits for one of them, also where its holder has failed."""
    turns, inside, most = Turns(2), [], []

    def go():
        with turns.taken(1):
            inside.append(1)
            most.append(len(inside))
            time.sleep(0.01)
            inside.pop()
            raise ValueError

    def fail():
        with contextlib.suppress(ValueError):
            go()

    threads = [threading.Thread(target=fail) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert (len(most), max(most)) == (8, 2)
