"""Many small files: `put -r` to the last CLOSE-OK, until all of them are stored, and `get -r`; ours and OpenSSH's."""

from __future__ import annotations

import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from bench import clients
from bench.house import CASE, CUSTOMER, House, HouseError
from bench.processes import await_size, tree, tree_seconds
from bench.sshd import OpenSsh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.room import Room

BYTES = 4096
STORED_SECONDS = 1800.0
"""How long intake may take for all of them."""
OURS, THEIRS = "mft", "openssh"


def measure_small(room: Room, files: int, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Send *files* files of 4 KiB to both, and fetch them again, in *rounds* turns; the best of each counts.

    Raises:
        HouseError: our server did not start, or did not store them.
        PeerError: OpenSSH's is not here.
        ClientError: a transfer failed.
    """
    source = room.make("small-sent")
    for number in range(files):
        line = b"2026-01-01T00:00:%02d user=ann%d from 203.0.113.%d: %d\n" % (number % 60, number, number % 256, number)
        (source / f"{number:05}.log").write_bytes((line * (BYTES // len(line) + 1))[:BYTES])
    house = House(room.path / "house", room.public_key)
    seen: dict[str, list[dict[str, float]]] = {OURS: [], THEIRS: []}
    try:
        with OpenSsh(room) as peer, house:
            for turn in range(rounds):
                say(f"{files} small files, round {turn + 1} of {rounds}")
                theirs = room.make("small-kept") / str(turn)
                seen[THEIRS].append(_turn(room, peer, peer.login, source, str(theirs), files))
                shutil.rmtree(theirs.parent)
                seen[OURS].append(_turn(room, house, CUSTOMER, source, f"/{CASE}/to-support/{turn}", files))
    finally:
        house.remove()
    best = {name: {what: min(each[what] for each in turns) for what in turns[0]} for name, turns in seen.items()}
    ratios = {what: best[THEIRS][f"{what}_seconds"] / best[OURS][f"{what}_seconds"] for what in ("put", "get")}
    return {"files": files, "servers": best, "ratios": ratios}


def _turn(room: Room, server: House | OpenSsh, login: str, source: Path, target: str, files: int) -> dict[str, float]:
    """Send and fetch once; return seconds net of the session's set-up, and milliseconds of processor time a file."""
    port = server.port("sftp") if isinstance(server, House) else server.port

    def session(batch: str) -> float:
        return clients.sftp(port, login, room.key, batch, cipher=clients.GCM)

    def timed(batch: str) -> tuple[float, float]:
        setup, count, before = session("pwd\n"), len(tree(server.pid)), tree_seconds(server.pid)
        seconds = session(batch) - setup
        if not isinstance(server, House):
            await_size(server.pid, count)
        return max(seconds, 1e-9), (tree_seconds(server.pid) - before) / files * 1000

    begun, before = time.monotonic(), tree_seconds(server.pid)
    put, put_cpu = timed(f"put -r {source} {target}\n")
    told = {"put_seconds": put, "put_cpu_ms": put_cpu}
    if isinstance(server, House):
        _await_stored(server)
        told["stored_seconds"] = time.monotonic() - begun
        told["stored_cpu_ms"] = (tree_seconds(server.pid) - before) / files * 1000
    received = room.path / "small-received"
    get, get_cpu = timed(f"get -r {target} {received}\n")
    if len(list(received.rglob("*.log"))) != files:
        raise HouseError(f"not all of the {files} small files came back")
    shutil.rmtree(received)
    return told | {"get_seconds": get, "get_cpu_ms": get_cpu}


def _await_stored(house: House) -> None:
    """Wait until every upload has come to its end."""
    import sqlite3  # noqa: PLC0415  only here

    limit, there, stored = time.monotonic() + STORED_SECONDS, 0, 0
    waiting = "SELECT count(*), sum(state = 'stored') FROM upload WHERE state NOT IN ('expired')"
    while time.monotonic() < limit:
        with closing(sqlite3.connect(f"file:{house.directory / 'data' / 'catalog.db'}?mode=ro", uri=True)) as catalog:
            there, stored = catalog.execute(waiting).fetchone()
        if there == stored:
            return
        time.sleep(0.1)
    raise HouseError(f"{there - stored} of {there} small files were not stored within {STORED_SECONDS} s")


def small_lines(small: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    files, ours, theirs = small["files"], small["servers"][OURS], small["servers"][THEIRS]
    lines = [f"{files} files of 4 KiB by SFTP, net of the session's set-up"]
    lines += [
        f"  {what} -r: {files / ours[f'{what}_seconds']:.0f} files/s, OpenSSH "
        f"{files / theirs[f'{what}_seconds']:.0f}; ratio {small['ratios'][what]:.2f}; processor "
        f"{ours[f'{what}_cpu_ms']:.1f} and {theirs[f'{what}_cpu_ms']:.1f} ms a file"
        for what in ("put", "get")
    ]
    stored, cpu = ours["stored_seconds"], ours["stored_cpu_ms"]
    lines.append(
        f"  until stored: {files / stored:.0f} files/s, {cpu:.1f} ms of processor time a file, scrubbing and all"
    )
    return lines
