"""Buckets of object stores: what is known of one, and the store that is made of it.

Everything that decides where bytes go is given here in full: obstore would take what is not given from the
environment (`AWS_ENDPOINT_URL_S3`, `AZURE_STORAGE_ENDPOINT` …), and a region must not move because a variable was set.
Only credentials that are left out are looked for where the provider's own tools look.
"""

from __future__ import annotations

import datetime as dt
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from storage.bucket import BucketStore
from storage.connection import Connection
from storage.s3requests import S3Requests

if TYPE_CHECKING:
    from obstore.store import AzureConfig, AzureStore, ClientConfig, GCSConfig, GCSStore, RetryConfig, S3Config, S3Store

PART_BYTES = 16 * 2**20
TIMEOUT_SECONDS = 60.0
RETRIES = 4
_CONNECT_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Wire:
    """How any of them is spoken to."""

    timeout: float = TIMEOUT_SECONDS
    """Longest time for one request, in seconds; a part of `part_bytes` must go through in it."""
    retries: int = RETRIES
    """How often a request is made again after a 5xx, a reset or a time-out, ever more slowly."""
    part_bytes: int = PART_BYTES
    """Bytes of one part of a multipart upload; an object has at most 10,000. Some five lie in memory at once."""
    ca: bytes = b""
    """PEM of authorities to trust besides the system's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectLock:
    """How long a body is kept from being deleted (S3 Object Lock)."""

    mode: Literal["governance", "compliance"]
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Bucket:
    """A bucket that is reached by the S3 API (AWS, Ceph, MinIO and others)."""

    bucket: str
    region: str = "us-east-1"
    endpoint: str | None = None
    """The URL of the service, without the bucket; None: AWS in that region."""
    prefix: str = ""
    """What the names of all objects begin with, without slashes at its ends."""
    access_key_id: str | None = None
    """None: credentials of the machine or of the environment, as AWS's own tools find them."""
    secret_key: str | None = field(default=None, repr=False)
    path_style: bool = True
    """Whether the bucket stands in the path; else it stands before the host."""
    conditional_put: bool = True
    """Whether the server understands If-None-Match on a PUT (it need not heed it)."""
    lock: ObjectLock | None = None
    wire: Wire = Wire()

    @property
    def service(self) -> str:
        """The URL of the service."""
        return (self.endpoint or f"https://s3.{self.region}.amazonaws.com").rstrip("/")

    @property
    def root(self) -> str:
        """The URL of the bucket."""
        if self.path_style:
            return f"{self.service}/{self.bucket}"
        parts = urlsplit(self.service)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}{parts.path}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GcsBucket:
    """A bucket of Google Cloud Storage."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    """The URL of the service; None: https://storage.googleapis.com."""
    service_account: str | None = field(default=None, repr=False)
    """The JSON of a service account's key; None: what Google's own tools find (instance, workload identity)."""
    wire: Wire = Wire()

    @property
    def service(self) -> str:
        """The URL of the service."""
        return (self.endpoint or "https://storage.googleapis.com").rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class AzureContainer:
    """A container of Azure Blob Storage."""

    account: str
    container: str
    prefix: str = ""
    endpoint: str | None = None
    """The URL of the account; None: https://ACCOUNT.blob.core.windows.net."""
    account_key: str | None = field(default=None, repr=False)
    """None: the identity of the machine, as Azure's own tools find it."""
    wire: Wire = Wire()

    @property
    def service(self) -> str:
        """The URL of the account."""
        return (self.endpoint or f"https://{self.account}.blob.core.windows.net").rstrip("/")


Bucket = S3Bucket | GcsBucket | AzureContainer


def bucket_store(bucket: Bucket) -> BucketStore:
    """Return the store of *bucket*. Nothing is asked of it yet: its connections are made when they are needed."""
    if isinstance(bucket, S3Bucket):
        return _s3_store(bucket)
    if isinstance(bucket, GcsBucket):
        place = f"bucket {bucket.bucket} of {bucket.service}"
        return BucketStore(Connection(lambda: _gcs_client(bucket), place), part_bytes=bucket.wire.part_bytes)
    place = f"container {bucket.container} of {bucket.service}"
    return BucketStore(Connection(lambda: _azure_client(bucket), place), part_bytes=bucket.wire.part_bytes)


