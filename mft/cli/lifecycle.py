"""`mft lifecycle`: what would be destroyed and why, doing it now, and the certificates of what was."""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, open_ledger, parse_expiry, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.lifecycle.service import Lifecycle, Prospect

LEFT = 3
"""Exit code of `run`: something was due and left alone, or could not be cleared away."""
ConfigFile = options.ConfigPath
At = Annotated[
    str | None, typer.Option("--at", metavar="WHEN", help="As it would be then: 30d, or a date such as 2027-01-31.")
]
Every = Annotated[bool, typer.Option("--all", help="Every case, also what is kept.")]
AsJson = options.AsJson
OneCase = Annotated[str | None, typer.Option("--case", metavar="CASE", help="What the plan says of this case alone.")]
Which = Annotated[
    str | None, typer.Argument(metavar="[CASE]", help="A case's number, or a destruction's id; without it, all.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="What becomes of closed cases' files.", no_args_is_help=True, rich_markup_mode=None)
    group.command("plan")(plan)
    group.command("run")(run)
    group.command("certificate")(certificate)
    app.add_typer(group, name="lifecycle")


@contextlib.contextmanager
def opened_lifecycle(path: Path) -> Iterator[Lifecycle]:
    """Yield the lifecycle of the configuration at *path*."""
    from mft.credentials import load_credentials  # noqa: PLC0415  keeps `mft --help` quick
    from mft.lookups import open_lookup  # noqa: PLC0415
    from mft.objects import Objects  # noqa: PLC0415
    from mft.server.lifecycle import make_lifecycle  # noqa: PLC0415
    from mft.server.parts import residency_rules  # noqa: PLC0415
    from mft.stores import open_stores, open_zones  # noqa: PLC0415
    from storage.keys.service import LocalKeyService  # noqa: PLC0415

    with open_ledger(path) as (config, ledger, _):
        zones = open_zones(config)
        try:
            yield make_lifecycle(
                config=config,
                credentials=load_credentials(config, now=dt.datetime.now(dt.UTC)),
                database=ledger.database,
                trail=ledger.audit,
                lookup=open_lookup(config, ledger.database),
                objects=Objects(
                    database=ledger.database,
                    keys=LocalKeyService({}),  # to destroy takes no key
                    stores=open_stores(config),
                    rules=residency_rules(config),
                ),
                zones=zones,
            )
        finally:
            for zone in zones.values():
                zone.close()


def plan(*, config: ConfigFile = DEFAULT, at: At = None, every: Every = False, as_json: AsJson = False) -> None:
    """Show what a round would do, and why; nothing is changed."""
    from mft.lifecycle.service import Fate  # noqa: PLC0415  keeps `mft --help` quick

    moment = None if at is None else parse_expiry(at).timestamp()
    with opened_lifecycle(config) as lifecycle:
        found = [each for each in lifecycle.plan(at=moment) if every or each.fate is not Fate.KEEP]
    if as_json:
        show_json([each.to_dict() for each in found])
        return
    heads = ("FATE", "CASE", "CUSTOMER", "CLOSED", "DUE", "FILES", "BYTES", "REGIONS", "RULE", "WHY")
    show_table(heads, [_row(each) for each in found])
    due = sum(each.fate is Fate.DESTROY for each in found)
    typer.echo(f"{due} of {len(found)} would be destroyed; nothing was changed", err=True)


def _row(each: Prospect) -> list[str]:
    def moment(when: dt.datetime | None) -> str:
        return "-" if when is None else when.isoformat(timespec="seconds")

    amount = (str(each.files), str(each.bytes), ",".join(each.regions) or "-")
    return [
        each.fate.value, each.case, each.customer, moment(each.closed), moment(each.due), *amount, each.rule or "-",
        each.why,
    ]  # fmt: skip


def run(*, config: ConfigFile = DEFAULT, case: OneCase = None, as_json: AsJson = False) -> None:
    """Carry the plan out now, and finish what was begun before. Exit code 3: something due was left alone."""
    with opened_lifecycle(config) as lifecycle:
        done = lifecycle.run(by=actor(), case=case)
        unfinished = lifecycle.unfinished()
    if as_json:
        show_json(
            {
                "destroyed": [{"case": case, "destruction": each} for case, each in done.destroyed],
                "left": [{"case": case, "why": why} for case, why in done.left],
                "unfinished": unfinished,
                "tokens_revoked": done.tokens,
            }
        )
    else:
        for number, each in done.destroyed:
            typer.echo(f"{number}: destroyed (destruction {each})")
        for number, why in done.left:
            typer.echo(f"{number}: left alone: {why}")
        for number in unfinished:
            typer.echo(f"{number}: its keys are shredded; clearing away is tried again (see the log)")
        typer.echo(f"{len(done.destroyed)} cases destroyed, {done.tokens} tokens revoked", err=True)
    if done.left or unfinished:
        raise typer.Exit(LEFT)


def certificate(which: Which = None, *, config: ConfigFile = DEFAULT) -> None:
    """Print certificates of destruction, a line of JSON each, the newest first; `mft receipt verify` checks them."""
    with opened_lifecycle(config) as lifecycle:
        rows = lifecycle.certificates(which)
    for row in rows:
        if row.certificate is not None:
            sys.stdout.write(json.dumps(json.loads(row.certificate)) + "\n")
    if which is not None and not any(row.certificate for row in rows):
        typer.echo(f"mft: nothing of {which} was destroyed, or it is not finished yet", err=True)
        raise typer.Exit(1)
