"""What an operator's programs ask: does it live, is it ready."""

from __future__ import annotations

import asyncio
import json

import pytest

from mft.server.operations import Health
from protocols.aio import Crossing


def _fails() -> None:
    raise OSError("no such disk: /secret/path")


@pytest.mark.parametrize(
    ("is_open", "draining", "checks", "status", "failed"),
    [
        (True, False, {"catalog": lambda: None}, 200, {}),
        (False, False, {"catalog": lambda: None}, 503, {"server": "starting"}),
        (True, True, {"catalog": lambda: None}, 503, {"server": "draining"}),
        (True, False, {"catalog": lambda: None, "space": _fails}, 503, {"space": "OSError"}),
    ],
)
def test_ready_is_who_has_announced_itself_and_can_work(is_open, draining, checks, status, failed):
    """What stands against it is named, with no text of an error; a house that is not announced yet is starting."""
    crossing = Crossing(threads=1)

    async def ask():
        health = Health(checks=checks, crossing=crossing, is_open=lambda: is_open)
        health.draining = draining
        return await health.readyz(None)

    try:
        answer = asyncio.run(ask())
    finally:
        crossing.close()
    assert answer.status == status
    assert json.loads(answer.text) == {"status": "not ready" if failed else "ready", "failed": failed}
