"""What the supervisor prepares before it forks: directories, schema, credentials, sockets, and who gets which.

Imports are heavy (they are most of the time to start), so each stands where it is needed: what the workers need is
imported here once, while a forked process brings schema and credentials up to date; the others import their own, in
parallel.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import fcntl
import functools
import logging
import os
import select
import shutil
import socket
from typing import TYPE_CHECKING

from mft.api.allowances import Allowances
from mft.keychannel import make_channel
from mft.log import configure_logging
from mft.server.directories import make_directories
from mft.server.supervisor import Role, StartError, fork_role, listen, listen_at, until_term

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mft.config.model import Config
    from mft.credentials.load import Credentials

log = logging.getLogger(__name__)
NURSERY_NICE = 5
"""Scrubbing, and getting ready for it, lets those go first who wait for an answer."""

PREPARE_NICE = 10
"""What is made beside the imports lets those go first: everybody waits for them."""


@contextlib.contextmanager
def _told_plainly() -> Iterator[None]:
    """Log what the block refuses in its own words, which say what to do, and end this process; no trace adds to them.

    What is none of ours passes through.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "mft" and not isinstance(error, OSError):
            raise
        log.error("prepare.failed", extra={"why": str(error)})  # noqa: TRY400 - it says all there is
        raise SystemExit(1) from error


