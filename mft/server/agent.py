"""The key agent's process."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mft.config.secrets import load_passphrase
from mft.keyagent import serve_keys
from mft.log import configure_logging
from mft.scrubbing.cage import forbid_dumps
from mft.server.supervisor import until_term
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.service import LocalKeyService

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

    from mft.config.model import Config

log = logging.getLogger(__name__)
OPENING_NICE = 10


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


def _let_others_first() -> None:
    """Lower the priority of this thread alone: opening is a second of work beside imports that all wait for."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), OPENING_NICE)


def run_key_agent(config: Config, channels: Sequence[socket.socket], ready: Callable[[], None]) -> None:
    """Be the key agent until SIGTERM; call *ready* once the keyrings are open."""
    stopped = until_term()
    forbid_dumps()
    configure_logging(config.log, "keyagent")
    with ThreadPoolExecutor(1, initializer=_let_others_first) as opener:
        wrappers = opener.submit(lambda: {Region(name): open_keyring(config, name) for name in config.regions}).result()
    log.info("keyagent.started", extra={"regions": sorted(wrappers)})
    ready()
    serve_keys(LocalKeyService(wrappers), channels, stopped)
