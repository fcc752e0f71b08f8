"""Every lookup of this package against the contract."""

import pytest

from casemap.cached import CachedLookup, CacheSettings
from casemap.http import HttpLookup, LookupSettings
from casemap.static import StaticLookup
from mft.casesystem import running_case_system
from tests.contracts.lookup import TABLE, LookupContract


@pytest.fixture(scope="module")
def http_lookup():
    with running_case_system(TABLE) as running:
        lookup = HttpLookup(LookupSettings(url=running.url + "/", secret=running.secret))
        yield lookup
        lookup.close()


class TestStaticLookup(LookupContract):
    """The contract on `StaticLookup`."""

    @pytest.fixture
    def lookup(self):
        return StaticLookup(TABLE)


class TestHttpLookup(LookupContract):
    """The contract on `HttpLookup`, over the simulator."""

    @pytest.fixture
    def lookup(self, http_lookup):
        return http_lookup


class TestCachedStaticLookup(LookupContract):
    """The contract on `CachedLookup` over a table."""

    @pytest.fixture(scope="class")
    @classmethod
    def lookup(cls):
        return CachedLookup(StaticLookup(TABLE), CacheSettings())


class TestCachedHttpLookup(LookupContract):
    """The contract on `CachedLookup` over HTTP."""

    @pytest.fixture(scope="class")
    @classmethod
    def lookup(cls, http_lookup):
        return CachedLookup(http_lookup, CacheSettings())
