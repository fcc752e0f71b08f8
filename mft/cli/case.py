"""`mft case`: the cases of the built-in registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, show_json, show_table
from mft.cli.registry import PAGE, After, AsJson, Clear, HomeRegion, Limit, given, open_registry

if TYPE_CHECKING:
    from mft.registry import CaseEntry

ConfigFile = options.ConfigPath
Number = Annotated[str, typer.Argument(metavar="NUMBER", help="The case's number.")]
Customer = Annotated[str, typer.Option("--customer", metavar="ID", help="Whose case it is.")]
OfCustomer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="Those of one customer.")]
Title = Annotated[str | None, typer.Option("--title", metavar="TEXT", help="What it is about.")]
Kind = Annotated[str | None, typer.Option("--kind", metavar="WORD", help="A word for your rules.")]
Classification = Annotated[
    str | None, typer.Option("--classification", metavar="WORD", help="A word for your rules, such as eu-only.")
]
Clearance = Annotated[
    int | None, typer.Option("--clearance", metavar="N", help="What a reader's clearance must reach: 0 to 100.")
]
Regions = Annotated[
    list[str] | None,
    typer.Option("--region", metavar="REGION", help="Where its files may lie; may be repeated. Default: by the rules."),
]
Priority = Annotated[int | None, typer.Option("--priority", metavar="N", help="1, the most urgent, to 5.")]
Assignee = Annotated[
    str | None, typer.Option("--assignee", metavar="LOGIN", help="The engineer whom the case was given to.")
]
Why = Annotated[str | None, typer.Option("--why", metavar="TEXT", help="A reason, for the audit.")]
State = Annotated[str, typer.Option("--state", metavar="STATE", help="open, closed or all.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Cases of the built-in registry.", no_args_is_help=True, rich_markup_mode=None)
    for command in (change, close, reopen, show):
        group.command(command.__name__)(command)
    group.command("open")(open_case)
    group.command("list")(list_cases)
    app.add_typer(group, name="case")


def open_case(
    number: Number,
    customer: Customer,
    *,
    config: ConfigFile = DEFAULT,
    title: Title = None,
    kind: Kind = None,
    classification: Classification = None,
    clearance: Clearance = None,
    home_region: HomeRegion = None,
    regions: Regions = None,
    priority: Priority = None,
    assignee: Assignee = None,
) -> None:
    """Open a case: its folder is there at once. A number is given once and never again."""
    from mft.registry import CaseRegister  # noqa: PLC0415  keeps `mft --help` quick

    record = given(
        {
            "number": number,
            "customer": customer,
            "title": title,
            "kind": kind,
            "classification": classification,
            "clearance": clearance,
            "home_region": home_region,
            "regions": regions,
            "priority": priority,
            "assignee": assignee,
        }
    )
    with open_registry(config) as journal:
        entry = CaseRegister(journal).open(record, by=actor())
    typer.echo(f"{entry.case.number}: open")


def change(
    number: Number,
    *,
    config: ConfigFile = DEFAULT,
    title: Title = None,
    kind: Kind = None,
    classification: Classification = None,
    clearance: Clearance = None,
    home_region: HomeRegion = None,
    regions: Regions = None,
    priority: Priority = None,
    assignee: Assignee = None,
    clear: Clear = None,
) -> None:
    """Change a case; sessions see it at once. Number and customer stay."""
    from mft.registry import CaseRegister  # noqa: PLC0415  keeps `mft --help` quick

    changes = given(
        {
            "title": title,
            "kind": kind,
            "classification": classification,
            "clearance": clearance,
            "home_region": home_region,
            "regions": regions,
            "priority": priority,
            "assignee": assignee,
        },
        clear,
    )
    with open_registry(config) as journal:
        entry = CaseRegister(journal).change(number, changes, by=actor())
    typer.echo(f"{entry.case.number}: revision {entry.revision}")


def close(number: Number, *, config: ConfigFile = DEFAULT, why: Why = None) -> None:
    """Close a case: live sessions lose its folder. What was uploaded stays until retention."""
    from mft.registry import CaseRegister  # noqa: PLC0415  keeps `mft --help` quick

    with open_registry(config) as journal:
        entry = CaseRegister(journal).close(number, by=actor(), why=why)
    typer.echo(f"{entry.case.number}: closed {moment(entry.case.closed)}")


def reopen(number: Number, *, config: ConfigFile = DEFAULT, why: Why = None) -> None:
    """Open a closed case again."""
    from mft.registry import CaseRegister  # noqa: PLC0415  keeps `mft --help` quick

    with open_registry(config) as journal:
        entry = CaseRegister(journal).reopen(number, by=actor(), why=why)
    typer.echo(f"{entry.case.number}: open")


def show(number: Number, *, config: ConfigFile = DEFAULT) -> None:
    """Show a case as JSON."""
    from mft.registry import CaseRegister  # noqa: PLC0415  keeps `mft --help` quick

    with open_registry(config) as journal:
        show_json(_document(CaseRegister(journal).get(number)))


def list_cases(
    *,
    config: ConfigFile = DEFAULT,
    customer: OfCustomer = None,
    state: State = "open",
    after: After = None,
    limit: Limit = PAGE,
    as_json: AsJson = False,
) -> None:
    """List cases by number."""
    from casemap.model import CaseState  # noqa: PLC0415  keeps `mft --help` quick
    from mft.registry import CaseRegister, CustomerRegister  # noqa: PLC0415

    if state not in {"all", *(each.value for each in CaseState)}:
        raise typer.BadParameter("--state is open, closed or all")
    wanted = None if state == "all" else CaseState(state)
    entries: list[CaseEntry] = []
    with open_registry(config) as journal:
        register = CaseRegister(journal)
        if customer is not None:
            CustomerRegister(journal).get(customer)
        while len(entries) < limit:
            page = register.list(customer=customer, state=wanted, after=after, limit=min(PAGE, limit - len(entries)))
            entries += page.items
            after = page.next_cursor
            if after is None:
                break
    if as_json:
        show_json([_document(entry) for entry in entries])
    else:
        rows = [
            (entry.case.number, entry.case.customer, entry.case.state.value, str(entry.case.priority), entry.case.title)
            for entry in entries
        ]
        show_table(("NUMBER", "CUSTOMER", "STATE", "PRIORITY", "TITLE"), rows)
    if after is not None:
        typer.echo(f"more follow: --after {after}", err=True)


def _document(entry: CaseEntry) -> dict[str, object]:
    return {
        **entry.record,
        "revision": entry.revision,
        "created": moment(entry.created),
        "updated": moment(entry.updated),
    }
