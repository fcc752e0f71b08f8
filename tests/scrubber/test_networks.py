"""Keyed images: what HMAC and the trees of addresses promise."""

import hashlib
import hmac

import pytest

from scrubber.networks import permuted
from scrubber.pseudonym import Pseudonymizer

FLIPS = int.from_bytes(hashlib.sha256(b"flips").digest(), "big")


@pytest.mark.parametrize("length", [16, 32, 63, 64, 65, 200])
def test_digest_is_the_standard_hmac_for_keys_of_any_length(length):
    """The digest of a value is HMAC-SHA256 of its kind and itself, whatever the key's length."""
    key = bytes(range(length % 251)).ljust(length, b"k")
    expected = hmac.digest(key, b"user\0amelie", "sha256")
    assert Pseudonymizer(key).digest("user", b"amelie") == expected
    assert Pseudonymizer(key).digest("user", b"amelie") == expected


def test_permuted_octets_are_a_permutation_that_keeps_prefixes():
    """Two octets share as many leading bits after as before, so no two become one."""
    images = [permuted(FLIPS, octet) for octet in range(256)]
    assert sorted(images) == list(range(256))
    assert images != list(range(256))
    for first in range(256):
        for second in range(256):
            assert (first ^ second).bit_length() == (images[first] ^ images[second]).bit_length()


def test_networks_stay_networks_when_addresses_come_again():
    """Addresses of a /24 stay in one /24, its first and last stay such, and a second look gives the same."""
    pseudonyms = Pseudonymizer(bytes(range(32)))
    for net in (b"10.1.2.", b"172.20.9.", b"192.168.7.", b"100.64.3.", b"169.254.8.", b"93.184.216."):
        images = [pseudonyms.ipv4(net + b"%d" % last) for last in range(256)]
        assert len(set(images)) == 256
        assert {image.rpartition(b".")[0] for image in images} == {images[0].rpartition(b".")[0]}
        assert (images[0][-2:], images[255][-4:]) == (b".0", b".255")
        assert images == [Pseudonymizer(bytes(range(32))).ipv4(net + b"%d" % last) for last in range(256)]


@pytest.mark.parametrize("text", [b"00:1a:2b:3c:4d:5e", b"00-1A-2B-3C-4D-5E", b"001a.2b3c.4d5e"])
def test_mac_keeps_its_notation(text):
    """Separators, groups and the letters' case stay, and all notations of one address agree."""
    pseudonyms = Pseudonymizer(bytes(range(32)))
    image = pseudonyms.mac(text)
    plain = pseudonyms.mac(b"00:1a:2b:3c:4d:5e").replace(b":", b"")
    assert [chr(c) if c in b":-." else "" for c in image] == [chr(c) if c in b":-." else "" for c in text]
    assert image.translate(None, b":-.").lower() == plain
    assert image.isupper() == text.isupper()