def _s3_store(bucket: S3Bucket) -> BucketStore:
    place, requests = f"bucket {bucket.bucket} of {bucket.service}", None
    if bucket.access_key_id is not None and bucket.secret_key is not None:
        requests = S3Requests(
            root=bucket.root,
            place=place,
            region=bucket.region,
            access_key_id=bucket.access_key_id,
            secret_key=bucket.secret_key,
            prefix=bucket.prefix,
            timeout=bucket.wire.timeout,
            retries=bucket.wire.retries,
            ca=bucket.wire.ca,
        )
    return BucketStore(
        Connection(lambda: _s3_client(bucket), place),
        part_bytes=bucket.wire.part_bytes,
        conditional=bucket.conditional_put,
        requests=requests,
        lock_mode=None if bucket.lock is None else bucket.lock.mode,
        lock_seconds=0.0 if bucket.lock is None else bucket.lock.seconds,
    )


def _s3_client(bucket: S3Bucket) -> S3Store:
    from obstore.store import S3Store  # noqa: PLC0415  16 MB that only object stores need

    service = bucket.service if bucket.path_style else bucket.root
    config: S3Config = {
        "region": bucket.region,
        "endpoint": service,
        "aws_endpoint_url_s3": service,
        "virtual_hosted_style_request": not bucket.path_style,
        "conditional_put": "etag",
        "skip_signature": False,
        "unsigned_payload": False,
        "disable_bulk_delete": True,
        "s3_express": False,
    }
    if bucket.access_key_id is not None and bucket.secret_key is not None:
        config |= {"access_key_id": bucket.access_key_id, "secret_access_key": bucket.secret_key}
    return S3Store(
        bucket.bucket,
        prefix=bucket.prefix or None,
        config=config,
        client_options=_client(bucket.wire, service),
        retry_config=_retry(bucket.wire),
    )


def _gcs_client(bucket: GcsBucket) -> GCSStore:
    from obstore.store import GCSStore  # noqa: PLC0415  see above

    config: GCSConfig = {"base_url": bucket.service, "skip_signature": False}
    if bucket.service_account is not None:
        # A key file may name another service (`gcs_base_url`); ours is the one that counts.
        key = json.loads(bucket.service_account)
        config["service_account_key"] = json.dumps({**key, "gcs_base_url": bucket.service})
    return GCSStore(
        bucket.bucket,
        prefix=bucket.prefix or None,
        config=config,
        client_options=_client(bucket.wire, bucket.service),
        retry_config=_retry(bucket.wire),
    )


def _azure_client(bucket: AzureContainer) -> AzureStore:
    from obstore.store import AzureStore  # noqa: PLC0415  see above

    config: AzureConfig = {
        "account_name": bucket.account,
        "endpoint": bucket.service,
        "use_emulator": False,
        "use_fabric_endpoint": False,
        "skip_signature": False,
    }
    if bucket.account_key is not None:
        config["account_key"] = bucket.account_key
    return AzureStore(
        bucket.container,
        prefix=bucket.prefix or None,
        config=config,
        client_options=_client(bucket.wire, bucket.service),
        retry_config=_retry(bucket.wire),
    )


def _client(wire: Wire, service: str) -> ClientConfig:
    options: ClientConfig = {
        "timeout": dt.timedelta(seconds=wire.timeout),
        "connect_timeout": dt.timedelta(seconds=min(_CONNECT_SECONDS, wire.timeout)),
        "allow_http": service.startswith("http://"),
        "allow_invalid_certificates": False,
        "user_agent": "mft",
    }
    if wire.ca:
        options["root_certificate"] = wire.ca
    return options


def _retry(wire: Wire) -> RetryConfig:
    return {
        "max_retries": wire.retries,
        "retry_timeout": dt.timedelta(seconds=2 * wire.timeout),
        "backoff": {
            "init_backoff": dt.timedelta(milliseconds=100),
            "max_backoff": dt.timedelta(seconds=5),
            "base": 2,
        },
    }
