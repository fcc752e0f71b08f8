"""`mft webhook`: who is told of what, what became of it, and sending it again."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, open_ledger, show_json, show_table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mft.webhooks.endpoints import Endpoint, Endpoints, MadeEndpoint
    from mft.webhooks.outbox import Delivery, Outbox

ConfigFile = options.ConfigPath
Name = Annotated[str, typer.Argument(metavar="NAME", help="The endpoint's name.")]
Url = Annotated[str, typer.Argument(metavar="URL", help="Where events are posted to: https://…")]
Events = Annotated[
    list[str] | None,
    typer.Option("--event", metavar="TYPE", help="A type of event, or a pattern such as upload.*; may come again."),
]
Customers = Annotated[
    list[str] | None,
    typer.Option("--customer", metavar="ID", help="Only this customer's events; may come again."),
]
Number = Annotated[int | None, typer.Argument(metavar="[DELIVERY]", help="As `mft webhook deliveries` shows it.")]
Dead = Annotated[bool, typer.Option("--dead", help="Everything that was given up.")]
OfEndpoint = Annotated[str | None, typer.Option("--endpoint", metavar="NAME", help="Of one endpoint only.")]
InState = Annotated[str | None, typer.Option("--state", metavar="STATE", help="waiting, delivered or dead.")]
Last = Annotated[int, typer.Option("--last", metavar="N", min=1, max=10_000, help="How many, the newest first.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Webhooks: who is told of what.", no_args_is_help=True, rich_markup_mode=None)
    group.command("add")(add)
    group.command("list")(list_endpoints)
    group.command("remove")(remove)
    group.command("rotate")(rotate)
    group.command("pause")(pause)
    group.command("resume")(resume)
    group.command("test")(send_test)
    group.command("deliveries")(deliveries)
    group.command("redeliver")(redeliver)
    group.command("events")(events)
    group.command("secret")(secret)
    app.add_typer(group, name="webhook")


@contextlib.contextmanager
def _opened(config: Path) -> Iterator[tuple[Endpoints, Outbox]]:
    from mft.webhooks.endpoints import Endpoints  # noqa: PLC0415  keeps `mft --help` quick
    from mft.webhooks.outbox import Outbox  # noqa: PLC0415

    with open_ledger(config) as (settings, ledger, token_key):
        outgoing = settings.webhooks.outgoing
        endpoints = Endpoints(database=ledger.database, trail=ledger.audit, key=token_key, settings=outgoing)
        endpoints.take_configured()
        yield endpoints, Outbox(database=ledger.database, trail=ledger.audit, endpoints=endpoints, settings=outgoing)


def add(
    name: Name,
    url: Url,
    *,
    config: ConfigFile = DEFAULT,
    event: Events = None,
    customer: Customers = None,
    as_json: AsJson = False,
) -> None:
    """Tell somebody of events from now on. The secret is shown this once, alone on standard output."""
    with _opened(config) as (endpoints, _):
        made = endpoints.add(name, url, by=actor(), events=event or ["*"], customers=customer or None)
    _show_secret(made, as_json=as_json)


def list_endpoints(*, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List who is told, with how much waits for each and how much was given up."""
    with _opened(config) as (endpoints, _):
        found = endpoints.list()
    if as_json:
        show_json([each.to_dict() for each in found])
        return
    heads = ("NAME", "SOURCE", "STATE", "WAITING", "DEAD", "EVENTS", "CUSTOMERS", "URL", "NOTE")
    show_table(heads, [_row(each) for each in found])


def _row(each: Endpoint) -> Sequence[str]:
    state = "active" if each.active else "paused"
    customers = "all" if each.customers is None else ",".join(each.customers)
    counts = (str(each.waiting), str(each.dead))
    return (each.name, each.source, state, *counts, ",".join(each.events), customers, each.url, each.note or "-")


def remove(name: Name, *, config: ConfigFile = DEFAULT) -> None:
    """Tell somebody nothing more; what waits for it is dropped."""
    with _opened(config) as (endpoints, _):
        endpoints.remove(name, by=actor())
    typer.echo(f"{name}: removed")


