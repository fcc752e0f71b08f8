"""Buckets against the contract: on Ceph, on emulators of S3 and Azure, and what the services have of their own."""

import datetime as dt
import itertools
import json
import os
import secrets
import subprocess
import sys
import time

import pytest

from storage.buckets import AzureContainer, GcsBucket, ObjectLock, S3Bucket, Wire, bucket_store
from storage.errors import (
    ObjectExistsError,
    ObjectLockedError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreRefusedError,
    StoreUnavailableError,
)
from storage.parts import Parts
from storage.probe import probe
from tests.contracts.store import StoreContract
from tests.objectservers.azurite import ACCOUNT, KEY
from tests.objectservers.moto import ACCESS, SECRET, s3_client
from tests.objectservers.proxy import running_proxy

QUICK = Wire(timeout=20.0, retries=2, part_bytes=5 * 2**20)
MIB = 2**20


def s3_bucket(url, bucket="plain", **more):
    """Return a bucket of an S3 server, below a prefix of its own."""
    settings = {
        "access_key_id": ACCESS, "secret_key": SECRET, "wire": QUICK, "prefix": f"test/{secrets.token_hex(8)}",
    }  # fmt: skip
    return S3Bucket(bucket=bucket, endpoint=url, **(settings | more))


def megabytes(count):
    """Yield chunks of other bytes each, from one buffer that is used again."""
    buffer = bytearray(MIB)
    for number in range(count):
        buffer[:] = bytes([number % 251]) * MIB
        yield memoryview(buffer)


class BucketContract(StoreContract):
    """What every bucket must do besides."""

    def test_many_parts_are_one_object(self, store):
        """A long object goes in parts, and is read back at any offset, in order and out of it."""
        put = store.put("bodies/ab/long", megabytes(12))
        reader = store.open("bodies/ab/long")
        assert put.size == reader.size == store.stat("bodies/ab/long").size == 12 * MIB
        assert [reader.read(number * MIB + 7, 3) for number in (11, 0, 5)] == [bytes([n]) * 3 for n in (11, 0, 5)]
        begun = b"".join(reader.read(offset, 300_000) for offset in range(0, 12 * MIB, 300_000))
        assert begun == b"".join(bytes(chunk) for chunk in megabytes(12))
        assert reader.read(12 * MIB - 1, 10) == b"\x0b"
        reader.close()

    def test_source_that_breaks_off_late_leaves_nothing(self, store):
        """Of a long object whose source fails nothing is to be seen."""

        def chunks():
            yield from megabytes(8)
            raise FileNotFoundError("the source broke")

        with pytest.raises(FileNotFoundError, match="the source broke"):
            store.put("bodies/ab/long", chunks())
        with pytest.raises(ObjectNotFoundError):
            store.stat("bodies/ab/long")

    def test_probe_finds_it_usable_and_leaves_nothing(self, store):
        """The probe writes, reads and deletes."""
        probe(store)
        assert list(store.list()) == []

    def test_listing_pages(self, store):
        """A listing of more than one page is whole and in order."""
        names = [f"slots/{n:02x}/{n:032x}" for n in range(40)]
        for name in names:
            store.put(name, [b"x"])
        assert [found.name for found in store.list("slots/")] == names
        assert [found.name for found in store.list("slots/1")] == [n for n in names if n.startswith("slots/1")]

    def test_reap_leaves_what_is_stored(self, store):
        """Probes that a crash left are removed once they are old; what is stored never is."""
        store.put("probes/left", [b"x"])
        store.put("a", [b"x"])
        assert store.reap(3600) == 0
        assert store.reap(-60) >= 1
        assert [found.name for found in store.list()] == ["a"]


class TestS3OnMoto(BucketContract):
    """The contract on an S3 emulator, whose conditions are no more than a look before it writes."""

    test_two_puts_of_one_name_have_one_winner = None

    @pytest.fixture
    def store(self, moto):
        return bucket_store(s3_bucket(moto))


class TestS3WithoutConditions(BucketContract):
    """The contract where the server does not heed If-None-Match, but for what that decides."""

    test_two_puts_of_one_name_have_one_winner = None

    @pytest.fixture
    def store(self, moto):
        return bucket_store(s3_bucket(moto, conditional_put=False))


class TestS3WithVersions(BucketContract):
    """The contract on a bucket that keeps versions, as those with object lock do."""

    test_two_puts_of_one_name_have_one_winner = None

    @pytest.fixture
    def store(self, moto):
        return bucket_store(s3_bucket(moto, "locked"))


@pytest.mark.timeout(300)
class TestS3OnCeph(BucketContract):
    """The contract on a real server."""

    @pytest.fixture
    def store(self, ceph):
        return bucket_store(s3_bucket(ceph))


class TestAzureOnAzurite(BucketContract):
    """The contract on Azure's emulator."""

    @pytest.fixture
    def store(self, azurite):
        return bucket_store(
            AzureContainer(
                account=ACCOUNT,
                container="plain",
                endpoint=azurite,
                account_key=KEY,
                wire=QUICK,
                prefix=secrets.token_hex(8),
            )
        )