class House:
    """An installation that is about to open."""

    def __init__(
        self,
        config: Config,
        metrics_directory: Path,
        *,
        passphrases: Mapping[str, str] | None = None,
        reread: Callable[[], Config] | None = None,
    ) -> None:
        """Prepare *config*; nothing is done yet. *passphrases* and *reread* are the key agent's."""
        self._config = config
        self._passphrases = passphrases
        self._reread = reread
        self._metrics = metrics_directory
        self._slots = [f"w{number}" for number in range(config.workers.protocol)]
        self._key_channels = {slot: make_channel() for slot in [*self._slots, "intake"]}
        self._nursery = make_channel()
        self._wake = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._keys_ready = os.pipe()
        self._opened = os.pipe()
        self._allowances = Allowances()
        for end in self._wake:
            end.setblocking(False)

    def enter(self) -> None:
        """Take the data directory for this server alone, and make the directories in it.

        Raises:
            StartError: another server runs on this data.
        """
        (self._config.data / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = self._lock_data()
        make_directories(self._config)
        shutil.rmtree(self._metrics, ignore_errors=True)
        self._metrics.mkdir(mode=0o700)

    def prepare(self, meanwhile: Callable[[], None]) -> None:
        """Bring the catalog to this release, make credentials, bind every socket; do *meanwhile* beside it.

        Raises:
            StartError: something of it cannot be made, or a port is taken; or the catalog is lost.
        """
        self._refuse_without_catalog()
        prepared = fork_role(self._prepare_files, "prepare")
        meanwhile()
        import mft.server.worker  # noqa: F401, PLC0415 - see the module's docstring

        made = None if self._config.catalog.path.exists() else fork_role(self._prepare_catalog, "prepare")
        for process in (prepared, made):
            if process is not None and os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != 0:
                raise StartError("the catalog or the credentials could not be prepared; the log says why")
        self._listeners = [(listener, listen(listener)) for listener in self._config.listeners]
        operations = self._config.operations
        self._operations = listen_at(operations.address, operations.port) if operations.enabled else None

    def _lock_data(self) -> int:
        """One server for one data directory: the catalog and its jobs belong to one."""
        path = self._config.data / "run" / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in {errno.EACCES, errno.EAGAIN}:
                raise StartError(f"another server is running on {self._config.data}") from error
            raise
        return descriptor

    def _refuse_without_catalog(self) -> None:
        """Refuse to make a catalog beside objects that another one knew: it was lost, or its disk is not there."""
        path = self._config.catalog.path
        if path.exists() and path.stat().st_size:
            return
        for name, region in self._config.regions.items():
            if region.store.bucket is None and any((region.store.path / "slots").glob("*/*")):
                raise StartError(
                    f"there is no catalog at {path}, and the store of {name!r} holds objects: put it back"
                    " (`mft restore`), or make it again from the stores (`mft rebuild`)"
                )

    def _prepare_catalog(self) -> None:
        from mft.catalog import schema  # noqa: PLC0415 - see the module's docstring

        with _told_plainly():
            schema.upgrade(self._config.catalog.path)

    def _prepare_files(self) -> None:
        os.nice(PREPARE_NICE)
        if self._config.catalog.path.exists():  # a new one is made when the tables are imported: that is quicker
            self._prepare_catalog()
        with _told_plainly():
            credentials = self._load_credentials()
        for warning in credentials.warnings:
            log.warning("credentials.warning", extra={"warning": warning})
        if self._config.quarantine.approvals == 1:
            log.warning("quarantine.one_person", extra={"warning": "quarantine.approvals is 1: one person releases"})

    def _load_credentials(self) -> Credentials:
        from mft.credentials.load import load_credentials  # noqa: PLC0415 - see the module's docstring

        return load_credentials(self._config, now=dt.datetime.now(dt.UTC))

    def roles(self) -> list[Role]:
        """Return the processes of the house."""
        return [
            Role(name="keyagent", run=self._run_key_agent, last=True),
            *(Role(name=slot, run=functools.partial(self._run_worker, slot)) for slot in self._slots),
            Role(name="intake", run=self._run_intake),
            Role(name="nursery", run=self._run_nursery, last=True),
        ]

    def _await_opening(self) -> None:
        """Let those go first who answer the door: until the house is open, each import here would make them later."""
        _was_told(self._opened, None)

    def _run_intake(self) -> None:
        self._await_opening()
        from mft.server.intake import run_intake  # noqa: PLC0415 - see the module's docstring

        run_intake(
            self._config,
            self._load_credentials,
            key_channel=self._key_channels["intake"][1],
            nursery_channel=self._nursery[1],
            wake=self._wake[0],
        )

    def _run_nursery(self) -> None:
        self._await_opening()
        from mft.scrubbing.nursery import serve_nursery  # noqa: PLC0415 - see the module's docstring

        stopped = until_term()
        configure_logging(self._config.log, "nursery")
        self._warn_of_leaks()
        os.nice(NURSERY_NICE)
        serve_nursery(self._nursery[0], stopped)

    @staticmethod
    def _warn_of_leaks() -> None:
        """Say once what of the protection of plaintext this machine cannot give."""
        from mft.scrubbing.isolation import lacking  # noqa: PLC0415 - see the module's docstring
        from mft.server.swap import unencrypted_swap  # noqa: PLC0415

        if missing := lacking():
            told = f"the kernel has no {' and no '.join(missing)}: a scrub child is shut in less than it could be"
            log.warning("scrub.isolation_lacking", extra={"warning": told, "lacking": missing})
        if areas := unencrypted_swap():
            told = f"memory may be swapped in clear to {', '.join(areas)}: use dm-crypt or zram, or no swap"
            log.warning("memory.swap_in_clear", extra={"warning": told})

    def _run_key_agent(self) -> None:
        from mft.server.agent import run_key_agent  # noqa: PLC0415 - see the module's docstring

        channels = [agent_end for agent_end, _ in self._key_channels.values()]
        run_key_agent(self._config, channels, self._tell_keys_ready, passphrases=self._passphrases, reread=self._reread)

    def _tell_keys_ready(self) -> None:
        os.write(self._keys_ready[1], b"1")

    def _run_worker(self, slot: str) -> None:
        from mft.server.worker import WorkerGear, run_worker  # noqa: PLC0415 - see the module's docstring

        gear = WorkerGear(
            slot=slot,
            listeners=self._listeners,
            operations=self._operations,
            key_channel=self._key_channels[slot][1],
            wake=self._wake[1],
            metrics=self._metrics,
            allowances=self._allowances,
            is_open=functools.partial(_was_told, self._opened, 0.0),
        )
        run_worker(self._config, self._load_credentials, gear)

    def keys_are_open(self, patience: float) -> bool:
        """Wait up to *patience* seconds for the key agent to have opened every keyring; say whether it has."""
        return _was_told(self._keys_ready, patience)

    def open(self) -> None:
        """Tell the workers that the house was announced; from now on they say that they are ready."""
        os.write(self._opened[1], b"1")

    def count_death(self, role: str) -> None:
        """Count a process that died."""
        from mft.server import metrics  # noqa: PLC0415 - see the module's docstring

        metrics.RESTARTS.labels(role).inc()

    def endpoints(self) -> Mapping[str, object]:
        """Say where the house is open, with the ports that the system chose."""
        credentials = self._load_credentials()
        return {
            "listeners": [
                {
                    "protocol": protocol,
                    "address": listener.address,
                    "host": listener.public_host or listener.address,
                    "port": sock.getsockname()[1],
                    "region": listener.region,
                    **({"tls": listener.tls} if protocol == "ftps" else {}),
                }
                for listener, sock in self._listeners
                for protocol in (listener.protocol, *(("sftp",) if listener.sftp else ()))
            ],
            "operations": None
            if self._operations is None
            else {"address": self._config.operations.address, "port": self._operations.getsockname()[1]},
            "certificate": str(credentials.certificate),
            "fingerprint": credentials.fingerprint,
            "host_keys": [str(path) + ".pub" for path in credentials.host_keys],
            "receipt_key": credentials.receipt_key_id,
        }


def _was_told(pipe: tuple[int, int], patience: float | None) -> bool:
    """Wait up to *patience* seconds, or for ever, for a byte that stays for the next who asks; say if it is there."""
    return bool(select.select([pipe[0]], [], [], patience)[0])
