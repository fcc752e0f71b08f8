"""`mft key`: SSH public keys of local accounts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, open_ledger, show_table

ConfigFile = options.ConfigPath
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login.")]
MaybeLogin = Annotated[str | None, typer.Argument(metavar="[LOGIN]", help="One login; without it, all.")]
File = Annotated[Path, typer.Argument(metavar="FILE", help="Public keys, one a line (id_ed25519.pub), or - for input.")]
Fingerprint = Annotated[str, typer.Argument(metavar="FINGERPRINT", help="SHA256:…, as `mft key list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="SSH public keys of local accounts.", no_args_is_help=True, rich_markup_mode=None)
    group.command("add")(add)
    group.command("list")(list_keys)
    group.command("remove")(remove)
    app.add_typer(group, name="key")


def add(login: Login, file: File, config: ConfigFile = DEFAULT) -> None:
    """Let keys open an account. A file with one bad key in it adds none."""
    from mft.auth.authorized import AuthorizedKeys, parse_key_file  # noqa: PLC0415  keeps `mft --help` quick

    lines = parse_key_file(sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8"))
    with open_ledger(config) as (_, ledger, _):
        keys = AuthorizedKeys(ledger)
        for line in lines:
            added = keys.add(login, line, by=actor())
            typer.echo(f"{added.login}: {added.fingerprint}")


def list_keys(login: MaybeLogin = None, config: ConfigFile = DEFAULT) -> None:
    """List the keys of one account, or of all."""
    from mft.auth.authorized import AuthorizedKeys  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        keys = AuthorizedKeys(ledger).list(login)
    rows = [
        (key.login, key.fingerprint, key.line.partition(" ")[0], moment(key.created) or "-", key.comment)
        for key in keys
    ]
    show_table(("LOGIN", "FINGERPRINT", "TYPE", "ADDED", "COMMENT"), rows)


def remove(login: Login, fingerprint: Fingerprint, config: ConfigFile = DEFAULT) -> None:
    """Let a key open an account no more; sessions that it opened end."""
    from mft.auth.authorized import AuthorizedKeys  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        AuthorizedKeys(ledger).remove(login, fingerprint, by=actor())
    typer.echo(f"{login}: {fingerprint} removed")
