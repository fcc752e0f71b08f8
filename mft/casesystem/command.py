"""Running the simulator: as a process of its own, or on a thread of a test."""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import signal
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import yaml
from aiohttp import web

from casemap.errors import InvalidRecordError
from casemap.signature import MIN_SECRET_BYTES
from mft.casesystem.server import make_application
from mft.casesystem.state import CaseSystem

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence

    from mft.casesystem.announcer import Announcer

START_TIMEOUT = 10.0
"""Longest wait for the server's socket, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningCaseSystem:
    """A simulator that listens."""

    url: str
    secret: bytes = field(repr=False)
    system: CaseSystem


def main(argv: Sequence[str] | None = None) -> int:
    """Run the simulator until SIGTERM or SIGINT; return the exit status.

    The first line on standard output is a JSON object with the address (`url`), and with the secret if it was made up.
    """
    parser = argparse.ArgumentParser(prog="mft case-system", description="a case system to try mft with")
    parser.add_argument("--listen", default="127.0.0.1:8090", metavar="HOST:PORT", help="port 0: any free one")
    parser.add_argument(
        "--data", type=Path, required=True, metavar="FILE", help="customers, principals, cases: YAML or JSON"
    )
    parser.add_argument(
        "--secret-file", type=Path, metavar="FILE", help="what requests are signed with; made up if not given"
    )
    parser.add_argument("--announce", metavar="URL", help="where changes are announced: .../api/v1/webhooks/in")
    parser.add_argument("--announce-secret-file", type=Path, metavar="FILE", help="what announcements are signed with")
    parser.add_argument("--announce-ca-file", type=Path, metavar="FILE", help="the certificate to trust there")
    arguments = parser.parse_args(argv)
    try:
        announcer = make_announcer(arguments.announce, arguments.announce_secret_file, arguments.announce_ca_file)
        run_case_system(
            listen=arguments.listen, data=arguments.data, secret_file=arguments.secret_file, announcer=announcer
        )
    except (OSError, ValueError, InvalidRecordError) as error:
        sys.stderr.write(f"mft case-system: {error}\n")
        return 1
    return 0


def make_announcer(url: str | None, secret_file: Path | None, ca_file: Path | None) -> Announcer | None:
    """Make what announces changes, if there is an address for that.

    Raises:
        OSError: a file cannot be read.
        ValueError: there is no secret, or it is not in its form.
    """
    if url is None:
        return None
    if secret_file is None:
        raise ValueError("--announce needs --announce-secret-file")
    from mft.casesystem.announcer import Announcer  # noqa: PLC0415  seldom needed

    return Announcer(url, secret_file.read_text(encoding="utf-8").strip(), ca_file)


def run_case_system(
    *, listen: str, data: Path, secret_file: Path | None = None, announcer: Announcer | None = None
) -> None:
    """Serve the records in the file *data* at *listen* (`host:port`) until SIGTERM or SIGINT.

    What is changed in it is announced by *announcer*.

    Raises:
        OSError: a file cannot be read, or the address not be used.
        ValueError: the address, the secret or the file's syntax is wrong.
        InvalidRecordError: a record in it is wrong; names its path.
    """
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"--listen must be HOST:PORT, is {listen!r}")
    system = CaseSystem(load_data(data))
    secret = secrets.token_hex(32).encode() if secret_file is None else load_secret(secret_file)
    made_up = {} if secret_file is not None else {"secret": secret.decode()}

    def announce(url: str) -> None:
        sys.stdout.write(json.dumps({"url": url, **made_up}) + "\n")
        sys.stdout.flush()

    asyncio.run(_serve(system, secret, (host.strip("[]"), int(port)), announce, _until_signal, announcer=announcer))


def load_data(path: Path) -> dict[str, object]:
    """Read a file of records, YAML or JSON (which is YAML).

    Raises:
        ValueError: it is neither, or not a mapping.
    """
    try:
        loaded = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: {error}") from error
    if not isinstance(loaded, dict):
        raise ValueError(  # noqa: TRY004 (the file's content is wrong, not a caller's type)
            f"{path}: must hold customers, principals and cases"
        )
    return loaded


def load_secret(path: Path) -> bytes:
    """Read a secret from a file, without white space at its ends.

    Raises:
        ValueError: it is too short.
    """
    secret = path.read_bytes().strip()
    if len(secret) < MIN_SECRET_BYTES:
        raise ValueError(f"{path}: the secret must have at least {MIN_SECRET_BYTES} bytes")
    return secret


@contextmanager
def running_case_system(
    data: Mapping[str, object] | CaseSystem, *, secret: bytes | None = None, announcer: Announcer | None = None
) -> Iterator[RunningCaseSystem]:
    """Run a simulator on a thread, on a free port of this machine, while inside."""
    system = data if isinstance(data, CaseSystem) else CaseSystem(data)
    key = secret or secrets.token_hex(32).encode()
    loop, listening, done, urls = asyncio.new_event_loop(), threading.Event(), asyncio.Event(), list[str]()

    def announce(url: str) -> None:
        urls.append(url)
        listening.set()

    async def until_done() -> None:
        await done.wait()

    def run() -> None:
        try:
            loop.run_until_complete(_serve(system, key, ("127.0.0.1", 0), announce, until_done, announcer=announcer))
        finally:
            loop.close()
            listening.set()

    thread = threading.Thread(target=run, name="case-system")
    thread.start()
    try:
        if not listening.wait(START_TIMEOUT) or not urls:
            raise RuntimeError("the case system did not start")
        yield RunningCaseSystem(url=urls[0], secret=key, system=system)
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(done.set)
        thread.join()


async def _serve(
    system: CaseSystem,
    secret: bytes,
    address: tuple[str, int],
    announce: Callable[[str], None],
    until: Callable[[], Awaitable[None]],
    *,
    announcer: Announcer | None,
) -> None:
    # Requests that hang on purpose must not hold up the end.
    runner = web.AppRunner(
        make_application(system, secret, announcer=announcer),
        access_log=None,
        shutdown_timeout=0.2,
        handle_signals=False,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, *address).start()
        host, port = runner.addresses[0][:2]
        announce(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        await until()
    finally:
        await runner.cleanup()


async def _until_signal() -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
