"""`mft break-glass`: asking for, and agreeing to, what goes past every rule."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options, secret
from mft.cli.ledger import DEFAULT, moment, open_ledger, printable, show_json, show_table
from mft.cli.person import open_principals, sign_in

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.auth.ledger import Ledger
    from mft.breakglass import BreakGlass, Wish
    from mft.config import Config

ConfigFile = options.ConfigPath
Id = Annotated[str, typer.Argument(metavar="ID", help="As `mft break-glass list` shows it.")]
Unseal = Annotated[
    str | None,
    typer.Option("--unseal", metavar="KEY", help="To unseal an object, by its key, or an upload's, by its id."),
]
ShredCase = Annotated[str | None, typer.Option("--shred-case", metavar="CASE", help="To shred a case's keys.")]
ShredCustomer = Annotated[
    str | None, typer.Option("--shred-customer", metavar="CUSTOMER", help="To shred the keys of a customer's cases.")
]
Login = options.Releaser
Reason = options.Reason
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Two persons for what goes past every rule.", no_args_is_help=True, rich_markup_mode=None)
    group.command("request")(request)
    group.command("approve")(approve)
    group.command("list")(list_requests)
    app.add_typer(group, name="break-glass")


@contextlib.contextmanager
def open_glass(config: Config, ledger: Ledger) -> Iterator[BreakGlass]:
    """Yield it as the configuration says."""
    from mft.auth.releasers import releasers  # noqa: PLC0415  keeps `mft --help` quick
    from mft.breakglass import BreakGlass  # noqa: PLC0415

    settings = config.break_glass
    with open_principals(config, ledger) as principals:
        yield BreakGlass(
            database=ledger.database,
            trail=ledger.audit,
            approvals=settings.approvals,
            ttl=settings.ttl,
            is_releaser=releasers(principals),
        )


@contextlib.contextmanager
def _as_person(path: Path, who: tuple[str, str]) -> Iterator[tuple[Ledger, BreakGlass, str]]:
    """Yield the ledger, the glass, and the login that has proved itself."""
    with open_ledger(path) as (config, ledger, token_key):
        principal = sign_in(config, ledger, token_key, who)
        with open_glass(config, ledger) as glass:
            yield ledger, glass, principal.login


def request(
    login: Login,
    reason: Reason,
    *,
    config: ConfigFile = DEFAULT,
    unseal: Unseal = None,
    shred_case: ShredCase = None,
    shred_customer: ShredCustomer = None,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
) -> None:
    """Ask to unseal an object or to shred keys; prints the request's id, to which others must agree."""
    from mft.breakglass import SHRED, UNSEAL  # noqa: PLC0415  keeps `mft --help` quick

    if sum(each is not None for each in (unseal, shred_case, shred_customer)) != 1:
        raise typer.BadParameter("say what is to be done by one of --unseal, --shred-case and --shred-customer")
    word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password or token of {login}")
    with _as_person(config, (login, word)) as (ledger, glass, who):
        if unseal is not None:
            subject, customer = find_object(ledger, unseal)
            wish = glass.request(UNSEAL, subject, login=who, reason=reason, customer=customer)
        elif shred_case is not None:
            owner = case_customer(ledger, shred_case)
            wish = glass.request(SHRED, f"case:{shred_case}", login=who, reason=reason, customer=owner)
        else:
            owner = known_customer(ledger, str(shred_customer))
            wish = glass.request(SHRED, f"customer:{owner}", login=who, reason=reason, customer=owner)
        typer.echo(f"{wish.id}: {_said(wish, glass)}")


def approve(
    request_id: Id,
    login: Login,
    reason: Reason,
    *,
    config: ConfigFile = DEFAULT,
    password_file: secret.PasswordFile = None,
    password_stdin: secret.PasswordStdin = False,
) -> None:
    """Agree to a request of somebody else."""
    word = secret.read_password(password_file, from_stdin=password_stdin, prompt=f"Password or token of {login}")
    with _as_person(config, (login, word)) as (_ledger, glass, who):
        wish = glass.approve(request_id, login=who, reason=reason)
        typer.echo(f"{wish.id}: {_said(wish, glass)}")


def list_requests(*, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List the requests that are good still."""
    with open_ledger(config) as (loaded, ledger, _), open_glass(loaded, ledger) as glass:
        found = glass.waiting()
    heads = ("id", "action", "subject", "asked_by", "agreed", "until", "reason")
    rows = [
        [
            each.id,
            each.action,
            each.subject,
            each.asked_by,
            ", ".join(each.agreed),
            moment(dt.datetime.fromtimestamp(each.expires_at, dt.UTC)) or "",
            each.reason,
        ]
        for each in found
    ]
    if as_json:
        show_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    show_table([head.upper() for head in heads], rows)


def _said(wish: Wish, glass: BreakGlass) -> str:
    missing = glass.approvals - len(wish.agreed)
    return f"to {wish.action} {wish.subject}: " + (
        f"{missing} more must agree" if missing > 0 else "it may be done now, once"
    )


def find_object(ledger: Ledger, name: str) -> tuple[str, str | None]:
    """Return the object's key behind a key or an upload's id, and its customer where the catalog knows it.

    Raises:
        GlassError: no upload has that id and an object.
    """
    from sqlalchemy import or_, select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.breakglass import GlassError  # noqa: PLC0415
    from mft.catalog.model import CASES, UPLOADS  # noqa: PLC0415

    with ledger.database.read() as connection:
        row = connection.execute(
            select(UPLOADS.c.object_key, CASES.c.customer)
            .join(CASES, CASES.c.id == UPLOADS.c.case_id)
            .where(or_(UPLOADS.c.object_key == name, UPLOADS.c.id == name))
            .order_by(UPLOADS.c.object_key.is_(None))
        ).first()
    if row is None or row.object_key is None:
        raise GlassError(f"no stored object is known by {name}")
    return row.object_key, row.customer


def known_customer(ledger: Ledger, customer: str) -> str:
    """Return *customer*, of whom something lies here.

    Raises:
        GlassError: nothing does: a mistyped name is no order.
    """
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.breakglass import GlassError  # noqa: PLC0415
    from mft.catalog.model import CASES  # noqa: PLC0415

    with ledger.database.read() as connection:
        if connection.execute(select(CASES.c.id).where(CASES.c.customer == customer)).first() is None:
            raise GlassError(f"nothing of a customer {printable(customer)} lies here")
    return customer


def case_customer(ledger: Ledger, number: str) -> str:
    """Return whose case it is.

    Raises:
        GlassError: there is no such case here.
    """
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.breakglass import GlassError  # noqa: PLC0415
    from mft.catalog.model import CASES  # noqa: PLC0415

    with ledger.database.read() as connection:
        found = connection.execute(select(CASES.c.customer).where(CASES.c.number == number)).scalar()
    if found is None:
        raise GlassError(f"nothing of a case {number} lies here")
    return str(found)
