"""`mft unfiled`: what names no case, shown and assigned."""

from __future__ import annotations

import contextlib
import datetime as dt
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, open_ledger, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.cases import Cases
    from mft.unfiled import Unfiled

ConfigFile = options.ConfigPath
UploadId = Annotated[str, typer.Argument(metavar="ID", help="As `mft unfiled list` shows it.")]
CaseNumber = Annotated[str, typer.Argument(metavar="CASE", help="The number of the case that it is for.")]
CustomerId = Annotated[str | None, typer.Option("--customer", metavar="ID", help="Only this customer's.")]
Login = Annotated[str | None, typer.Option("--login", metavar="LOGIN", help="Only what this login sent.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Files that name no case.", no_args_is_help=True, rich_markup_mode=None)
    group.command("list")(list_unfiled)
    group.command("assign")(assign)
    app.add_typer(group, name="unfiled")


@contextlib.contextmanager
def _opened(config_file: Path) -> Iterator[tuple[Unfiled, Cases]]:
    from mft.audit import Folding  # noqa: PLC0415  keeps `mft --help` quick
    from mft.cases import Cases  # noqa: PLC0415
    from mft.lookups import open_lookup  # noqa: PLC0415
    from mft.server.parts import quota_rules, residency_rules  # noqa: PLC0415
    from mft.unfiled import Unfiled  # noqa: PLC0415

    with open_ledger(config_file) as (config, ledger, _):
        database, audit = ledger.database, ledger.audit
        cases = Cases(
            lookup=open_lookup(config, database),
            rules=residency_rules(config),
            database=database,
            trail=audit,
            folding=Folding(),
        )
        yield Unfiled(database=database, trail=audit, tree_of=cases.trees.of, quotas=quota_rules(config)), cases


def list_unfiled(
    *,
    config: ConfigFile = DEFAULT,
    customer: CustomerId = None,
    login: Login = None,
    as_json: AsJson = False,
) -> None:
    """List what waits to be assigned to a case, the one whose time ends first at the top."""
    heads = ("id", "name", "size", "customer", "login", "region", "received", "kept_until", "why")
    rows: list[tuple[object, ...]] = []
    with _opened(config) as (unfiled, _):
        after = None
        while page := unfiled.page(customer=customer, login=login, after=after):
            after = page[-1].place
            rows += [
                (f.id, f.name, f.size, f.customer, f.login, f.region, _when(f.landed_at), _when(f.kept_until), f.why)
                for f in page
            ]
    if as_json:
        show_json([dict(zip(heads, row, strict=True)) for row in rows])
        return
    show_table([head.upper() for head in heads], [[str(cell) for cell in row] for row in rows])


def assign(upload_id: UploadId, case: CaseNumber, *, config: ConfigFile = DEFAULT) -> None:
    """Make it a file of the case, as if it had just been received there; the server goes on with it within a second."""
    with _opened(config) as (unfiled, cases):
        assigned = unfiled.assign(upload_id, cases.placed(case), by=actor())
    typer.echo(f"{assigned.id}: {assigned.name} is version {assigned.version} of that name in the case {assigned.case}")


def _when(seconds: float) -> str:
    return str(moment(dt.datetime.fromtimestamp(seconds, dt.UTC)))
