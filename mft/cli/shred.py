"""`mft shred`: the end of a case's or customer's files by the destruction of their keys, on order."""

from __future__ import annotations

from typing import Annotated

import typer

from mft.cli import options
from mft.cli.breakglass import case_customer, known_customer, open_glass
from mft.cli.ledger import DEFAULT, actor, open_ledger, show_json

LEFT = 3
"""Exit code: something was left alone (a hold, an upload under way), or could not be cleared away yet."""
ConfigFile = options.ConfigPath
Case = Annotated[str | None, typer.Option("--case", metavar="CASE", help="One case, by its number.")]
Customer = Annotated[str | None, typer.Option("--customer", metavar="CUSTOMER", help="Every case of a customer.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in the certificate.")]
Request = Annotated[
    str | None, typer.Option("--request", metavar="ID", help="What was agreed on by `mft break-glass`.")
]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("shred")(shred)


def shred(
    reason: Reason,
    *,
    config: ConfigFile = DEFAULT,
    case: Case = None,
    customer: Customer = None,
    request: Request = None,
    as_json: AsJson = False,
) -> None:
    """Destroy every key of a case or customer, in every region, and then the files; nobody can read them after it.

    A legal hold wins. With `break_glass.approvals` above 1 it takes a request that others agreed to. Exit code 3:
    something was left alone.
    """
    from mft.breakglass import SHRED  # noqa: PLC0415  keeps `mft --help` quick
    from mft.cli.lifecycle import opened_lifecycle  # noqa: PLC0415

    if (case is None) == (customer is None):
        raise typer.BadParameter("name one of --case and --customer")
    if not reason.strip():
        raise typer.BadParameter("--reason says why; it cannot be empty")
    with open_ledger(config) as (loaded, ledger, _):
        owner = known_customer(ledger, str(customer)) if case is None else case_customer(ledger, case)
        subject = f"customer:{customer}" if case is None else f"case:{case}"
        with open_glass(loaded, ledger) as glass:
            glass.use(SHRED, subject, request, by=actor(), reason=reason, customer=owner, case=case)
    with opened_lifecycle(config) as lifecycle:
        done = lifecycle.shred(case=case, customer=customer, reason=reason, by=actor())
        unfinished = [row.number for row in lifecycle.certificates() if row.finished_at is None]
    if as_json:
        show_json(
            {
                "destroyed": [{"case": number, "destruction": each} for number, each in done.destroyed],
                "left": [{"case": number, "why": why} for number, why in done.left],
                "unfinished": unfinished,
            }
        )
    else:
        for number, each in done.destroyed:
            typer.echo(f"{number}: its keys are destroyed (destruction {each})")
        for number, why in done.left:
            typer.echo(f"{number}: left alone: {why}")
        for number in unfinished:
            typer.echo(f"{number}: its keys are destroyed; clearing away is tried again (see the log)")
    if done.left or unfinished:
        raise typer.Exit(LEFT)
