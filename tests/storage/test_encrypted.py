"""Objects end to end: keys, slots, bodies, regions, and whoever tampers with them."""

import dataclasses
import hashlib

import pytest

from storage.body import BodyInfo, BodyWriter
from storage.encrypted import EncryptedStore, SealedPut
from storage.errors import (
    AlteredSegmentError,
    AlteredSlotError,
    KeyUnavailableError,
    NoReplicaError,
    ObjectExistsError,
    ObjectNotFoundError,
    OutOfSpaceError,
    RegionNotAllowedError,
    StorageError,
    StoreUnavailableError,
    TamperedError,
    TrailingBytesError,
    TruncatedError,
    WrongKeyError,
    WrongObjectError,
)
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.service import LocalKeyService
from storage.local import LocalStore
from storage.memory import MemoryStore
from storage.regional import Placement, RegionalStore
from storage.slot import Manifest, seal_manifest
from storage.store import body_name, new_object_key, slot_name

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
EU, US = Region("eu"), Region("us")
MARKER = b"PLAINTEXT-MARKER-7f3a"
PLAIN = (MARKER + bytes(range(256))) * 3000
FACTS = {"case": "C-1", "name": "bundle.tar.gz", "version": 1}


class House:
    """Two regions with a key each, and the scope of one case in each."""

    def __init__(self, tmp_path):
        self.wrappers = {r: Keyring.create(tmp_path / f"{r}.keyring", r, "pass", cost=CHEAP) for r in (EU, US)}
        self.keys = LocalKeyService(self.wrappers)
        self.stores = {EU: LocalStore(tmp_path / "eu"), US: MemoryStore()}
        self.scopes = {r: self.keys.new_scope(r, "case:1") for r in (EU, US)}

    def store(self, *order, copies=(US,), keys=None):
        placement = Placement(home=EU, copies=copies, read_order=order or (EU,))
        return EncryptedStore(keys or self.keys, RegionalStore(self.stores, placement))

    def put(self, plain=PLAIN):
        key = new_object_key()
        sealed = self.store().put(key, "case:1", self.scopes[EU], [plain], FACTS)
        assert sealed.object_key == key
        return key

    def rewrite(self, name, change, region=EU):
        reader = self.stores[region].open(name)
        data = reader.read(0, reader.size)
        reader.close()
        self.stores[region].put(name, [change(data)], replace=True)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def read(store, key):
    reader = store.open(key)
    try:
        return reader.read(0, reader.size + 1)
    finally:
        reader.close()


def flip(place):
    def change(data):
        altered = bytearray(data)
        altered[place] ^= 1
        return bytes(altered)

    return change


@pytest.mark.parametrize("plain", [b"", b"x", PLAIN])
def test_object_reads_back(house, plain):
    """What was put is read, with size, digest and facts."""
    key = house.put(plain)
    reader = house.store().open(key)
    assert (reader.size, reader.region, reader.read(0, len(plain))) == (len(plain), EU, plain)
    assert reader.read(3, 7) == plain[3:10]
    assert reader.manifest == house.store().manifest(key)
    assert reader.manifest.facts == FACTS
    assert reader.manifest.body.sha256 == hashlib.sha256(plain).digest()
    assert reader.manifest.body.stored_size == house.store().stat(key).size
    reader.close()


def test_no_plaintext_in_any_file(house, tmp_path):
    """Neither content nor facts can be found on the disk."""
    house.put()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 4
    for path in files:
        data = path.read_bytes()
        assert MARKER not in data
        assert b"bundle.tar.gz" not in data


def test_put_never_takes_a_key_twice(house):
    """A used object key is refused, and what is stored under it stays."""
    key = house.put(b"first")
    with pytest.raises(ObjectExistsError):
        house.store().put(key, "case:1", house.scopes[EU], [b"second"], FACTS)
    assert read(house.store(), key) == b"first"


def sealed_put(key, ciphertext, envelope, manifest):
    """Say what is to be stored under *key*."""
    return SealedPut(object_key=key, ciphertext=ciphertext, envelope=envelope, sealed_manifest=lambda: manifest)


def sealed_here(house, plain):
    """Seal *plain* as a child does."""
    key = new_object_key()
    data_key, envelope = house.keys.new_key(EU, "case:1", house.scopes[EU], key)
    out = bytearray()
    writer = BodyWriter(out.extend, data_key, key)
    writer.write(plain)
    return sealed_put(key, [out], envelope, seal_manifest(data_key, key, Manifest(body=writer.close(), facts=FACTS)))


