"""Slot files: whole, of the right object and region, or refused with the reason."""

import hashlib

import pytest

from storage.body import BodyInfo
from storage.errors import AlteredSlotError, TamperedError, UnknownFormatError, WrongKeyError, WrongObjectError
from storage.keys.envelope import Envelope, Region
from storage.slot import Manifest, Slot, seal_manifest
from storage.store import ObjectKey

KEY = bytes(range(32))
ONE, TWO = ObjectKey("0" * 31 + "1"), ObjectKey("0" * 31 + "2")
EU, US = Region("eu"), Region("us")
MANIFEST = Manifest(
    body=BodyInfo(size=5, sha256=hashlib.sha256(b"hello").digest(), stored_size=93),
    facts={"case": "C-1", "name": "Grüße 😀.log", "version": 3, "tags": ["a", None, 1.5]},
)


def slot(object_key=ONE, region=EU):
    envelope = Envelope(region=region, scope="case:1", scope_key=b"s" * 69, subject=object_key, key=b"k" * 61)
    return Slot(envelope=envelope, sealed_manifest=seal_manifest(KEY, object_key, MANIFEST))


def resealed(data):
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_slot_reads_back():
    """Envelope and manifest come out as they went in."""
    one = slot()
    again = Slot.parse(one.serialise(), object_key=ONE, region=EU)
    assert again == one
    assert again.open_manifest(KEY) == MANIFEST
    assert again.object_key == ONE


def test_altered_or_cut_file_is_refused_wherever_it_is():
    """Each byte counts, and each missing one."""
    data = slot().serialise()
    for place in range(len(data)):
        altered = bytearray(data)
        altered[place] ^= 0x20
        for wrong in (bytes(altered), data[:place]):
            with pytest.raises(AlteredSlotError):
                Slot.parse(wrong, object_key=ONE, region=EU)


def test_altered_file_with_a_new_digest_never_opens():
    """Whoever alters a slot and corrects its digest meets the envelope's binding or the manifest's tag."""
    one = slot()
    data = one.serialise()
    for place in range(len(data) - 32):
        altered = bytearray(data)
        altered[place] ^= 0x01
        try:
            found = Slot.parse(resealed(bytes(altered)), object_key=ONE, region=EU)
        except TamperedError:
            continue
        if found.envelope == one.envelope:
            with pytest.raises(WrongKeyError):
                found.open_manifest(KEY)


def test_slot_of_another_object_or_region_is_named():
    """Swapped slots are refused as such."""
    for wrong in (slot(TWO), slot(ONE, US)):
        with pytest.raises(WrongObjectError):
            Slot.parse(wrong.serialise(), object_key=ONE, region=EU)


def test_manifest_of_another_object_does_not_open():
    """A manifest moved into another object's slot fails even under the same data key."""
    mixed = Slot(envelope=slot().envelope, sealed_manifest=slot(TWO).sealed_manifest)
    with pytest.raises(WrongKeyError):
        mixed.open_manifest(KEY)
    with pytest.raises(WrongKeyError):
        slot().open_manifest(bytes(32))


def test_other_version_is_named():
    """A slot of a later version, or another file with a good digest, is not taken for one of ours."""
    data = slot().serialise()
    for wrong in (data[:8] + b"\x02" + data[9:], b"mft body" + data[8:]):
        with pytest.raises(UnknownFormatError):
            Slot.parse(resealed(wrong), object_key=ONE, region=EU)


def test_envelope_in_another_spelling_is_refused():
    """One slot has one form: white space in the envelope's JSON is an alteration."""
    data = slot().serialise()
    length = int.from_bytes(data[12:16], "big")
    spaced = data[:12] + (length + 1).to_bytes(4, "big") + data[16:17] + b" " + data[17:]
    with pytest.raises(AlteredSlotError):
        Slot.parse(resealed(spaced), object_key=ONE, region=EU)


def test_no_fact_lies_in_clear():
    """What the manifest tells cannot be read from the file."""
    assert b"C-1" not in slot().serialise()
    assert "Grü".encode() not in slot().serialise()
