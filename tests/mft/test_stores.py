"""Stores of the configuration: what is wrong is named, buckets are tried, and what a bucket keeps goes in its time."""

from __future__ import annotations

import json
import secrets
import shutil
import time
from typing import TYPE_CHECKING, Any

import pytest

from mft.config import ConfigError, parse_config
from mft.server.lifecycle import make_lifecycle
from mft.server.storewatch import StoreWatch
from mft.stores import bucket_of, open_stores
from protocols.errors import UnavailableError
from storage.buckets import AzureContainer, GcsBucket, S3Bucket
from storage.errors import StoreRefusedError, StoreUnavailableError
from storage.local import LocalStore
from storage.memory import MemoryStore
from tests.core import Core, running_core, until
from tests.objectservers.moto import ACCESS, SECRET, running_moto, s3_client

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.config import Config
    from mft.scrubbing.nursery import Nursery

LOCK_SECONDS = 4


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 emulator with a bucket that has object lock."""
    with running_moto(tmp_path_factory.mktemp("moto")) as url:
        s3_client(url).create_bucket(Bucket="locked", ObjectLockEnabledForBucket=True)
        yield url


def configured(tmp_path: Path, **stores: Any) -> Config:
    """Read a configuration with one region for each store."""
    regions = {name: {"keyring": {"passphrase": "a"}, "store": store} for name, store in stores.items()}
    document = {
        "listeners": [{"protocol": "sftp", "port": 1}],
        "regions": regions,
        "residency": {"home": next(iter(regions))},
        "lookup": {"table": {}},
    }
    return parse_config(document, base=tmp_path)


def faults(tmp_path: Path, **stores: Any) -> dict[str, str]:
    """Say what is wrong with it, by path."""
    with pytest.raises(ConfigError) as caught:
        configured(tmp_path, **stores)
    return {fault.path: str(fault) for fault in caught.value.faults}


def secret(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    """Write a secret's file."""
    path = tmp_path / f"secret-{secrets.token_hex(4)}"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


S3 = {"bucket": "support", "access_key_id": "a", "secret_key": "b"}


@pytest.mark.parametrize(
    ("store", "path", "words"),
    [
        ({"type": "s3"}, "regions.eu.store.s3", "a map `s3`"),
        ({"type": "gcs", "s3": S3}, "regions.eu.store.s3", "type: s3"),
        ({"s3": S3, "gcs": {"bucket": "support"}}, "regions.eu.store", "one of s3, gcs and azure"),
        ({"s3": {}}, "regions.eu.store.s3.bucket", "is missing"),
        ({"s3": {**S3, "bucket": "Up/per"}}, "regions.eu.store.s3.bucket", "name of a bucket"),
        ({"s3": {**S3, "prefix": "/a"}}, "regions.eu.store.s3.prefix", "between slashes"),
        ({"s3": {**S3, "prefix": "a/../b"}}, "regions.eu.store.s3.prefix", "between slashes"),
        ({"s3": {**S3, "endpoint": "s3.example"}}, "regions.eu.store.s3.endpoint", "https://"),
        ({"s3": {**S3, "endpoint": "https://a:b@s3.example"}}, "regions.eu.store.s3.endpoint", "without a login"),
        ({"s3": {**S3, "secret_key_file": "x"}}, "regions.eu.store.s3.secret_key_file", "exactly one"),
        ({"s3": {"bucket": "support", "access_key_id": "a"}}, "regions.eu.store.s3.secret_key_file", "exactly one"),
        ({"s3": {"bucket": "support", "secret_key": "b"}}, "regions.eu.store.s3.access_key_id", "belongs to"),
        (
            {"s3": {"bucket": "support", "object_lock": {"mode": "governance", "retention": "1d"}}},
            "regions.eu.store.s3.access_key_id",
            "object_lock needs",
        ),
        (
            {"s3": {**S3, "object_lock": {"mode": "gentle", "retention": "1d"}}},
            "regions.eu.store.s3.object_lock.mode",
            "governance or compliance",
        ),
        ({"s3": {**S3, "part_size": "1MiB"}}, "regions.eu.store.s3.part_size", "5MiB"),
        ({"s3": {**S3, "buckett": "x"}}, "regions.eu.store.s3.buckett", "is not a key"),
        ({"azure": {"account": "A-b", "container": "objects"}}, "regions.eu.store.azure.account", "storage account"),
        ({"azure": {"account": "abc", "container": "a--b"}}, "regions.eu.store.azure.container", "single hyphens"),
        (
            {"azure": {"account": "abc", "container": "objects", "account_key": "a", "account_key_file": "b"}},
            "regions.eu.store.azure.account_key_file",
            "at most one",
        ),
    ],
)  # fmt: skip
def test_wrong_store_is_named(tmp_path: Path, store: dict[str, Any], path: str, words: str) -> None:
    """What cannot be right is refused with the key that is wrong, and what belongs there."""
    found = faults(tmp_path, eu=store)
    assert words in found[path]
    assert "b@s3" not in str(found)


