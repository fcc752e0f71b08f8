"""`mft role`: what local accounts may do."""

from __future__ import annotations

from typing import Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, open_ledger, show_table

ConfigFile = options.ConfigPath
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login.")]
RoleName = Annotated[
    str, typer.Argument(metavar="ROLE", help="customer, engineer, releaser, operator, auditor or triage.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Roles of local accounts.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_roles)
    group.command("grant")(grant)
    group.command("revoke")(revoke)
    app.add_typer(group, name="role")


def list_roles(config: ConfigFile = DEFAULT) -> None:
    """List the roles and who has them."""
    from casemap.model import Role  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.accounts import Accounts  # noqa: PLC0415

    with open_ledger(config) as (_, ledger, _):
        accounts = Accounts(ledger).list()
    rows = [
        (role.value, ", ".join(account.login for account in accounts if role in account.roles) or "-") for role in Role
    ]
    show_table(("ROLE", "ACCOUNTS"), rows)


def grant(login: Login, role: RoleName, config: ConfigFile = DEFAULT) -> None:
    """Give an account a role. Its sessions end, so that the next ones have it."""
    from mft.auth.account import parse_roles  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.accounts import Accounts  # noqa: PLC0415

    (named,) = parse_roles([role])
    with open_ledger(config) as (_, ledger, _):
        account = Accounts(ledger).grant(login, named, by=actor())
    typer.echo(f"{account.login}: {', '.join(sorted(role.value for role in account.roles))}")


def revoke(login: Login, role: RoleName, config: ConfigFile = DEFAULT) -> None:
    """Take a role from an account; its sessions end."""
    from mft.auth.account import parse_roles  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.accounts import Accounts  # noqa: PLC0415

    (named,) = parse_roles([role])
    with open_ledger(config) as (_, ledger, _):
        account = Accounts(ledger).revoke(login, named, by=actor())
    typer.echo(f"{account.login}: {', '.join(sorted(role.value for role in account.roles))}")
