"""`mft restore`: a server from a backup again; and a drill of it, which leaves nothing behind."""

from __future__ import annotations

import contextlib
import datetime as dt
import sqlite3
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, printable, show_json
from mft.cli.verify import lack, open_parts

if TYPE_CHECKING:
    from mft.backup.restoring import Restored
    from mft.config import Config

UNSOUND = 3
"""Exit code of a drill: what was restored is not sound."""
ConfigFile = options.ConfigPath
Source = Annotated[
    Path, typer.Argument(metavar="DIR", help="A directory of backups (the newest is taken), or one of them.")
]
Destroyed = Annotated[
    list[Path] | None,
    typer.Option(
        "--destroyed",
        metavar="FILE",
        help="What was destroyed since: a ledger of destroyed keys, or certificates; may be given again.",
    ),
]
Key = Annotated[
    Path | None,
    typer.Option("--public-key", "--key", metavar="FILE", help="The receipt key that must have signed the backup."),
]
EndTokens = Annotated[
    bool, typer.Option("--revoke-tokens", help="Have every token end: some were revoked since, perhaps.")
]
Drill = Annotated[bool, typer.Option("--drill", help="Restore into a temporary directory, verify, and throw it away.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("restore")(restore)


def restore(
    directory: Source,
    *,
    config: ConfigFile = DEFAULT,
    destroyed: Destroyed = None,
    public_key: Key = None,
    end_tokens: EndTokens = False,
    drill: Drill = False,
    as_json: AsJson = False,
) -> None:
    """Make a server from a backup, where the configuration says; a configuration that is not there is the backup's.

    Every file is checked before anything is written, and nothing is overwritten. What was destroyed since the backup
    stays destroyed, as far as ledgers say: those in place (regions.NAME.keys.ledger), and those given by --destroyed.
    """
    from mft.backup.errors import NoBackupError  # noqa: PLC0415
    from mft.backup.restoring import Restore, configuration_of, elsewhere  # noqa: PLC0415  keeps `mft --help` quick
    from mft.backup.writing import backups_in  # noqa: PLC0415
    from mft.receipts import parse_public_key  # noqa: PLC0415
    from mft.stores import open_stores  # noqa: PLC0415

    found = backups_in(directory)
    if not found:
        raise NoBackupError(f"{directory} is no backup, and holds none")
    key = None if public_key is None else parse_public_key(public_key.read_bytes())
    with contextlib.ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mft-drill-"))) if drill else None
        settings = _configuration(config, configuration_of(found[-1]), place)
        since = list(destroyed or ())
        if place is not None:
            since += [each.keys.ledger for each in settings.regions.values() if each.keys.ledger.exists()]
            settings = elsewhere(settings, place / "data")
        work = Restore(found[-1], settings, open_stores(settings))
        work.check(key)
        work.check_target()
        done = work.run(destroyed=since, end_tokens=end_tokens, by=actor())
        wrong = _wrong(settings, with_objects=work.has_objects) if drill else []
    entered = 0 if drill else _enter(config)
    _tell(done, wrong, entered, as_json=as_json, drill=drill)
    raise typer.Exit(UNSOUND if wrong else 0)


def _configuration(path: Path, kept: bytes, place: Path | None) -> Config:
    """Load the configuration at *path*; where there is none, the backup's, put there, or in a drill into *place*."""
    if path.exists():
        return options.load(path)
    from storage.durable import write_file  # noqa: PLC0415  keeps `mft --help` quick

    target = path.absolute() if place is None else place / "config.yaml"
    write_file(target, kept, replace=False)
    if place is None:
        typer.echo(f"{path}: written from the backup", err=True)
    return options.load(target)


def _wrong(config: Config, *, with_objects: bool) -> list[str]:
    """Say what is wrong with a server that was restored for a drill."""
    from mft.audit import verify_trail  # noqa: PLC0415  keeps `mft --help` quick
    from mft.credentials import load_credentials  # noqa: PLC0415
    from mft.regionkeys import RegionKeys  # noqa: PLC0415
    from mft.server.parts import Parts  # noqa: PLC0415
    from mft.server.verifying import make_verification  # noqa: PLC0415
    from mft.signers import head_checker  # noqa: PLC0415
    from mft.verification.notebook import Notebook  # noqa: PLC0415
    from mft.verification.service import Wish  # noqa: PLC0415

    with contextlib.closing(sqlite3.connect(config.catalog.path)) as catalog:
        found = [f"the catalog: {row[0]}" for row in catalog.execute("PRAGMA integrity_check") if row[0] != "ok"]
    credentials = load_credentials(config, now=dt.datetime.now(dt.UTC))
    keys = RegionKeys(config)
    locked = {region: why for region in config.regions if (why := lack(config, keys, region))}
    parts = Parts(config, credentials, keys.service)
    try:
        with parts.database.read() as connection:
            verdict = verify_trail(connection, head_checker(credentials.receipt_key.public_key()))
        found += [f"the audit: {fault.chain} {fault.position}: {fault.what}" for fault in verdict.faults]
        if with_objects:
            notebook = Notebook(database=parts.database, trail=parts.trail)
            verification = make_verification(parts, locked=locked, pace=lambda _count: None, notebook=notebook)
            report = verification.run(Wish(regions=tuple(config.regions), deep=True, by="drill"))
            found += [f"{fault.flaw} in {fault.region}: {fault.subject}: {fault.detail}" for fault in report.faults]
    finally:
        parts.close()
    return found


def _enter(config: Path) -> int:
    """Enter what stores hold that was stored after the backup; return how many objects."""
    from mft.cli.rebuild import adopt  # noqa: PLC0415  keeps `mft --help` quick

    with open_parts(config) as (settings, parts, locked):
        for region, why in locked.items():
            told = f"{region} was not looked into for what was stored since: {why}; `mft rebuild` does it later"
            typer.echo(f"mft: {printable(told)}", err=True)
        taken, _ = adopt(parts, tuple(each for each in settings.regions if each not in locked), by=actor())
    return len(taken)


def _tell(done: Restored, wrong: list[str], entered: int, *, as_json: bool, drill: bool) -> None:
    if as_json:
        told = {
            "name": done.name,
            "made_at": done.made_at,
            "objects": done.objects,
            "destroyed_again": list(done.ended),
            "stored_since": entered,
            "tokens": done.tokens,
            "needs": list(done.needs),
            **({"wrong": wrong} if drill else {}),
        }
        show_json(told)
        return
    typer.echo(
        f"{'a drill of ' if drill else ''}{done.name}, made at {done.made_at}: {done.objects} files put in place"
    )
    if entered:
        typer.echo(f"{entered} objects that were stored since are entered, from their slots")
    for number in done.ended:
        typer.echo(printable(f"{number}: it was destroyed since, and is so again"))
    for each in wrong:
        typer.echo(f"mft: {printable(each)}", err=True)
    if drill:
        typer.echo(f"nothing was left behind; {len(wrong)} things are wrong", err=True)
        return
    if done.tokens:
        told_of = "what was revoked since is good again (--revoke-tokens ends them all)"
        typer.echo(f"{done.tokens} tokens are good: {told_of}", err=True)
    missing = [each for each in done.needs if not Path(each).exists()]
    if missing:
        typer.echo(f"not in the backup, and not there: {', '.join(missing)}", err=True)
