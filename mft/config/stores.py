"""Where a region's sealed objects lie: a directory of this machine, or a bucket of an object store."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from urllib.parse import urlsplit

from mft.config.units import CountOrNought, PositiveSeconds, Secret, Unit, parse_size

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 2**20
PartSize = Annotated[
    int,
    Unit(
        expected="a size from 5MiB to 512MiB",
        parse=parse_size,
        accepts=lambda value: isinstance(value, int) and 5 * MIB <= value <= 512 * MIB,
    ),
]
_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", re.ASCII)
_CONTAINER = re.compile(r"[a-z0-9](?:-?[a-z0-9]){2,62}", re.ASCII)
_ACCOUNT = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
_PREFIX = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)
_MOST_PREFIX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLockConfig:
    """How long the store itself keeps every body from being deleted (WORM)."""

    mode: Literal["governance", "compliance"]
    """`governance`: who has the right to it may still delete; `compliance`: nobody may."""
    retention: PositiveSeconds
    """From the moment at which a body is stored."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config:
    """A bucket that is reached by the S3 API."""

    bucket: str
    region: str = "us-east-1"
    """As the service calls it; part of every signature."""
    endpoint: str | None = None
    """The URL of the service, without the bucket; null: AWS in that region."""
    prefix: str | None = None
    """What the names of all objects begin with; null: nothing."""
    access_key_id: str | None = None
    """Null: the machine's own role, as AWS's tools find it."""
    secret_key_file: Path | None = None
    """The file whose first line is the secret that belongs to it."""
    secret_key: Secret | None = field(default=None, repr=False)
    """The secret itself, from `${ENV}`; give this or the file."""
    path_style: bool = True
    """Whether the bucket stands in the path of URLs; else it stands before the host."""
    conditional_put: bool = True
    """Whether the service understands If-None-Match on a PUT."""
    ca_file: Path | None = None
    """PEM file of an authority to trust besides the system's."""
    timeout: PositiveSeconds = 60.0
    """Longest time for one request; a part must go through in it."""
    retries: CountOrNought = 4
    """How often a request is made again after a 5xx, a reset or a time-out."""
    part_size: PartSize = 16 * MIB
    """Of a multipart upload; an object has at most 10,000 parts, and some five lie in memory."""
    object_lock: ObjectLockConfig | None = None
    """Null: bodies can be deleted at any time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsConfig:
    """A bucket of Google Cloud Storage."""

    bucket: str
    prefix: str | None = None
    endpoint: str | None = None
    """The URL of the service; null: https://storage.googleapis.com."""
    service_account_file: Path | None = None
    """The JSON key of a service account; null: the machine's own identity, as Google's tools find it."""
    ca_file: Path | None = None
    timeout: PositiveSeconds = 60.0
    retries: CountOrNought = 4
    part_size: PartSize = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureConfig:
    """A container of Azure Blob Storage."""

    account: str
    container: str
    prefix: str | None = None
    endpoint: str | None = None
    """The URL of the account; null: https://ACCOUNT.blob.core.windows.net."""
    account_key_file: Path | None = None
    """The file whose first line is a key of the account."""
    account_key: Secret | None = field(default=None, repr=False)
    """The key itself, from `${ENV}`; neither of the two: the machine's managed identity."""
    ca_file: Path | None = None
    timeout: PositiveSeconds = 60.0
    retries: CountOrNought = 4
    part_size: PartSize = 16 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreConfig:
    """Where a region's sealed objects lie."""

    type: Literal["local", "s3", "gcs", "azure"] | None = None
    """Null: whichever of the three below is given, else `local`."""
    path: Path = Path("regions/{region}/store")
    """`local`: a directory of this region alone."""
    s3: S3Config | None = None
    gcs: GcsConfig | None = None
    azure: AzureConfig | None = None

    @property
    def bucket(self) -> S3Config | GcsConfig | AzureConfig | None:
        """What is known of the bucket; None where the store is a directory."""
        return self.s3 or self.gcs or self.azure

    @property
    def kind(self) -> str:
        """What it is, in one word."""
        return "s3" if self.s3 else "gcs" if self.gcs else "azure" if self.azure else "local"

    @property
    def place(self) -> tuple[str, str, str]:
        """Service, bucket and prefix: what another region's store must not share; empty for a directory."""
        bucket = self.bucket
        if bucket is None:
            return ("", "", "")
        if isinstance(bucket, AzureConfig):
            return (bucket.endpoint or bucket.account, bucket.container, bucket.prefix or "")
        return (bucket.endpoint or self.kind, bucket.bucket, bucket.prefix or "")


