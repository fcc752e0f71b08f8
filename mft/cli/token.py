"""`mft token`: tokens that stand in for a login's password, and tokens of cases."""

from __future__ import annotations

import datetime as dt
from typing import Annotated

import typer

from mft.cli import casetoken, options
from mft.cli.ledger import DEFAULT, actor, moment, open_ledger, parse_expiry, show_json, show_table

ConfigFile = options.ConfigPath
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="Whose: a local account or a login of the case system.")]
MaybeLogin = Annotated[str | None, typer.Argument(metavar="[LOGIN]", help="One login; without it, all.")]
Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="Until when: 30d, 12h, or a date such as 2027-01-31.")
]
TokenId = Annotated[str, typer.Argument(metavar="ID", help="As `mft token list` shows it.")]
OfCase = Annotated[str | None, typer.Option("--case", metavar="CASE", help="Tokens of one case.")]
Permissions = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="Good for this alone, such as tokens:write; may be repeated."),
]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Tokens in place of passwords.", no_args_is_help=True, rich_markup_mode=None)
    group.command("create")(create)
    group.command("mint")(casetoken.mint)
    group.command("refresh")(casetoken.refresh)
    group.command("list")(list_tokens)
    group.command("revoke")(revoke)
    app.add_typer(group, name="token")


def create(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    label: Label = "",
    expires: Expires = None,
    scopes: Permissions = None,
    as_json: AsJson = False,
) -> None:
    """Make a token of a login. It is shown this once, alone on standard output."""
    from mft.auth.accounts import Accounts  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.tokens import Tokens  # noqa: PLC0415

    ends = parse_expiry(expires) if expires else None
    narrowed = None if scopes is None else _permissions(scopes)
    with open_ledger(config) as (_, ledger, token_key):
        tokens = Tokens(ledger, key=token_key)
        minted = tokens.create(login, label=label, expires=ends, scopes=narrowed, by=actor())
        local = Accounts(ledger).principal(minted.token.login) is not None
    if as_json:
        document = {"token": minted.text, "id": minted.token.id, "login": minted.token.login}
        show_json(document | {"label": label, "expires": moment(ends)})
        return
    typer.echo(minted.text)
    until = f"until {moment(ends)}" if ends else "without an end"
    whose = minted.token.login if local else f"{minted.token.login} (no local account: the case system must know it)"
    typer.echo(f"token {minted.token.id} of {whose}, {until}; it is not shown again", err=True)


def list_tokens(
    login: MaybeLogin = None,
    *,
    config: ConfigFile = DEFAULT,
    case: OfCase = None,
    as_json: AsJson = False,
) -> None:
    """List the tokens of one login, of one case, or of all; never the tokens themselves."""
    from mft.auth.tokens import Tokens  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, token_key):
        tokens = Tokens(ledger, key=token_key).list(login, case=case)
    now = dt.datetime.now(dt.UTC)
    rows = []
    for token in tokens:
        state = "revoked" if token.revoked else "current" if token.is_current(now) else "expired"
        scopes = None if token.scopes is None else ",".join(sorted(token.scopes))
        ends, made = moment(token.expires), moment(token.created)
        rows.append((token.id, token.shown_login, state, made, ends, scopes, token.label))
    heads = ("id", "login", "state", "created", "expires", "scopes", "label")
    if as_json:
        show_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    show_table([head.upper() for head in heads], [[cell or "-" for cell in row] for row in rows])


def revoke(token_id: TokenId, config: ConfigFile = DEFAULT) -> None:
    """Withdraw a token; sessions that it opened end."""
    from mft.auth.tokens import Tokens  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, token_key):
        token = Tokens(ledger, key=token_key).revoke(token_id, by=actor())
    typer.echo(f"{token.id}: revoked {moment(token.revoked)}")


def _permissions(words: list[str]) -> frozenset[str]:
    from mft.permissions import Permission  # noqa: PLC0415  keeps `mft --help` quick

    known = {permission.value for permission in Permission}
    for word in words:
        if word not in known:
            raise typer.BadParameter(f"{word!r} is no scope; there are {', '.join(sorted(known))}")
    return frozenset(words)
