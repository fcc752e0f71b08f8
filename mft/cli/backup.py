"""`mft backup`: all of a server but its regions' keys in clear."""

from __future__ import annotations

import contextlib
import datetime as dt
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, check_regions, open_ledger, printable, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.backup.writing import Backups
    from mft.config import Config

INCOMPLETE = 3
"""Exit code: what the catalog names was not all there."""
ConfigFile = options.ConfigPath
Directory = Annotated[Path, typer.Argument(metavar="DIR", help="A directory of backups alone; one more is made in it.")]
Objects = Annotated[
    bool,
    typer.Option("--objects/--no-objects", help="Also what is stored and what has landed, sealed as it is."),
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="Objects of this region alone; may be given again."),
]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("backup")(backup)


def backup(
    directory: Directory,
    *,
    config: ConfigFile = DEFAULT,
    objects: Objects = True,
    region: Regions = None,
    as_json: AsJson = False,
) -> None:
    """Make one more backup in DIR. The server may run meanwhile.

    It holds the catalog of one moment, wrapped keys in a file of their own, credentials, configuration, keyrings as
    they are (sealed by their passphrases), ledgers of destroyed keys, the audit's heads, and bodies, slots and landing
    logs. Bodies that the backup before holds are linked to, not copied. What is replaced or
    destroyed meanwhile is looked for again. Exit code 3: an object that the catalog names was not there.
    """
    with _backups(config) as (settings, service):
        check_regions(settings, region or [])
        made = service.make(
            directory.absolute(),
            objects=objects,
            regions=tuple(region or settings.regions),
            by=actor(),
            now=dt.datetime.now(dt.UTC),
        )
    if as_json:
        lists = {"missing": list(made.missing), "outrun": list(made.outrun)}
        show_json({**made._asdict(), "path": str(made.path), **lists})
    else:
        typer.echo(f"{made.path}: {made.files} files, {made.bytes} bytes, {made.linked} of them as in the one before")
    for each in made.missing:
        why = "was replaced or destroyed meanwhile: make it again" if each in made.outrun else "`mft verify` says why"
        typer.echo(f"mft: {printable(each)} was not there; {why}", err=True)
    raise typer.Exit(INCOMPLETE if made.missing else 0)


@contextlib.contextmanager
def _backups(path: Path) -> Iterator[tuple[Config, Backups]]:
    from mft.backup.writing import Backups  # noqa: PLC0415  keeps `mft --help` quick
    from mft.credentials import load_receipt_key  # noqa: PLC0415
    from mft.stores import open_stores, open_zones  # noqa: PLC0415

    with open_ledger(path) as (config, ledger, _key):
        zones = open_zones(config)
        try:
            yield (
                config,
                Backups(
                    config=config,
                    config_path=path,
                    database=ledger.database,
                    trail=ledger.audit,
                    key=load_receipt_key(config.credentials),
                    stores=open_stores(config),
                    zones=zones,
                ),
            )
        finally:
            for zone in zones.values():
                zone.close()
