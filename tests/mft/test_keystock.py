"""Keys that are made ahead: as many as are needed, for as long as that is likely, each for one upload."""

from __future__ import annotations

import pytest

from mft.upload.keystock import KEPT_SECONDS, KeyStock
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.service import KEYS_AT_ONCE, LocalKeyService

HOME = Region("home")
DAY = "landing:2026-01-01"


class Counting(LocalKeyService):
    """A key service that notes how many keys it was asked for."""

    def __init__(self, wrappers):
        super().__init__(wrappers)
        self.asked = []

    def new_keys(self, region, scope, scope_key, subjects):
        self.asked.append(len(subjects))
        return super().new_keys(region, scope, scope_key, subjects)


@pytest.fixture
def keys(tmp_path):
    return Counting({HOME: Keyring.create(tmp_path / "home.ring", HOME, "a passphrase")})


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self):
        return self.now


def test_one_key_at_first_and_more_where_one_upload_follows_the_other(keys):
    """A lone upload has a lone key; in a burst each question brings twice as many, up to a bound."""
    stock, scope_key = KeyStock(keys, clock=Clock()), keys.new_scope(HOME, DAY)
    taken = [stock.take(HOME, DAY, scope_key) for _ in range(100)]
    assert keys.asked == [1, 2, 4, 8, 16, KEYS_AT_ONCE, KEYS_AT_ONCE, KEYS_AT_ONCE]
    assert len({each.upload_id for each in taken}) == len({each.key for each in taken}) == 100
    for each in taken:
        assert each.envelope.subject == each.upload_id
        assert keys.open_key(each.envelope) == each.key
        assert each.key.hex() not in repr(each)


def test_what_waits_for_too_long_is_forgotten(keys):
    """After a pause the agent is asked anew, for one key: what is left of a burst is nobody's."""
    clock = Clock()
    stock, scope_key = KeyStock(keys, clock=clock), keys.new_scope(HOME, DAY)
    for _ in range(4):
        stock.take(HOME, DAY, scope_key)
    clock.now += KEPT_SECONDS
    stock.take(HOME, DAY, scope_key)
    assert keys.asked == [1, 2, 4, 1]


def test_each_scope_key_has_its_own(keys):
    """Another day, or a scope key that was wrapped anew, is given none of the keys that wait."""
    stock, first, second = KeyStock(keys, clock=Clock()), keys.new_scope(HOME, DAY), keys.new_scope(HOME, DAY)
    for _ in range(2):
        stock.take(HOME, DAY, first)
    assert stock.take(HOME, DAY, second).envelope.scope_key == second
    assert keys.asked == [1, 2, 1]
