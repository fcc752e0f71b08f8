"""Placements, copies and reading on elsewhere."""

import hashlib

import pytest

from storage.errors import (
    DifferingCopyError,
    NoReplicaError,
    ObjectExistsError,
    ObjectNotFoundError,
    RegionNotAllowedError,
    StoreUnavailableError,
)
from storage.health import StoreHealth
from storage.keys.envelope import Region
from storage.local import LocalStore
from storage.memory import MemoryStore
from storage.regional import Placement, RegionalStore

EU, US, AP = Region("eu"), Region("us"), Region("ap")


class WeakStore(MemoryStore):
    """A memory store that can be told to fail, at once or after some reads, or to damage what it is given."""

    down = False
    reads_left = None
    damage = False

    def open(self, name):
        if self.down:
            raise StoreUnavailableError("down")
        reader = super().open(name)
        read = reader.read

        def weak_read(offset, length):
            if self.down or self.reads_left == 0:
                raise StoreUnavailableError("went down")
            if self.reads_left is not None:
                self.reads_left -= 1
            return read(offset, length)

        reader.read = weak_read
        return reader

    def put(self, name, chunks, *, replace=False):
        if self.down:
            raise StoreUnavailableError("down")
        stored = super().put(name, chunks, replace=replace)
        if self.damage:
            self._objects[name] = b"?" + self._objects[name][1:]
        return stored


@pytest.fixture
def stores():
    return {EU: WeakStore(), US: WeakStore(), AP: WeakStore()}


def regional(stores, *order, copies=(US,)):
    return RegionalStore(stores, Placement(home=EU, copies=copies, read_order=order))


def test_put_goes_home_only(stores):
    """An object lies at home and nowhere else until it is copied."""
    regional(stores, EU).put("a", [b"data"])
    assert [len(list(stores[region].list())) for region in (EU, US, AP)] == [1, 0, 0]


def test_read_takes_the_first_region_that_has_it(stores):
    """The order of the placement decides; a region without a copy is passed over."""
    both = regional(stores, US, EU)
    both.put("a", [b"data"])
    assert both.open("a").region == EU
    both.copy("a", EU, US)
    reader = both.open("a")
    assert (reader.region, reader.read(0, 9), reader.size) == (US, b"data", 4)
    assert both.stat("a").size == 4


def test_read_goes_on_elsewhere_when_a_region_fails(stores):
    """A store that goes down in mid-read costs nothing but a log line."""
    both = regional(stores, US, EU)
    both.put("a", [b"0123456789"])
    both.copy("a", EU, US)
    reader = both.open("a")
    assert reader.read(0, 5) == b"01234"
    stores[US].down = True
    assert (reader.read(5, 5), reader.region) == (b"56789", EU)
    stores[EU].down = True
    with pytest.raises(NoReplicaError):
        reader.read(0, 1)
    with pytest.raises(NoReplicaError):
        both.open("a")


def test_read_goes_on_when_the_object_is_withdrawn(stores):
    """A copy that is deleted while it is read is replaced by another one."""
    both = regional(stores, US, EU)
    both.put("a", [b"0123456789"])
    both.copy("a", EU, US)
    reader = both.open("a")

    def gone(offset, length):
        raise ObjectNotFoundError("withdrawn")

    reader._reader.read = gone
    assert reader.read(0, 3) == b"012"


def test_missing_and_unreachable_are_told_apart(stores):
    """Not found is said only when every allowed region has answered."""
    both = regional(stores, US, EU)
    with pytest.raises(ObjectNotFoundError):
        both.open("a")
    stores[US].down = True
    with pytest.raises(NoReplicaError):
        both.open("a")
    del stores[US]
    with pytest.raises(NoReplicaError):
        both.open("a")


def test_region_outside_the_placement_is_never_touched(stores):
    """No verb reaches a region that the placement does not name."""
    eu = regional(stores, EU)
    eu.put("a", [b"data"])
    stores[AP].put("a", [b"other"])
    verbs = [
        lambda: eu.put("b", [b"x"], region=AP),
        lambda: eu.copy("a", EU, AP),
        lambda: eu.copy("a", AP, EU),
        lambda: eu.delete("a", [AP]),
        lambda: eu.open_in(AP, "a"),
        lambda: eu.stat("a", region=AP),
        lambda: eu.list(AP),
    ]
    for verb in verbs:
        with pytest.raises(RegionNotAllowedError):
            verb()
    assert [found.name for found in stores[AP].list()] == ["a"]
    eu.delete("a")
    assert stores[AP].open("a").read(0, 9) == b"other"


