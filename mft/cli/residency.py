"""`mft residency`: where files may lie, do lie and have lain, and why."""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, open_ledger, parse_expiry, printable, show_json, show_table
from mft.cli.receipt import genuine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mft.auth.ledger import Ledger
    from mft.cases import Cases
    from mft.config import Config
    from mft.residency import Residency

REFUSED = 3
"""Exit code of `explain`: nothing of the case may be stored here. Of `report`: a rule was broken."""
UNKNOWN = 4
"""Exit code: there is no such case, login or customer."""
ConfigFile = options.ConfigPath
Number = Annotated[str, typer.Argument(metavar="CASE", help="The case's number.")]
At = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="As it is then: 2027-01-31T22:00+01:00 (UTC where no zone is named)."),
]
Principal = Annotated[
    str | None, typer.Option("--principal", metavar="LOGIN", help="Whether this login gets in, by each entrance.")
]
CustomerId = Annotated[str, typer.Argument(metavar="CUSTOMER", help="The customer's id.")]
From = Annotated[str | None, typer.Option("--from", metavar="TIME", help="Leave out what had ended before.")]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="As it stood then. Default: now.")]
OneCase = Annotated[str | None, typer.Option("--case", metavar="NUMBER", help="One case alone.")]
AsCsv = Annotated[bool, typer.Option("--csv", help="A line of CSV for each stay.")]
ReportFile = Annotated[Path, typer.Argument(metavar="REPORT", help="The report as JSON, or - for standard input.")]
Keys = Annotated[
    list[Path],
    typer.Option(
        "--key",
        "--public-key",
        metavar="PUB",
        help="The server's published receipt key (JSON or PEM); may be repeated.",
    ),
]
AuditExport = Annotated[
    Path | None,
    typer.Option("--audit", metavar="FILE", help="An export of the customer's chain (GET /api/v1/audit/export)."),
]
Measure = Annotated[
    bool,
    typer.Option(
        "--measure", help="Ask the store of each region that may be read, and say in which order that puts them."
    ),
]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Where files may lie and do lie, and why.", no_args_is_help=True, rich_markup_mode=None)
    group.command("explain")(explain)
    group.command("status")(status)
    group.command("report")(report)
    group.command("verify")(verify)
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
    number: Number,
    *,
    config: ConfigFile = DEFAULT,
    at: At = None,
    principal: Principal = None,
    measure: Measure = False,
    as_json: AsJson = False,
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
        if account.residency is not None:
            found["reading"] = _reading(settings, ledger, account.residency, measured=measure)
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


def _reading(config: Config, ledger: Ledger, residency: Residency, *, measured: bool) -> dict[str, object]:
    """Say in which order each entrance's region reads a case; measured from here, where that is asked for."""
    from mft.objects import Objects  # noqa: PLC0415  keeps `mft --help` quick
    from mft.server.parts import residency_rules  # noqa: PLC0415
    from mft.stores import open_stores  # noqa: PLC0415
    from storage.errors import StorageError  # noqa: PLC0415
    from storage.keys.service import LocalKeyService  # noqa: PLC0415
    from storage.nearness import SAMPLES  # noqa: PLC0415

    readers = [region for region in residency.regions if region in residency.readers]
    objects = Objects(
        database=ledger.database,
        keys=LocalKeyService({}),  # no file is opened
        stores={name: store for name, store in open_stores(config).items() if name in readers} if measured else {},
        rules=residency_rules(config),
        by_latency=measured,
    )
    answers: dict[str, float | None] = {}
    for region in readers if measured else ():
        answers[region] = None
        with contextlib.suppress(StorageError):
            for _ in range(SAMPLES):
                answers[region] = objects.measure(region)
    silent = [region for region, seconds in answers.items() if seconds is None]
    orders = {}
    for entrance in readers:
        order = [region for region in objects.read_order(residency, entrance) if region in residency.readers]
        orders[entrance] = sorted(order, key=lambda region: region in silent)
    by = "measured from here" if measured else config.reading.nearness
    return {"by": by, "answer_seconds": answers, "order": orders}


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
        for entrance, order in found["reading"]["order"].items():
            typer.echo(f"  read by {entrance:<10} {', '.join(map(_with_answer(found['reading']), order))}")
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


def _with_answer(reading: dict[str, Any]) -> Callable[[str], str]:
    answers = reading["answer_seconds"]

    def text(region: str) -> str:
        if region not in answers:
            return region
        return (
            f"{region} (does not answer)" if answers[region] is None else f"{region} ({1000 * answers[region]:.1f} ms)"
        )

    return text