class TestGcsOverS3(BucketContract):
    """The contract on GCS's XML API, spoken to an S3 emulator, whose API that is but for the conditions.

    No emulator of GCS has that API; what is tested is our client, not Google's service.
    """

    test_two_puts_of_one_name_have_one_winner = None

    @pytest.fixture
    def store(self, moto):
        def translated(headers):
            scope = "test/20260101/us-east-1/s3/aws4_request"
            headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=none"
            if headers.pop("x-goog-if-generation-match", None) == "0":
                headers["if-none-match"] = "*"
            return headers

        key = {"disable_oauth": True, "client_email": "", "private_key": "", "private_key_id": ""}
        with running_proxy(moto) as (url, orders):
            orders.translate = translated
            yield bucket_store(
                GcsBucket(
                    bucket="plain",
                    endpoint=url,
                    service_account=json.dumps(key),
                    wire=QUICK,
                    prefix=secrets.token_hex(8),
                )
            )


def versions_of(url, bucket, prefix):
    """Say what somebody else's client finds there, marks of deletion too."""
    found = s3_client(url).list_object_versions(Bucket=bucket, Prefix=prefix)
    return [each["Key"] for part in ("Versions", "DeleteMarkers") for each in found.get(part, [])]


@pytest.fixture(params=["moto", pytest.param("ceph", marks=[pytest.mark.timeout(300)])])
def server(request):
    """An S3 server: the emulator, then the real one."""
    return request.getfixturevalue(request.param)


def test_versions_go_with_the_object(server):
    """In a bucket that keeps versions nothing of what was deleted, or replaced, stays behind."""
    bucket = s3_bucket(server, "locked")
    store = bucket_store(bucket)
    store.put("slots/ab/one", [b"old"])
    store.put("slots/ab/one", [b"new"], replace=True)
    assert versions_of(server, "locked", bucket.prefix) == [f"{bucket.prefix}/slots/ab/one"]
    assert store.open("slots/ab/one").read(0, 9) == b"new"
    store.delete("slots/ab/one")
    assert versions_of(server, "locked", bucket.prefix) == []


def test_locked_bodies_stay_and_slots_go(server):
    """With object lock a body cannot be deleted before its day, and the error names it; a slot can."""
    lock = ObjectLock(mode="governance", seconds=3600)
    bucket = s3_bucket(server, "locked", lock=lock)
    store = bucket_store(bucket)
    begun = dt.datetime.now(dt.UTC)
    store.put("bodies/ab/one", megabytes(6))
    store.put("slots/ab/one", [b"slot"])
    key = f"{bucket.prefix}/bodies/ab/one"
    kept = s3_client(server).head_object(Bucket="locked", Key=key)
    assert kept["ObjectLockMode"] == "GOVERNANCE"
    assert abs((kept["ObjectLockRetainUntilDate"] - begun).total_seconds() - 3600) < 600
    with pytest.raises(ObjectLockedError, match="bodies/ab/one is locked until") as refused:
        store.delete("bodies/ab/one")
    assert abs((refused.value.until - kept["ObjectLockRetainUntilDate"]).total_seconds()) < 2
    assert store.open("bodies/ab/one").read(0, 3) == b"\0\0\0"
    store.delete("slots/ab/one")
    assert [found.name for found in store.list()] == ["bodies/ab/one"]
    probe(store)


def test_locked_body_goes_once_its_day_has_come(server):
    """A deletion that was refused succeeds later."""
    bucket = s3_bucket(server, "locked", lock=ObjectLock(mode="compliance", seconds=3))
    store = bucket_store(bucket)
    store.put("bodies/ab/one", [b"sealed"])
    with pytest.raises(ObjectLockedError) as refused:
        store.delete("bodies/ab/one")
    wait = (refused.value.until - dt.datetime.now(dt.UTC)).total_seconds()
    while wait > 0:
        time.sleep(wait)
        wait = (refused.value.until - dt.datetime.now(dt.UTC)).total_seconds()
    for _ in range(10):  # the server's clock may be a second behind
        try:
            store.delete("bodies/ab/one")
            break
        except ObjectLockedError:
            time.sleep(0.5)
    assert versions_of(server, "locked", bucket.prefix) == []


def test_bucket_without_lock_is_refused_where_one_is_wanted(server):
    """Object lock that the bucket cannot give is found by the probe, not by the loss of a file."""
    store = bucket_store(s3_bucket(server, lock=ObjectLock(mode="governance", seconds=60)))
    with pytest.raises(StoreRefusedError, match="without object lock"):
        probe(store)


def test_bucket_that_locks_everything_is_refused(moto):
    """A default retention would lock slots too."""
    client = s3_client(moto)
    client.create_bucket(Bucket="default-lock", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
    client.put_object_lock_configuration(
        Bucket="default-lock", ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule}
    )
    with pytest.raises(StoreRefusedError, match="default retention"):
        probe(bucket_store(s3_bucket(moto, "default-lock")))


