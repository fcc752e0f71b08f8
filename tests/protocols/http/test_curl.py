"""The client that customers have: curl."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.protocols.http.house import LOGIN, SECRET, UPLOADS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.protocols.http.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")]
CONTENT = os.urandom(3_000_000)


def curl(
    house: House, target: str, *arguments: str, user: str = f"{LOGIN}:{SECRET}"
) -> subprocess.CompletedProcess[str]:
    """Run curl against the head; the status is the last line of its output."""
    url = f"https://127.0.0.1:{house.port}{target}"
    command = ["curl", "-sS", "-k", "--max-time", "30", "-w", "\n%{http_code}", "-u", user, *arguments, url]
    return subprocess.run(command, capture_output=True, text=True, timeout=40, check=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file to send."""
    path = tmp_path / "bundle 1.tgz"
    path.write_bytes(CONTENT)
    return path


def test_curl_uploads_to_a_case(house: House, file: Path) -> None:
    """`curl -T file -u LOGIN:SECRET https://host/cases/CASE/` needs nothing else: curl adds the name."""
    done = curl(house, f"{UPLOADS}/", "-T", str(file))
    assert done.stdout.endswith("\n201")
    assert '"size": 3000000' in done.stdout
    assert house.tree.content(f"{UPLOADS}/bundle 1.tgz") == CONTENT


def test_curl_uploads_from_a_pipe(house: House) -> None:
    """An upload of unknown length is chunked."""
    url = f"https://127.0.0.1:{house.port}{UPLOADS}/piped"
    command = ["curl", "-sS", "-k", "-u", f"{LOGIN}:{SECRET}", "-T", "-", "-o", os.devnull, "-w", "%{http_code}", url]
    done = subprocess.run(command, input=CONTENT, capture_output=True, timeout=40, check=False)
    assert done.stdout == b"201"
    assert house.tree.content(f"{UPLOADS}/piped") == CONTENT


def test_curl_with_a_wrong_password_sends_no_body(house: House, file: Path) -> None:
    """curl waits for 100 Continue and gets 401 instead."""
    done = curl(
        house, f"{UPLOADS}/", "-T", str(file), "-H", "Expect: 100-continue", "-w", " sent %{size_upload}", user="ann:no"
    )
    assert "sent 0" in done.stdout
    assert house.exchanges[-1].status == 401


def test_curl_downloads_and_resumes(house: House, tmp_path: Path) -> None:
    """`curl -C -` goes on where a download stopped."""
    house.tree.add(f"{UPLOADS}/x", CONTENT)
    out = tmp_path / "x"
    out.write_bytes(CONTENT[:1_000_000])
    done = curl(house, f"{UPLOADS}/x", "-C", "-", "-o", str(out))
    assert done.stdout.endswith("206")
    assert out.read_bytes() == CONTENT


def test_curl_resumes_an_upload(house: House, file: Path) -> None:
    """`curl -T -C OFFSET` sends Content-Range and ends in a whole file."""
    target = f"{UPLOADS}/bundle"
    url = f"https://127.0.0.1:{house.port}{target}"
    slow = subprocess.Popen(
        ["curl", "-sS", "-k", "-u", f"{LOGIN}:{SECRET}", "--limit-rate", "1M", "-T", str(file), url],
        stderr=subprocess.DEVNULL,
    )
    house.wait(lambda: bool(house.tree.received(LOGIN, target)))
    slow.send_signal(signal.SIGKILL)
    slow.wait(10)
    house.wait(lambda: bool(house.aborted()))
    assert house.tree.content(target) is None
    offset = house.ask("HEAD", target).headers["upload-offset"]
    done = curl(house, target, "-T", str(file), "-C", offset)
    assert done.stdout.endswith("201")
    assert house.tree.content(target) == CONTENT


def test_curl_asks_for_what_changed(house: House) -> None:
    """A second download with the ETag of the first is a 304."""
    house.tree.add(f"{UPLOADS}/x", CONTENT)
    etag = house.ask("HEAD", f"{UPLOADS}/x").headers["etag"]
    assert curl(house, f"{UPLOADS}/x", "-H", f"If-None-Match: {etag}").stdout == "\n304"
    assert curl(house, f"{UPLOADS}/x", "-H", f"If-None-Match: {etag}", "-I").stdout.endswith("304")
    assert curl(house, f"{UPLOADS}/x", "-r", "0-3", "-o", os.devnull).stdout.endswith("206")
