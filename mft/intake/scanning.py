"""Other scanners, asked about a file before it is scrubbed: through a relay child for each question.

The connection is made here, to the one address that the configuration has for that region, and handed down; the file's
key goes to the child alone.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from typing import TYPE_CHECKING, Any

from mft.scrubbing.child import Errand
from mft.scrubbing.icap import parse_options
from mft.scrubbing.nursery import ChildFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from mft.intake.settings import IntakeSettings, Scanner
    from mft.scrubbing.icap import IcapOptions
    from mft.scrubbing.nursery import Nursery
    from mft.upload.landed import LandedFiles
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
TRIES = 3
REST_SECONDS = 1.0
_GRACE = 5.0
"""Seconds that a child has beyond its scanner's time, to say that it was over."""


class _UnreachableError(Exception):
    """The scanner cannot be reached; says why."""


class Scanning:
    """Asks the scanners of a region, one after the other."""

    def __init__(
        self,
        *,
        nursery: Nursery,
        landed: LandedFiles,
        zones: Mapping[str, LandingZone],
        settings: IntakeSettings,
    ) -> None:
        """Ask the scanners that *settings* name."""
        self._nursery = nursery
        self._landed = landed
        self._zones = zones
        self._settings = settings
        self._options: dict[str, tuple[float, IcapOptions]] = {}
        """What ICAP services can do, by the scanner's name, and until when (monotonic seconds) that holds."""

    def ask(self, row: Row[Any]) -> tuple[str | None, Sequence[Mapping[str, str]]]:
        """Return why an upload must be kept back, or None, and what each scanner said."""
        told: list[Mapping[str, str]] = []
        for scanner in self._settings.scanners:
            if scanner.region != row.region:
                continue
            verdict, what = self._ask(scanner, row)
            told.append({"scanner": scanner.name, "verdict": verdict, "what": what})
            if verdict == "found":
                return f"{scanner.name} found {what} in it", told
            if verdict != "clean":
                log.warning("scan.failed", extra={"upload": row.id, "scanner": scanner.name, "why": what})
                if not scanner.passes_on_failure:
                    return f"{scanner.name} could not look at it: {what}", told
        return None, told

    def _ask(self, scanner: Scanner, row: Row[Any]) -> tuple[str, str]:
        why = ""
        for number in range(TRIES):
            if number:
                time.sleep(REST_SECONDS * number)
            try:
                result = self._relay(scanner, row)
            except (_UnreachableError, ChildFailedError) as error:
                why = str(error)
                continue
            self._remember(scanner, parse_options(result.get("options")))
            if result["verdict"] != "failed":
                return str(result["verdict"]), str(result["what"])
            why = str(result["what"])
        return "failed", why

    def _remember(self, scanner: Scanner, options: IcapOptions | None) -> None:
        """Keep what a service can do as long as it says; forget it where it failed, or is not what it was."""
        if options is None:
            self._options.pop(scanner.name, None)
        elif scanner.name not in self._options:
            self._options[scanner.name] = time.monotonic() + options.ttl, options

    def _known_options(self, scanner: Scanner) -> dict[str, object] | None:
        until, options = self._options.get(scanner.name, (0.0, None))
        if options is None or time.monotonic() >= until:
            self._options.pop(scanner.name, None)
            return None
        return options.to_dict()

    def _relay(self, scanner: Scanner, row: Row[Any]) -> dict[str, Any]:
        connection = None if scanner.kind == "command" else connect(scanner)
        errand = Errand(
            names=(),
            pseudonym_key=b"",
            cage=self._settings.cage,
            limits={},
            scratch=str(self._settings.scratch[row.region]),
            landing_id=row.landing_id,
            landing_key=self._landed.key_of(row),
            records=row.records,
            size=row.size,
            relay={
                "kind": scanner.kind,
                "host": scanner.address,
                "service": scanner.service,
                "method": scanner.method,
                "command": list(scanner.command),
                "seconds": scanner.timeout,
                "options": self._known_options(scanner),
            },
        )
        landing_fd = self._zones[row.region].open_fd(row.landing_id)
        try:
            child = self._nursery.relay(
                errand,
                landing_fd=landing_fd,
                socket_fd=None if connection is None else connection.fileno(),
                wall=scanner.timeout + _GRACE,
            )
        finally:
            os.close(landing_fd)
            if connection is not None:
                connection.close()
        with contextlib.closing(child):
            return child.result()


def connect(scanner: Scanner) -> socket.socket:
    """Open the one connection of a relay child.

    Raises:
        _UnreachableError: nobody takes it.
    """
    try:
        if scanner.address.startswith("/"):
            made = socket.socket(socket.AF_UNIX)
            made.settimeout(scanner.timeout)
            made.connect(scanner.address)
            return made
        host, _, port = scanner.address.rpartition(":")
        return socket.create_connection((host.strip("[]"), int(port)), timeout=min(scanner.timeout, 10.0))
    except OSError as error:
        raise _UnreachableError(f"it cannot be reached ({error.strerror or type(error).__name__})") from error
