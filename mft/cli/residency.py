"""`mft residency`: where a case may lie, and why."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, open_ledger, parse_expiry, printable, show_json

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.auth.ledger import Ledger
    from mft.cases import Cases
    from mft.config import Config

REFUSED = 3
"""Exit code of `explain`: nothing of the case may be stored here."""
UNKNOWN = 4
"""Exit code of `explain`: there is no such case, or no such login."""
ConfigFile = options.ConfigPath
Number = Annotated[str, typer.Argument(metavar="CASE", help="The case's number.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="As it is then: 2027-01-31T22:00+01:00 (UTC where no zone is named)."),
]
Principal = Annotated[
    str | None, typer.Option("--principal", metavar="LOGIN", help="Whether this login gets in, by each entrance.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Where files may lie and do lie, and why.", no_args_is_help=True, rich_markup_mode=None)
    group.command("explain")(explain)
    app.add_typer(group, name="residency")


@contextlib.contextmanager
def open_cases(path: Path) -> Iterator[tuple[Config, Ledger, Cases]]:
    """Yield the cases behind a configuration, asked without the running server's memory."""
    from mft.audit import Folding  # noqa: PLC0415  keeps `mft --help` quick
    from mft.cases import Cases  # noqa: PLC0415
    from mft.lookups import close_adapter, open_adapter  # noqa: PLC0415
    from mft.server.parts import life_rules, residency_rules  # noqa: PLC0415

    with open_ledger(path) as (config, ledger, _):
        adapter = open_adapter(config.lookup, ledger.database)
        try:
            yield (
                config,
                ledger,
                Cases(
                    lookup=adapter,
                    rules=residency_rules(config),
                    database=ledger.database,
                    trail=ledger.audit,
                    folding=Folding(),
                    life=life_rules(config),
                ),
            )
        finally:
            close_adapter(adapter)


def explain(
    number: Number, *, config: ConfigFile = DEFAULT, at: At = None, principal: Principal = None, as_json: AsJson = False
) -> None:
    """Say where a case may lie and be read from, which rule says so, and why each other rule does not. Nothing changes.

    Exit codes: 0 it has its place; 3 nothing of it may be stored here; 4 there is no such case or login.
    """
    from protocols.errors import NotFoundError  # noqa: PLC0415  keeps `mft --help` quick

    moment = dt.datetime.now(dt.UTC) if at is None else parse_expiry(at)
    with open_cases(config) as (settings, ledger, cases):
        try:
            case, account = cases.account(number, moment)
        except NotFoundError:
            typer.echo(f"mft: there is no case {printable(number)}", err=True)
            raise typer.Exit(UNKNOWN) from None
        found: dict[str, Any] = {
            "case": case.number,
            "customer": case.customer,
            "kind": case.kind,
            "classification": case.classification,
            **account.to_dict(),
        }
        if principal is not None:
            found["principal"] = _entrances(ledger, cases, settings, principal, (case.number, moment))
    if as_json:
        show_json(found)
    else:
        _show(found)
    raise typer.Exit(REFUSED if account.refusal else 0)


def _entrances(
    ledger: Ledger, cases: Cases, config: Config, login: str, asked: tuple[str, dt.datetime]
) -> dict[str, object]:
    """Say by which regions' entrances *login* gets into the case at that time, and why by no other."""
    number, moment = asked
    from casemap.errors import PrincipalNotFoundError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.accounts import Accounts  # noqa: PLC0415
    from mft.lookups import close_adapter, open_adapter  # noqa: PLC0415
    from mft.server.parts import reader_of  # noqa: PLC0415
    from protocols.session import Origin  # noqa: PLC0415

    adapter = open_adapter(config.lookup, ledger.database)
    try:
        who = Accounts(ledger).principal(login) or adapter.principal(login)
        case = adapter.case(number)
    except PrincipalNotFoundError:
        typer.echo(f"mft: nobody has the login {printable(login)}", err=True)
        raise typer.Exit(UNKNOWN) from None
    finally:
        close_adapter(adapter)
    rows = []
    for region in config.regions:
        reader = reader_of(who, Origin(protocol="sftp", peer="", region=region))
        _, decision = cases.judge(reader, case, moment)
        rows.append({"region": region, "allowed": decision.allowed, "why": decision.reason})
    return {"login": login, "entrances": rows}


def _show(found: dict[str, Any]) -> None:
    traits = ", ".join(f"{name} {found[name]}" for name in ("kind", "classification") if found[name])
    typer.echo(printable(f"{found['case']} of {found['customer']}{f' ({traits})' if traits else ''}, at {found['at']}"))
    if found["refused"]:
        typer.echo(printable(f"  refused    {found['refused']}"))
    else:
        typer.echo(f"  home       {found['home']}")
        typer.echo(f"  copies     {', '.join(found['copies']) or 'none'}")
        typer.echo(f"  on demand  {', '.join(found['on_demand']) or 'none'}")
        typer.echo(f"  readers    {', '.join(found['readers']) or 'none'}")
        typer.echo(printable(f"  rule       {found['rule']}{': ' + found['reason'] if found['reason'] else ''}"))
    for note in found["notes"]:
        typer.echo(printable(f"  because    {note}"))
    typer.echo("rules, in their order:")
    for rule in found["rules"]:
        decides = f", decides {' and '.join(rule['decides'])}" if rule["decides"] else ""
        word = "fits" if rule["fits"] else "does not fit"
        why = f" ({rule['reason']})" if rule["reason"] else ""
        typer.echo(printable(f"  {rule['rule']}: {word}{decides}{why}"))
        for point in rule["conditions"]:
            mark = "yes" if point["fits"] else "no"
            value = "nothing" if point["found"] is None else point["found"]
            typer.echo(printable(f"    {mark:<3} {point['name']} {point['wanted']}: it has {value}"))
        if not rule["conditions"]:
            typer.echo("    yes every case")
    for each in found.get("principal", {}).get("entrances", ()):
        word = "lets it in" if each["allowed"] else "does not let it in"
        typer.echo(printable(f"entrance {each['region']}: {word} {found['principal']['login']} ({each['why']})"))
