"""The command line.

One module a command. Each has a `register(app)`, and imports what is heavy inside its functions, so that `mft --help`
stays quick. Whoever adds a command adds its name and module to `_COMMANDS`. A process imports the module of the command
that it was asked for alone; to tell what there is, all of them.
"""

from __future__ import annotations

import importlib
import sys
from typing import Annotated

import typer

from mft.cli.failure import reporting_failures
from mft.cli.version import show_and_end

_COMMANDS = {
    "audit": "audit",
    "backup": "backup",
    "break-glass": "breakglass",
    "case": "case",
    "case-system": "casesystem",
    "config": "config",
    "customer": "customer",
    "demo": "demo",
    "get": "get",
    "grant": "grant",
    "hold": "hold",
    "key": "key",
    "keys": "keys",
    "lifecycle": "lifecycle",
    "lookup": "lookup",
    "put": "put",
    "quarantine": "quarantine",
    "quota": "quota",
    "rebuild": "rebuild",
    "receipt": "receipt",
    "rescan": "rescan",
    "residency": "residency",
    "restore": "restore",
    "reverse": "reverse",
    "role": "role",
    "scrub": "scrub",
    "serve": "serve",
    "shred": "shred",
    "token": "token",
    "unfiled": "unfiled",
    "unseal": "unseal",
    "user": "user",
    "verify": "verify",
    "version": "version",
    "webhook": "webhook",
}
"""What a person types, and the module that has it."""


def build(asked: str | None = None) -> typer.Typer:
    """Build the command line with the command *asked* for; with every command where there is none of that name."""
    app = typer.Typer(
        name="mft",
        help="Managed file transfer for support organisations.",
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_be_group)
    for name in [asked] if asked in _COMMANDS else _COMMANDS:
        importlib.import_module(f"mft.cli.{_COMMANDS[name]}").register(app)
    return app


def _be_group(
    *,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=show_and_end, help="Show which version this is.")
    ] = False,
) -> None:
    """Keep the command's name in the command line: with one command alone, typer would do without."""


def main() -> None:
    """Run the command line of this process.

    Exit codes: 0 done; 1 a failure that is named on standard error; 2 wrong usage; others are named by their command.
    """
    with reporting_failures():
        build(sys.argv[1] if len(sys.argv) > 1 else None)()
