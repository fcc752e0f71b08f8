"""`mft quarantine`: what is held, and the two people who decide about it."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options, secret
from mft.cli.casetoken import open_cases
from mft.cli.ledger import DEFAULT, moment, open_ledger, show_json, show_table
from mft.cli.person import sign_in

if TYPE_CHECKING:
    from pathlib import Path

    from casemap.model import Principal
    from mft.auth.ledger import Ledger
    from mft.config import Config
    from mft.quarantine import HeldFile, Quarantine, Verdict

ConfigFile = options.ConfigPath
UploadId = Annotated[str, typer.Argument(metavar="ID", help="As `mft quarantine list` shows it.")]
OfCase = Annotated[str | None, typer.Option("--case", metavar="CASE", help="Files of one case.")]
Login = options.Releaser
Reason = options.Reason
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Files that were not let through.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_held)
    group.command("release")(release)
    group.command("destroy")(destroy)
    app.add_typer(group, name="quarantine")


def list_held(*, config: ConfigFile = DEFAULT, case: OfCase = None, as_json: AsJson = False) -> None:
    """List what is held, the longest first, with what releasers have said."""
    with open_ledger(config) as (loaded, ledger, _):
        quarantine = _open(loaded, ledger)
        held: list[HeldFile] = []
        while page := quarantine.page(case=case, after=held[-1].place if held else None):
            held += page
    rows = [
        (each.id, each.case, str(each.size), _time(each.finished_at), _votes(each), each.reason or "") for each in held
    ]
    heads = ("id", "case", "size", "held", "votes", "reason")
    if as_json:
        show_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    show_table([head.upper() for head in heads], rows)


def release(
    upload_id: UploadId,
    login: Login,
    reason: Reason,
    *,
    config: ConfigFile = DEFAULT,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
) -> None:
    """Agree to release a file as it is, unscrubbed; it goes once enough releasers do."""
    from mft.quarantine import Verdict  # noqa: PLC0415  keeps `mft --help` quick

    word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password or token of {login}")
    _vote(config, upload_id, Verdict.RELEASE, (login, word), reason)


def destroy(
    upload_id: UploadId,
    login: Login,
    reason: Reason,
    *,
    config: ConfigFile = DEFAULT,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
) -> None:
    """Agree to destroy a file; it goes once enough releasers do."""
    from mft.quarantine import Verdict  # noqa: PLC0415  keeps `mft --help` quick

    word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password or token of {login}")
    _vote(config, upload_id, Verdict.DESTROY, (login, word), reason)


def _vote(path: Path, upload_id: str, wish: Verdict, who: tuple[str, str], reason: str) -> None:
    """Take the vote of *who* proves to be a login, by its secret: a shell alone is nobody."""
    from mft.quarantine import VoteRefusedError  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(path) as (loaded, ledger, token_key):
        quarantine = _open(loaded, ledger)
        held = quarantine.find(upload_id)
        principal = sign_in(loaded, ledger, token_key, who)
        _check_rights(loaded, ledger, principal, held)
        try:
            now = quarantine.vote(upload_id, wish, login=principal.login, reason=reason)
        except VoteRefusedError as error:
            raise VoteRefusedError(f"{principal.login}: {error}") from error
    agreed = sum(vote.wish is wish for vote in now.votes)
    said = "decided; it is being carried out" if now.decided else f"{agreed} of {quarantine.approvals} agree"
    typer.echo(f"{upload_id}: {wish.value}: {said}")


def _check_rights(config: Config, ledger: Ledger, principal: Principal, held: HeldFile) -> None:
    """Refuse who does not hold the role, or may not enter the case."""
    from mft.permissions import Permission, permissions_of  # noqa: PLC0415  keeps `mft --help` quick
    from mft.quarantine import NotQuarantinedError, VoteRefusedError  # noqa: PLC0415
    from mft.server.parts import reader_of  # noqa: PLC0415
    from protocols.errors import NotFoundError  # noqa: PLC0415
    from protocols.session import Origin  # noqa: PLC0415

    if Permission.QUARANTINE_RELEASE not in permissions_of(principal.roles):
        raise VoteRefusedError(f"{principal.login} does not hold the role releaser")
    origin = Origin(protocol="shell", peer="127.0.0.1", region=held.region)
    try:
        open_cases(config, ledger).enter(reader_of(principal, origin), held.case)
    except NotFoundError:
        raise NotQuarantinedError("no such file waits in quarantine") from None


def _open(config: Config, ledger: Ledger) -> Quarantine:
    from mft.quarantine import Quarantine  # noqa: PLC0415  keeps `mft --help` quick

    return Quarantine(database=ledger.database, trail=ledger.audit, approvals=config.quarantine.approvals)


def _votes(held: HeldFile) -> str:
    if held.decided is not None:
        return f"decided: {held.decided.value}"
    return ", ".join(f"{vote.login}: {vote.wish.value}" for vote in held.votes) or "none"


def _time(seconds: float) -> str:
    return moment(dt.datetime.fromtimestamp(seconds, dt.UTC)) or ""
