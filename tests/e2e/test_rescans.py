"""`mft rescan` and its API against a running server that was given stricter rules, killed with -9 on the way."""

from __future__ import annotations

import json
import random
import subprocess
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from casemap.model import Role
from mft.auth.accounts import Accounts
from mft.cli.ledger import open_ledger
from mft.config import load_config
from storage.store import body_name
from tests.casebook import PASSWORD
from tests.house import MFT, running_house

if TYPE_CHECKING:
    from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
FILES = 3
LINE = b"from host 203.0.113.%d came all is well and nothing else of any kind\n"


def rescan(house: House, *words: str) -> tuple[int, Any]:
    """Run `mft rescan ACME-1 --json …`; return its exit code and what it says."""
    done = subprocess.run(
        [*MFT, "rescan", "ACME-1", "--json", "--config", str(house.config), *words],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else done.stderr


def objects(house: House) -> dict[str, str]:
    """Return the object of each upload."""
    return {row["id"]: row["object_key"] for row in house.query("SELECT id, object_key FROM upload")}


def read(house: House, name: str) -> bytes:
    status, body = house.curl("eve", f"/files/ACME-1/to-support/{name}")
    assert status == 200
    return body


def bodies(house: House, key: str) -> int:
    """Count the regions that hold the body of an object."""
    regions = load_config(house.config, {}).regions.values()
    return sum((region.store.path / body_name(key)).exists() for region in regions)


def test_stored_files_are_tightened_through_every_kill(tmp_path: Any) -> None:
    """Dry run, then the real one, killed again and again: each file is old or new, never half, and the old ones go."""
    chance = random.Random(11)
    lines = [LINE % number for number in range(1, 255)]
    sent = {f"{number}.log": b"".join(chance.choices(lines, k=6_000)) for number in range(FILES)}
    with running_house(tmp_path, scrub={"profile": "secrets-only", "workers": 1}) as house:
        for name, content in sent.items():
            (house.directory / name).write_bytes(content)
            assert house.curl("ann", f"/cases/ACME-1/{name}", "-T", str(house.directory / name))[0] == 201
        house.until(lambda: len(house.events("upload.stored")) == FILES, "storing", seconds=180)
        house.until(lambda: len(house.events("copy.verified")) == FILES, "copies")
        assert read(house, "0.log") == sent["0.log"]
        before = objects(house)
        with open_ledger(house.config) as (_, ledger, _key):
            Accounts(ledger).create("root", roles=[Role.OPERATOR], password=PASSWORD, by="test")
        house.stop()
        told = yaml.safe_load(house.config.read_text())
        house.config.write_text(yaml.safe_dump({**told, "scrub": {"workers": 1}}))
        house.start()
        code, told = rescan(house, "--dry-run")
        assert (code, told["states"]) == (0, {"tightened": FILES})
        assert set(told["removed"]) == {"ipv4"}
        assert objects(house) == before
        code, told = rescan(house, "--no-wait", "--reason", "addresses go too")
        assert code == 0
        waits = [chance.uniform(0.0, 1.5) for _ in range(2)]
        for wait in waits:
            subprocess.run(["sleep", str(wait)], check=True)
            house.kill()
            house.start()
            for name, content in sent.items():
                got = read(house, name)
                assert got == content or b"203.0.113." not in got
        path = f"/api/v1/cases/ACME-1/rescans/{told['id']}"
        house.until(lambda: json.loads(house.curl("root", path)[1])["finished"], "the rescan", seconds=180)
        done = json.loads(house.curl("root", path)[1])
        assert done["states"] == {"tightened": FILES}
        after = objects(house)
        assert not set(before.values()) & set(after.values())
        for name, content in sent.items():
            got = read(house, name)
            assert b"203.0.113." not in got
            assert got.count(b"\n") == content.count(b"\n")
        house.until(lambda: not any(bodies(house, key) for key in before.values()), "the end of the old objects")
        house.until(lambda: all(bodies(house, key) == 2 for key in after.values()), "the new copies")
        assert len(house.events("upload.rescanned")) == FILES
        assert house.verify_audit().faults == ()
        assert house.curl("ann", path)[0] == 403
        held = json.dumps({"case": "ACME-1", "reason": "a lawsuit"})
        post = ["-X", "POST", "-H", "Content-Type: application/json", "-d"]
        assert house.curl("root", "/api/v1/holds", *post, held)[0] == 201
        assert house.curl("root", "/api/v1/cases/ACME-1/rescans", *post, "{}")[0] == 409
        assert house.curl("root", "/api/v1/cases/NOPE-1/rescans", *post, "{}")[0] == 404
        code, told = rescan(house)
        assert (code, "legal hold" in told) == (1, True)
        assert rescan(house, "--dry-run")[1]["states"] == {"unchanged": FILES}
        assert [each["dry_run"] for each in rescan(house, "--show")[1]] == [True, False, True]
