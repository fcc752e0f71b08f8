"""`mft version`."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("version")(version)


def show_and_end(asked: bool) -> None:  # noqa: FBT001  typer hands it over so
    """Answer `mft --version`, as `mft version` does, where it was *asked*."""
    if asked:
        version()
        raise typer.Exit


def version() -> None:
    """Show which version this is."""
    import platform  # noqa: PLC0415  keeps `mft --help` quick
    from importlib.metadata import version as version_of  # noqa: PLC0415

    typer.echo(f"mft {version_of('mft')} (Python {platform.python_version()})")
