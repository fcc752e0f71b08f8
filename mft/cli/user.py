"""`mft user`: local accounts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options, secret
from mft.cli.ledger import (
    DEFAULT,
    actor,
    check_regions,
    moment,
    open_ledger,
    parse_expiry,
    printable,
    show_json,
    show_table,
)

if TYPE_CHECKING:
    from mft.auth.account import Account
    from mft.auth.ledger import Ledger
    from mft.config import Config

ConfigFile = options.ConfigPath
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login.")]
Roles = Annotated[
    list[str],
    typer.Option(
        "--role", metavar="ROLE", help="customer, engineer, releaser, operator, auditor or triage; may be repeated."
    ),
]
Customer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="The customer, for the role customer.")]
Name = Annotated[str | None, typer.Option("--name", metavar="NAME", help="The person's or machine's name.")]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="Where it may read; may be repeated. Default: everywhere."),
]
Clearance = Annotated[int | None, typer.Option("--clearance", metavar="N", help="What it may see: 0 to 100.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="Until when: 30d, 12h, or a date such as 2027-01-31.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key", metavar="FILE", help="A file with its SSH public keys, one a line.")
]
NoPassword = Annotated[bool, typer.Option("--no-password", help="Without a password: by key or token alone.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Local accounts.", no_args_is_help=True, rich_markup_mode=None)
    for command in (add, change, show, disable, enable, password, remove):
        group.command(command.__name__)(command)
    group.command("hash")(hash_of)
    group.command("list")(list_users)
    app.add_typer(group, name="user")


def add(
    login: Login,
    roles: Roles,
    *,
    config: ConfigFile = DEFAULT,
    customer: Customer = None,
    name: Name = None,
    regions: Regions = None,
    clearance: Clearance = None,
    expires: Expires = None,
    key: KeyFile = None,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
    no_password: NoPassword = False,
) -> None:
    """Make an account. Without an option for it, the password is asked for."""
    from mft.auth.account import parse_roles  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.accounts import Accounts  # noqa: PLC0415
    from mft.auth.authorized import AuthorizedKeys, parse_key_file  # noqa: PLC0415

    if no_password and (password_file or password_stdin):
        raise typer.BadParameter("--no-password contradicts a password given")
    ends = parse_expiry(expires) if expires else None
    with open_ledger(config) as (settings, ledger, secret_key):
        check_regions(settings, regions or ())
        keys = parse_key_file(key.read_text(encoding="utf-8")) if key else ()
        word = None
        if not no_password:
            word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password of {login}")
        account = Accounts(ledger).create(
            login,
            roles=parse_roles(roles),
            name=name or "",
            customer=customer,
            password=word,
            regions=regions or None,
            clearance=clearance or 0,
            expires=ends,
            by=actor(),
        )
        for line in keys:
            AuthorizedKeys(ledger).add(account.login, line, by=actor())
        _forgive(settings, ledger, secret_key, account.login)
    typer.echo(f"{account.login}: made")


def change(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    name: Name = None,
    regions: Regions = None,
    everywhere: Annotated[bool, typer.Option("--everywhere", help="It may read in every region.")] = False,
    clearance: Clearance = None,
    expires: Expires = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="Without an end.")] = False,
) -> None:
    """Change an account's name, regions, clearance or end. Its sessions end if its rights differ."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    if (regions and everywhere) or (expires and never_expires):
        raise typer.BadParameter("--region contradicts --everywhere, and --expires contradicts --never-expires")
    ends = parse_expiry(expires) if expires else None

    def edit(account: Account) -> Account:
        return replace(
            account,
            name=account.name if name is None else name,
            regions=frozenset(regions) if regions else None if everywhere else account.regions,
            clearance=account.clearance if clearance is None else clearance,
            expires=ends if ends is not None else None if never_expires else account.expires,
        )

    with open_ledger(config) as (settings, ledger, _):
        check_regions(settings, regions or ())
        account = Accounts(ledger).change(login, edit, by=actor())
    typer.echo(f"{account.login}: changed")


