"""`mft grant`: the cases that accounts of staff are limited to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, moment, open_ledger, show_json, show_table

if TYPE_CHECKING:
    from casemap.model import CaseGrant
    from mft.auth.grants import GivenGrant
    from mft.auth.ledger import Ledger
    from mft.config.model import Config

ConfigFile = options.ConfigPath
Login = Annotated[str, typer.Argument(metavar="LOGIN", help="The login of a local account.")]
OneLogin = Annotated[str | None, typer.Argument(metavar="[LOGIN]", help="Of this account alone.")]
Customer = Annotated[str | None, typer.Option("--customer", metavar="ID", help="The cases of this customer.")]
OneCase = Annotated[str | None, typer.Option("--case", metavar="CASE", help="This case alone.")]
Clearance = Annotated[
    int | None, typer.Option("--clearance", metavar="N", help="In place of the account's own there, 0 to 100.")
]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(
        help="The customers and cases that engineers are limited to.", no_args_is_help=True, rich_markup_mode=None
    )
    group.command("add")(add)
    group.command("remove")(remove)
    group.command("lift")(lift)
    group.command("list")(list_grants)
    app.add_typer(group, name="grant")


def add(
    login: Login,
    *,
    config: ConfigFile = DEFAULT,
    customer: Customer = None,
    case: OneCase = None,
    clearance: Clearance = None,
) -> None:
    """Let an account see a customer's cases, or one case, and from now on nothing that no grant names."""
    from mft.auth.grants import Grants  # noqa: PLC0415  keeps `mft --help` quick

    grant = _grant(customer, case, clearance)
    with open_ledger(config) as (settings, ledger, _):
        _check_there(settings, ledger, grant)
        Grants(ledger).add(login, grant, by=actor())
    typer.echo(f"{login}: sees {_words(grant)}; its sessions end, so that the next ones have it")


def remove(login: Login, *, config: ConfigFile = DEFAULT, customer: Customer = None, case: OneCase = None) -> None:
    """Take a grant away. The account stays limited: without any grant it sees no case."""
    from mft.auth.grants import Grants  # noqa: PLC0415  keeps `mft --help` quick

    grant = _grant(customer, case, None)
    with open_ledger(config) as (_, ledger, _):
        Grants(ledger).remove(login, grant, by=actor())
        left = len(Grants(ledger).list(login))
    typer.echo(f"{login}: no more {_words(grant)}; {left} grants are left")


def lift(login: Login, *, config: ConfigFile = DEFAULT) -> None:
    """Take all grants and the limit away: the account sees what its clearance and regions let it see."""
    from mft.auth.grants import Grants  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        Grants(ledger).lift(login, by=actor())
    typer.echo(f"{login}: not limited any more")


def list_grants(login: OneLogin = None, *, config: ConfigFile = DEFAULT, as_json: AsJson = False) -> None:
    """List who is limited to what."""
    from mft.auth.grants import Grants  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(config) as (_, ledger, _):
        grants = Grants(ledger)
        given, limited = grants.list(login), grants.limited()
    empty = sorted(
        limited - {each.login for each in given} if login is None else limited & {login} if not given else ()
    )
    if as_json:
        show_json([*map(_document, given), *({"login": each, "customer": None, "case": None} for each in empty)])
        return
    rows = [
        (
            each.login,
            each.grant.customer or "-",
            each.grant.case or "all",
            "-" if each.grant.clearance is None else str(each.grant.clearance),
            moment(each.created) or "-",
            each.created_by,
        )
        for each in given
    ]
    heads = ("LOGIN", "CUSTOMER", "CASE", "CLEARANCE", "SINCE", "BY")
    show_table(heads, [*rows, *((each, "none", "none", "-", "-", "-") for each in empty)])


def _grant(customer: str | None, case: str | None, clearance: int | None) -> CaseGrant:
    from casemap.identifier import CaseNumber, CustomerId  # noqa: PLC0415  keeps `mft --help` quick
    from casemap.model import CaseGrant  # noqa: PLC0415

    if customer is None and case is None:
        raise typer.BadParameter("name --customer, --case, or both")
    return CaseGrant(
        customer=None if customer is None else CustomerId(customer),
        case=None if case is None else CaseNumber(case),
        clearance=clearance,
    )


def _check_there(config: Config, ledger: Ledger, grant: CaseGrant) -> None:
    """Refuse a customer or a case that there is not; where the case system does not answer, go on and say so."""
    from casemap.errors import CaseMapError, RecordNotFoundError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.lookups import close_adapter, open_adapter  # noqa: PLC0415

    lookup = open_adapter(config.lookup, ledger.database)
    try:
        if grant.customer is not None:
            lookup.customer(grant.customer)
        if grant.case is not None:
            found = lookup.case(grant.case)
            if grant.customer not in {None, found.customer}:
                raise typer.BadParameter(f"the case {grant.case} is no case of the customer {grant.customer}")
    except RecordNotFoundError as error:
        raise typer.BadParameter(f"{error}: {grant.case or grant.customer}") from error
    except CaseMapError as error:
        typer.echo(f"not checked, the case system does not answer: {error}", err=True)
    finally:
        close_adapter(lookup)


def _words(grant: CaseGrant) -> str:
    whose = f" of {grant.customer}" if grant.customer else ""
    level = "" if grant.clearance is None else f" at clearance {grant.clearance}"
    return f"the case {grant.case}{whose}{level}" if grant.case else f"the cases{whose}{level}"


def _document(given: GivenGrant) -> dict[str, object]:
    return {
        "login": given.login,
        "customer": given.grant.customer,
        "case": given.grant.case,
        "clearance": given.grant.clearance,
        "created": moment(given.created),
        "created_by": given.created_by,
    }