def test_several_bodies_are_stored_at_once_or_none(house):
    """Each of them is an object of its own; where one is not what it says it is, none of them is there."""
    puts = [sealed_here(house, b"%d" % number) for number in range(5)]
    stored = house.store().put_sealed(*puts)
    assert [each.name for each in stored] == [body_name(each.object_key) for each in puts]
    assert [read(house.store(), each.object_key) for each in puts] == [b"%d" % number for number in range(5)]
    before = list(house.stores[EU].list())
    good, bad = sealed_here(house, b"good"), sealed_here(house, b"bad")
    swapped = sealed_put(bad.object_key, good.ciphertext, bad.envelope, b"")
    with pytest.raises(TamperedError):
        house.store().put_sealed(good, swapped)
    assert list(house.stores[EU].list()) == before


def test_body_sealed_elsewhere_can_be_stored(house):
    """What the scrub child sends through a pipe, in pieces of any size, becomes an object."""
    key = new_object_key()
    data_key, envelope = house.keys.new_key(EU, "case:1", house.scopes[EU], key)
    out = bytearray()
    writer = BodyWriter(out.extend, data_key, key)
    writer.write(PLAIN)
    sealed = seal_manifest(data_key, key, Manifest(body=writer.close(), facts=FACTS))
    pieces = [out[start : start + 5] for start in range(0, 100, 5)] + [out[100:]]
    house.store().put_sealed(sealed_put(key, pieces, envelope, sealed))
    assert read(house.store(), key) == PLAIN


def test_ciphertext_of_something_else_is_not_stored(house):
    """A body, an envelope or a region that does not belong to the object is refused before anything is kept."""
    key, other = new_object_key(), new_object_key()
    data_key, envelope = house.keys.new_key(EU, "case:1", house.scopes[EU], key)
    out = bytearray()
    info = BodyWriter(out.extend, data_key, other).close()
    sealed = seal_manifest(data_key, key, Manifest(body=info, facts={}))
    moved = house.keys.move_key(envelope, US, "case:1", house.scopes[US])
    for ciphertext, wrapped in (([bytes(out)], envelope), ([b"short"], envelope), ([], envelope), ([out], moved)):
        with pytest.raises(TamperedError):
            house.store().put_sealed(sealed_put(key, ciphertext, wrapped, sealed))
    assert list(house.stores[EU].list()) == []


def test_copy_is_read_with_the_other_region_alone(house):
    """A copy needs neither the home store nor the home key any more, and is the same ciphertext."""
    key = house.put()
    envelope = house.store().copy(key, US, "case:1", house.scopes[US])
    assert envelope.region == US
    there = house.stores[US].open(body_name(key)).read(0, 1 << 30)
    assert there == house.stores[EU].open(body_name(key)).read(0, 1 << 30)
    house.stores[EU].delete(body_name(key))
    house.stores[EU].delete(slot_name(key))
    us_keys = LocalKeyService({US: house.wrappers[US]})
    assert read(house.store(US, keys=us_keys), key) == PLAIN


def test_copy_is_idempotent_and_heals_a_missing_slot(house):
    """A copy that died between body and slot is finished by the next; a finished one stays."""
    key = house.put()
    first = house.store().copy(key, US, "case:1", house.scopes[US])
    assert house.store().copy(key, US, "case:1", house.scopes[US]) == first
    house.stores[US].delete(slot_name(key))
    again = house.store().copy(key, US, "case:1", house.scopes[US])
    assert again != first
    assert read(house.store(US), key) == PLAIN


def test_copy_outside_the_placement_touches_nothing(house):
    """What residency forbids does not happen."""
    key = house.put()
    with pytest.raises(RegionNotAllowedError):
        house.store(copies=()).copy(key, US, "case:1", house.scopes[US])
    assert list(house.stores[US].list()) == []


def test_slot_of_a_region_without_a_key_here_is_passed_over(house):
    """A node that holds only one region's key reads through the slot that this key opens."""
    key = house.put()
    house.store().copy(key, US, "case:1", house.scopes[US])
    eu_keys = LocalKeyService({EU: house.wrappers[EU]})
    assert read(house.store(US, EU, keys=eu_keys), key) == PLAIN
    with pytest.raises(KeyUnavailableError):
        read(house.store(US, keys=eu_keys), key)


