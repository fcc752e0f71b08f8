"""The command line.

One module a command. Each has a `register(app)`, and imports what is heavy inside its functions, so that `mft --help`
stays quick. Whoever adds a command adds its module to `_COMMANDS`.
"""

from __future__ import annotations

import typer

from mft.cli import (
    audit,
    case,
    casesystem,
    config,
    customer,
    demo,
    hold,
    key,
    lifecycle,
    lookup,
    quarantine,
    receipt,
    role,
    scrub,
    serve,
    token,
    unfiled,
    unseal,
    user,
    version,
    webhook,
)
from mft.cli.failure import reporting_failures

_COMMANDS = (
    audit,
    case,
    casesystem,
    config,
    customer,
    demo,
    hold,
    key,
    lifecycle,
    lookup,
    quarantine,
    receipt,
    role,
    scrub,
    serve,
    token,
    unfiled,
    unseal,
    user,
    version,
    webhook,
)

app = typer.Typer(
    name="mft",
    help="Managed file transfer for support organisations.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in _COMMANDS:
    _command.register(app)


def main() -> None:
    """Run the command line of this process.

    Exit codes: 0 done; 1 a failure that is named on standard error; 2 wrong usage; others are named by their command.
    """
    with reporting_failures():
        app()
