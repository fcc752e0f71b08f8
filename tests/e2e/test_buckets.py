"""Regions of both kinds: one on this machine's disk, one in a bucket, each of them home and copy in turn."""

from __future__ import annotations

import subprocess
import urllib.request
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.house import MFT, House, running_house
from tests.objectservers.moto import ACCESS, SECRET, running_moto, s3_client
from tests.objectservers.proxy import Orders, running_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


class Both(NamedTuple):
    """A house, what stands between it and its bucket, and the bucket's own door."""

    house: House
    orders: Orders
    server: str

    def names(self) -> list[str]:
        """Say what lies in the bucket."""
        found = s3_client(self.server).list_objects_v2(Bucket="support", Prefix="mft/us/").get("Contents", [])
        return [each["Key"].removeprefix("mft/us/") for each in found]


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A house whose region `us` is a bucket."""
    directory = tmp_path_factory.mktemp("both")
    secret = directory / "s3.secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    with running_moto(directory) as server, running_proxy(server) as (url, orders):
        s3_client(server).create_bucket(Bucket="support")
        bucket = {
            "bucket": "support", "endpoint": url, "prefix": "mft/us", "access_key_id": ACCESS,
            "secret_key_file": str(secret), "timeout": "20s", "retries": 1, "part_size": "5MiB",
        }  # fmt: skip
        reading = {"nearness": "configured"}  # a disk beside it always answers sooner than a bucket
        with running_house(directory, regions={"us": {"store": {"s3": bucket}}}, reading=reading) as house:
            yield Both(house, orders, server)


def lines(size: int) -> bytes:
    """Return a log in which there is nothing to scrub, every line another."""
    return b"".join(b"step %08d is done\n" % number for number in range(size // 22))


def deposit(house: House, login: str, path: str, content: bytes, region: str) -> None:
    """Send a file and wait until nothing is left to do with it."""
    with house.client(login, region) as client, client.open(path, "wb") as file:
        file.write(content)
    house.until(house.settled, "scrubbing and copying")


def read_at(house: House, login: str, path: str, region: str, places: list[tuple[int, int]]) -> list[bytes]:
    """Read pieces of a file, each at its offset."""
    found = []
    with house.client(login, region) as client, client.open(path, "rb") as file:
        for offset, length in places:
            file.seek(offset)
            found.append(file.read(length))
    return found


def held_in(house: House, region: str) -> int:
    """Count the copies that the catalog says are verified there."""
    found = house.query("SELECT count(*) AS n FROM replica WHERE state = 'present' AND region = ?", region)
    return int(found[0]["n"])


def test_home_on_disk_has_its_copy_in_the_bucket(both: Both) -> None:
    """An upload lands and stays in the EU; its copy goes to the bucket, sealed, and is read there at any offset."""
    house, content = both.house, lines(7 * 2**20)
    before = held_in(house, "us")
    deposit(house, "ann", "ACME-1/to-support/core.bin", content, "eu")
    assert held_in(house, "us") == before + 1
    kinds = {name.partition("/")[0] for name in both.names()}
    assert {"bodies", "slots"} <= kinds
    places = [(0, 5000), (6_000_001, 70_000), (2_500_000, 1), (len(content) - 9, 99)]
    wanted = [content[offset : offset + length] for offset, length in places]
    both.orders.asked.clear()
    assert read_at(house, "una", "Acme Corp/ACME-1 Cannot boot/to-support/core.bin", "us", places) == wanted
    assert any("/bodies/" in asked.path and "range" in asked.headers for asked in both.orders.asked)


def test_home_in_the_bucket_has_its_copy_on_disk(both: Both) -> None:
    """The other way round: stored in the bucket, copied to the disk, and read there too while the bucket is away."""
    house, content = both.house, lines(6 * 2**20)
    deposit(house, "gus", "GLOBEX-1/to-support/dump.bin", content, "us")
    path, places = "Globex _ Initech/GLOBEX-1 Theirs/to-support/dump.bin", [(5_000_000, 100_000), (17, 3)]
    wanted = [content[offset : offset + length] for offset, length in places]
    assert read_at(house, "eve", path, "us", places) == wanted
    both.orders.wrong = lambda _asked: "reset"
    try:
        assert read_at(house, "eve", path, "us", places) == wanted
        house.until(lambda: "region=us" in house.last_words(400), "word of a region that fails")
    finally:
        both.orders.wrong = lambda _asked: None


def test_bucket_that_is_away_stops_no_upload_elsewhere(both: Both) -> None:
    """With the bucket gone an upload to the EU is taken and stored; its copy is made when the bucket is back."""
    house = both.house
    both.orders.wrong = lambda _asked: "503"
    try:
        with house.client("ann") as client, client.open("ACME-1/to-support/away.txt", "wb") as file:
            file.write(b"sent while the bucket was away\n")
        house.until(lambda: held_in(house, "eu") and not _landed(house), "storing at home")
        assert not house.settled()
    finally:
        both.orders.wrong = lambda _asked: None
    house.until(house.settled, "the copy")


def _landed(house: House) -> int:
    found = house.query("SELECT count(*) AS n FROM upload WHERE state IN ('landed', 'scrubbing')")
    return int(found[0]["n"])


def test_server_starts_without_its_bucket(both: Both) -> None:
    """A region whose bucket does not answer at start is said in log and gauge; the house opens all the same."""
    house = both.house
    house.stop()
    both.orders.wrong = lambda _asked: "503"
    try:
        house.start()
        with house.client("ann") as client:
            assert "ACME-1 Cannot boot" in client.listdir()
        house.until(lambda: 'mft_store_up{region="us"} 0.0' in metrics(house), "the gauge of a store that is away")
        house.until(lambda: 'mft_store_up{region="eu"} 1.0' in metrics(house), "the gauge of a store that is there")
    finally:
        both.orders.wrong = lambda _asked: None
    house.until(lambda: 'mft_store_up{region="us"} 1.0' in metrics(house), "the gauge of a store that is back")


def metrics(house: House) -> str:
    """Return the page of the operator's port."""
    place = house.endpoints["operations"]
    with urllib.request.urlopen(f"http://{place['address']}:{place['port']}/metrics", timeout=30) as answer:
        return answer.read().decode()


