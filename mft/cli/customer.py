"""`mft customer`: the customers of the built-in registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, show_json, show_table
from mft.cli.registry import PAGE, After, AsJson, Clear, HomeRegion, Limit, given, open_registry

if TYPE_CHECKING:
    from mft.registry import CustomerEntry

ConfigFile = options.ConfigPath
CustomerId = Annotated[str, typer.Argument(metavar="ID", help="The customer's id.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Its name: the folder that engineers see.")]
NewName = Annotated[str | None, typer.Option("--name", metavar="NAME", help="Its name.")]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="TAG", help="A word for your rules; may be repeated.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Customers of the built-in registry.", no_args_is_help=True, rich_markup_mode=None)
    for command in (add, change, show, remove):
        group.command(command.__name__)(command)
    group.command("list")(list_customers)
    app.add_typer(group, name="customer")


def add(
    customer: CustomerId,
    name: Name,
    *,
    config: ConfigFile = DEFAULT,
    home_region: HomeRegion = None,
    tags: Tags = None,
) -> None:
    """Add a customer."""
    from mft.registry import CustomerRegister  # noqa: PLC0415  keeps `mft --help` quick

    record = given({"id": customer, "name": name, "home_region": home_region, "tags": tags})
    with open_registry(config) as journal:
        entry = CustomerRegister(journal).add(record, by=actor())
    typer.echo(f"{entry.customer.id}: added")


def change(
    customer: CustomerId,
    *,
    config: ConfigFile = DEFAULT,
    name: NewName = None,
    home_region: HomeRegion = None,
    tags: Tags = None,
    clear: Clear = None,
) -> None:
    """Change a customer's name, home region or tags; sessions see it at once."""
    from mft.registry import CustomerRegister  # noqa: PLC0415  keeps `mft --help` quick

    changes = given({"name": name, "home_region": home_region, "tags": tags}, clear)
    with open_registry(config) as journal:
        entry = CustomerRegister(journal).change(customer, changes, by=actor())
    typer.echo(f"{entry.customer.id}: revision {entry.revision}")


def show(customer: CustomerId, *, config: ConfigFile = DEFAULT) -> None:
    """Show a customer as JSON."""
    from mft.registry import CustomerRegister  # noqa: PLC0415  keeps `mft --help` quick

    with open_registry(config) as journal:
        show_json(_document(CustomerRegister(journal).get(customer)))


def remove(
    customer: CustomerId,
    *,
    config: ConfigFile = DEFAULT,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Remove a customer that never had a case."""
    from mft.registry import CustomerRegister  # noqa: PLC0415  keeps `mft --help` quick

    with open_registry(config) as journal:
        register = CustomerRegister(journal)
        entry = register.get(customer)
        if not yes:
            typer.confirm(f"Remove the customer {entry.customer.id}?", abort=True)
        register.remove(customer, by=actor())
    typer.echo(f"{customer}: removed")


def list_customers(
    *, config: ConfigFile = DEFAULT, after: After = None, limit: Limit = PAGE, as_json: AsJson = False
) -> None:
    """List customers by id."""
    from mft.registry import CustomerRegister  # noqa: PLC0415  keeps `mft --help` quick

    entries: list[CustomerEntry] = []
    with open_registry(config) as journal:
        register = CustomerRegister(journal)
        while len(entries) < limit:
            page = register.list(after=after, limit=min(PAGE, limit - len(entries)))
            entries += page.items
            after = page.next_cursor
            if after is None:
                break
    if as_json:
        show_json([_document(entry) for entry in entries])
    else:
        show_table(
            ("ID", "NAME", "HOME", "TAGS"),
            [
                (
                    entry.customer.id,
                    entry.customer.name,
                    entry.customer.home_region or "-",
                    ", ".join(sorted(entry.customer.tags)) or "-",
                )
                for entry in entries
            ],
        )
    if after is not None:
        typer.echo(f"more follow: --after {after}", err=True)


def _document(entry: CustomerEntry) -> dict[str, object]:
    return {
        **entry.record,
        "revision": entry.revision,
        "created": moment(entry.created),
        "updated": moment(entry.updated),
    }
