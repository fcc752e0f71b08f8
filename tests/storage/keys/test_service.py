"""The chain of keys: bound to region, scope and subject, and movable between regions."""

import dataclasses
import json

import pytest

from storage.errors import AlteredKeyError, KeyUnavailableError, UnknownFormatError
from storage.keys.envelope import Envelope, Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.service import LocalKeyService

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
EU, US = Region("eu"), Region("us")


@pytest.fixture
def keys(tmp_path):
    return LocalKeyService({r: Keyring.create(tmp_path / r, r, "pass", cost=CHEAP) for r in (EU, US)})


def test_leaf_key_opens_from_its_envelope(keys):
    """The key that was handed out is the one in the envelope, after a journey through JSON too."""
    scope_key = keys.new_scope(EU, "case:1")
    key, envelope = keys.new_key(EU, "case:1", scope_key, "pseudonym")
    other, _ = keys.new_key(EU, "case:1", scope_key, "pseudonym")
    again = Envelope.from_dict(json.loads(json.dumps(envelope.to_dict())))
    assert again == envelope
    assert keys.open_key(again) == key != other
    assert len(key) == 32


@pytest.mark.parametrize(
    "change",
    [{"region": US}, {"scope": "case:2"}, {"subject": "b"}, {"scope": "case:1a", "subject": ""}, {"scope_key": b""}],
)
def test_envelope_opens_in_its_own_place_only(keys, change):
    """Another region, scope or subject, or a moved border between two of them, opens nothing."""
    _, envelope = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")
    with pytest.raises((AlteredKeyError, KeyUnavailableError)):
        keys.open_key(dataclasses.replace(envelope, **change))


def test_keys_of_two_envelopes_cannot_be_exchanged(keys):
    """A leaf under one scope key does not open under another, nor a scope key in another scope."""
    first = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")[1]
    second = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")[1]
    with pytest.raises(AlteredKeyError):
        keys.open_key(dataclasses.replace(first, scope_key=second.scope_key))
    with pytest.raises(AlteredKeyError):
        keys.new_key(EU, "case:2", first.scope_key, "a")
    with pytest.raises(AlteredKeyError):
        keys.move_key(first, US, "case:1", first.scope_key.replace(b"\x01", b"\x02", 1))


def test_altered_byte_of_a_leaf_is_refused(keys):
    """Every byte of the wrapped key counts."""
    _, envelope = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")
    for place in range(len(envelope.key)):
        altered = bytearray(envelope.key)
        altered[place] ^= 1
        with pytest.raises(AlteredKeyError):
            keys.open_key(dataclasses.replace(envelope, key=bytes(altered)))


def test_moved_key_is_the_same_key_under_another_region(keys):
    """Moving re-wraps for the other region; each envelope opens with its own region's key alone."""
    key, envelope = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")
    moved = keys.move_key(envelope, US, "case:1", keys.new_scope(US, "case:1"))
    assert (moved.region, moved.subject) == (US, "a")
    assert keys.open_key(moved) == key
    us_only = LocalKeyService({US: keys._wrappers[US]})
    assert us_only.open_key(moved) == key
    with pytest.raises(KeyUnavailableError):
        us_only.open_key(envelope)


def test_rotation_of_the_region_leaves_old_envelopes_readable(keys):
    """A new region key wraps new scopes; old envelopes still open."""
    scope_key = keys.new_scope(EU, "case:1")
    key, envelope = keys.new_key(EU, "case:1", scope_key, "a")
    keys._wrappers[EU].rotate()
    assert keys.open_key(envelope) == key
    assert keys.new_scope(EU, "case:1")[1:9] != scope_key[1:9]


def test_document_of_another_shape_is_refused(keys):
    """Missing, additional and ill-typed fields are no envelope."""
    good = keys.new_key(EU, "case:1", keys.new_scope(EU, "case:1"), "a")[1].to_dict()
    for bad in ({}, {**good, "more": "x"}, {**good, "more": 1}, {**good, "key": 7}, {**good, "key": "*"}):
        with pytest.raises(UnknownFormatError):
            Envelope.from_dict(bad)
