"""Kill -9 of any process at any moment: what was acknowledged is whole, and nothing is published half."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import paramiko
import pytest

from tests.house import House, close, digest, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = float(os.environ.get("MFT_TEST_CRASH_SECONDS", "20"))
"""How long the storm lasts."""
CASE = "ACME-1"
SENDERS = 6
BROKEN = (OSError, EOFError, paramiko.SSHException, AssertionError)
"""What a client sees of a server that was killed under it."""


@dataclass
class Record:
    """What the senders did, and what they were told."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    sent: dict[str, bytes] = field(default_factory=dict)
    acknowledged: set[str] = field(default_factory=set)

    def begin(self, name: str, content: bytes) -> None:
        with self.lock:
            self.sent[name] = content

    def acknowledge(self, name: str) -> None:
        with self.lock:
            self.acknowledged.add(name)


def content_of(chance: random.Random) -> bytes:
    """Return a text without anything to scrub, of any size up to 3 MB: what comes out is what went in."""
    words = [b"alpha", b"beta", b"gamma", b"delta", b"epsilon", b"zeta"]
    lines = chance.choice([1, 10, 2000, 20_000, 60_000])
    line = b" ".join(chance.choice(words) for _ in range(9)) + b"\n"
    return line * lines + b" ".join(chance.choice(words) for _ in range(20)) + b"\n"


def send_by_sftp(house: House, name: str, content: bytes) -> bool:
    """Say whether CLOSE was answered with OK."""
    with house.client("ann") as client:
        file = client.open(f"/{CASE}/to-support/{name}", "wb")
        file.set_pipelined(True)
        file.write(content)
        close(client, file)
    return True


def send_by_https(house: House, name: str, content: bytes) -> bool:
    """Say whether the answer was 201."""
    done = subprocess.run(
        house.curl_command("bob", f"/cases/{CASE}/{name}", "-T", "-", "-H", "Expect:"),
        input=content,
        capture_output=True,
        timeout=90,
        check=False,
    )
    return done.stdout.endswith(b"\n201")


def keep_sending(house: House, record: Record, number: int, seed: int, until: float) -> None:
    """Send file after file, by turns over SFTP and HTTPS, and note which were acknowledged."""
    chance = random.Random(f"{seed}/{number}")
    turn = 0
    while time.monotonic() < until:
        turn += 1
        name, content = f"{number}-{turn}.txt", content_of(chance)
        send = send_by_sftp if (number + turn) % 2 else send_by_https
        record.begin(name, content)
        try:
            if send(house, name, content):
                record.acknowledge(name)
        except BROKEN:
            time.sleep(0.5)


def kill_at_random(house: House, chance: random.Random, until: float) -> list[str]:
    """Kill one process after another, by its name at random, the supervisor now and then; return whom."""
    killed = []
    while time.monotonic() < until:
        time.sleep(chance.uniform(0.1, 2.5))
        if chance.random() < 0.1:
            killed.append("supervisor")
            house.kill()
            house.start()
            continue
        below = sorted(house.processes().items())
        names = sorted({name for _pid, name in below})
        if not names:
            continue
        name = chance.choice(names)
        pid = chance.choice([pid for pid, each in below if each == name])
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            killed.append(name)
    return killed


@pytest.fixture
def stormy(tmp_path: Path) -> Iterator[House]:
    """A house in which a file may crash many children before it is given up."""
    with running_house(tmp_path, scrub={"attempts": 50}) as house:
        yield house


def check(house: House, record: Record) -> None:
    """Every acknowledged file is whole for the engineer; no file that is there is anything but what was sent."""
    house.until(house.settled, "the work left by the storm", 180)
    states = {row["name"]: row["state"] for row in house.query("SELECT name, state FROM upload ORDER BY created_at")}
    directory = f"/{CASE}/to-support"
    with house.client("eve") as engineer:
        shown = set(engineer.listdir(directory))
        missing = {name: states.get(name) for name in record.acknowledged - shown}
        assert not missing, f"acknowledged and not there: {missing}"
        for name in sorted(shown):
            with engineer.open(f"{directory}/{name}", "rb") as file:
                file.prefetch()
                got = file.read()
            assert digest(got) == digest(record.sent[name]), f"{name} is not what was sent"
    rows = house.query("SELECT name, state, sha256, size FROM upload WHERE state NOT IN ('interrupted', 'expired')")
    for row in rows:
        assert row["state"] == "stored", row
        assert (row["size"], row["sha256"]) == (len(record.sent[row["name"]]), digest(record.sent[row["name"]]))