@pytest.mark.parametrize(("one", "other"), [(None, None), ("a", "a"), (None, "a"), ("a/b", "a")])
def test_two_regions_do_not_share_a_place(tmp_path: Path, one: str | None, other: str | None) -> None:
    """Two regions in one bucket keep to prefixes of which neither holds the other."""
    found = faults(tmp_path, eu={"s3": {**S3, "prefix": one}}, us={"s3": {**S3, "prefix": other}})
    assert "apart from regions.eu.store" in found["regions.us.store.s3"]


def test_prefixes_apart_are_places_of_their_own(tmp_path: Path) -> None:
    """One bucket may serve two regions below prefixes apart; another service may have one of the same name."""
    config = configured(
        tmp_path,
        eu={"s3": {**S3, "prefix": "ab"}},
        us={"s3": {**S3, "prefix": "a"}},
        ap={"s3": {**S3, "endpoint": "https://elsewhere"}},
    )
    assert [region.store.kind for region in config.regions.values()] == ["s3", "s3", "s3"]


def test_every_key_reaches_the_bucket(tmp_path: Path) -> None:
    """What the configuration says of a bucket is what storage is told, secrets from closed files."""
    authority = tmp_path / "ca.pem"
    authority.write_text("-----BEGIN CERTIFICATE-----\n")
    account = json.dumps({"private_key": "k", "client_email": "a@b"})
    wire = {"ca_file": str(authority), "timeout": "7s", "retries": 2, "part_size": "8MiB", "prefix": "p"}
    config = configured(
        tmp_path,
        eu={
            "type": "s3",
            "s3": {
                **wire, "bucket": "one", "region": "eu-1", "endpoint": "https://s3.example", "access_key_id": "id",
                "secret_key_file": secret(tmp_path, "word\n"), "path_style": False, "conditional_put": False,
                "object_lock": {"mode": "compliance", "retention": "2d"},
            },
        },
        us={"gcs": {**wire, "bucket": "two", "service_account_file": secret(tmp_path, account)}},
        ap={"azure": {**wire, "account": "acc", "container": "three", "account_key_file": secret(tmp_path, "key\n")}},
        local={"path": str(tmp_path / "here")},
    )  # fmt: skip
    s3, gcs, azure = (bucket_of(config.regions[name].store, name) for name in ("eu", "us", "ap"))
    assert isinstance(s3, S3Bucket)
    assert isinstance(gcs, GcsBucket)
    assert isinstance(azure, AzureContainer)
    assert (s3.root, s3.secret_key, s3.conditional_put) == ("https://one.s3.example", "word", False)
    assert s3.lock is not None
    assert (s3.lock.mode, s3.lock.seconds) == ("compliance", 2 * 86400)
    assert (gcs.service_account, azure.account_key) == (account, "key")
    for bucket in (s3, gcs, azure):
        assert (bucket.wire.timeout, bucket.wire.retries, bucket.wire.part_bytes) == (7.0, 2, 8 * 2**20)
        assert (bucket.wire.ca, bucket.prefix) == (authority.read_bytes(), "p")
        assert not {"word", "key", account} & set(repr(bucket).split("'"))
    assert isinstance(open_stores(config)["local"], LocalStore)


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [("word\n", 0o644, "chmod 600"), ("", 0o600, "one line of text"), (None, 0o600, "a file that can be read")],
)
def test_secret_that_others_can_read_is_refused(tmp_path: Path, text: str | None, mode: int, words: str) -> None:
    """A secret's file that is open, empty or absent stops the command, and its content is not shown."""
    file = str(tmp_path / "absent") if text is None else secret(tmp_path, text, mode)
    config = configured(tmp_path, eu={"s3": {"bucket": "support", "access_key_id": "a", "secret_key_file": file}})
    with pytest.raises(ConfigError, match=words) as refused:
        open_stores(config)
    assert "regions.eu.store.s3.secret_key_file" in str(refused.value)
    assert "word" not in str(refused.value)


