"""The stores and landing zones of the regions, made from the configuration; no connection is opened before it is used.

A directory in which there is none is a new one, unless the catalog knows of something in it: then its disk is away.
"""

from __future__ import annotations

import contextlib
import sqlite3
from typing import TYPE_CHECKING

from mft.catalog.model import REPLICAS, UPLOADS
from mft.config.errors import ConfigError, Fault
from mft.config.secrets import load_store_secret
from storage.landing import LandingZone
from storage.landing.zone import is_zone
from storage.local import LocalStore, is_made

if TYPE_CHECKING:
    from pathlib import Path

    from mft.config.model import Config
    from mft.config.stores import AzureConfig, GcsConfig, S3Config, StoreConfig
    from storage.buckets import Bucket, Wire
    from storage.store import ObjectStore

_OBJECTS = f"SELECT DISTINCT region FROM {REPLICAS.name} WHERE state IN ('present', 'leaving', 'destroying')"  # noqa: S608 - a name of ours
_LOGS = (
    f"SELECT DISTINCT region FROM {UPLOADS.name} WHERE landing_gone_at IS NULL"  # noqa: S608 - the same
    " AND (state IN ('landed', 'scrubbing', 'quarantined') OR (state = 'interrupted' AND prefix > 0))"
)


def open_stores(config: Config) -> dict[str, ObjectStore]:
    """Return the store of each region.

    Raises:
        ConfigError: a file that one of them needs cannot be read, or is open to everyone.
    """
    places = {name: region.store.path for name, region in config.regions.items() if region.store.bucket is None}
    lost = set() if all(map(is_made, places.values())) else _told(config.catalog.path, _OBJECTS)
    return {name: open_store(region.store, name, make=name not in lost) for name, region in config.regions.items()}


def open_zones(config: Config) -> dict[str, LandingZone]:
    """Return the landing zone of each region."""
    places = {name: region.landing for name, region in config.regions.items()}
    lost = set() if all(map(is_zone, places.values())) else _told(config.catalog.path, _LOGS)
    return {
        name: LandingZone(place, make=name not in lost or any(place.glob("*.landing")))  # one of an older release
        for name, place in places.items()
    }


def _told(catalog: Path, query: str) -> set[str]:
    """Return the regions of which the catalog, if there is one, says that something lies there."""
    if not catalog.exists():
        return set()
    with contextlib.closing(sqlite3.connect(f"{catalog.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        try:
            return {region for (region,) in connection.execute(query)}
        except sqlite3.OperationalError:  # one that is being made
            return set()


def open_store(store: StoreConfig, region: str, *, make: bool = True) -> ObjectStore:
    """Return the store of one region; with *make* a directory is made if it is not there.

    Raises:
        ConfigError: see `open_stores`.
    """
    if store.bucket is None:
        return LocalStore(store.path, make=make)
    from storage.buckets import bucket_store  # noqa: PLC0415  only where a region has a bucket

    return bucket_store(bucket_of(store, region))


def bucket_of(store: StoreConfig, region: str) -> Bucket:
    """Return what storage has to know of a region's bucket.

    Raises:
        ConfigError: see `open_stores`.
    """
    from storage.buckets import AzureContainer, GcsBucket  # noqa: PLC0415  see above

    secret = load_store_secret(store, region)
    if store.s3 is not None:
        return _s3_bucket(store.s3, region, secret)
    if store.gcs is not None:
        gcs = store.gcs
        return GcsBucket(
            bucket=gcs.bucket,
            prefix=gcs.prefix or "",
            endpoint=gcs.endpoint,
            service_account=secret,
            wire=_wire(gcs, f"regions.{region}.store.gcs.ca_file"),
        )
    if store.azure is None:
        raise AssertionError("a directory is no bucket")
    azure = store.azure
    return AzureContainer(
        account=azure.account,
        container=azure.container,
        prefix=azure.prefix or "",
        endpoint=azure.endpoint,
        account_key=secret,
        wire=_wire(azure, f"regions.{region}.store.azure.ca_file"),
    )


def _s3_bucket(s3: S3Config, region: str, secret: str | None) -> Bucket:
    from storage.buckets import ObjectLock, S3Bucket  # noqa: PLC0415  see above

    lock = s3.object_lock
    return S3Bucket(
        bucket=s3.bucket,
        region=s3.region,
        endpoint=s3.endpoint,
        prefix=s3.prefix or "",
        access_key_id=s3.access_key_id,
        secret_key=secret,
        path_style=s3.path_style,
        conditional_put=s3.conditional_put,
        lock=None if lock is None else ObjectLock(mode=lock.mode, seconds=lock.retention),
        wire=_wire(s3, f"regions.{region}.store.s3.ca_file"),
    )


def _wire(bucket: S3Config | GcsConfig | AzureConfig, key: str) -> Wire:
    from storage.buckets import Wire  # noqa: PLC0415  see above

    return Wire(
        timeout=bucket.timeout,
        retries=bucket.retries,
        part_bytes=bucket.part_size,
        ca=b"" if bucket.ca_file is None else _read(bucket.ca_file, key),
    )


def _read(path: Path, key: str) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        fault = Fault(file=str(path), path=key, expected="a file that can be read", found=error.strerror or "an error")
        raise ConfigError((fault,)) from error
    if b"-----BEGIN CERTIFICATE-----" not in data:
        fault = Fault(file=str(path), path=key, expected="certificates in PEM", found=f"{len(data)} bytes without one")
        raise ConfigError((fault,))
    return data
