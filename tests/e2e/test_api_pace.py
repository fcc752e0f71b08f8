"""One allowance of requests for an installation, whichever worker answers."""

from __future__ import annotations

import http.client
import os
import re
import signal
from typing import TYPE_CHECKING

import pytest

from tests.house import House, running_house

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.e2e]
REQUESTS = 100


def worker(house: House, name: str) -> int:
    found = [pid for pid, process in house.processes().items() if process == f"mft-{name}"]
    return found[0] if found else 0


def ask(house: House) -> tuple[int, dict[str, str]]:
    """Ask over a connection of its own, which whichever worker is idle accepts; return status and headers."""
    with house.wire() as wire:
        wire.sendall(
            b"GET /api/v1/me HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + f"{house.authorization('ann')}\r\n\r\n".encode()
        )
        answer = http.client.HTTPResponse(wire)
        answer.begin()
        answer.read()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}


def answered(house: House) -> list[str]:
    """Return which worker gave each answer so far, by the log."""
    return re.findall(r"worker-(w\d): http\.request ", house.log.read_text())


def ask_until_all_answered(house: House, left: list[int]) -> None:
    """Ask until every worker has given an answer; note what each said was left."""
    before = len(answered(house))
    while len(left) < REQUESTS:
        status, headers = ask(house)
        assert status == 200
        left.append(int(headers["ratelimit-remaining"]))
        if set(answered(house)[before:]) == {"w0", "w1"}:
            return


def test_allowance_is_the_installations(tmp_path: Path) -> None:
    """Two workers give no more than one would and say the same of what is left; a worker's death gives nothing back."""
    with running_house(tmp_path, api={"requests": REQUESTS, "window": "10000h"}) as house:
        left: list[int] = []
        ask_until_all_answered(house, left)
        dead = worker(house, "w0")
        os.kill(dead, signal.SIGKILL)
        house.until(lambda: house.log.read_text().count("worker.started slot=w0") == 2, "another worker in its place")
        ask_until_all_answered(house, left)
        while len(left) < REQUESTS:
            left.append(int(ask(house)[1]["ratelimit-remaining"]))
        assert left == list(reversed(range(REQUESTS)))

        refused = [ask(house) for _ in range(20)]
        assert {status for status, _ in refused} == {429}
        assert {headers["ratelimit-remaining"] for _, headers in refused} == {"0"}
        assert all(359_000 < int(headers["retry-after"]) <= 360_000 for _, headers in refused)
        assert house.curl("bob", "/api/v1/me")[0] == 200, "another login has its own"
