"""What follows the links of a folder's page: lftp's `mirror`, `wget -r`, rclone's http remote."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.protocols.http.house import LOGIN, SECRET, UPLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.protocols.http.house import House

pytestmark = pytest.mark.e2e
NAMES = ("a b.log", "c%2f.log", "d#e?.log", "t&<x>ä.log")


def _lftp(house: House, target: Path) -> list[str]:
    words = f'set ssl:verify-certificate no; open -u {LOGIN},"{SECRET}" https://127.0.0.1:{house.port}/files/; '
    return ["lftp", "--norc", "-c", f"{words}cd {UPLOADS.lstrip('/')}; mirror --no-perms . {target}"]


def _wget(house: House, target: Path) -> list[str]:
    url = f"https://127.0.0.1:{house.port}/files{UPLOADS}"
    login = (f"--user={LOGIN}", f"--password={SECRET}", "--auth-no-challenge", "--no-check-certificate")
    cut = str(len(UPLOADS.strip("/").split("/")) + 1)
    shape = ("-q", "-r", "-np", "-nH", f"--cut-dirs={cut}", "--restrict-file-names=nocontrol", "-R", "index.html*")
    return ["wget", "--no-config", *login, *shape, "-P", str(target), url + "/"]


def _rclone(house: House, target: Path) -> list[str]:
    remote = f':http,url="https://{LOGIN}:{quote(SECRET)}@127.0.0.1:{house.port}/files{UPLOADS}/":'
    return ["rclone", "--config", "/dev/null", "--no-check-certificate", "copy", remote, str(target)]


@pytest.mark.parametrize("command", [_lftp, _wget, _rclone])
def test_folder_is_fetched_by_what_follows_links(house: House, tmp_path: Path, command) -> None:
    """Every file of it and below, each whole, whatever stands in its name."""
    words = command(house, tmp_path / "out")
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    content = {name: name.encode() * 1000 for name in NAMES} | {f"sub/{NAMES[0]}": b"below"}
    for name, data in content.items():
        house.tree.directories.add(tuple(f"{UPLOADS}/{name}".strip("/").split("/")[:-1]))
        house.tree.add(f"{UPLOADS}/{name}", data)
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    root = tmp_path / "out"
    found = {
        str(path.relative_to(root)).replace("%2F", "%2f"): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }
    assert found == content
