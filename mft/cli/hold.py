"""`mft hold`: cases of which nothing may be destroyed."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, open_ledger, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.holds import Holds

ConfigFile = options.ConfigPath
Number = Annotated[str, typer.Argument(metavar="CASE", help="The case's number.")]
Reason = options.Reason
Released = Annotated[bool, typer.Option("--released", help="Those that were released, too.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="Legal holds: of a held case nothing is destroyed.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("set")(set_hold)
    group.command("release")(release)
    group.command("list")(list_holds)
    app.add_typer(group, name="hold")


@contextlib.contextmanager
def _opened(config: Path) -> Iterator[Holds]:
    from mft.holds import Holds  # noqa: PLC0415  keeps `mft --help` quick
    from mft.lookups import open_lookup  # noqa: PLC0415

    with open_ledger(config) as (settings, ledger, _):
        lookup = open_lookup(settings, ledger.database)
        yield Holds(database=ledger.database, trail=ledger.audit, lookup=lookup)


def set_hold(number: Number, *, reason: Reason, config: ConfigFile = DEFAULT) -> None:
    """Hold a case: nothing of it is destroyed until the hold is released."""
    with _opened(config) as holds:
        hold = holds.set(number, reason=reason, by=actor())
    typer.echo(f"{hold.case}: held since {hold.set_at.isoformat(timespec='seconds')} (hold {hold.id}): {hold.reason}")


def release(number: Number, *, reason: Reason, config: ConfigFile = DEFAULT) -> None:
    """Release a hold; what is due goes at the next round."""
    with _opened(config) as holds:
        hold = holds.release(number, reason=reason, by=actor())
    typer.echo(f"{hold.case}: released (hold {hold.id}); what is due goes at the next round")


def list_holds(*, config: ConfigFile = DEFAULT, released: Released = False, as_json: AsJson = False) -> None:
    """List the holds that stand."""
    with _opened(config) as holds:
        found = [each.to_dict() for each in holds.list(released=released)]
    if as_json:
        show_json(found)
        return
    heads = ("id", "case", "set_at", "set_by", "released_at", "released_by", "reason")
    show_table([head.upper() for head in heads], [[str(each[head] or "-") for head in heads] for each in found])
