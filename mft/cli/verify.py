"""`mft verify`: catalog, stores and keys held against one another; and mending what can be mended."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, check_regions, open_ledger, printable, show_json, show_table
from mft.cli.secret import ask_passphrase

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.config import Config
    from mft.regionkeys import RegionKeys
    from mft.server.parts import Parts
    from mft.verification.fault import Report

LEFT, MENDED, UNSEEN = 3, 4, 5
"""Exit codes."""
ConfigFile = options.ConfigPath
Regions = Annotated[
    list[str] | None, typer.Option("--region", metavar="REGION", help="This region alone; may be given again.")
]
CaseNumber = Annotated[str | None, typer.Option("--case", metavar="CASE", help="What this case has, and nothing else.")]
Deep = Annotated[bool, typer.Option("--deep", help="Read every byte: each segment is authenticated, each digest made.")]
Repair = Annotated[
    bool, typer.Option("--repair", help="Mend from good copies, take away what nothing needs. Default: only look.")
]
Bandwidth = Annotated[
    str | None, typer.Option("--bandwidth", metavar="SIZE", help="Bytes a second to read at most, such as 50MiB.")
]
AsJson = options.AsJson


class NoSuchCaseError(Exception):
    """The catalog knows no case of that number."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("verify")(verify)


def verify(
    *,
    config: ConfigFile = DEFAULT,
    region: Regions = None,
    case: CaseNumber = None,
    deep: Deep = False,
    repair: Repair = False,
    bandwidth: Bandwidth = None,
    as_json: AsJson = False,
) -> None:
    """Find what is missing, corrupt, misplaced, orphaned or cannot be opened. The server may run meanwhile.

    Exit codes: 0 nothing is wrong; 3 something is, and is left; 4 something was, and all of it is mended; 5 nothing
    is known to be wrong, but not all could be looked at (a store that does not answer, keys that are not at hand).
    """
    from mft.intake.pace import Pace  # noqa: PLC0415  keeps `mft --help` quick
    from mft.server.verifying import make_verification  # noqa: PLC0415
    from mft.verification.notebook import Notebook  # noqa: PLC0415
    from mft.verification.service import Wish  # noqa: PLC0415

    pace = Pace(_rate(bandwidth))
    with open_parts(config) as (settings, parts, locked):
        check_regions(settings, region or [])
        if case is not None:
            _check_case(parts, case)
        notebook = Notebook(database=parts.database, trail=parts.trail)
        verification = make_verification(parts, locked=locked, pace=pace, notebook=notebook)
        wish = Wish(regions=tuple(region or settings.regions), case=case, deep=deep, repair=repair, by=actor())
        with _silent("mft.verification"):  # the report says all that it would
            report = verification.run(wish)
    if as_json:
        show_json(report.to_dict())
    else:
        _show(report)
    raise typer.Exit(_code(report))


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Keep a logger from warning within the block."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _code(report: Report) -> int:
    if report.left:
        return LEFT
    if report.unseen:
        return UNSEEN
    return MENDED if report.mended else 0


def _rate(bandwidth: str | None) -> int | None:
    from mft.config.units import parse_size  # noqa: PLC0415  keeps `mft --help` quick

    if bandwidth is None:
        return None
    try:
        rate = parse_size(bandwidth if not bandwidth.isdigit() else int(bandwidth))
    except ValueError as error:
        raise typer.BadParameter(f"{bandwidth!r} is not a size such as 50MiB") from error
    if rate < 1:
        raise typer.BadParameter("--bandwidth is more than nought")
    return rate


def _check_case(parts: Parts, number: str) -> None:
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.catalog.model import CASES  # noqa: PLC0415

    with parts.database.read() as connection:
        if connection.execute(select(CASES.c.id).where(CASES.c.number == number)).first() is None:
            raise NoSuchCaseError(f"nothing of a case {printable(number)} is kept here")


def _show(report: Report) -> None:
    if report.faults:
        show_table(("FLAW", "REGION", "WHAT", "CASE", "STATE", "WHY"), _rows(report))
    read = f", {report.bytes} bytes read and held against their digests" if report.deep else ""
    typer.echo(
        f"{report.objects} objects in {report.copies} copies{read}; {report.names} names in the stores, "
        f"{report.landings} landing logs, {report.keys} keys: {len(report.left)} left wrong, {len(report.mended)} "
        f"mended, {len(report.unseen)} not looked at",
        err=True,
    )


def _rows(report: Report) -> list[tuple[str, str, str, str, str, str]]:
    """Return a row for each fault; what could not be looked at for one reason has one row in each region."""
    unseen = Counter((fault.region, fault.flaw, fault.detail) for fault in report.unseen)
    rows = []
    for fault in report.faults:
        count = unseen.pop((fault.region, fault.flaw, fault.detail), 0 if fault.is_unseen else 1)
        if count:
            what, case = (fault.subject, fault.case or "-") if count == 1 else (f"{count} of what is there", "-")
            state = "mended" if fault.mended else "unseen" if fault.is_unseen else "left"
            why = f"{fault.detail}{f' ({fault.note})' if fault.note else ''}"
            rows.append((str(fault.flaw), fault.region, what, case, state, why))
    return rows


@contextlib.contextmanager
def open_parts(path: Path) -> Iterator[tuple[Config, Parts, dict[str, str]]]:
    """Yield configuration, parts, and of the regions whose keys cannot be opened here, why.

    Keys are opened in this process, as the configuration says; nothing is made.
    """
    from mft.credentials import load_credentials  # noqa: PLC0415  keeps `mft --help` quick
    from mft.regionkeys import RegionKeys  # noqa: PLC0415
    from mft.server.parts import Parts  # noqa: PLC0415

    with open_ledger(path) as (config, _ledger, _key):
        keys = RegionKeys(config)
        locked = {region: why for region in config.regions if (why := lack(config, keys, region))}
        parts = Parts(config, load_credentials(config, now=dt.datetime.now(dt.UTC)), keys.service)
        try:
            yield config, parts, locked
        finally:
            parts.close()


def lack(config: Config, keys: RegionKeys, region: str) -> str:
    """Open a region's keys; return why that cannot be, empty where it can."""
    from mft.config import ConfigError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.regionkeys import open_keyring  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415
    from storage.keys.door import state_of  # noqa: PLC0415
    from storage.keys.envelope import Region  # noqa: PLC0415

    found, word = config.regions[region], None
    door = keys.doors[Region(region)]
    if found.keys.type != "keyring":
        return state_of(door)[1]
    if not found.keyring.path.exists():
        return f"{found.keyring.path} is not there"
    if found.keyring.prompt:
        word = ask_passphrase(region)
    try:
        door.put(open_keyring(config, region, word))
    except (ConfigError, StorageError, OSError) as error:
        return str(error)
    return ""
