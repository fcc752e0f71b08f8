"""How soon an announcement of the case system takes effect: from the POST to what an open SFTP session meets."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import secrets
import ssl
import statistics
import time
from typing import TYPE_CHECKING, Any

import asyncssh

from bench.house import SECRET, House

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping
    from pathlib import Path

    from mft.casesystem.command import RunningCaseSystem

PATIENCE = 30.0
"""Seconds after which it counts as never."""
PIECE = 256 * 1024
LOOK = 0.01
"""Seconds between two requests of a session that waits to be cut: the case system shares this process."""
EFFECTS = {
    "a session ends": "principal.revoked",
    "a folder goes": "case.closed",
    "a download ends": "case.closed",
    "an upload ends": "case.closed",
}


class RevocationHouse(House):
    """A server that asks a case system, believes its answers for a minute, and takes its announcements."""

    def __init__(self, directory: Path, running: RunningCaseSystem) -> None:
        """Ask *running*."""
        self._running = running
        self.secret = secrets.token_bytes(32)
        super().__init__(directory, "")

    def _configure(self, public_key: str) -> None:
        from mft.webhooks.signature import secret_text  # noqa: PLC0415  only where our own server is measured

        super()._configure(public_key)
        file = self.directory / "mft.yaml"
        config = json.loads(file.read_text())
        for name, text in {"lookup": self._running.secret.decode(), "in": secret_text(self.secret)}.items():
            (self.directory / name).write_text(text + "\n")
            (self.directory / name).chmod(0o600)
        config["lookup"] = {
            "type": "http",
            "url": self._running.url,
            "secret_file": str(self.directory / "lookup"),
            "ttl": "60s",
            "stale_if_error": "60s",
        }
        config["revocation"] = {"bound": "1h"}  # and the default poll: what takes effect does so by announcement
        config["webhooks"] = {"incoming": {"secret_files": [str(self.directory / "in")]}}
        config["workers"] = {"protocol": 2}
        file.write_text(json.dumps(config, indent=2))

    def announce(self, kind: str, data: Mapping[str, str]) -> None:
        """POST one announcement, as a case system does.

        Raises:
            RuntimeError: it was not taken.
        """
        from mft.webhooks.signature import signed_headers  # noqa: PLC0415

        body = json.dumps({"type": kind, "timestamp": "", "data": data}).encode()
        message = f"msg_{secrets.token_hex(8)}"
        headers = signed_headers([self.secret], message_id=message, timestamp=int(time.time()), body=body)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        connection = http.client.HTTPSConnection("127.0.0.1", self.port("https"), timeout=PATIENCE, context=context)
        with contextlib.closing(connection):
            connection.request("POST", "/api/v1/webhooks/in", body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise RuntimeError(f"the announcement was answered with {answer.status}: {answer.read()[:200]!r}")


def measure_revocation(directory: Path, rounds: int) -> list[dict[str, Any]]:
    """Return, for each effect, the milliseconds that it took in each of *rounds*."""
    from mft.auth.passwords import hash_password  # noqa: PLC0415
    from mft.casesystem import CaseSystem, running_case_system  # noqa: PLC0415

    with running_case_system(CaseSystem({"customers": [{"id": "bench", "name": "Bench"}]})) as running:
        house = RevocationHouse(directory, running)
        hashed = hash_password(SECRET)
        with house:
            found = []
            for effect, kind in EFFECTS.items():
                times = [asyncio.run(_round(house, running, hashed, effect, kind)) for _ in range(rounds)]
                found.append(
                    {
                        "effect": effect,
                        "announced": kind,
                        "median_ms": statistics.median(times),
                        "worst_ms": max(times),
                        "rounds": rounds,
                    }
                )
        house.remove()
    return found


async def _round(house: RevocationHouse, running: RunningCaseSystem, hashed: str, effect: str, kind: str) -> float:
    login, number = f"u-{secrets.token_hex(4)}", f"CASE-{secrets.randbelow(10**9)}"
    principal = {"login": login, "roles": ["customer"], "customer": "bench", "password_hash": hashed}
    running.system.put_principal(principal)
    running.system.put_case({"number": number, "title": "", "customer": "bench", "state": "open"})
    house.announce("case.opened", {"case": number})
    await asyncio.sleep(0.5)  # that list is dropped everywhere
    connection = await asyncssh.connect(
        "127.0.0.1",
        house.port("sftp"),
        username=login,
        password=SECRET,
        known_hosts=None,
        client_keys=None,
        config=None,
    )
    async with connection, connection.start_sftp_client() as client:
        meet = await _prepare(effect, connection, client, number)
        watching = asyncio.create_task(meet())
        await asyncio.sleep(0.3)
        if kind == "principal.revoked":
            running.system.change_principal(login, {"active": False})
        else:
            running.system.change_case(number, {"state": "closed"})
        begun = time.perf_counter()
        data = {"login": login} if kind == "principal.revoked" else {"case": number}
        await asyncio.to_thread(house.announce, kind, data)
        met: float = await asyncio.wait_for(watching, PATIENCE)
    return (met - begun) * 1000


async def _prepare(
    effect: str, connection: asyncssh.SSHClientConnection, client: asyncssh.SFTPClient, number: str
) -> Callable[[], Coroutine[Any, Any, float]]:
    """Return what waits for *effect* in an open session, and tells when it was met."""
    folder = f"/{number}/to-support"
    if effect == "a session ends":

        async def ended() -> float:
            await connection.wait_closed()
            return time.perf_counter()

        return ended
    if effect == "a folder goes":

        async def gone() -> float:
            with contextlib.suppress(asyncssh.SFTPError):
                while True:
                    await client.stat(folder)
                    await asyncio.sleep(LOOK)
            return time.perf_counter()

        return gone
    async with client.open(f"{folder}/there.bin", "wb") as file:
        await file.write(b"x" * PIECE * 4)
    handle = await client.open(f"{folder}/new.bin", "wb") if effect == "an upload ends" else None
    source = await client.open(f"{folder}/there.bin", "rb")

    async def cut() -> float:
        with contextlib.suppress(asyncssh.SFTPError):
            for number in range(10**9):
                if handle is not None:
                    await handle.write(b"y" * 32768, number * 32768)
                else:
                    await source.read(32768, number % 8 * 32768)
                await asyncio.sleep(LOOK)
        return time.perf_counter()

    return cut
