"""`mft serve`: the process that keeps the others. It has one thread, holds no key, and does no work of its own.

Every channel between two processes is a socket pair that the supervisor made and keeps, so that either end may die
and come back. Listening sockets are made here and inherited: whichever worker is idle accepts.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mft.config.entrances import ListenerConfig
    from mft.config.model import Config

log = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 0.1, 5.0
"""Seconds before what died is started again; doubled as long as it keeps dying at once."""
STEADY_SECONDS = 30.0
START_SECONDS = 30.0
BACKLOG = 512
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


class StartError(Exception):
    """The house cannot be opened; says why."""


@dataclass(slots=True, kw_only=True)
class Role:
    """One process that is kept running."""

    name: str
    run: Callable[[], None]
    last: bool = False
    """Ended only after the others: they need it to finish their work."""
    pid: int | None = None
    started: float = 0.0
    pause: float = FIRST_PAUSE
    due: float = 0.0


@dataclass(slots=True)
class Supervisor:
    """Starts roles, starts again what dies, and ends them in order."""

    roles: list[Role] = field(default_factory=list)
    died: Callable[[str], None] = lambda _name: None
    """Told the name of each role that died."""
    _ending: bool = False

    def keep(self) -> int:
        """Keep every role running until SIGTERM or SIGINT; return the exit status."""
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._end)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        os.set_blocking(wake_read, False)
        while not self._ending:
            self.start_due()
            self._wait(wake_read, 0.5)
            self._reap()
        self._stop_all()
        return 0

    def start_now(self, name: str) -> None:
        """Start one role at once."""
        for role in self.roles:
            if role.name == name:
                self._start(role)

    def _end(self, _number: int, _frame: object) -> None:
        self._ending = True

    def has_lost(self, name: str) -> bool:
        """Say whether a role that was started has ended."""
        self._reap()
        return any(role.name == name and role.pid is None for role in self.roles)

    def start_due(self) -> None:
        """Start every role that is not running, and whose pause after its last end is over."""
        for role in self.roles:
            if role.pid is None and time.monotonic() >= role.due and not self._ending:
                self._start(role)

    def _start(self, role: Role) -> None:
        role.started = time.monotonic()
        role.pid = fork_role(role.run, role.name)

    def _reap(self) -> None:
        for pid, status in _ended_children():
            for role in self.roles:
                if role.pid == pid:
                    self._note_death(role, status)

    def _note_death(self, role: Role, status: int) -> None:
        role.pid = None
        lived = time.monotonic() - role.started
        role.pause = FIRST_PAUSE if lived > STEADY_SECONDS else min(LONGEST_PAUSE, role.pause * 2)
        role.due = time.monotonic() + role.pause
        if not self._ending:
            log.error(
                "supervisor.process_died",
                extra={"role": role.name, "status": os.waitstatus_to_exitcode(status), "lived": round(lived, 3)},
            )
            self.died(role.name)

    @staticmethod
    def _wait(wake: int, seconds: float) -> None:
        if select.select([wake], [], [], seconds)[0]:
            with contextlib.suppress(BlockingIOError):
                os.read(wake, 4096)

    def _stop_all(self) -> None:
        for last in (False, True):
            group = [role for role in self.roles if role.last is last]
            for role in group:
                if role.pid is not None:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(role.pid, signal.SIGTERM)
            while any(role.pid is not None for role in group):
                self._reap()
                time.sleep(0.02)


def _ended_children() -> list[tuple[int, int]]:
    ended: list[tuple[int, int]] = []
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended.append((pid, status))


def until_term() -> Callable[[], bool]:
    """Return what says whether SIGTERM has come to this process."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor says when
    return stopped.is_set


def fork_role(run: Callable[[], None], name: str) -> int:
    """Fork a process that does *run* and ends; return its id. It is killed when this process dies.

    `ps` and `top` show it as `mft-` and its *name*.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _be_child(run, name, parent)
    return pid


def _be_child(run: Callable[[], None], name: str, parent: int) -> NoReturn:
    status = 1
    try:
        gc.enable()
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(OSError, AttributeError):
            libc = ctypes.CDLL(None)
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            libc.prctl(_PR_SET_NAME, f"mft-{name}".encode(), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        run()
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # the border of the process
        logging.getLogger("mft").exception("process.failed")
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        logging.shutdown()
        os._exit(status)


def listen(listener: ListenerConfig) -> socket.socket:
    """Make the listening socket of a listener.

    Raises:
        StartError: the address cannot be used.
    """
    return listen_at(listener.address, listener.port)


def listen_at(address: str, port: int) -> socket.socket:
    """Make a listening socket.

    Raises:
        StartError: the address cannot be used.
    """
    try:
        family, kind, protocol, _name, where = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(BACKLOG)
    except OSError as error:
        raise StartError(f"{address} port {port} cannot be listened on: {error.strerror or error}") from error
    return sock


def serve(
    config: Config,
    *,
    announce: Callable[[Mapping[str, object]], None],
    passphrases: Mapping[str, str] | None = None,
    reread: Callable[[], Config] | None = None,
) -> int:
    """Open the house and keep it; return the exit status when it is closed.

    Args:
        config: the installation.
        announce: is told the endpoints once every keyring is open and every socket listens.
        passphrases: by region, those that a person has given; kept, for a key agent that dies.
        reread: returns the configuration as its file has it now.

    Raises:
        StartError: a port is taken, or a keyring cannot be opened.
        CredentialError, CatalogVersionError: as their parts say.
    """
    gc.disable()  # importing makes much and drops little
    os.umask(0o077)  # whatever is made here, by whichever process, is closed to other users
    metrics = config.data / "run" / "metrics"
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(metrics)  # read by prometheus_client when it is first imported
    from mft.log import configure_logging  # noqa: PLC0415
    from mft.server.house import House  # noqa: PLC0415 - after the variable is set

    configure_logging(config.log, "supervisor")
    house = House(config, metrics, passphrases=passphrases, reread=reread)
    house.enter()
    supervisor = Supervisor(roles=house.roles(), died=house.count_death)
    house.prepare(meanwhile=lambda: supervisor.start_now("keyagent"))
    gc.freeze()
    gc.enable()
    supervisor.start_due()
    deadline = time.monotonic() + START_SECONDS
    while not house.keys_are_open(0.1):
        if supervisor.has_lost("keyagent") or time.monotonic() > deadline:
            raise StartError("the keyrings could not be opened; the log says which and why")
    announce(house.endpoints())
    house.open()
    return supervisor.keep()