def list_users(*, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List the accounts."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        accounts = Accounts(ledger).list()
    if as_json:
        show_json([_document(account) for account in accounts])
        return
    rows = [
        (
            account.login,
            ",".join(sorted(role.value for role in account.roles)),
            account.customer or "-",
            "active" if account.active else "disabled",
            account.name,
        )
        for account in accounts
    ]
    show_table(("LOGIN", "ROLES", "CUSTOMER", "STATE", "NAME"), rows)


def show(login: Login, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Show one account with its keys and tokens."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.authorized import AuthorizedKeys  # noqa: PLC0415
    from mft.auth.tokens import Tokens  # noqa: PLC0415

    with open_ledger(config) as (_, ledger, token_key):
        account = Accounts(ledger).get(login)
        keys = AuthorizedKeys(ledger).list(account.login)
        tokens = Tokens(ledger, key=token_key).list(account.login)
    document = _document(account) | {
        "keys": [f"{key.fingerprint} {key.comment}".strip() for key in keys],
        "tokens": [f"{token.id} {token.label}".strip() for token in tokens if token.revoked is None],
    }
    if as_json:
        show_json(document)
        return
    for name, value in document.items():
        shown = ", ".join(map(str, value)) if isinstance(value, list) else "-" if value is None else str(value)
        typer.echo(f"{name:13} {printable(shown)}")


def disable(login: Login, *, config: ConfigFile = DEFAULT) -> None:
    """Let an account log in no more; its sessions end."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        account = Accounts(ledger).disable(login, by=actor())
    typer.echo(f"{account.login}: disabled")


def enable(login: Login, *, config: ConfigFile = DEFAULT) -> None:
    """Let a disabled account log in again."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (settings, ledger, secret_key):
        account = Accounts(ledger).enable(login, by=actor())
        _forgive(settings, ledger, secret_key, account.login)
    typer.echo(f"{account.login}: enabled")


def password(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
    no_password: NoPassword = False,
) -> None:
    """Set an account's password, or take it away. Sessions that the old one opened end."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    if no_password and (password_file or password_stdin):
        raise typer.BadParameter("--no-password contradicts a password given")
    with open_ledger(config) as (settings, ledger, secret_key):
        accounts = Accounts(ledger)
        account = accounts.get(login)
        word = None
        if not no_password:
            word = secret.read_password(
                password_file, from_stdin=password_stdin, prompt=f"New password of {account.login}"
            )
        accounts.set_password(account.login, word, by=actor())
        _forgive(settings, ledger, secret_key, account.login)
    typer.echo(f"{account.login}: password {'removed' if no_password else 'set'}")


def hash_of(
    login: Login,
    *,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
) -> None:
    """Print the Argon2id hash of a password, for `password_hash` in a table or a case system. Makes no account."""
    from mft.auth.passwords import check_new_password, hash_password  # noqa: PLC0415  keeps `mft --help` quick

    word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password of {login}")
    check_new_password(login, word)
    typer.echo(hash_password(word))


def remove(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete an account with its keys, and revoke its tokens; its sessions end. What it sent stays."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        accounts = Accounts(ledger)
        account = accounts.get(login)
        if not yes:
            typer.confirm(f"Delete the account {account.login}?", abort=True)
        accounts.remove(account.login, by=actor())
    typer.echo(f"{account.login}: removed")


def _forgive(settings: Config, ledger: Ledger, secret_key: bytes, login: str) -> None:
    """Let the account be tried at once: what failed before was another password, or none."""
    from mft.auth.throttle import Throttle  # noqa: PLC0415  keeps `mft --help` quick

    Throttle(ledger.database, settings.auth.throttle, key=secret_key).forgive(login)


def _document(account: Account) -> dict[str, object]:
    return {
        "login": account.login,
        "name": account.name,
        "roles": sorted(role.value for role in account.roles),
        "customer": account.customer,
        "regions": None if account.regions is None else sorted(account.regions),
        "clearance": account.clearance,
        "active": account.active,
        "expires": moment(account.expires),
        "has_password": account.has_password,
        "created": moment(account.created),
        "updated": moment(account.updated),
    }
