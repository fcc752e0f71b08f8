"""The way to the case system, made from the configuration: one adapter of several, behind the cache."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING

from casemap.cached import CachedLookup, CacheSettings
from casemap.errors import LookupSettingsError
from casemap.exchange import ExchangeSettings
from casemap.http import HttpLookup, LookupSettings
from casemap.static import StaticLookup
from mft.config.secrets import load_lookup_secret, load_lookup_table
from mft.registry.lookup import RegistryLookup

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.declarative.dialect import Dialect
    from casemap.declarative.lookup import DeclarativeLookup
    from casemap.exchange import Exchanged
    from casemap.lookup import CaseLookup
    from mft.catalog.database import Database
    from mft.config.access import LookupConfig
    from mft.config.dialect import LookupRequestConfig
    from mft.config.model import Config


def open_lookup(config: Config, database: Database) -> CachedLookup:
    """Make the way to the case system, with its cache; the built-in registry lies in *database*."""
    return CachedLookup(open_adapter(config.lookup, database), cache_settings(config))


def open_adapter(
    settings: LookupConfig, database: Database, *, observe: Callable[[Exchanged], None] | None = None
) -> CaseLookup:
    """Make the adapter that the configuration names, without a cache; *observe* is told of each HTTP exchange.

    Raises:
        LookupSettingsError: it cannot be like that; says what is wrong.
        ConfigError: a file that it needs cannot be used.
        InvalidRecordError: the table of `static` is wrong somewhere.
    """
    match settings.type:
        case "registry":
            return RegistryLookup(database)
        case "static":
            return StaticLookup(load_lookup_table(settings), at="lookup.table")
        case _:
            return open_http_adapter(settings, observe=observe)


def open_http_adapter(
    settings: LookupConfig, *, observe: Callable[[Exchanged], None] | None = None
) -> HttpLookup | DeclarativeLookup:
    """Make the adapter of a case system that is asked over HTTP; nothing is asked yet. See `open_adapter`."""
    return (_by_mapping if settings.type == "declarative" else _over_contract)(settings, observe)


def close_adapter(adapter: CaseLookup) -> None:
    """Close what `open_adapter` opened: those that ask over HTTP hold connections."""
    close = getattr(adapter, "close", None)
    if close is not None:
        close()


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


def _over_contract(settings: LookupConfig, observe: Callable[[Exchanged], None] | None) -> HttpLookup:
    try:
        return HttpLookup(
            LookupSettings(
                url=settings.url or "",
                secret=load_lookup_secret(settings).encode(),
                connect_timeout=settings.timeout,
                read_timeout=settings.timeout,
                total_timeout=settings.timeout,
                ca_file=settings.ca_file,
                client_certificate=settings.client_certificate,
                client_key=settings.client_key,
            ),
            observe=observe,
        )
    except ValueError as error:
        raise LookupSettingsError(f"lookup: {error}") from error


def _by_mapping(settings: LookupConfig, observe: Callable[[Exchanged], None] | None) -> DeclarativeLookup:
    # Imported where they are needed: most installations ask in another way.
    from casemap.declarative.credentials import AuthSettings  # noqa: PLC0415
    from casemap.declarative.lookup import DeclarativeLookup, DeclarativeSettings  # noqa: PLC0415

    dialect, auth, url = _dialect(settings), settings.auth, (settings.url or "").rstrip("/")
    kind = auth.type or dialect.auth
    try:
        exchange = ExchangeSettings(
            url=url,
            connect_timeout=settings.timeout,
            read_timeout=settings.timeout,
            total_timeout=settings.timeout,
            ca_file=settings.ca_file,
            client_certificate=settings.client_certificate,
            client_key=settings.client_key,
        )
    except ValueError as error:
        raise LookupSettingsError(f"lookup: {error}") from error
    try:
        return DeclarativeLookup(
            DeclarativeSettings(
                exchange=exchange,
                auth=AuthSettings(
                    type=kind,
                    user=auth.client_id if kind == "oauth2" else auth.user,
                    secret=load_lookup_secret(settings) or None,
                    token_url=auth.token_url or (url + dialect.token_path if dialect.token_path else None),
                    scope=auth.scope,
                    in_header=auth.client_auth == "basic",
                ),
                dialect=dialect,
            ),
            observe=observe,
        )
    except LookupSettingsError as error:
        text = str(error)
        raise LookupSettingsError(text if text.startswith("lookup.") else f"lookup.{text}") from error


def _dialect(settings: LookupConfig) -> Dialect:
    """Return the preset's dialect with what the configuration changes of it."""
    from casemap.declarative.dialect import Dialect, Request, changed, settled  # noqa: PLC0415
    from casemap.presets import load_preset  # noqa: PLC0415

    dialect = Dialect(requests={}) if settings.preset is None else load_preset(settings.preset)
    requests = dict(dialect.requests)
    for each in fields(settings.requests):
        changes: LookupRequestConfig | None = getattr(settings.requests, each.name)
        if changes is not None:
            requests[each.name] = changed(requests.get(each.name, Request()), _said(changes))
    dialect = replace(dialect, requests=requests, headers={**dialect.headers, **settings.headers})
    try:
        return settled(dialect, settings.settings)
    except LookupSettingsError as error:
        raise LookupSettingsError(f"lookup.{error}") from error


def _said(request: LookupRequestConfig) -> dict[str, object]:
    """Return what the configuration says of a question, its earlier requests as the adapter's."""
    from casemap.declarative.dialect import Step  # noqa: PLC0415

    said = {each.name: getattr(request, each.name) for each in fields(request)}
    if request.first is not None:
        said["first"] = {
            name: Step(path=step.path, query=step.query or {}, record=step.record or "@", match=step.match)
            for name, step in request.first.items()
        }
    return {name: value for name, value in said.items() if value is not None}