def rotate(name: Name, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """Make a new secret, shown this once; the old one signs too for webhooks.outgoing.rotation."""
    with _opened(config) as (endpoints, _):
        made = endpoints.rotate(name, by=actor())
    _show_secret(made, as_json=as_json)


def pause(name: Name, *, config: ConfigFile = DEFAULT) -> None:
    """Put off everything for an endpoint; it waits, as long as it is tried."""
    with _opened(config) as (endpoints, _):
        endpoints.set_active(name, active=False, by=actor())
    typer.echo(f"{name}: paused")


def resume(name: Name, *, config: ConfigFile = DEFAULT) -> None:
    """Tell an endpoint again, also one that has answered 410."""
    with _opened(config) as (endpoints, _):
        endpoints.set_active(name, active=True, by=actor())
    typer.echo(f"{name}: active")


def send_test(name: Name, *, config: ConfigFile = DEFAULT) -> None:
    """Have the server send an event that tells nothing, webhook.test."""
    with _opened(config) as (_, outbox):
        made = outbox.test(name)
    typer.echo(f"delivery {made.number}: the server sends it; see mft webhook deliveries --endpoint {name}")


def deliveries(
    *,
    config: ConfigFile = DEFAULT,
    endpoint: OfEndpoint = None,
    state: InState = None,
    last: Last = 50,
    as_json: AsJson = False,
) -> None:
    """List deliveries, the newest first: those that wait, were made, or were given up (dead)."""
    from mft.webhooks.outbox import check_state  # noqa: PLC0415  keeps `mft --help` quick

    try:
        wanted = None if state is None else check_state(state)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with _opened(config) as (_, outbox):
        found = outbox.deliveries(endpoint=endpoint, state=wanted, limit=last)
    if as_json:
        show_json([each.to_dict() for each in found])
        return
    heads = ("DELIVERY", "ENDPOINT", "TYPE", "CASE", "STATE", "ATTEMPTS", "STATUS", "DUE", "ERROR")
    show_table(heads, [_delivery_row(each) for each in found])


def _delivery_row(each: Delivery) -> Sequence[str]:
    due = each.due.isoformat(timespec="seconds") if each.state == "waiting" else "-"
    status = "-" if each.status is None else str(each.status)
    told = (each.case or "-", each.state, str(each.attempts), status, due, each.error or "-")
    return (str(each.number), each.endpoint, each.type, *told)


def redeliver(
    number: Number = None, *, config: ConfigFile = DEFAULT, dead: Dead = False, endpoint: OfEndpoint = None
) -> None:
    """Send a delivery again, or with --dead everything that was given up."""
    if (number is None) != dead:
        raise typer.BadParameter("name one delivery, or give --dead")
    with _opened(config) as (_, outbox):
        if number is not None:
            made = outbox.redeliver(number, by=actor())
            typer.echo(f"delivery {made.number}: {made.state}")
        else:
            count = outbox.redeliver_dead(endpoint, by=actor())
            typer.echo(f"{count} deliveries are sent again")


def events() -> None:
    """List the types of events that there are."""
    from mft.config.webhooks import EVENT_TYPES  # noqa: PLC0415  keeps `mft --help` quick

    typer.echo("\n".join(EVENT_TYPES))


def secret() -> None:
    """Make a secret, for a file that the configuration names (webhooks.incoming or an endpoint of its own)."""
    from mft.webhooks.signature import new_secret, secret_text  # noqa: PLC0415  keeps `mft --help` quick

    typer.echo(secret_text(new_secret()))


def _show_secret(made: MadeEndpoint, *, as_json: bool) -> None:
    if as_json:
        show_json(made.endpoint.to_dict() | {"secret": made.secret})
        return
    typer.echo(made.secret)
    typer.echo(f"endpoint {made.endpoint.name}: its receiver checks signatures with this; not shown again", err=True)