def test_service_account_that_is_none_is_refused(tmp_path: Path) -> None:
    """What is not the key of a service account is refused before Google is asked."""
    config = configured(
        tmp_path, eu={"gcs": {"bucket": "support", "service_account_file": secret(tmp_path, '{"a": "sesame"}')}}
    )
    with pytest.raises(ConfigError, match="JSON key of a service account") as refused:
        open_stores(config)
    assert "sesame" not in str(refused.value)


class Moody(MemoryStore):
    """A store that can be away, and that has leftovers."""

    def __init__(self) -> None:
        super().__init__()
        self.away: Exception | None = None
        self.reaped: list[float] = []

    def put(self, *arguments: Any, **keywords: Any) -> Any:
        if self.away is not None:
            raise self.away
        return super().put(*arguments, **keywords)

    def reap(self, older_than_seconds: float) -> int:
        self.reaped.append(older_than_seconds)
        return 1


def test_stores_are_watched(caplog: pytest.LogCaptureFixture) -> None:
    """A store that goes away is told once, and again when it is back; another one is not touched by it."""
    caplog.set_level("INFO")
    stores = {"eu": Moody(), "us": Moody()}
    stores["us"].away = StoreRefusedError("bucket of the us refuses it: check the credentials")
    watch = StoreWatch(stores, up_every=0.05, down_every=0.05)
    watch.start()
    try:
        until(lambda: watch.healthy("eu") is True and watch.healthy("us") is False)
        until(lambda: stores["eu"].reaped)
        assert stores["eu"].reaped == [24 * 3600.0]
        assert stores["us"].reaped == []
        stores["us"].away = None
        until(lambda: watch.healthy("us") is True and stores["us"].reaped)
        stores["us"].away = StoreUnavailableError("away again")
        until(lambda: watch.healthy("us") is False)
        assert watch.healthy("eu") is True
    finally:
        watch.stop()
    told = [(record.getMessage(), record.region) for record in caplog.records if record.name.endswith("storewatch")]  # type: ignore[attr-defined]  # from `extra`
    wanted = ["store.unusable", "store.leftovers_gone", "store.usable", "store.unusable"]
    assert sorted(event for event, region in told if region == "us") == sorted(wanted)
    assert list(stores["eu"].list()) == []


