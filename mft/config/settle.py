"""Fill in what depends on other keys: default paths, the home region, the order of the regions."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mft.config.model import Config
    from mft.config.places import RegionConfig

T = TypeVar("T")


def settle(config: Config) -> Config:
    """Return *config* with every path absolute and every region named."""
    home = config.residency.home or (next(iter(config.regions)) if len(config.regions) == 1 else "")
    settled = replace(
        config,
        residency=replace(config.residency, home=home),
        catalog=replace(config.catalog, region=config.catalog.region or home),
        listeners=tuple(replace(listener, region=listener.region or home) for listener in config.listeners),
        regions={name: _settle_region(name, region, tuple(config.regions)) for name, region in config.regions.items()},
    )
    return _below(settled, config.data)


def _settle_region(name: str, region: RegionConfig, names: tuple[str, ...]) -> RegionConfig:
    rest = (other for other in names if other != name and other not in region.nearest)
    return replace(
        region,
        nearest=(*region.nearest, *rest),
        landing=_named(region.landing, name),
        store=replace(region.store, path=_named(region.store.path, name)),
        keyring=replace(region.keyring, path=_named(region.keyring.path, name)),
        keys=replace(region.keys, ledger=_named(region.keys.ledger, name)),
    )


def _named(path: Path, region: str) -> Path:
    return path if path.is_absolute() else Path(str(path).format(region=region))


def _below(value: T, data: Path) -> T:
    """Put every path that is still relative (a default) below *data*, wherever it stands in *value*."""
    result: object = value
    if isinstance(value, Path):
        result = data / value
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        changed = {field.name: _below(getattr(value, field.name), data) for field in dataclasses.fields(value)}
        result = replace(value, **changed)
    elif isinstance(value, tuple):
        result = tuple(_below(item, data) for item in value)
    elif isinstance(value, Mapping):
        result = {key: _below(item, data) for key, item in value.items()}
    return result  # type: ignore[return-value]  # of the type that it was
