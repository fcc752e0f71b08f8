"""Many small files: `put -r` to the last CLOSE-OK, until all of them are stored, and `get -r`; ours and OpenSSH's."""

from __future__ import annotations

import re
import shutil
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from bench import clients
from bench.house import CASE, CUSTOMER, House, HouseError
from bench.processes import await_rest, await_size, tree, tree_seconds
from bench.sshd import OpenSsh

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.room import Room

BYTES = 4096
STORED_SECONDS = 1800.0
"""How long intake may take for all of them."""
SETUPS = 5
"""Sessions that transfer nothing, of which the shortest is what a session costs in itself."""
OURS, THEIRS = "mft", "openssh"
ALL = "all of it"
WORKER = re.compile(r"(mft-)?w\d+")


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
            setups = {THEIRS: _setup(room, peer, peer.login), OURS: _setup(room, house, CUSTOMER)}
            await_rest(house.pid)
            for turn in range(rounds):
                say(f"{files} small files, round {turn + 1} of {rounds}")
                theirs = room.make("small-kept") / str(turn)
                seen[THEIRS].append(_turn(room, peer, peer.login, source, str(theirs), files))
                shutil.rmtree(theirs.parent)
                seen[OURS].append(_turn(room, house, CUSTOMER, source, f"/{CASE}/to-support/{turn}", files))
    finally:
        house.remove()
    best = {name: {what: min(each[what] for each in turns) for what in turns[0]} for name, turns in seen.items()}
    for name, figures in best.items():
        for what in ("put_seconds", "get_seconds"):
            figures[what] = net_seconds(figures[what], setups[name])
    ratios = {what: best[THEIRS][f"{what}_seconds"] / best[OURS][f"{what}_seconds"] for what in ("put", "get")}
    return {"files": files, "servers": best, "ratios": ratios}


def net_seconds(gross: float, setup: float) -> float:
    """Return what is left of *gross* without *setup*: a tenth of it at least, where too few files say anything."""
    return max(gross - setup, gross / 10)


def _session(room: Room, server: House | OpenSsh, login: str, batch: str) -> float:
    port = server.port("sftp") if isinstance(server, House) else server.port
    return clients.sftp(port, login, room.key, batch, cipher=clients.GCM)


def _setup(room: Room, server: House | OpenSsh, login: str) -> float:
    return min(_session(room, server, login, "pwd\n") for _ in range(SETUPS))


def _turn(room: Room, server: House | OpenSsh, login: str, source: Path, target: str, files: int) -> dict[str, float]:
    """Send and fetch once; return seconds with the session's set-up, and milliseconds of processor time a file."""

    def spent() -> dict[str, float]:
        own = {name: tree_seconds(pid) for name, pid in server.roles().items()} if isinstance(server, House) else {}
        return {**own, ALL: tree_seconds(server.pid)}

    def timed(what: str, batch: str) -> dict[str, float]:
        count, before = len(tree(server.pid)), spent()
        seconds = _session(room, server, login, batch)
        if not isinstance(server, House):
            await_size(server.pid, count)
        used = {name: (now - before.get(name, 0.0)) / files * 1000 for name, now in spent().items()}
        workers = sum(each for name, each in used.items() if WORKER.fullmatch(name))
        return {f"{what}_seconds": seconds, f"{what}_cpu_ms": used[ALL], f"{what}_worker_ms": workers}

    begun, before = time.monotonic(), tree_seconds(server.pid)
    told = timed("put", f"put -r {source} {target}\n")
    if isinstance(server, House):
        _await_stored(server)
        told["stored_seconds"] = time.monotonic() - begun
        told["stored_cpu_ms"] = (tree_seconds(server.pid) - before) / files * 1000
    received = room.path / "small-received"
    told |= timed("get", f"get -r {target} {received}\n")
    if len(list(received.rglob("*.log"))) != files:
        raise HouseError(f"not all of the {files} small files came back")
    shutil.rmtree(received)
    return told


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
        f"{ours[f'{what}_cpu_ms']:.1f} (its workers {ours[f'{what}_worker_ms']:.1f}) and "
        f"{theirs[f'{what}_cpu_ms']:.1f} ms a file"
        for what in ("put", "get")
    ]
    stored, cpu = ours["stored_seconds"], ours["stored_cpu_ms"]
    lines.append(
        f"  until stored: {files / stored:.0f} files/s, {cpu:.1f} ms of processor time a file, scrubbing and all"
    )
    return lines
