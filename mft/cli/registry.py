"""What `mft case` and `mft customer` share: the registry behind a configuration, and the fields of its records."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options
from mft.cli.ledger import open_ledger

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mft.registry import Journal

HomeRegion = Annotated[
    str | None, typer.Option("--home-region", metavar="REGION", help="Where its uploads land and stay.")
]
Clear = Annotated[
    list[str] | None, typer.Option("--clear", metavar="FIELD", help="Take this field away; may be repeated.")
]
After = Annotated[str | None, typer.Option("--after", metavar="NAME", help="Begin behind this one.")]
Limit = Annotated[int, typer.Option("--limit", metavar="N", min=1, help="At most so many.")]
AsJson = options.AsJson
PAGE = 1000


class RegistryUnusedError(Exception):
    """The configuration takes customers and cases from somewhere else."""


@contextlib.contextmanager
def open_registry(path: Path) -> Iterator[Journal]:
    """Yield what the registry of the configuration at *path* is written through. The server may run meanwhile.

    Raises:
        RegistryUnusedError: customers and cases come from somewhere else.
        ConfigError, ForeignDataError, CredentialError: see `open_ledger`.
    """
    from mft.registry import Journal  # noqa: PLC0415  keeps `mft --help` quick

    with open_ledger(path) as (config, ledger, _):
        if config.lookup.type != "registry":
            raise RegistryUnusedError(
                f"{path}: customers and cases come from elsewhere (lookup.type is {config.lookup.type}); "
                "set lookup.type to registry to keep them here"
            )
        yield Journal(database=ledger.database, trail=ledger.audit, regions=tuple(config.regions))


def given(fields: Mapping[str, object], clear: list[str] | None = None) -> dict[str, object]:
    """Return the fields that were given, and null for those to *clear*.

    Raises:
        typer.BadParameter: a field is given and cleared.
    """
    chosen = {name: value for name, value in fields.items() if value is not None and value != []}
    for name in clear or ():
        field = name.replace("-", "_")
        if field in chosen:
            raise typer.BadParameter(f"--clear {name} contradicts the value given for it")
        chosen[field] = None
    return chosen
