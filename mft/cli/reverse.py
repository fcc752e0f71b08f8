"""`mft reverse`: keys of reverse maps, and reading one. Needs no server."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

NewKey = Annotated[
    Path, typer.Argument(metavar="FILE", help="Where the private key goes; FILE.pub gets the public one.")
]
Map = Annotated[Path, typer.Argument(metavar="MAP", help="The map, such as NAME.reverse.")]
Key = Annotated[Path, typer.Option("--key", metavar="FILE", help="The private key that it was sealed to.")]
Wanted = Annotated[
    list[str] | None, typer.Argument(metavar="PSEUDONYM", help="Show what these stand for; without: all, as JSON.")
]


class ReverseMapError(Exception):
    """A map cannot be read, or has not what was asked for; says which."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Reverse maps: what pseudonyms stand for, for the customer alone.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command("new")(new)
    group.command("read")(read)
    app.add_typer(group, name="reverse")


def new(file: NewKey) -> None:
    """Make a key pair: register FILE.pub, keep FILE. Who has FILE reads every map that is sealed to it."""
    from storage.recipient import new_recipient  # noqa: PLC0415  keeps `mft --help` quick

    public_file = file.with_name(f"{file.name}.pub")
    for each in (file, public_file):
        if each.exists():
            raise typer.BadParameter(f"{each} is there already; it is never overwritten")
    private, public = new_recipient()
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(private)
    public_file.write_bytes(public)
    typer.echo(f"{file}: keep it to yourself; {public_file}: register it (PUT /api/v1/reverse-key)")


def read(path: Map, key: Key, wanted: Wanted = None) -> None:
    """Show what the pseudonyms of a map stand for. Exit code 1: one of those asked for is not in it."""
    import json  # noqa: PLC0415  keeps `mft --help` quick

    from mft.reversemaps import split_maps  # noqa: PLC0415
    from scrubber.reversal import SEALED_FOR  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415
    from storage.recipient import open_with  # noqa: PLC0415

    try:
        maps = [
            json.loads(open_with(key.read_bytes(), each, context=SEALED_FOR)) for each in split_maps(path.read_bytes())
        ]
    except (StorageError, ValueError) as error:
        raise ReverseMapError(f"{path}: {error}") from error
    document = maps[0]
    for later in maps[1:]:  # of rescans: what they replaced stands beside what was replaced before
        document["pairs"] = later["pairs"] | document["pairs"]
        document["left_out"] += later["left_out"]
    if not wanted:
        typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
        return
    pairs = {name.lower(): value for name, value in document["pairs"].items()}
    missing = [each for each in wanted if each.lower() not in pairs]
    for each in wanted:
        if each.lower() in pairs:
            typer.echo(f"{each}\t{pairs[each.lower()]}")
    if missing:
        raise ReverseMapError(f"not in the map: {', '.join(missing)}")