@pytest.mark.timeout(240)
def test_locked_body_delays_the_certificate_and_not_the_destruction(
    tmp_path: Path, nursery: Nursery, moto: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A case whose bodies are locked is destroyed at once; its bodies go, and it is certified, when their day comes."""
    bucket = {
        "bucket": "locked", "endpoint": moto, "prefix": secrets.token_hex(4), "access_key_id": ACCESS,
        "secret_key_file": secret(tmp_path, SECRET), "object_lock": {"mode": "compliance", "retention": LOCK_SECONDS},
    }  # fmt: skip
    soon = {"read_after_close": "0s", "retention": "1ms"}
    with running_core(tmp_path, nursery, lifecycle=soon, regions={"eu": {"store": {"s3": bucket}}}) as core:
        core.client("ann").put("/ACME-1/to-support/kept.txt", b"sealed and locked\n")
        core.work()
        core.work()
        assert core.states() == ["stored"]
        store = core.parts.stores["eu"]
        core.system.change_case("ACME-1", {"state": "closed"})
        lifecycle = make_lifecycle(
            config=core.config,
            credentials=core.parts.credentials,
            database=core.database,
            trail=core.parts.trail,
            lookup=core.parts.lookup,
            objects=core.parts.objects,
            zones=core.parts.zones,
        )
        first = lifecycle.run(by="test")
        assert first.destroyed
        assert core.states() == ["destroyed"]
        if first.finished == 0:  # else the lock was over by then
            assert [found.name.partition("/")[0] for found in store.list()] == ["bodies"]
            assert any("is locked until" in str(getattr(record, "why", "")) for record in caplog.records)
        time.sleep(LOCK_SECONDS)
        until(lambda: lifecycle.run(by="test").finished or not list(store.list()))
        assert list(store.list()) == []


def test_disk_of_a_store_that_is_not_mounted_costs_no_file(tmp_path: Path, nursery: Nursery) -> None:
    """While it serves, and at a start without it: what came waits uncounted, nothing is made below the mount point."""
    quick = {"scrub": {"attempts": 1}, "residency": {"home": "eu", "copies": ["us"], "rules": []}}
    mount_point, disk = tmp_path / "data" / "regions" / "eu" / "store", tmp_path / "disk"

    def work(core: Core) -> None:
        for _ in range(3):
            core.work()
            core.intake._resting.clear()

    with running_core(tmp_path, nursery, **quick) as core:
        core.client("ann").put("/ACME-1/to-support/a", b"before\n")
        work(core)
        mount_point.rename(disk)
        mount_point.mkdir()
        core.client("ann").put("/ACME-1/to-support/b", b"meanwhile\n")
        work(core)
        assert core.states() == ["stored", "landed"]
        assert core.client("eve").get("/ACME-1/to-support/a") == b"before\n", "from the copy"
    with running_core(tmp_path, nursery, **quick) as core:
        core.client("ann").put("/ACME-1/to-support/c", b"later\n")
        work(core)
        assert core.states() == ["stored", "landed", "landed"]
        assert list(mount_point.iterdir()) == []
        mount_point.rmdir()
        disk.rename(mount_point)
        work(core)
        assert core.states() == ["stored"] * 3
        assert core.client("eve").get("/ACME-1/to-support/b") == b"meanwhile\n"


def test_disk_of_a_landing_zone_that_is_not_mounted_costs_no_file(tmp_path: Path, nursery: Nursery) -> None:
    """At a start without it: what had landed waits uncounted, a cut upload keeps its place, new ones are refused."""
    quick = {"scrub": {"attempts": 1}, "landing": {"resume_grace": 0}}
    mount_point, disk = tmp_path / "data" / "regions" / "eu" / "landing", tmp_path / "disk"
    part = b"the beginning of something\n"
    with running_core(tmp_path, nursery, **quick) as core:
        core.client("ann").put("/ACME-1/to-support/a", b"landed\n")
        core.client("ann").cut("/ACME-1/to-support/b", part)
    mount_point.rename(disk)
    mount_point.mkdir()
    with running_core(tmp_path, nursery, **quick) as core:
        for _ in range(3):
            core.work()
            core.intake._resting.clear()
            core.intake._sweep.run()
        assert core.states() == ["landed", "interrupted"]
        with pytest.raises(UnavailableError):
            core.client("ann").put("/ACME-1/to-support/c", b"new\n")
        with pytest.raises(UnavailableError):
            core.client("ann").resume("/ACME-1/to-support/b", part + b"and its end\n")
        assert not any(path.is_file() for path in mount_point.rglob("*"))
        shutil.rmtree(mount_point)
        disk.rename(mount_point)
        core.work()
        assert core.client("eve").get("/ACME-1/to-support/a") == b"landed\n"
        assert core.client("ann").resume("/ACME-1/to-support/b", part + b"and its end\n")
