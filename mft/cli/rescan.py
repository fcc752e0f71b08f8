"""`mft rescan`: what is stored of a case, scrubbed once more by the rules of now."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, open_ledger, show_json

if TYPE_CHECKING:
    from mft.rescans import Rescan, Rescans

LEFT = 3
"""Exit code: something was left alone, failed or was held back; what was found says why."""
NOT_YET = 4
"""Exit code: not finished within the time that was to be waited."""
_LOOK_SECONDS = 0.5
_STILL_SECONDS = 10.0
"""How long nothing may move before it is asked whether there is a server."""
ConfigFile = options.ConfigPath
Number = Annotated[str, typer.Argument(metavar="CASE", help="The case's number.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in the audit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", "-n", help="Find out what would change, by rule; change nothing.")]
Show = Annotated[bool, typer.Option("--show", help="Order nothing: show the last orders, and how far they have come.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait until the server has done it.")]
Wait = Annotated[str, typer.Option("--wait", metavar="DURATION", help="Wait for no longer than this, such as 30m.")]
AsJson = options.AsJson


class NoServerError(Exception):
    """Nobody carries the order out."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rescan")(rescan)


def rescan(
    number: Number,
    config: ConfigFile = DEFAULT,
    reason: Reason = "",
    wait: Wait = "24h",
    *,
    dry_run: DryRun = False,
    show: Show = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
) -> None:
    """Scrub every stored version of a case once more, by today's rules, terms and names; the server does it.

    What was removed stays removed. A version in which more is found is stored anew in every region, and the object that
    it replaces is destroyed with its key; one that the rules of now do not let through is held back. A legal hold on
    the case refuses all but a dry run. Exit code 3: some files were left alone, failed or were held back; 4: it is not
    finished yet.
    """
    from mft.config.units import parse_duration  # noqa: PLC0415  keeps `mft --help` quick
    from mft.rescans import Rescans  # noqa: PLC0415

    try:
        patience = parse_duration(wait)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with open_ledger(config) as (settings, ledger, _):
        rescans = Rescans(database=ledger.database, trail=ledger.audit)
        if show:
            found = list(rescans.of_case(number))
            if as_json:
                show_json([each.to_dict() for each in found])
                return
            for each in found:
                _tell(each)
            return
        order = rescans.order(number, by=actor(), reason=reason, dry_run=dry_run)
        if not no_wait:
            order = _awaited(rescans, order, settings.data, time.monotonic() + patience, quiet=as_json)
    if as_json:
        show_json(order.to_dict())
    else:
        _tell(order)
    if order.finished_at is None:
        raise typer.Exit(0 if no_wait else NOT_YET)
    if any(order.states.get(word) for word in ("left", "failed", "quarantined")):
        raise typer.Exit(LEFT)


def _awaited(rescans: Rescans, order: Rescan, data: Path, limit: float, *, quiet: bool) -> Rescan:
    """Wait until an order is finished, or for as long as that may take.

    Raises:
        NoServerError: nothing moves, and no server holds the lock of the data.
    """
    told, moved = -1, time.monotonic()
    while order.finished_at is None and time.monotonic() < limit:
        done = len(order.files) - order.states.get("waiting", 0)
        if done != told:
            told, moved = done, time.monotonic()
            if not quiet:
                typer.echo(f"{order.case}: {done} of {len(order.files)} files", err=True)
        if time.monotonic() - moved > _STILL_SECONDS and not _is_served(data):
            raise NoServerError(
                f"no server runs on {data}: the order {order.id} stands, and is carried out once `mft serve` runs"
            )
        time.sleep(_LOOK_SECONDS)
        order = rescans.find(order.id)
    return order


def _is_served(data: Path) -> bool:
    """Say whether somebody holds the lock of a data directory, without touching it (proc_locks(5))."""
    try:
        number = (data / "run" / "lock").stat().st_ino
        return any(line.split()[5].endswith(f":{number}") for line in Path("/proc/locks").read_text().splitlines())
    except FileNotFoundError:
        return False
    except (OSError, IndexError):
        return True  # not known


def _tell(order: Rescan) -> None:
    states = order.states
    would = "would be " if order.dry_run else ""
    kind = "dry run" if order.dry_run else "rescan"
    typer.echo(f"{order.case}: {kind} {order.id}, {len(order.files)} files")
    for word, text in (
        ("waiting", "still to be looked at"),
        ("unchanged", "as they are: nothing more is found in them"),
        ("tightened", f"{would}stored anew, with more removed"),
        ("quarantined", f"{would}held back"),
        ("left", "left alone"),
        ("failed", "could not be scrubbed, and are as they were"),
    ):
        if states.get(word):
            typer.echo(f"  {states[word]:6} {text}")
    for rule, count in order.removed.items():
        typer.echo(f"  {count:6} {rule}")
    for each in order.files:
        if each.why:
            typer.echo(f"  {each.upload}: {each.state.value}: {each.why}")
