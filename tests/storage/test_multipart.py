"""Copies into a bucket that are cut short: they go on with the parts that the service has."""

import datetime as dt
import hashlib
import secrets

import pytest

from storage.buckets import bucket_store
from storage.errors import DifferingCopyError, ObjectExistsError, ObjectNotFoundError, StoreUnavailableError
from storage.keys.envelope import Region
from storage.memory import MemoryStore
from storage.regional import Placement, RegionalStore
from tests.storage.test_bucket import MIB, s3_bucket
from tests.storage.test_regional import WeakStore

EU, US = Region("eu"), Region("us")
NAME = "bodies/ab/long"
DATA = b"".join(bytes([number]) * MIB for number in range(12))
DIGEST = hashlib.sha256(DATA).digest()
PART = 5 * MIB


@pytest.fixture(params=["moto", "ceph"])
def target(request):
    """Give a bucket below a prefix that nobody has used."""
    return bucket_store(s3_bucket(request.getfixturevalue(request.param), prefix=f"cut/{secrets.token_hex(8)}"))


@pytest.fixture
def regional(target):
    """Give a region in memory whose reads can be cut, and the bucket."""
    source = WeakStore()
    source.put(NAME, [DATA])
    placement = Placement(home=EU, copies=(US,), read_order=(EU,))
    made = RegionalStore({EU: source, US: target}, placement)
    made.source = source
    return made


def cut(regional, reads):
    """Copy as far as so many reads of a mebibyte go."""
    regional.source.reads_left = reads
    with pytest.raises(StoreUnavailableError):
        regional.copy(NAME, EU, US, expected=DIGEST)
    regional.source.reads_left = None


def test_copy_goes_on_with_the_parts_that_came(regional, target):
    """Parts that came whole are not fetched again; what was begun of the next one is."""
    cut(regional, 7)
    with pytest.raises(ObjectNotFoundError):
        target.stat(NAME)
    part = target.resume(NAME)
    assert part.size == PART
    part.close()
    cut(regional, 6)  # goes on at 5 MiB, and comes to 11
    regional.source.reads_left = 2
    assert regional.copy(NAME, EU, US, expected=DIGEST).size == len(DATA)
    assert hashlib.sha256(target.open(NAME).read(0, len(DATA))).digest() == DIGEST
    with pytest.raises(ObjectExistsError):
        target.resume(NAME)
    regional.copy(NAME, EU, US, expected=DIGEST)


def test_parts_of_something_else_are_not_believed(regional, target):
    """What does not read back as it should is thrown away, named as the target's fault, and copied anew."""
    part = target.resume(NAME)
    part.append(b"?" * PART)
    part._await(0)
    part.close()
    with pytest.raises(DifferingCopyError, match="'us' is not what was stored"):
        regional.copy(NAME, EU, US, expected=DIGEST)
    assert list(target.list()) == []
    assert regional.copy(NAME, EU, US, expected=DIGEST).size == len(DATA)


def test_delete_and_reap_throw_the_parts_away(regional, target):
    """Where nothing may be, nothing of a copy that was cut may stay; what nobody goes on with is reaped."""
    cut(regional, 7)
    target.delete(NAME)
    assert target.resume(NAME).size == 0
    cut(regional, 7)
    assert target._requests.abort_uploads(dt.datetime.now(dt.UTC) + dt.timedelta(hours=1)) == 1
    assert target.resume(NAME).size == 0


def test_restart_and_short_objects(target):
    """What was begun can be thrown away; what is shorter than a part goes in one piece."""
    part = target.resume(NAME)
    part.append(b"?" * (PART + 1))
    assert part.size == PART + 1
    part.restart()
    part.append(b"short")
    assert part.finish().size == part.size == 5
    assert target.open(NAME).read(0, 9) == b"short"


def test_bucket_without_parts_is_put_at_once():
    """A store that cannot go on takes a copy whole, as before."""

    class PlainStore(MemoryStore):
        def resume(self, _name):
            return None

    source, plain = MemoryStore(), PlainStore()
    source.put(NAME, [b"x"])
    both = RegionalStore({EU: source, US: plain}, Placement(home=EU, copies=(US,), read_order=(EU,)))
    assert both.copy(NAME, EU, US, expected=hashlib.sha256(b"x").digest()).size == 1
