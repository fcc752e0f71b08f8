"""The processes that no client ever reaches: key agent, scrub nursery, intake."""

from __future__ import annotations

import logging
import signal
import threading
from typing import TYPE_CHECKING

from mft.config.secrets import load_passphrase
from mft.intake.copying import Copying
from mft.intake.naming import Naming
from mft.intake.records import CaseBook
from mft.intake.scrubbing import Scrubbing
from mft.intake.service import Intake
from mft.intake.settings import IntakeSettings
from mft.intake.settling import Settling
from mft.intake.sweep import Sweep
from mft.jobs import DurableJobs
from mft.keyagent import AgentKeys, serve_keys
from mft.log import configure_logging
from mft.scrubbing.child import Cage, forbid_dumps
from mft.scrubbing.nursery import Nursery, serve_nursery
from mft.server.parts import Parts, scratch_directory
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.service import LocalKeyService

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from mft.config.model import Config
    from mft.credentials.load import Credentials

log = logging.getLogger(__name__)


def _until_term() -> Callable[[], bool]:
    """Return what says whether SIGTERM has come."""
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda _number, _frame: stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor says when
    return stopped.is_set


def open_keyring(config: Config, region: str) -> Keyring:
    """Open a region's keyring, or make it where there is none.

    Raises:
        WrongPassphraseError: the passphrase does not open it.
    """
    settings = config.regions[region].keyring
    passphrase = load_passphrase(settings, region)
    if settings.path.exists():
        return Keyring.load(settings.path, passphrase)
    return Keyring.create(settings.path, Region(region), passphrase)


def run_key_agent(config: Config, channels: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Be the key agent until SIGTERM; call *ready* once the keyrings are open."""
    stopped = _until_term()
    forbid_dumps()
    configure_logging(config.log, "keyagent")
    wrappers = {Region(name): open_keyring(config, name) for name in config.regions}
    log.info("keyagent.started", extra={"regions": sorted(wrappers)})
    ready()
    serve_keys(LocalKeyService(wrappers), channels, stopped)


def run_nursery(config: Config, channel: socket.socket) -> None:
    """Be the scrub nursery until SIGTERM."""
    stopped = _until_term()
    configure_logging(config.log, "nursery")
    serve_nursery(channel, stopped)


def intake_settings(config: Config, host: str) -> IntakeSettings:
    """Make intake's settings from the configuration."""
    scrub = config.scrub
    return IntakeSettings(
        installation=config.installation,
        host=host,
        scratch={name: scratch_directory(config, name) for name in config.regions},
        cage=Cage(memory=scrub.memory, cpu=int(scrub.cpu), file_size=scrub.file_size),
        wall=scrub.wall,
        workers=scrub.workers,
        attempts=scrub.attempts,
        limits={"depth": scrub.depth, "members": scrub.members, "max_ratio": scrub.max_ratio},
        outbound_refuse=(),
        copy_workers=config.replication.workers,
        retry_first=config.replication.retry_first,
        retry_max=config.replication.retry_max,
        resume_grace=config.landing.resume_grace,
        partial_ttl=config.landing.partial_ttl,
    )


def make_intake(parts: Parts, nursery: Nursery) -> Intake:
    """Put the intake together."""
    settings = intake_settings(parts.config, parts.host)
    book = CaseBook(database=parts.database, keys=parts.keys)
    return Intake(
        database=parts.database,
        scrubbing=Scrubbing(
            database=parts.database,
            trail=parts.trail,
            keys=parts.keys,
            book=book,
            zones=parts.zones,
            landed=parts.landed,
            objects=parts.objects,
            nursery=nursery,
            settings=settings,
        ),
        settling=Settling(database=parts.database, trail=parts.trail, sign=parts.sign, settings=settings),
        copying=Copying(
            database=parts.database, trail=parts.trail, book=book, objects=parts.objects, settings=settings
        ),
        naming=Naming(database=parts.database, book=book, nursery=nursery, settings=settings),
        sweep=Sweep(
            database=parts.database,
            trail=parts.trail,
            zones=parts.zones,
            landed=parts.landed,
            objects=parts.objects,
            settings=settings,
        ),
        host=parts.host,
        settings=settings,
    )


def run_intake(
    config: Config,
    load: Callable[[], Credentials],
    *,
    key_channel: socket.socket,
    nursery_channel: socket.socket,
    wake: socket.socket,
) -> None:
    """Be the intake until SIGTERM."""
    stopped = _until_term()
    configure_logging(config.log, "intake")
    parts = Parts(config, load(), AgentKeys(key_channel))
    intake = make_intake(parts, Nursery(nursery_channel))
    jobs = DurableJobs(config.catalog.path, intake.kinds)
    intake.attach(jobs)
    jobs.launch()
    log.info("intake.started")
    intake.run(wake, stopped)
    jobs.stop(patience=config.workers.drain)
    parts.database.close()
