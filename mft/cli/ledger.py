"""What the commands about accounts share: the catalog behind a configuration, who asks, and how answers are shown."""

from __future__ import annotations

import contextlib
import datetime as dt
import getpass
import json
import os
import pwd
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mft.cli import options

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mft.auth.ledger import Ledger
    from mft.config import Config

DEFAULT = Path("config.yaml")


class ForeignDataError(Exception):
    """The data directory is another user's: files made here would be closed to the server."""


@contextlib.contextmanager
def open_ledger(path: Path) -> Iterator[tuple[Config, Ledger, bytes]]:
    """Yield the configuration at *path*, its ledger, and the server's token key.

    The catalog and the server's keys are made if they are not there yet. The server may run meanwhile.

    Raises:
        ConfigError: the configuration cannot be used.
        ForeignDataError: another user owns the data.
        CredentialError: the server's keys cannot be used.
    """
    from mft.audit import AuditTrail  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.ledger import Ledger  # noqa: PLC0415
    from mft.catalog.database import Database  # noqa: PLC0415
    from mft.catalog.schema import upgrade  # noqa: PLC0415
    from mft.credentials import load_credentials  # noqa: PLC0415
    from mft.signers import head_signer  # noqa: PLC0415

    config = options.load(path)
    for place in (config.data, config.catalog.path):
        _refuse_foreign(place)
    credentials = load_credentials(config, now=dt.datetime.now(dt.UTC))
    upgrade(config.catalog.path)
    database = Database(config.catalog.path)
    try:
        audit = AuditTrail(sign=head_signer(credentials.receipt_key), host=socket.gethostname())
        yield config, Ledger(database=database, audit=audit), credentials.token_key
    finally:
        database.close()


def _refuse_foreign(place: Path) -> None:
    if place.exists() and (owner := place.stat().st_uid) != os.geteuid():
        try:
            name = pwd.getpwuid(owner).pw_name
        except KeyError:
            name = str(owner)
        raise ForeignDataError(f"{place} belongs to the user {name}: run this as that user, as the server does")


def actor() -> str:
    """Say for the audit who runs this command: the system's user, and who called sudo."""
    user = getpass.getuser()
    caller = os.environ.get("SUDO_USER")
    return f"cli:{caller} as {user}" if caller and caller != user else f"cli:{user}"


def parse_expiry(text: str) -> dt.datetime:
    """Return when something ends: `30d`, `12h` from now, or a date or time in ISO 8601 (UTC where it names no zone).

    Raises:
        typer.BadParameter: it is nothing of that kind.
    """
    from mft.config.units import parse_duration  # noqa: PLC0415  keeps `mft --help` quick

    with contextlib.suppress(ValueError, OverflowError):
        if not text.replace(".", "").isdigit():
            return dt.datetime.now(dt.UTC) + dt.timedelta(seconds=parse_duration(text))
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is neither a duration such as 30d nor a date such as 2027-01-31") from error
    return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)


def check_regions(config: Config, regions: Sequence[str]) -> None:
    """Refuse regions that the configuration does not name.

    Raises:
        typer.BadParameter: says which there are.
    """
    for region in regions:
        if region not in config.regions:
            raise typer.BadParameter(f"there is no region {region!r}; there are {', '.join(sorted(config.regions))}")


def show_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; what a terminal would obey is shown, not sent."""
    cells = [list(heads), *([printable(cell) for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(heads))]
    for row in cells:
        typer.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_json(document: Sequence[Mapping[str, object]] | Mapping[str, object]) -> None:
    """Print a document for programs to read."""
    sys.stdout.write(json.dumps(document, indent=2) + "\n")


def printable(text: str) -> str:
    """Return *text* with what is not printable spelled out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def moment(when: dt.datetime | None) -> str | None:
    """Return a time as lists show it."""
    return None if when is None else when.isoformat(timespec="seconds")
