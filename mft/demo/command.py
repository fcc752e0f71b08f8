"""The demo from its beginning to its end."""

from __future__ import annotations

import datetime as dt
import importlib
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mft.demo import story
from mft.demo.cast import make_cast, write_records
from mft.demo.clients import Clients
from mft.demo.configuration import REGIONS, write_configuration
from mft.demo.connection import (
    make_connection,
    read_connection,
    read_endpoints,
    write_connection,
    write_known_hosts,
)
from mft.demo.farewell import say_farewell
from mft.demo.ground import CONNECTION, DemoError, claim_ground, write_private
from mft.demo.narration import Narrator
from mft.demo.ports import choose_ports, take_turn
from mft.demo.scene import Scene
from mft.demo.servers import Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from mft.demo.cast import Cast
    from mft.demo.ground import Ground
    from mft.demo.ports import Ports
    from mft.demo.programs import Ran

_PROGRAMS = {"sftp": "openssh-client", "ssh-keygen": "openssh-client", "curl": "curl", "tar": "tar", "gzip": "gzip"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """What was set up before the servers run."""

    ground: Ground
    ports: Ports
    cast: Cast
    clients: Clients
    servers: Servers


def run_demo(directory: Path, *, once: bool, keep: bool, mft: Callable[[Sequence[str], str], Ran]) -> int:
    """Set everything up in *directory*, tell the story, and serve until Ctrl-C; return the exit status.

    With *keep* what an earlier demo left there is served again, without the story. *mft* runs the command `mft` with
    its words and its standard input.

    Raises:
        DemoError: a program is missing, the directory is in use, or a server does not start.
    """
    _want_programs()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job begins with it ignored
    narrator = Narrator(sys.stdout)
    began = time.monotonic()
    kept = keep and (directory / CONNECTION).exists()
    ground = claim_ground(directory, keep=kept)
    turn = take_turn()
    stage = _set_stage(ground, mft, kept=kept)
    try:
        _open(stage, kept=kept)
        turn.close()
        scene = Scene(ground=ground, cast=stage.cast, clients=stage.clients, servers=stage.servers, narrator=narrator)
        narrator.head(
            f"mft demo · three regions ({', '.join(REGIONS)}), a case system, real sftp and curl "
            f"· open after {time.monotonic() - began:.1f} s"
        )
        if not kept:
            story.tell(scene)
            _sum_up(narrator, time.monotonic() - began)
        if not once:
            say_farewell(scene)
            _serve(stage.servers)
    except KeyboardInterrupt:
        narrator.say()
        narrator.say("Ending.")
        return 0 if not once and not narrator.failures else 1
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C must leave nothing running
        stage.servers.stop()
        turn.close()
    return 1 if narrator.failures else 0


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _want_programs() -> None:
    missing = {package: program for program, package in _PROGRAMS.items() if shutil.which(program) is None}
    if missing:
        raise DemoError(
            f"the demo runs {' and '.join(sorted(missing.values()))}, and they are not here; "
            f"install, as root:  apt-get install {' '.join(sorted(missing))}"
        )


def _set_stage(ground: Ground, mft: Callable[[Sequence[str], str], Ran], *, kept: bool) -> _Stage:
    passwords = {}
    if kept:
        passwords = {role: facts["password"] for role, facts in read_connection(ground)["roles"].items()}
    ports = choose_ports()
    write_configuration(ground, ports)
    return _Stage(
        ground=ground,
        ports=ports,
        cast=make_cast(ground, passwords),
        clients=Clients(ground, ports, mft),
        servers=Servers(ground, ports),
    )


def _open(stage: _Stage, *, kept: bool) -> None:
    """Start both servers, make what only a running installation can, and write connection.json."""
    ground, servers, clients = stage.ground, stage.servers, stage.clients
    servers.start_server()
    write_records(ground, stage.cast)
    servers.start_case_system()
    importlib.import_module("mft.auth.accounts")  # what the commands below need, while the server opens
    servers.await_open()
    endpoints = read_endpoints(ground)
    write_known_hosts(ground, stage.ports, endpoints)
    if kept:
        for facts in read_connection(ground)["roles"].values():
            clients.tokens[facts["login"]] = facts["token"]
    else:
        _make_accounts(stage)
    published = clients.curl(None, "eu", "/.well-known/mft-receipt-key.json", at=ground.root)
    write_private(ground.receipt_key, published.output)
    document = make_connection(
        ground=ground, cast=stage.cast, ports=stage.ports, clients=clients, servers=servers, endpoints=endpoints
    )
    write_connection(ground, document | {"started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds")})


def _make_accounts(stage: _Stage) -> None:
    """Make the operator's account, and a token for everybody, each by the command that an operator would use."""
    operator, config = stage.cast.operator, ("--config", str(stage.ground.configuration))
    roles = [word for role in operator.roles for word in ("--role", role)]
    account = ("--name", operator.description, "--key", f"{operator.key}.pub", "--password-stdin")
    _mft(stage.clients, "user", "add", operator.login, *roles, *config, *account, given=operator.password + "\n")
    for person in stage.cast.everybody:
        told = _mft(stage.clients, "token", "create", person.login, *config, "--label", "made by mft demo")
        stage.clients.tokens[person.login] = told.strip()


def _mft(clients: Clients, *words: str, given: str = "") -> str:
    ran = clients.mft(*words, given=given)
    if ran.code != 0:
        raise DemoError(f"`mft {words[0]} {words[1]}` failed: {ran.said}")
    return ran.output


def _sum_up(narrator: Narrator, seconds: float) -> None:
    total = len(story.STEPS)
    if narrator.failures:
        narrator.head(f"✗ {len(narrator.failures)} of {total} steps failed: {'; '.join(narrator.failures)}")
    else:
        narrator.head(f"✓ all {total} steps, {seconds:.0f} s")


def _serve(servers: Servers) -> NoReturn:
    """Serve until interrupted.

    Raises:
        DemoError: a server has ended.
    """
    while True:
        ended = servers.ended()
        if ended is not None:
            raise DemoError(f"`mft {ended}` has ended by itself; its log lies beside connection.json")
        time.sleep(0.5)