def test_missing_bucket_is_no_missing_object(server):
    """Where the bucket is gone nothing is called missing: every verb says what is wrong."""
    store = bucket_store(s3_bucket(server, "no-such-bucket"))
    for verb in (store.stat, store.open, store.delete, lambda n: store.put(n, [b"x"]), lambda _n: list(store.list())):
        with pytest.raises(StoreRefusedError, match="no-such-bucket"):
            verb("a")


@pytest.mark.timeout(300)
def test_wrong_secret_is_refused_and_not_shown(ceph):
    """Credentials that are not taken are named as the reason; they stand in no message."""
    store = bucket_store(s3_bucket(ceph, secret_key="wrong-secret-value"))
    for verb in (store.stat, store.delete, lambda n: store.put(n, [b"x"]), lambda _n: list(store.list())):
        with pytest.raises(StoreRefusedError, match="check the credentials") as refused:
            verb("a")
        assert "wrong-secret-value" not in str(refused.value)
        assert refused.value.__cause__ is None
    assert "wrong-secret-value" not in repr(s3_bucket(ceph, secret_key="wrong-secret-value"))


def test_multipart_uploads_that_were_left_are_aborted(server, request):
    """Parts of an upload whose process died are paid for until somebody aborts it: reap does, below our prefix only."""
    bucket = s3_bucket(server)
    client = s3_client(server)
    mine = client.create_multipart_upload(Bucket="plain", Key=f"{bucket.prefix}/bodies/ab/left")
    client.upload_part(Bucket="plain", Key=mine["Key"], UploadId=mine["UploadId"], PartNumber=1, Body=bytes(5 * MIB))
    other = client.create_multipart_upload(Bucket="plain", Key="elsewhere/left")
    store = bucket_store(bucket)
    if request.node.callspec.params["server"] == "ceph":  # the emulator says that every upload was begun in 2010
        assert store.reap(3600) == 0
    assert store.reap(-60) == 1
    left = [each["Key"] for each in client.list_multipart_uploads(Bucket="plain").get("Uploads", [])]
    assert mine["Key"] not in left
    assert "elsewhere/left" in left
    client.abort_multipart_upload(Bucket="plain", Key="elsewhere/left", UploadId=other["UploadId"])


def test_environment_does_not_move_a_region(moto, monkeypatch):
    """Variables that AWS's own tools heed change nothing of where bytes go."""
    bucket = s3_bucket(moto)
    for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_SKIP_SIGNATURE", "true")
    monkeypatch.setenv("AWS_BUCKET", "other")
    bucket_store(bucket).put("a", [b"x"])
    assert versions_of(moto, "plain", bucket.prefix) == [f"{bucket.prefix}/a"]


def test_process_forked_after_use_is_told_so(moto):
    """A child of a process that has used a store gets an error instead of waiting for ever."""
    store = bucket_store(s3_bucket(moto))
    store.put("a", [b"x"])
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            store.stat("a")
        except StoreUnavailableError:
            os.write(write, b"told")
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 4) == b"told"
    os.close(read)
    os.close(write)


def test_store_handed_down_unused_works_in_each_process(moto):
    """A store that was made before a fork, and not used, connects in the process that uses it."""
    bucket = s3_bucket(moto)
    program = (
        "import os, sys\n"
        "from storage.buckets import S3Bucket, bucket_store\n"
        f"store = bucket_store(S3Bucket(bucket='plain', endpoint={moto!r}, prefix={bucket.prefix!r},"
        f" access_key_id={ACCESS!r}, secret_key={SECRET!r}))\n"
        "children = [os.fork() for _ in range(1)]\n"
        "store.put('from-child' if not children[0] else 'from-parent', [b'x'])\n"
        "if not children[0]: os._exit(0)\n"
        "os.waitpid(children[0], 0)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=100)
    assert [found.name for found in bucket_store(bucket).list()] == ["from-child", "from-parent"]


def test_parts_have_one_length_and_an_end():
    """Chunks of any length become parts of one; too many of them are refused before the service does."""
    parts = Parts([b"abc", b"", b"defgh", b"ij"], 4)
    assert (list(parts), parts.size, parts.ended) == ([b"abcd", b"efgh", b"ij"], 10, True)
    assert list(Parts([], 4)) == []
    with pytest.raises(ObjectTooLargeError, match="part_size"):
        list(Parts(itertools.repeat(b"x", 10_001), 1))


def test_second_long_put_of_a_name_is_refused(moto):
    """A name that is taken stays as it is, however long what comes is."""
    store = bucket_store(s3_bucket(moto))
    store.put("bodies/ab/one", [b"first"])
    with pytest.raises(ObjectExistsError):
        store.put("bodies/ab/one", megabytes(12))
    assert store.open("bodies/ab/one").read(0, 9) == b"first"