def test_region_down_is_passed_over(house):
    """A store that does not answer is skipped for slot and body; alone it is no replica."""
    key = house.put()
    house.store().copy(key, US, "case:1", house.scopes[US])

    def refuse(*_arguments):
        raise StoreUnavailableError("down")

    house.stores[US].open = refuse
    assert read(house.store(US, EU), key) == PLAIN
    with pytest.raises(NoReplicaError):
        house.store(US).open(key)


def test_deleted_object_is_gone_everywhere(house):
    """Delete removes body and slot in every region, and again does nothing."""
    key = house.put()
    house.store().copy(key, US, "case:1", house.scopes[US])
    house.store().delete(key, [US])
    assert list(house.stores[US].list()) == []
    assert read(house.store(), key) == PLAIN
    house.store().delete(key)
    house.store().delete(key)
    assert list(house.stores[EU].list()) == []
    with pytest.raises(ObjectNotFoundError):
        house.store().open(key)


def test_envelope_can_be_replaced(house):
    """Rotation: a new region key, a new scope key, the same object."""
    key = house.put()
    before = house.store().slot(key).envelope
    house.wrappers[EU].rotate()
    scope = house.keys.new_scope(EU, "case:2")
    open_before = house.store().open(key)
    house.store().replace_envelope(key, house.keys.move_key(before, EU, "case:2", scope))
    assert house.store().slot(key).envelope.scope == "case:2"
    assert read(house.store(), key) == PLAIN == open_before.read(0, len(PLAIN))
    with pytest.raises(WrongObjectError):
        house.store().replace_envelope(key, dataclasses.replace(before, subject=new_object_key()))


def test_slots_name_every_object(house):
    """A catalog can be rebuilt: each slot tells what it is of."""
    keys = sorted(house.put(b"x") for _ in range(3))
    names = [found.name for found in house.store().slots(EU)]
    assert [name.rpartition("/")[2] for name in names] == keys


def test_altered_body_is_named_wherever_it_is(house):
    """Each byte of a body counts, and none is blamed on the key, which the slot has proven."""
    house.stores[EU] = MemoryStore()
    key = house.put(b"small")
    size = house.store().stat(key).size
    for place in range(size):
        house.rewrite(body_name(key), flip(place))
        with pytest.raises(TamperedError) as caught:
            read(house.store(), key)
        assert not isinstance(caught.value, WrongKeyError)
        house.rewrite(body_name(key), flip(place))
    assert read(house.store(), key) == b"small"


def test_altered_slot_is_named_wherever_it_is(house):
    """Each byte of a slot counts."""
    house.stores[EU] = MemoryStore()
    key = house.put(b"small")
    for place in range(house.stores[EU].stat(slot_name(key)).size):
        house.rewrite(slot_name(key), flip(place))
        with pytest.raises(AlteredSlotError):
            house.store().open(key)
        house.rewrite(slot_name(key), flip(place))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda data: data[:-1], TruncatedError),
        (lambda data: data[: 32 + 262144], TruncatedError),
        (lambda data: data[:10], TamperedError),
        (lambda data: b"", TamperedError),
        (lambda data: data + b"x", TrailingBytesError),
        (lambda data: data + data[32:], TrailingBytesError),
        (flip(400_000), AlteredSegmentError),
    ],
)
def test_cut_or_grown_body_is_named(house, change, error):
    """Missing and additional bytes are told apart, exactly, whatever their number."""
    key = house.put()
    house.rewrite(body_name(key), change)
    with pytest.raises(error):
        read(house.store(), key)


def test_swapped_objects_are_named(house):
    """Two bodies or two slots exchanged: both are refused as another object's."""
    one, two = house.put(b"one"), house.put(b"two")
    for name in (body_name, slot_name):
        reader = house.stores[EU].open(name(two))
        data = reader.read(0, reader.size)
        reader.close()
        kept = []
        house.rewrite(name(one), lambda old, new=data, kept=kept: (kept.append(old), new)[1])
        with pytest.raises(WrongObjectError):
            read(house.store(), one)
        house.rewrite(name(one), lambda _, kept=kept: kept[0])
    assert read(house.store(), one) == b"one"


def test_slots_of_two_regions_swapped_are_named(house):
    """The slot of one region is refused in another."""
    key = house.put()
    house.store().copy(key, US, "case:1", house.scopes[US])
    slot = house.stores[EU].open(slot_name(key)).read(0, 1 << 20)
    house.stores[US].put(slot_name(key), [slot], replace=True)
    with pytest.raises(WrongObjectError):
        house.store(US).open(key)


