"""The key agent's process."""

from __future__ import annotations

import logging
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from mft.keyagent import serve_keys
from mft.keydesk import KeyDesk, listen_for_administrators
from mft.log import configure_logging
from mft.regionkeys import RegionKeys
from mft.scrubbing.cage import forbid_dumps
from mft.server.supervisor import until_term
from storage.errors import KeyringError
from storage.keys.door import state_of

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from mft.config.model import Config

log = logging.getLogger(__name__)
OPENING_NICE = 10


def _let_others_first() -> None:
    """Lower the priority of this thread alone: opening is a second of work beside imports that all wait for."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), OPENING_NICE)


def run_key_agent(
    config: Config,
    channels: Sequence[socket.socket],
    ready: Callable[[], None],
    *,
    passphrases: Mapping[str, str] | None = None,
    reread: Callable[[], Config] | None = None,
) -> None:
    """Be the key agent until SIGTERM; call *ready* once the keyrings are open.

    What holds keys elsewhere is asked beside that, and again whenever it is needed: while it does not answer that
    region is out of reach, and no other.
    """
    stopped = until_term()
    forbid_dumps()
    configure_logging(config.log, "keyagent")
    keys = RegionKeys(config, passphrases=passphrases, reread=reread)
    with ThreadPoolExecutor(1, initializer=_let_others_first) as opener:
        try:
            locked = opener.submit(keys.open_keyrings).result()
        except KeyringError as error:
            log.error("keyagent.keyring_not_opened", extra={"why": str(error)})  # noqa: TRY400 - it says all there is
            raise SystemExit(1) from error
    for region in locked:
        log.warning("keyagent.locked", extra={"region": region, "warning": f"`mft keys unlock {region}` opens it"})
    log.info("keyagent.started", extra={"regions": sorted(config.regions)})
    ready()
    threading.Thread(target=_look_at_providers, args=(keys,), name="providers", daemon=True).start()
    desk = listen_for_administrators(config.data)
    serve_keys(keys.service, channels, stopped, waits=keys.waits, desk=(desk, KeyDesk(keys).perform))


def _look_at_providers(keys: RegionKeys) -> None:
    """Say at the start which regions and customers' keys are out of reach."""
    for region, door in keys.doors.items():
        if keys.waits(region, None):
            state, why = state_of(door)
            if state != "open":
                log.error("keyagent.region_unavailable", extra={"region": region, "why": why})
    for name in keys.customers.names():
        state, why = state_of(keys.customers.wrapper(name))
        if state != "open":
            log.error("keyagent.customer_key_unavailable", extra={"key": name, "why": why})