def test_reader_without_regions_reads_nowhere(stores):
    """An empty read order means no access, whatever lies there."""
    regional(stores, EU).put("a", [b"data"])
    with pytest.raises(ObjectNotFoundError):
        regional(stores).open("a")


def test_contradictory_placement_is_refused():
    """Home twice, a region twice, and reading outside are mistakes of policy."""
    for wrong in (
        {"home": EU, "copies": (EU,)},
        {"home": EU, "copies": (US, US)},
        {"home": EU, "read_order": (US,)},
        {"home": EU, "read_order": (EU, EU)},
    ):
        with pytest.raises(ValueError):
            Placement(**wrong)


def test_copy_is_idempotent(stores):
    """Copying again finds the copy, compares it and leaves it."""
    both = regional(stores, EU)
    data = bytes(range(256)) * 10_000
    both.put("a", [data])
    assert both.copy("a", EU, US) == both.copy("a", EU, US) == stores[US].stat("a")
    assert stores[US].open("a").read(0, len(data)) == data


def test_copy_that_reads_back_wrong_is_removed_and_named(stores):
    """What a store damages does not count as a copy."""
    both = regional(stores, EU)
    both.put("a", [b"data"])
    stores[US].damage = True
    with pytest.raises(DifferingCopyError):
        both.copy("a", EU, US)
    assert list(stores[US].list()) == []


def test_copy_onto_something_else_is_named_and_changes_nothing(stores):
    """What lies under the name in the target stays, for somebody to look at."""
    both = regional(stores, EU)
    both.put("a", [b"data"])
    stores[US].put("a", [b"else"])
    with pytest.raises(DifferingCopyError):
        both.copy("a", EU, US)
    assert stores[US].open("a").read(0, 9) == b"else"


def test_source_that_breaks_off_leaves_no_copy(stores):
    """A copy is whole or not there."""
    both = regional(stores, EU)
    both.put("a", [bytes(3 * 1024 * 1024)])
    stores[EU].reads_left = 1
    with pytest.raises(StoreUnavailableError):
        both.copy("a", EU, US)
    assert list(stores[US].list()) == []


def test_delete_tries_every_region(stores):
    """A region that is down does not keep the others from deleting, and is reported."""
    both = regional(stores, EU)
    both.put("a", [b"data"])
    both.copy("a", EU, US)

    def refuse(name):
        raise StoreUnavailableError("down")

    stores[EU].delete = refuse
    with pytest.raises(StoreUnavailableError):
        both.delete("a")
    assert list(stores[US].list()) == []


def test_second_put_is_refused(stores):
    """What the home store refuses is refused."""
    both = regional(stores, EU)
    both.put("a", [b"data"])
    with pytest.raises(ObjectExistsError):
        both.put("a", [b"data"])


def test_closed_reader_does_not_fail_over(stores):
    """After close a failing read fails."""
    both = regional(stores, US, EU)
    both.put("a", [b"data"])
    both.copy("a", EU, US)
    reader = both.open("a")
    reader.close()
    reader.close()
    stores[US].down = True
    with pytest.raises(StoreUnavailableError):
        reader.read(0, 1)


# -- copies that are cut short -----------------------------------------------------------------------------------------

LARGE = bytes(range(256)) * 4096 * 5
"""Five pieces of a copy."""
DIGEST = hashlib.sha256(LARGE).digest()


def test_copy_goes_on_where_it_was_cut(stores):
    """What came before a source failed is not fetched again, and nothing is there before the copy is whole."""
    both = regional(stores, EU)
    both.put("a", [LARGE])
    stores[EU].reads_left = 3
    with pytest.raises(StoreUnavailableError):
        both.copy("a", EU, US, expected=DIGEST)
    with pytest.raises(ObjectNotFoundError):
        stores[US].stat("a")
    stores[EU].reads_left = 2
    assert both.copy("a", EU, US, expected=DIGEST).size == len(LARGE)
    assert stores[US].open("a").read(0, len(LARGE)) == LARGE