def store_faults(store: StoreConfig) -> Iterator[tuple[tuple[str, ...], str, str]]:
    """Yield what is wrong within one store: the key below `store`, what was expected, what stands there."""
    given = [name for name in ("s3", "gcs", "azure") if getattr(store, name) is not None]
    if len(given) > 1:
        yield ((), "one of s3, gcs and azure", " and ".join(given))
        return
    if store.type is not None and store.type != store.kind:
        expected = f"a map `{store.type}`, as type says" if not given else f"type: {store.kind}, or none"
        yield ((given or [store.type])[:1][0],), expected, given[0] if given else "nothing"
        return
    bucket = store.bucket
    if bucket is None:
        return
    kind = store.kind
    if bucket.prefix and (len(bucket.prefix) > _MOST_PREFIX or not _PREFIX.fullmatch(bucket.prefix)):
        expected = "names of letters, digits and . _ - between slashes, such as support/eu"
        yield (kind, "prefix"), expected, repr(bucket.prefix)
    if bucket.endpoint is not None and not _is_service(bucket.endpoint):
        expected = "https:// (or http://) with a host, and without a login, a query or a fragment"
        yield (kind, "endpoint"), expected, ""
    if isinstance(bucket, AzureConfig):
        yield from _azure_faults(bucket)
        return
    if not _BUCKET.fullmatch(bucket.bucket):
        yield (kind, "bucket"), "the name of a bucket: 3 to 222 of a-z 0-9 . _ -", repr(bucket.bucket)
    if isinstance(bucket, S3Config):
        yield from _s3_faults(bucket)


def _s3_faults(bucket: S3Config) -> Iterator[tuple[tuple[str, ...], str, str]]:
    secrets = [name for name in ("secret_key_file", "secret_key") if getattr(bucket, name) is not None]
    if bucket.access_key_id is not None and len(secrets) != 1:
        found = "both" if secrets else "neither"
        yield ("s3", "secret_key_file"), "exactly one of secret_key_file and secret_key", found
    elif bucket.access_key_id is None and secrets:
        yield ("s3", "access_key_id"), f"the id that {secrets[0]} belongs to", "nothing"
    elif bucket.access_key_id is None and bucket.object_lock is not None:
        yield ("s3", "access_key_id"), "an id and its secret, which object_lock needs", "nothing"


def _azure_faults(bucket: AzureConfig) -> Iterator[tuple[tuple[str, ...], str, str]]:
    if not _ACCOUNT.fullmatch(bucket.account):
        yield ("azure", "account"), "the name of a storage account: 3 to 24 of a-z 0-9", repr(bucket.account)
    if not _CONTAINER.fullmatch(bucket.container):
        expected = "the name of a container: 3 to 63 of a-z 0-9 and single hyphens"
        yield ("azure", "container"), expected, repr(bucket.container)
    if bucket.account_key is not None and bucket.account_key_file is not None:
        yield ("azure", "account_key_file"), "at most one of account_key_file and account_key", "both"


def _is_service(url: str) -> bool:
    try:
        parts = urlsplit(url)
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        return False
    plain = parts.username is None and not parts.query and not parts.fragment
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and plain and port_is_number
