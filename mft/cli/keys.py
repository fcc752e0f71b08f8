"""`mft keys`: the keys of regions. No command here shows a key, or opens a file."""

from __future__ import annotations

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mft.cli import options, secret
from mft.cli.ledger import DEFAULT, actor, check_regions, open_ledger, printable, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.auth.ledger import Ledger
    from mft.config import Config
    from mft.keydesk import Desk
    from mft.rewrapping import Progress, Rotations

UNAVAILABLE = 3
"""Exit code of `status`: the keys of a region are locked or out of reach."""
ConfigFile = options.ConfigPath
Region = Annotated[str, typer.Argument(metavar="REGION", help="The region.")]
MaybeRegion = Annotated[str | None, typer.Argument(metavar="[REGION]", help="One region; without it, all.")]
KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's id, as `mft keys list` shows it.")]
Reason = options.Reason
NoRewrap = Annotated[bool, typer.Option("--no-rewrap", help="Only make the new key; `mft keys rewrap` does the rest.")]
Count = Annotated[bool, typer.Option("--count", help="Count what is wrapped under each key; reads every slot.")]
AsJson = options.AsJson
NewFile = Annotated[
    Path | None,
    typer.Option("--new-passphrase-file", metavar="FILE", help="The new passphrase, the first line of FILE."),
]
Memory = Annotated[
    int | None, typer.Option("--memory-kib", metavar="N", help="Argon2id: memory of one try. Default: as it is.")
]
Iterations = Annotated[
    int | None, typer.Option("--iterations", metavar="N", help="Argon2id: passes of one try. Default: as it is.")
]
LedgerFile = Annotated[Path, typer.Argument(metavar="FILE", help="A ledger that was kept elsewhere.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The keys of regions.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_keys)
    group.command("status")(status)
    group.command("rotate")(rotate)
    group.command("rewrap")(rewrap)
    group.command("retire")(retire)
    group.command("passphrase")(passphrase)
    group.command("unlock")(unlock)
    group.command("forget")(forget)
    group.command("destroyed")(destroyed)
    group.command("replay")(replay)
    app.add_typer(group, name="keys")


@contextlib.contextmanager
def _at_desk(path: Path, region: str | None = None) -> Iterator[tuple[Config, Ledger, Desk]]:
    from mft.keydesk import open_desk  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(path) as (config, ledger, _):
        check_regions(config, [region] if region else [])
        with open_desk(config) as desk:
            yield config, ledger, desk


def _rotations(config: Config, ledger: Ledger, desk: Desk) -> Rotations:
    from mft.rewrapping import DeskRewrapper, Rotations  # noqa: PLC0415  keeps `mft --help` quick
    from mft.stores import open_stores  # noqa: PLC0415

    return Rotations(
        database=ledger.database, trail=ledger.audit, stores=open_stores(config), rewrapper=DeskRewrapper(desk)
    )


def list_keys(region: MaybeRegion = None, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List the keys of regions: the current one wraps, the others only unwrap."""
    with _at_desk(config, region) as (_config, _ledger, desk):
        found = [each for each in desk.ask("status")["regions"] if region in {None, each["region"]}]
    rows = [{"region": each["region"], "type": each["type"], **key} for each in found for key in each["keys"]]
    if as_json:
        show_json(rows)
        return
    heads = ("REGION", "TYPE", "KEY", "USE", "CREATED")
    show_table(
        heads,
        [
            [row["region"], row["type"], row["id"], "current" if row["current"] else "older", row["created"] or "-"]
            for row in rows
        ],
    )
    for each in found:
        if each["state"] != "open":
            typer.echo(f"{each['region']}: {each['why']}", err=True)


def status(
    region: MaybeRegion = None, *, config: ConfigFile = DEFAULT, count: Count = False, as_json: AsJson = False
) -> None:
    """Say how the keys of regions and customers stand, and how far rotations have come.

    Exit code 3: some are locked or out of reach.
    """
    with _at_desk(config, region) as (loaded, ledger, desk):
        answer = desk.ask("status")
        rotations = _rotations(loaded, ledger, desk)
        regions = []
        for each in answer["regions"]:
            if region in {None, each["region"]}:
                newest = rotations.newest(each["region"])
                wrapped, shares = rotations.count_all(each["region"]) if count else (None, {})
                told = [{"name": name, "key": key, "count": number} for (name, key), number in shares.items()]
                regions.append({**each, "rotation": _rotation(newest), "wrapped": wrapped, "shares": told})
    if as_json:
        show_json({"regions": regions, "customers": answer["customers"]})
    else:
        _show_status(regions, answer["customers"])
    if any(each["state"] != "open" for each in [*regions, *answer["customers"]]):
        raise typer.Exit(UNAVAILABLE)


def _show_status(regions: list[dict[str, Any]], customers: list[dict[str, Any]]) -> None:
    show_table(
        ("REGION", "TYPE", "STATE", "KEYS", "CACHED", "ROTATION"),
        [
            [
                each["region"], each["type"], each["state"], str(len(each["keys"])), str(each["cached"]),
                _told(each["rotation"]),
            ]
            for each in regions
        ],
    )  # fmt: skip
    for each in regions:
        for key, number in (each["wrapped"] or {}).items():
            typer.echo(f"{each['region']}: {number} wrapped keys under {key}")
        for share in each["shares"]:
            whose = f"the customer's key {share['name']}: {share['key']}"
            typer.echo(f"{each['region']}: {share['count']} of them under {whose} besides")
    for each in customers:
        current = f", {each['key']} is current" if each["key"] else ""
        typer.echo(f"customer's key {each['name']}: {each['state']}{current}")
    for each in [*regions, *customers]:
        if each["why"]:
            typer.echo(f"{each.get('region') or each['name']}: {each['why']}", err=True)


def _rotation(row: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a row, or None
    if row is None:
        return None
    names = ("target", "stage", "looked_at", "rewrapped", "failed", "started_by", "reason")
    return {**{name: getattr(row, name) for name in names}, "finished": row.finished_at is not None}


def _told(rotation: dict[str, Any] | None) -> str:
    if rotation is None:
        return "-"
    done = "finished" if rotation["finished"] else f"at {rotation['stage']}"
    return f"{done}, {rotation['rewrapped']} of {rotation['looked_at']} rewrapped, {rotation['failed']} failed"


def rotate(region: Region, *, reason: Reason = "", config: ConfigFile = DEFAULT, no_rewrap: NoRewrap = False) -> None:
    """Make a new key current in a region, and put everything under it; the server goes on meanwhile."""
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick

    with _at_desk(config, region) as (loaded, ledger, desk):
        _note_order(ledger, "rotate", region=region, why=reason)
        key = desk.ask("rotate", region=region)["key"]
        with ledger.database.write() as connection:
            ledger.audit.append(connection, SYSTEM, "keys.rotated", region=region, key=key, by=actor(), why=reason)
        typer.echo(f"{region}: {key} is current")
        if not no_rewrap:
            _tell_of_customers(desk)
            _rewrap(_rotations(loaded, ledger, desk), region, key, reason)


def _note_order(ledger: Ledger, what: str, **facts: str) -> None:
    """Write down what is about to be done to a region's keys: nothing is done that the audit does not tell of."""
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick

    with ledger.database.write() as connection:
        ledger.audit.append(connection, SYSTEM, "keys.ordered", what=what, by=actor(), **facts)


def rewrap(region: Region, *, reason: Reason = "", config: ConfigFile = DEFAULT) -> None:
    """Put everything of a region under its current key: go on with a rotation, or look once more."""
    with _at_desk(config, region) as (loaded, ledger, desk):
        key = _current(desk, region)
        _tell_of_customers(desk)
        _rewrap(_rotations(loaded, ledger, desk), region, key, reason)


def _current(desk: Desk, region: str) -> str:
    from mft.keydesk import DeskError  # noqa: PLC0415  keeps `mft --help` quick

    found = next(each for each in desk.ask("status")["regions"] if each["region"] == region)
    if found["state"] != "open":
        raise DeskError(found["why"])
    return next(str(key["id"]) for key in found["keys"] if key["current"])


def _tell_of_customers(desk: Desk) -> None:
    """Look for newer keys in customers' hands; say which do not answer, as what is under them stays as it is."""
    for each in desk.ask("status")["customers"]:
        if each["state"] != "open":
            typer.echo(f"customer's key {each['name']}: what is under it stays as it is: {each['why']}", err=True)


def _rewrap(rotations: Rotations, region: str, key: str, reason: str) -> None:
    rotation = rotations.begin(region, key, by=actor(), reason=reason)
    progress: Progress | None = None
    for progress in rotations.run(rotation, by=actor()):
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{region}: {progress.stage}: {progress.rewrapped} of {progress.looked_at}")
            sys.stderr.flush()
    if sys.stderr.isatty():
        sys.stderr.write("\r\x1b[K")
    if progress is not None:
        typer.echo(f"{region}: {progress.rewrapped} of {progress.looked_at} wrapped keys exchanged")
        if progress.failed:
            typer.echo(f"{region}: {progress.failed} do not open: the log names them", err=True)


def retire(region: Region, key: KeyId, *, reason: Reason = "", config: ConfigFile = DEFAULT) -> None:
    """Destroy an older key of a region; refused as long as anything needs it."""
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick
    from mft.keyledger import KeyLedgers, note_destroyed  # noqa: PLC0415

    with _at_desk(config, region) as (loaded, ledger, desk):
        _check_older(desk, region, key)
        _rotations(loaded, ledger, desk).check_retirable(region, key)
        _note_order(ledger, "retire", region=region, key=key, why=reason)
        desk.ask("retire", region=region, key=key, why="retired")
        with ledger.database.write() as connection:
            note_destroyed(connection, region, key, kind="key", why="retired")
            ledger.audit.append(connection, SYSTEM, "keys.retired", region=region, key=key, by=actor(), why=reason)
        KeyLedgers.of(loaded, ledger.database).write()
    typer.echo(f"{region}: {key} is destroyed here; copies of it, in backups and at its provider, are yours to destroy")


def _check_older(desk: Desk, region: str, key: str) -> None:
    from mft.keydesk import DeskError  # noqa: PLC0415  keeps `mft --help` quick

    found = next(each for each in desk.ask("status")["regions"] if each["region"] == region)
    if found["state"] != "open":
        raise DeskError(found["why"])
    known = {each["id"]: each["current"] for each in found["keys"]}
    if key not in known:
        raise DeskError(
            f"there is no key {printable(key)} in {region!r}: `mft keys list {region}` shows those there are"
        )
    if known[key]:
        raise DeskError(f"{key} is the current key of {region!r}: `mft keys rotate {region}` makes another, first")


def passphrase(
    region: Region,
    *,
    config: ConfigFile = DEFAULT,
    new_passphrase_file: NewFile = None,
    memory_kib: Memory = None,
    iterations: Iterations = None,
) -> None:
    """Seal a region's keyring with another passphrase, or make trying one cost more; the keys stay."""
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick
    from mft.config import load_passphrase  # noqa: PLC0415

    with _at_desk(config, region) as (loaded, ledger, desk):
        settings = loaded.regions[region].keyring
        old = secret.ask_passphrase(region) or "" if settings.prompt else load_passphrase(settings, region)
        new = old
        if new_passphrase_file is not None or (memory_kib is None and iterations is None):
            new = secret.read_password(new_passphrase_file, from_stdin=False, prompt=f"New passphrase of {region}")
        _note_order(ledger, "passphrase", region=region)
        desk.ask("passphrase", region=region, old=old, new=new, memory_kib=memory_kib, iterations=iterations)
        with ledger.database.write() as connection:
            ledger.audit.append(connection, SYSTEM, "keys.passphrase_changed", region=region, by=actor())
    typer.echo(f"{region}: the keyring is sealed anew; copies of the file still open with the passphrase of their time")
    if new != old and not settings.prompt:
        where = settings.passphrase_file or "the environment"
        typer.echo(f"now put the new passphrase into {where}: the next start reads it there", err=True)


def unlock(region: Region, *, config: ConfigFile = DEFAULT, password_file: secret.PasswordFile = None) -> None:
    """Give the running server the passphrase of a keyring that a person opens (`keyring.prompt`)."""
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick

    with _at_desk(config, region) as (loaded, ledger, desk):
        path = loaded.regions[region].keyring.path
        new = not path.exists()
        word = (
            secret.read_password(password_file, from_stdin=False, prompt="")
            if password_file is not None
            else secret.ask_passphrase(region, new=new)
        )
        if not word:
            raise typer.BadParameter("no passphrase was given, neither at a terminal nor on standard input")
        desk.ask("unlock", region=region, passphrase=word)
        with ledger.database.write() as connection:
            ledger.audit.append(connection, SYSTEM, "keys.unlocked", region=region, by=actor())
    made = f"; a new keyring was made for it, at {path}, with that passphrase" if new and path.exists() else ""
    typer.echo(f"{region}: open{made}")


def forget(region: Region, *, config: ConfigFile = DEFAULT) -> None:
    """Have the key agent drop what it keeps unwrapped of a region, customers' shares too."""
    with _at_desk(config, region) as (_config, _ledger, desk):
        count = desk.ask("forget", region=region)["forgotten"]
    typer.echo(f"{region}: {count} keys forgotten")


def destroyed(region: MaybeRegion = None, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List the keys that were destroyed, from the regions' ledgers, checked line by line."""
    from storage.keys.ledger import DestroyedKeys  # noqa: PLC0415  keeps `mft --help` quick

    loaded = options.load(config)
    check_regions(loaded, [region] if region else [])
    found = [
        entry
        for name, settings in loaded.regions.items()
        if region in {None, name}
        for entry in DestroyedKeys(settings.keys.ledger, name).entries()
    ]
    if as_json:
        show_json(found)
        return
    heads = ("region", "at", "kind", "name", "why")
    show_table([head.upper() for head in heads], [[each[head] for head in heads] for each in found])


def replay(file: LedgerFile, *, config: ConfigFile = DEFAULT) -> None:
    """Add to the ledgers here what a ledger from elsewhere has: after a restore, before the server starts.

    What it names never opens again, whatever a backup holds of it.
    """
    from mft.audit import SYSTEM  # noqa: PLC0415  keeps `mft --help` quick
    from mft.keyledger import KeyLedgers, note_destroyed, read_ledger  # noqa: PLC0415

    with open_ledger(config) as (loaded, ledger, _):
        entries = read_ledger(file)
        check_regions(loaded, sorted({each["region"] for each in entries}))
        with ledger.database.write() as connection:
            for each in entries:
                note_destroyed(connection, each["region"], each["name"], kind=each["kind"], why=each["why"])
            ledger.audit.append(
                connection, SYSTEM, "keys.ledger_replayed", file=file.name, keys=len(entries), by=actor()
            )
        if not KeyLedgers.of(loaded, ledger.database).write():
            typer.echo("mft: the ledger could not be written; the log says why", err=True)
            raise typer.Exit(1)
    typer.echo(f"{len(entries)} destroyed keys are in the ledgers")