def test_copy_that_goes_on_over_wrong_bytes_begins_anew(stores):
    """A crash may leave anything in the part: it does not read back, is thrown away, and the next try is whole."""
    both = regional(stores, EU)
    both.put("a", [LARGE])
    stores[US].resume("a").append(b"rubbish")
    with pytest.raises(DifferingCopyError):
        both.copy("a", EU, US, expected=DIGEST)
    with pytest.raises(ObjectNotFoundError):
        stores[US].stat("a")
    both.copy("a", EU, US, expected=DIGEST)
    stores[US].resume("b").append(LARGE + b"more")
    both.put("b", [LARGE])
    both.copy("b", EU, US, expected=DIGEST)
    assert stores[US].open("b").read(0, 2 * len(LARGE)) == LARGE


def test_source_that_is_not_what_was_stored_is_named(stores):
    """A home whose bytes have rotted gives no copy, and is told apart from a target that does not keep them."""
    both = regional(stores, EU)
    both.put("a", [LARGE])
    stores[EU]._objects["a"] = b"?" + LARGE[1:]
    with pytest.raises(DifferingCopyError, match="'eu' is not what was stored"):
        both.copy("a", EU, US, expected=DIGEST)
    assert list(stores[US].list()) == []


def test_delete_throws_away_the_part_of_a_copy(stores, tmp_path):
    """Where nothing may be, nothing of a copy that was cut may stay either."""
    for store in (stores[US], LocalStore(tmp_path / "store")):
        part = store.resume("a")
        part.append(b"some")
        part.close()
        store.delete("a")
        part = store.resume("a")
        assert part.size == 0
        part.close()


def test_part_on_disk_survives_its_writer_and_has_one_at_a_time(tmp_path):
    """Another process finds what came; while one writes, others are sent away."""
    store = LocalStore(tmp_path / "store")
    part = store.resume("a/b")
    part.append(b"one")
    with pytest.raises(StoreUnavailableError, match="somebody else"):
        LocalStore(tmp_path / "store").resume("a/b")
    part.close()
    again = LocalStore(tmp_path / "store").resume("a/b")
    assert (again.size, again.read(1, 9)) == (3, b"ne")
    again.append(b"two")
    assert again.finish().size == 6
    assert store.open("a/b").read(0, 9) == b"onetwo"
    assert [each.name for each in store.list()] == ["a/b"]
    late = store.resume("a/b")
    with pytest.raises(ObjectExistsError):
        late.finish()
    assert store.reap(0) == 0


# -- health ------------------------------------------------------------------------------------------------------------


def test_region_that_fails_again_and_again_is_asked_last_for_a_while():
    """Three failures in a row, and others are asked first; after its rest, or once it answers, it stands as before."""
    now = [0.0]
    health = StoreHealth(failures=3, rest=20.0, clock=lambda: now[0])
    for _ in range(2):
        health.failed(US)
    assert health.order((US, EU)) == (US, EU)
    health.failed(US)
    assert (health.order((US, EU)), health.is_ailing(US)) == ((EU, US), True)
    now[0] = 20.0
    assert health.order((US, EU)) == (US, EU)
    health.failed(US)
    assert health.is_ailing(US)
    health.succeeded(US)
    assert health.order((US, EU)) == (US, EU)


def test_reader_is_spared_a_region_that_is_down(stores):
    """Once it has failed often enough it is not asked before the others any more, and never left out."""
    health = StoreHealth()
    placement = Placement(home=EU, copies=(US,), read_order=(US, EU))
    both = RegionalStore(stores, placement, health)
    both.put("a", [b"data"])
    both.copy("a", EU, US)
    stores[US].down = True
    for _ in range(3):
        assert both.open("a").region == EU
    assert both.read_order == (EU, US)
    stores[EU].down = True
    with pytest.raises(NoReplicaError):
        both.open("a")
    stores[US].down = stores[EU].down = False
    assert both.open("a").read(0, 9) == b"data"
