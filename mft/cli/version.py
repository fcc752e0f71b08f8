"""`mft version`."""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


def version() -> None:
    """Show which version this is."""
    typer.echo(f"mft {version_of('mft')} (Python {platform.python_version()})")