def test_config_check_tries_the_bucket(both: Both) -> None:
    """`mft config check` says that all is good, and, where the bucket is not, what to do about it."""
    house = both.house
    good = check(house)
    assert (good.returncode, good.stderr) == (0, "")
    assert "us: s3 support/mft/us" in good.stdout
    text = house.config.read_text()
    other = house.directory / "other.yaml"
    other.write_text(text.replace("bucket: support", "bucket: not-there"))
    bad = check(house, other)
    assert bad.returncode != 0
    assert "regions.us.store.s3" in bad.stderr
    assert "not-there" in bad.stderr
    assert "make it, or correct its name" in bad.stderr
    assert SECRET not in bad.stderr + bad.stdout
    assert check(house, other, "--offline").returncode == 0


def check(house: House, file: Path | None = None, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `mft config check`."""
    command = [*MFT, "config", "check", str(file or house.config), *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_stored_object_can_be_unsealed_from_the_bucket(both: Both) -> None:
    """`mft unseal` reads from the bucket where the home region has one."""
    house, content = both.house, lines(300_000)
    deposit(house, "gus", "GLOBEX-1/to-support/unseal.bin", content, "us")
    found = house.query(
        "SELECT object_key FROM replica WHERE state = 'present' AND region = 'us' ORDER BY rowid DESC LIMIT 1"
    )
    out = house.directory / "unsealed"
    command = [*MFT, "unseal", "--object", found[0]["object_key"], "--config", str(house.config), "--output", str(out)]
    done = subprocess.run([*command, "--reason", "test"], capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == content