def test_storm_of_kills_loses_nothing_that_was_acknowledged(stormy: House) -> None:
    """Many uploads while every kind of process is killed at random, and the house with them."""
    seed = int(os.environ.get("MFT_TEST_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    print(f"seed {seed} (MFT_TEST_SEED)")
    record, until = Record(), time.monotonic() + SECONDS
    senders = [
        threading.Thread(target=keep_sending, args=(stormy, record, number, seed, until)) for number in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    try:
        killed = kill_at_random(stormy, random.Random(seed), until)
    finally:
        for sender in senders:
            sender.join()
    print(f"{len(record.sent)} sent, {len(record.acknowledged)} acknowledged, killed {killed}")
    assert record.acknowledged
    stormy.until(lambda: len(stormy.processes()) >= 5, "every process again")
    check(stormy, record)
    verify_audit(stormy)


def verify_audit(house: House) -> None:
    """Every chain holds, signatures included."""
    verdict = house.verify_audit()
    assert verdict.faults == ()
    assert verdict.events > 10


def pid_of(house: House, name: str) -> int:
    """Return the id of a process by the name that `ps` shows; wait for it."""
    return house.until(lambda: next((pid for pid, each in house.processes().items() if each == name), 0), name)


def reads_a_file(pid: int) -> bool:
    """Say whether a scrub child has what landed in its hands; one that scrubs names has none."""
    with contextlib.suppress(OSError):
        return any("/landing/" in str(entry.readlink()) for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def test_what_landed_is_stored_after_a_crash_in_between(stormy: House) -> None:
    """Acknowledged and not yet scrubbed when everything dies: it is taken up by the next start."""
    os.kill(pid_of(stormy, "mft-intake"), signal.SIGSTOP)
    record = Record()
    for name in ("a.txt", "b.txt"):
        record.begin(name, name.encode() * 1000 + b"\n")
        assert send_by_https(stormy, name, record.sent[name])
        record.acknowledge(name)
    assert {row["state"] for row in stormy.query("SELECT state FROM upload")} == {"landed"}
    stormy.kill()
    stormy.start()
    check(stormy, record)
    verify_audit(stormy)


def test_death_of_the_key_agent_costs_no_upload(stormy: House) -> None:
    """Uploads under way have their key and end whole; new ones wait or are told to come again, and then go through."""
    record = Record()
    with stormy.client("ann") as client:
        content = b"under way\n" * 100_000
        record.begin("under-way.txt", content)
        file = client.open(f"/{CASE}/to-support/under-way.txt", "wb")
        file.write(content[:500_000])
        os.kill(pid_of(stormy, "mft-keyagent"), signal.SIGKILL)
        file.write(content[500_000:])
        close(client, file)
        record.acknowledge("under-way.txt")
    record.begin("after.txt", b"after\n")
    stormy.until(lambda: send_by_https(stormy, "after.txt", b"after\n"), "an upload with the new key agent")
    record.acknowledge("after.txt")
    check(stormy, record)


def test_death_of_a_scrub_child_touches_its_file_alone(stormy: House) -> None:
    """The file is scrubbed again; what is scrubbed beside it goes on."""
    record, killed = Record(), threading.Event()

    def kill_child() -> None:
        while not killed.is_set():
            for pid, name in stormy.processes().items():
                if name == "mft-scrub" and reads_a_file(pid):
                    os.kill(pid, signal.SIGKILL)
                    killed.set()
                    return

    killer = threading.Thread(target=kill_child)
    killer.start()
    try:
        big = b"alpha beta gamma delta epsilon zeta eta theta\n" * 500_000
        for name, content in (("big.txt", big), ("small.txt", b"small\n")):
            record.begin(name, content)
            assert send_by_https(stormy, name, content)
            record.acknowledge(name)
        stormy.until(killed.is_set, "a scrub child")
    finally:
        killed.set()
        killer.join()
    check(stormy, record)
    assert len(stormy.events("scrub.failed")) == 1
    assert [event["kind"] for event in stormy.events("upload.quarantined")] == []


def test_upload_of_a_killed_worker_is_resumed_where_it_stood(stormy: House) -> None:
    """What was durable when the process died need not be sent again, and nothing was published meanwhile."""
    content = os.urandom(1 << 20).hex().encode()
    with stormy.client("ann") as client, contextlib.suppress(*BROKEN):
        file = client.open(f"/{CASE}/to-support/torn.txt", "wb")
        file.write(content[: 1 << 20])
        client.stat(f"/{CASE}/to-support/torn.txt")
        for pid, name in stormy.processes().items():
            if name.startswith("mft-w"):
                os.kill(pid, signal.SIGKILL)
        file.write(content[1 << 20 :])
        close(client, file)
        pytest.fail("a killed process cannot answer")
    stormy.until(lambda: stormy.query("SELECT state FROM upload")[0]["state"] == "interrupted", "the interruption")
    with stormy.client("eve") as engineer:
        assert engineer.listdir(f"/{CASE}/to-support") == []
    stormy.until(lambda: stormy.query("SELECT prefix FROM upload")[0]["prefix"] is not None, "its measure")
    (stormy.directory / "torn.txt").write_bytes(content)
    done = stormy.sftp("ann", f"reput torn.txt {CASE}/to-support/torn.txt")
    assert done.returncode == 0, done.stderr
    (row,) = stormy.query("SELECT state, size, sha256, epoch FROM upload")
    assert (row["size"], row["epoch"]) == (len(content), 1)
    stormy.until(stormy.settled)
    assert stormy.query("SELECT sha256 FROM upload")[0]["sha256"] == digest(content)
