"""Two processes that race for one name: both versions are kept, in the order of their closes, and none is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.core import Core

SPOT = "/ACME-1/to-support/same.log"
PROCESSES, ROUNDS = 2, 6
_SENDER = """
import json, sys
from pathlib import Path
from tests.core import Core
directory, url, secret, me, rounds = sys.argv[1:]
core = Core(Path(directory), None, url, bytes.fromhex(secret), {})
client = core.client("ann", uploads=core.uploads(f"w{me}:{me}:a"))
print("ready", flush=True)
sys.stdin.readline()
told = []
for number in range(int(rounds)):
    content = f"{me} {number}"
    told.append((client.put("/ACME-1/to-support/same.log", content.encode()).document["version"], content))
print(json.dumps(told), flush=True)
core.close()
"""


def test_two_processes_send_one_name_at_once(house: Core, tmp_path: Path) -> None:
    """Each close has a version of its own; the events are in that order, and every version holds what was sent."""
    source = house.config.lookup
    secret = source.secret_file.read_bytes() if hasattr(source, "secret_file") and source.secret_file else b""
    processes = []
    for me in range(PROCESSES):
        arguments = [str(tmp_path), str(source.url), secret.hex(), str(me), str(ROUNDS)]
        process = subprocess.Popen(
            [sys.executable, "-c", _SENDER, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
        )
        processes.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"  # before the next one begins: each writes its configuration anew
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    told = [json.loads(process.communicate(timeout=300)[0]) for process in processes]
    assert [process.returncode for process in processes] == [0] * PROCESSES
    versions = dict(pair for each in told for pair in each)
    assert sorted(versions) == list(range(1, PROCESSES * ROUNDS + 1))
    assert all([version for version, _ in each] == sorted(version for version, _ in each) for each in told)
    landed = house.events("upload.landed")
    assert [event["version"] for event in landed] == sorted(versions)
    for _ in range(PROCESSES * ROUNDS):
        house.work()
    eve = house.client("eve")
    assert eve.get(SPOT).decode() == versions[PROCESSES * ROUNDS]
    kept = {
        int(name): eve.get(f"/ACME-1/.meta/versions/same.log/{name}")
        for name in eve.names("/ACME-1/.meta/versions/same.log")
    }
    assert {number: content.decode() for number, content in kept.items()} == versions
