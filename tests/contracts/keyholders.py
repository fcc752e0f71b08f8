"""What must hold of everything that holds a region's keys. Run it with a fixture `place` (`Place`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from storage.errors import AlteredKeyError, KeyUnavailableError
from storage.keys.binding import scope_context
from storage.keys.wrapped import parse_wrapped, region_key_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from storage.keys.wrapper import KeyHolder

EU_1 = scope_context("eu", "case:1")


@dataclass
class Place:
    """A provider, another client of the same keys, and how its administrator makes the next key."""

    keys: KeyHolder
    again: Callable[[], KeyHolder]
    before_rotation: Callable[[], None] = lambda: None


class KeyHolderContract:
    """The cases."""

    def test_wrapped_key_opens_elsewhere_and_in_its_context_only(self, place):
        """Another client of the same keys opens it; no other region's, scope's or label's context does."""
        key = os.urandom(32)
        wrapped = place.keys.wrap(key, EU_1)
        assert key not in wrapped
        assert place.again().unwrap(wrapped, EU_1) == key
        for other in (scope_context("us", "case:1"), scope_context("eu", "case:2"), b"mft something else"):
            with pytest.raises(AlteredKeyError):
                place.keys.unwrap(wrapped, other)

    def test_flipped_bit_anywhere_opens_nothing(self, place):
        """Form, key id, nonce, ciphertext, tag: each changed byte is noticed, and what is cut or longer too."""
        wrapped = place.keys.wrap(os.urandom(32), EU_1)
        step = max(1, len(wrapped) // 24)
        for at in sorted({*range(0, len(wrapped), step), 0, 1, 2, len(wrapped) - 1}):
            altered = bytearray(wrapped)
            altered[at] ^= 1
            with pytest.raises((AlteredKeyError, KeyUnavailableError)):
                place.keys.unwrap(bytes(altered), EU_1)
        for broken in (b"", wrapped[:1], wrapped[:-1], wrapped + b"x", bytes(len(wrapped))):
            with pytest.raises((AlteredKeyError, KeyUnavailableError)):
                place.keys.unwrap(broken, EU_1)

    def test_wrapped_key_names_what_it_is_under(self, place):
        """Without any key one can tell which key of the region wrapped it."""
        wrapped = place.keys.wrap(os.urandom(32), EU_1)
        assert region_key_of(wrapped) == place.keys.current
        assert place.keys.current in place.keys.key_ids
        assert parse_wrapped(wrapped).key_id == place.keys.current

    def test_rotation_keeps_what_was_wrapped_before(self, place):
        """The new key wraps, the old one still unwraps, for other clients too."""
        key, first = os.urandom(32), place.keys.current
        old = place.keys.wrap(key, EU_1)
        place.before_rotation()
        fresh = place.keys.rotate()
        new = place.keys.wrap(key, EU_1)
        assert (place.keys.current, region_key_of(new)) == (fresh, fresh)
        assert fresh != first
        assert place.keys.key_ids[-2:] == (first, fresh)
        for client in (place.keys, place.again()):
            assert client.unwrap(old, EU_1) == client.unwrap(new, EU_1) == key

    def test_retired_key_opens_nothing_any_more(self, place):
        """What was wrapped under it is lost, what was wrapped since opens; the current one cannot be retired."""
        key, first = os.urandom(32), place.keys.current
        old = place.keys.wrap(key, EU_1)
        with pytest.raises(KeyUnavailableError):
            place.keys.retire(first)
        place.before_rotation()
        place.keys.rotate()
        new = place.keys.wrap(key, EU_1)
        place.keys.retire(first)
        with pytest.raises(KeyUnavailableError):
            place.keys.unwrap(old, EU_1)
        assert place.keys.unwrap(new, EU_1) == key
        assert first not in place.keys.key_ids
        with pytest.raises(KeyUnavailableError):
            place.keys.retire(first)