def status(*, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Show how far each region is behind: copies to be made and to be taken away, and the age of the oldest."""
    from mft.objects import Queue, queues_by_region  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (settings, ledger, _), ledger.database.read() as connection:
        queues = queues_by_region(connection)
    now = dt.datetime.now(dt.UTC).timestamp()
    nothing = Queue(waiting=0, bytes=0, oldest=None, failing=0, leaving=0)
    rows = {region: queues.get(region, nothing) for region in settings.regions}
    if as_json:
        show_json(
            [
                {
                    "region": region,
                    "waiting": queue.waiting,
                    "bytes": queue.bytes,
                    "lag_seconds": int(queue.lag(now)),
                    "failing": queue.failing,
                    "leaving": queue.leaving,
                }
                for region, queue in rows.items()
            ]
        )
        return
    show_table(
        ("REGION", "WAITING", "BYTES", "LAG", "FAILING", "LEAVING"),
        [
            [region, str(q.waiting), str(q.bytes), f"{int(q.lag(now))} s", str(q.failing), str(q.leaving)]
            for region, q in rows.items()
        ],
    )


def report(
    customer: CustomerId,
    *,
    config: ConfigFile = DEFAULT,
    begin: From = None,
    end: To = None,
    case: OneCase = None,
    as_json: AsJson = False,
    as_csv: AsCsv = False,
) -> None:
    """Say where every object of a customer and its key slots have been, by which rule, and what broke one.

    With --json the signed report, which `mft residency verify` checks offline. Exit codes: 0 nothing broke a rule; 3
    something did; 4 nothing is known of the customer.
    """
    from mft.credentials import load_credentials  # noqa: PLC0415  keeps `mft --help` quick
    from mft.provenance import as_csv as write_csv  # noqa: PLC0415
    from mft.provenance import signed_report  # noqa: PLC0415
    from mft.receipts import sign_receipt  # noqa: PLC0415

    if as_json and as_csv:
        raise typer.BadParameter("give --json or --csv, not both")
    now = dt.datetime.now(dt.UTC)
    first, last = (None if text is None else parse_expiry(text) for text in (begin, end))
    with open_ledger(config) as (settings, ledger, _), ledger.database.read() as connection:
        document = signed_report(
            connection,
            functools.partial(sign_receipt, key=load_credentials(settings, now=now).receipt_key),
            installation=settings.installation,
            report_id=secrets.token_hex(16),
            customer=customer,
            now=now,
            begin=first,
            end=last,
            case=case,
        )
    if document is None:
        typer.echo(f"mft: nothing is known of the customer {printable(customer)}", err=True)
        raise typer.Exit(UNKNOWN)
    if as_json:
        show_json(document)
    elif as_csv:
        sys.stdout.write(write_csv(document))
    else:
        _show_report(document)
    raise typer.Exit(REFUSED if document["violations"] else 0)


def _show_report(claims: dict[str, Any]) -> None:
    for thing in claims["objects"]:
        what = f"object {thing['object']}" if thing["object"] else f"upload {thing['upload']}"
        typer.echo(printable(f"{thing['case'] or 'without a case'}  {what}"))
        for stay in thing["stays"]:
            until = f"until {stay['until']}, {stay['ended']}" if stay["until"] else "until now"
            source = f" from {stay['source']}" if stay["source"] else ""
            mark = "" if stay["allowed"] else "  NOT ALLOWED"
            typer.echo(
                printable(
                    f"    {stay['region']:<8} {stay['holds']:<8} {stay['since']} {stay['how']}{source}, {until} "
                    f"({stay['rule'] or 'no rule yet'}){mark}"
                )
            )
    for key in claims["keys"]:
        what = f"shredded {key['shredded']}" if "shredded" in key else f"moved from {key['source']} {key['moved']}"
        typer.echo(printable(f"{key['case']}  key in {key['region']} {what}"))
    for each in claims["withdrawals"]:
        took = "still there" if each["seconds"] is None else f"gone within {each['seconds']} s"
        typer.echo(printable(f"withdrawn: {each['upload']} in {each['region']}, forbidden {each['decided']}, {took}"))
    totals = claims["totals"]
    now_in = ", ".join(f"{region} {count}" for region, count in sorted(totals["regions"].items())) or "none"
    typer.echo(f"{totals['objects']} objects, {totals['stays']} stays; lying now: {now_in}")
    typer.echo(f"violations: {totals['violations'] or 'none'}; withdrawals still to be done: {totals['pending']}")


def verify(file: ReportFile, keys: Keys, *, audit: AuditExport = None) -> None:
    """Check a report offline: its signature, whether it follows from what it rests on, and an export of the audit.

    Exit code 1: it is not genuine, contradicts itself, or does not fit the export.
    """
    from mft.provenance import (  # noqa: PLC0415  keeps `mft --help` quick
        KIND,
        ReportError,
        check_events,
        check_report,
    )

    claims, named = genuine(file, keys)
    if claims["kind"] != KIND:
        raise ReportError(f"{file}: it is signed, and no report of residency")
    check_report(claims)
    totals: Any = claims["totals"]
    typer.echo(f"{file}: genuine, signed by the key {named}; every stay follows the rules that it gives")
    if audit is not None:
        with audit.open(encoding="utf-8") as lines:
            typer.echo(f"{check_events(claims, lines)} events are those of the audit")
    typer.echo(
        f"{totals['objects']} objects of {printable(str(claims['customer']))}, {totals['stays']} stays, "
        f"{totals['violations']} violations"
    )
