"""`mft token mint` and `refresh`: tokens of a case, with what their holder needs to upload."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, open_ledger, parse_expiry, show_json

if TYPE_CHECKING:
    from mft.auth.ledger import Ledger
    from mft.cases import Cases
    from mft.casetree import EnteredCase
    from mft.config import Config
    from mft.entrances import Entrances
    from mft.invitation import Invitation

ConfigFile = options.ConfigPath
CaseNumber = Annotated[str, typer.Argument(metavar="CASE", help="The case's number.")]
TokenId = Annotated[str, typer.Argument(metavar="ID", help="As `mft token list` shows it.")]
Scopes = Annotated[
    list[str] | None,
    typer.Option("--scope", metavar="SCOPE", help="upload (default), list or read; may be repeated."),
]
Label = Annotated[str, typer.Option("--label", metavar="TEXT", help="What it is for.")]
Expires = Annotated[
    str | None, typer.Option("--expires", metavar="WHEN", help="Until when: 30d, 12h, or a date; default: tokens.ttl.")
]
MaxBytes = Annotated[
    str | None, typer.Option("--max-bytes", metavar="SIZE", help="How much may come by it in all: 10GiB.")
]
MaxFiles = Annotated[int | None, typer.Option("--max-files", metavar="N", min=1, help="How many files may come by it.")]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="Where it may be used from: 192.0.2.0/24; may be repeated."),
]
Rotate = Annotated[bool, typer.Option("--rotate", help="Give it a new text; the old one opens nothing any more.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON, as the API answers.")]


def mint(
    case: CaseNumber,
    *,
    config: ConfigFile = DEFAULT,
    scopes: Scopes = None,
    label: Label = "",
    expires: Expires = None,
    max_bytes: MaxBytes = None,
    max_files: MaxFiles = None,
    networks: Networks = None,
    as_json: AsJson = False,
) -> None:
    """Make a token of a case. Its login is the case's number; it is shown this once, with commands to paste."""
    from mft.auth.minting import Minting, Wish  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.tokens import Tokens  # noqa: PLC0415
    from mft.invitation import invite  # noqa: PLC0415
    from mft.policy import Scope  # noqa: PLC0415

    words = scopes or [Scope.UPLOAD.value]
    for word in words:
        if word not in {scope.value for scope in Scope}:
            raise typer.BadParameter(f"{word!r} is no scope of a case's token; there are upload, list and read")
    wish = Wish(
        label=label,
        scopes=frozenset(Scope(word) for word in words),
        expires=parse_expiry(expires) if expires else None,
        max_bytes=None if max_bytes is None else _size(max_bytes),
        max_files=max_files,
        networks=networks or (),
    )
    with open_ledger(config) as (loaded, ledger, token_key):
        entered = _placed(loaded, ledger, case)
        minting = Minting(Tokens(ledger, key=token_key), ttl=loaded.tokens.ttl, ttl_max=loaded.tokens.ttl_max)
        minted = minting.mint(entered.case, wish, by=actor())
        residency = entered.residency
        order = dict.fromkeys([*residency.regions, *sorted(residency.readers)])
        invitation = invite(
            _entrances(loaded),
            case=entered.case.number,
            token=minted.text,
            regions=tuple(region for region in order if region in residency.readers),
            directory=loaded.layout.upload,
        )
    token = minted.token
    if as_json:
        show_json({**dataclasses.asdict(invitation), "id": token.id, "expires": moment(token.expires)})
        return
    typer.echo(minted.text)
    typer.echo(
        f"token {token.id} of case {token.case} for {', '.join(sorted(token.scopes or ()))}, "
        f"until {moment(token.expires)}; it is not shown again",
        err=True,
    )
    _show(invitation)


def refresh(
    token_id: TokenId,
    *,
    config: ConfigFile = DEFAULT,
    expires: Expires = None,
    rotate: Rotate = False,
) -> None:
    """Let a token of a case live on, as long as the case is open."""
    from mft.auth.errors import NoSuchTokenError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.minting import Minting  # noqa: PLC0415
    from mft.auth.tokens import Tokens  # noqa: PLC0415

    with open_ledger(config) as (loaded, ledger, token_key):
        tokens = Tokens(ledger, key=token_key)
        token = tokens.get(token_id)
        if token is None or token.case is None:
            raise NoSuchTokenError(f"no token of a case has the id {token_id!r}")
        entered = _placed(loaded, ledger, token.case)
        minting = Minting(tokens, ttl=loaded.tokens.ttl, ttl_max=loaded.tokens.ttl_max)
        ends = parse_expiry(expires) if expires else None
        fresh, text = minting.refresh(token, entered.case, expires=ends, rotate=rotate, by=actor())
    if text is not None:
        typer.echo(text)
    typer.echo(f"{fresh.id}: until {moment(fresh.expires)}", err=text is not None)


def _size(text: str) -> int:
    from mft.config.units import parse_size  # noqa: PLC0415  keeps `mft --help` quick

    try:
        return parse_size(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} is no size such as 10GiB") from error


def _placed(config: Config, ledger: Ledger, number: str) -> EnteredCase:
    """Return the case, as the case system says, with where it lies."""
    return open_cases(config, ledger).placed(number)


def open_cases(config: Config, ledger: Ledger) -> Cases:
    """Return the case system's answers for a command."""
    from mft.audit import Folding  # noqa: PLC0415  keeps `mft --help` quick
    from mft.cases import Cases  # noqa: PLC0415
    from mft.lookups import open_lookup  # noqa: PLC0415
    from mft.server.parts import residency_rules  # noqa: PLC0415

    return Cases(
        lookup=open_lookup(config, ledger.database),
        rules=residency_rules(config),
        database=ledger.database,
        trail=ledger.audit,
        folding=Folding(),
    )


def _entrances(config: Config) -> Entrances:
    """Say how clients come in; ports that the system chose are known while the server runs."""
    from mft.credentials import load_credentials  # noqa: PLC0415  keeps `mft --help` quick
    from mft.server.parts import entrances_of  # noqa: PLC0415

    ports: list[int | None] = [None] * len(config.listeners)
    try:
        told = json.loads((config.data / "run" / "endpoints.json").read_text())
        if len(told["listeners"]) == len(ports):
            ports = [each["port"] for each in told["listeners"]]
    except (OSError, ValueError, KeyError, TypeError):
        pass  # no server has run here yet
    return entrances_of(config, load_credentials(config, now=dt.datetime.now(dt.UTC)), ports)


def _show(invitation: Invitation) -> None:
    typer.echo(f"\nlogin {invitation.username}, password: the token. Put your file's name for FILE.", err=True)
    if invitation.sftp is not None:
        for name in ("sftp", "scp", "lftp"):
            typer.echo(f"\n{name}:\n{getattr(invitation.sftp, name)}", err=True)
    if invitation.ftps is not None:
        for name in ("curl", "lftp"):
            typer.echo(f"\n{name}, over FTPS:\n{getattr(invitation.ftps, name)}", err=True)
    if invitation.https is not None:
        typer.echo(f"\ncurl:\n{invitation.https.curl}\n\nin a browser: {invitation.https.page}", err=True)
        typer.echo(f"\nlarge files:\n{invitation.https.put}\n\ntus: {invitation.https.tus}", err=True)
        typer.echo(f"certificate SHA-256 {invitation.https.fingerprint}", err=True)