def test_older_body_under_the_same_name_is_refused(house):
    """A body of the same object under another key, from an attempt that lost, does not pass for it."""
    key = house.put(b"first")
    scope = house.scopes[EU]
    data_key, _ = house.keys.new_key(EU, "case:1", scope, key)
    out = bytearray()
    writer = BodyWriter(out.extend, data_key, key)
    writer.write(b"other")
    assert isinstance(writer.close(), BodyInfo)
    house.stores[EU].put(body_name(key), [bytes(out)], replace=True)
    with pytest.raises(TamperedError):
        read(house.store(), key)


class FillingStore(MemoryStore):
    """One that has no room for what is called by some names."""

    failing = "none"

    def put(self, name, chunks, *, replace=False):
        if name.startswith(self.failing):
            raise OutOfSpaceError("full")
        return super().put(name, chunks, replace=replace)


@pytest.mark.parametrize("failing", ["bodies", "slots"])
def test_full_store_leaves_nothing(house, failing):
    """A put that cannot write body or slot, one after the other, leaves neither, and says that there is no room."""
    house.stores[EU] = store = FillingStore()
    store.failing = failing
    with pytest.raises(OutOfSpaceError):
        house.put()
    assert list(store.list()) == []


def test_source_that_breaks_off_leaves_nothing(house):
    """An exception of the plaintext's source comes out, and nothing is stored."""

    def chunks():
        yield b"x" * 1_000_000
        raise EOFError

    with pytest.raises(EOFError):
        house.store().put(new_object_key(), "case:1", house.scopes[EU], chunks(), FACTS)
    assert list(house.stores[EU].list()) == []


def test_every_error_of_storage_has_one_base():
    """The application can catch them all, and TamperedError always says what."""
    subclasses = StorageError.__subclasses__()
    assert all(cls.__name__.endswith("Error") for cls in subclasses)
    names = [cls.what for cls in TamperedError.__subclasses__()]
    assert len(set(names)) == len(names)
    assert "altered" not in names


# -- reading on where it is whole --------------------------------------------------------------------------------------


def copied(house):
    """Return an object that lies in both regions; that of the US can be altered."""
    key = house.put()
    house.store().copy(key, US, "case:1", house.scopes[US])
    return key


def alter(house, name, change):
    house.stores[US]._objects[name] = change(house.stores[US]._objects[name])


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body[:40] + b"?" + body[41:],
        lambda body: body[:-1] + bytes([body[-1] ^ 1]),
        lambda body: body[:300_000] + bytes([body[300_000] ^ 1]) + body[300_001:],
        lambda body: body[:-1000],
        lambda body: body + b"more",
    ],
    ids=["header", "end", "middle", "short", "long"],
)
def test_copy_that_has_rotted_is_read_on_elsewhere(house, change):
    """Whatever is wrong with the nearest body, the reader gets what was stored; alone it is named, as ever."""
    key = copied(house)
    alter(house, body_name(key), change)
    assert read(house.store(US, EU), key) == PLAIN
    with pytest.raises(TamperedError):
        read(house.store(US), key)


def test_reader_goes_on_at_any_offset_when_a_copy_rots_under_it(house):
    """In mid-read, forwards and backwards, the region changes and the bytes do not."""
    key = copied(house)
    reader = house.store(US, EU).open(key)
    assert (reader.region, reader.read(0, 1000)) == (US, PLAIN[:1000])
    alter(house, body_name(key), lambda body: body[:100] + bytes(len(body) - 100))
    reader._source._reader._data = house.stores[US]._objects[body_name(key)]
    for offset in (600_000, 300_000, len(PLAIN) - 10, 0):
        assert reader.read(offset, 5000) == PLAIN[offset : offset + 5000]
    assert reader.region == EU


@pytest.mark.parametrize("change", [lambda slot: slot[:-1] + b"?", lambda _slot: b""], ids=["altered", "empty"])
def test_slot_that_has_rotted_is_passed_over(house, change):
    """The next region's slot opens the same object; alone it is named."""
    key = copied(house)
    alter(house, slot_name(key), change)
    assert read(house.store(US, EU), key) == PLAIN
    with pytest.raises(AlteredSlotError):
        read(house.store(US), key)


def test_copy_is_refused_before_its_slot(house):
    """What `permit` raises leaves a body that nobody can open, and no slot."""
    key = house.put()

    def refuse():
        raise RegionNotAllowedError("not any more")

    with pytest.raises(RegionNotAllowedError):
        house.store().copy(key, US, "case:1", house.scopes[US], permit=refuse)
    assert [each.name for each in house.stores[US].list()] == [body_name(key)]
