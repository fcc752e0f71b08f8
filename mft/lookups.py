"""The way to the case system, made from the configuration: one adapter of several, behind the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING

from casemap.cached import CachedLookup, CacheSettings
from casemap.http import HttpLookup, LookupSettings
from casemap.static import StaticLookup
from mft.config.secrets import load_lookup_secret, load_lookup_table
from mft.registry.lookup import RegistryLookup

if TYPE_CHECKING:
    from casemap.lookup import CaseLookup
    from mft.catalog.database import Database
    from mft.config.model import Config


def open_lookup(config: Config, database: Database) -> CachedLookup:
    """Make the way to the case system, with its cache; the built-in registry lies in *database*."""
    return CachedLookup(open_adapter(config, database), cache_settings(config))


def open_adapter(config: Config, database: Database) -> CaseLookup:
    """Make the adapter that the configuration names, without a cache."""
    settings = config.lookup
    match settings.type:
        case "http":
            return HttpLookup(
                LookupSettings(
                    url=settings.url or "",
                    secret=load_lookup_secret(settings).encode(),
                    connect_timeout=settings.timeout,
                    read_timeout=settings.timeout,
                    total_timeout=settings.timeout,
                    ca_file=settings.ca_file,
                )
            )
        case "registry":
            return RegistryLookup(database)
        case "static":
            return StaticLookup(load_lookup_table(settings), at="lookup.table")


def cache_settings(config: Config) -> CacheSettings:
    """Say how long what the case system says is believed."""
    settings = config.lookup
    return CacheSettings(
        ttl=settings.ttl,
        negative_ttl=settings.negative_ttl,
        stale_if_error=settings.stale_if_error,
        revocation_bound=config.revocation.bound,
        breaker_failures=settings.breaker_failures,
        breaker_rest=settings.breaker_reset,
    )
