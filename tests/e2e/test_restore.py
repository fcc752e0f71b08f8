"""The drill with real servers: serve, upload, back up, upload more, lose the disk, restore, serve, read over SFTP."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.house import MFT, House, running_house

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]
IN = "/ACME-1/to-support"
SENT = b"before the backup\n" * 20_000


def mft(house: House, *arguments: object) -> str:
    """Run a command with the house's configuration; it must end with 0."""
    done = subprocess.run(
        [*MFT, *map(str, arguments), "--config", str(house.config)],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_house_that_lost_its_disk_serves_again_what_was_backed_up(tmp_path: Path):
    """Backup and verification run beside the server; after kill -9 and the loss of all data everything is read."""
    with running_house(tmp_path) as house:
        (tmp_path / "a.log").write_bytes(SENT)
        assert house.sftp("ann", f"put a.log {IN}/a.log").returncode == 0
        house.until(house.settled, "the first upload")
        mft(house, "backup", tmp_path / "backups")
        mft(house, "verify", "--deep")
        assert house.sftp("ann", f"put a.log {IN}/later.log").returncode == 0
        house.until(house.settled, "the second upload")
        house.kill()
        shutil.rmtree(house.data)
        assert "put in place" in mft(house, "restore", tmp_path / "backups")
        house.start()
        for login, region in (("eve", "eu"), ("una", "us")):
            got = tmp_path / f"{login}.log"
            done = house.sftp(login, f"get '/Acme Corp/ACME-1/to-support/a.log' {got.name}", region=region)
            assert (done.returncode, got.read_bytes()) == (0, SENT), done.stderr
        assert house.sftp("ann", f"put a.log {IN}/afterwards.log").returncode == 0
        house.until(house.settled, "an upload after the restore")
        assert house.events("installation.restored")
        assert house.verify_audit().faults == ()
        mft(house, "verify", "--deep")
