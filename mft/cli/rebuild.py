"""`mft rebuild`: a catalog from what the stores hold, or what it lacks of that."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, check_regions, printable, show_json, show_table
from mft.cli.verify import open_parts

if TYPE_CHECKING:
    from mft.rebuilding.gathering import Found, Passed
    from mft.server.parts import Parts

LEFT = 3
"""Exit code: something was passed over."""
ConfigFile = options.ConfigPath
Regions = Annotated[
    list[str] | None, typer.Option("--region", metavar="REGION", help="Of this region alone; may be given again.")
]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be entered; change nothing.")]
AsJson = options.AsJson


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rebuild")(rebuild)


def rebuild(
    *, config: ConfigFile = DEFAULT, region: Regions = None, dry_run: Dry = False, as_json: AsJson = False
) -> None:
    """Enter into the catalog every stored object that it does not know; where there is no catalog, make one.

    Slots name each object's case, customer, sender, path, version, sizes and digests, and carry the case's wrapped
    keys. They do not tell of accounts, tokens, the audit, renames and deletions after an object was stored, nor of
    what was not stored yet. Stop the server first. Exit code 3: something was passed over, and it says why.
    """
    with open_parts(config) as (settings, parts, locked):
        check_regions(settings, region or [])
        regions = tuple(each for each in region or settings.regions if each not in locked)
        taken, passed = adopt(parts, regions, by=actor(), dry=dry_run)
    if as_json:
        show_json(
            {
                "entered": [
                    {"object": each.key, "case": each.facts["case"], "regions": sorted(each.slots)} for each in taken
                ],
                "passed": [{"object": each.key, "why": each.why} for each in passed],
                "locked": locked,
            }
        )
    else:
        if passed:
            show_table(("OBJECT", "PASSED OVER BECAUSE"), [(each.key, each.why) for each in passed])
        for name, why in locked.items():
            typer.echo(f"mft: {name} was not looked into: {printable(why)}", err=True)
        word = "would be entered" if dry_run else "entered"
        typer.echo(f"{len(taken)} objects {word}, {len(passed)} passed over", err=True)
    raise typer.Exit(LEFT if passed or locked else 0)


def adopt(parts: Parts, regions: tuple[str, ...], *, by: str, dry: bool = False) -> tuple[list[Found], list[Passed]]:
    """Enter what *regions* hold and the catalog does not know; see `mft.rebuilding.adoption.Adoption.run`."""
    from mft.rebuilding.adoption import Adoption  # noqa: PLC0415
    from mft.rebuilding.gathering import Gathering  # noqa: PLC0415
    from mft.receipts import sign_receipt  # noqa: PLC0415  keeps `mft --help` quick
    from mft.verification.examination import Examiner  # noqa: PLC0415

    return Adoption(
        database=parts.database,
        trail=parts.trail,
        gathering=Gathering(parts.stores, Examiner(stores=parts.stores, keys=parts.keys)),
        sign=functools.partial(sign_receipt, key=parts.credentials.receipt_key),
        installation=parts.config.installation,
        host=parts.node,
    ).run(regions, by=by, dry=dry)
