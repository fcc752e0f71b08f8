"""`mft quota`: how much a case or a customer has here, and may have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, open_ledger, printable, show_json, show_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.quotas import QuotaRules
    from mft.upload.room import Used

ConfigFile = options.ConfigPath
Which = Annotated[str, typer.Argument(metavar="CUSTOMER|CASE", help="A customer's id, or a case's number.")]
AsJson = options.AsJson


class UnknownError(Exception):
    """Nothing of that name has anything here."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="What cases and customers hold, and may hold.", no_args_is_help=True, rich_markup_mode=None
    )
    group.callback()(_be_group)
    group.command("show")(show)
    app.add_typer(group, name="quota")


def _be_group() -> None:
    """Keep the command's name in the command line: with one command alone, typer would do without."""


def show(which: Which, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Show what a case or a customer holds, what uploads under way have reserved, and what is left.

    Bytes are as received; each version of a file is one file. For a customer each of its cases is shown, too.
    """
    from mft.server.parts import quota_rules  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (settings, ledger, _), ledger.database.read() as connection:
        rows = _rows(connection, quota_rules(settings), which)
    if not rows:
        raise UnknownError(f"neither a case nor a customer {printable(which)} has anything here")
    if as_json:
        show_json(rows)
        return
    heads = ("what", "name", "bytes", "bytes_limit", "bytes_left", "files", "files_limit", "files_left")
    show_table([head.upper() for head in heads], [[_word(row[head]) for head in heads] for row in rows])


def _rows(connection: Connection, quotas: QuotaRules, which: str) -> list[dict[str, object]]:
    from sqlalchemy import or_, select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.casetree import case_tree  # noqa: PLC0415
    from mft.catalog.model import CASES  # noqa: PLC0415
    from mft.upload.room import quota_of, used_by_case, used_by_customer  # noqa: PLC0415

    wanted = or_(CASES.c.number == which, (CASES.c.customer == which) & CASES.c.number.not_like("~destroyed/%"))
    cases = connection.execute(select(CASES).where(wanted).order_by(CASES.c.number)).all()
    rows: list[dict[str, object]] = []
    for customer in dict.fromkeys(case.customer for case in cases):
        shared = quotas.of_customer(customer)
        limits = (shared.customer_bytes, shared.customer_files)
        rows.append(_row("customer", customer, used_by_customer(connection, customer), limits))
    for case in cases:
        quota = quota_of(quotas, case_tree(case))
        what = "unfiled" if case.number.startswith("~") else "case"
        name = case.number.removeprefix("~")
        rows.append(_row(what, name, used_by_case(connection, case.id), (quota.case_bytes, quota.case_files)))
    return rows


def _row(what: str, name: str, used: Used, limits: tuple[int | None, int | None]) -> dict[str, object]:
    return {
        "what": what,
        "name": name,
        "bytes": used.bytes,
        "bytes_limit": limits[0],
        "bytes_left": None if limits[0] is None else max(0, limits[0] - used.bytes),
        "files": used.files,
        "files_limit": limits[1],
        "files_left": None if limits[1] is None else max(0, limits[1] - used.files),
    }


def _word(value: object) -> str:
    return "-" if value is None else str(value)
