"""What sessions cost that do nothing: memory and processor time of the whole server with a thousand of them open."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.house import CUSTOMER, House, HouseError
from bench.processes import tree, tree_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

    import asyncssh

    from bench.room import Room

TOGETHER = 16
"""Logins under way at a time."""
MARGIN = 200
"""Files that this process has open besides."""
REST_SECONDS = 5.0
"""For how long processor time is counted while nothing happens."""


def measure_idle(room: Room, sessions: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Open *sessions* SFTP sessions, each with its channel and an answer, and weigh the server before and after.

    Raises:
        HouseError: the server did not start, or refused one.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < sessions + MARGIN:
        raise HouseError(f"this process may have {hard} files open, and needs {sessions + MARGIN}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, sessions + MARGIN), hard))
    say(f"{sessions} idle sessions")
    house = House(room.path / "house", room.public_key)
    try:
        with house:
            return asyncio.run(_measure(house, room, sessions))
    finally:
        house.remove()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def _measure(house: House, room: Room, sessions: int) -> dict[str, Any]:
    opened: list[asyncssh.SSHClientConnection] = []
    turns = asyncio.Semaphore(TOGETHER)

    async def open_one() -> None:
        import asyncssh  # noqa: PLC0415  only here

        async with turns:
            try:
                connection = await asyncssh.connect(
                    "127.0.0.1",
                    house.port("sftp"),
                    username=CUSTOMER,
                    client_keys=[str(room.key)],
                    known_hosts=None,
                    config=None,
                    agent_path=None,
                )
                opened.append(connection)
                client = await connection.start_sftp_client()
                await client.realpath(".")
            except (OSError, asyncssh.Error) as error:
                raise HouseError(f"session {len(opened) + 1} was not opened: {error}") from error

    try:
        await open_one()
        before, seconds = memory_of(house.pid), tree_seconds(house.pid)
        await asyncio.gather(*(open_one() for _ in range(sessions - 1)))
        login = (tree_seconds(house.pid) - seconds) / max(sessions - 1, 1)
        after, idle_from, begun = memory_of(house.pid), tree_seconds(house.pid), time.monotonic()
        await asyncio.sleep(REST_SECONDS)
        idle = (tree_seconds(house.pid) - idle_from) / (time.monotonic() - begun)
    finally:
        for connection in opened:
            connection.abort()
        with contextlib.suppress(OSError):
            await asyncio.gather(*(connection.wait_closed() for connection in opened))
    return {
        "sessions": sessions,
        "megabytes": after / 1e6,
        "megabytes_before": before / 1e6,
        "kilobytes_each": (after - before) / max(sessions - 1, 1) / 1e3,
        "login_processor_seconds": login,
        "idle_processor_share": idle,
    }


def memory_of(root: int) -> int:
    """Return the bytes that a tree of processes has in memory; what several share counts once (Pss)."""
    total = 0
    for each in tree(root):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{each.pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1]) * 1024
    return total


def idle_lines(idle: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    return [
        "{sessions} idle SFTP sessions: {megabytes:.0f} MB in all processes ({megabytes_before:.0f} with one), "
        "{kilobytes_each:.0f} kB each; a login {login:.1f} ms of processor time, at rest {rest:.1f} % of one".format(
            **idle, login=idle["login_processor_seconds"] * 1000, rest=idle["idle_processor_share"] * 100
        )
    ]
