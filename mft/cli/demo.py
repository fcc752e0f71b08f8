"""`mft demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Where it keeps everything.")]
Once = Annotated[bool, typer.Option("--once", help="End after the story; exit code 1 if a step failed.")]
Keep = Annotated[bool, typer.Option("--keep", help="Serve what the last demo left, without the story.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(*, once: Once = False, keep: Keep = False, data: Data = Path("var/demo")) -> None:
    """Show the whole house on this machine with the real sftp and curl, then keep serving until Ctrl-C."""
    from mft.demo.command import run_demo  # noqa: PLC0415  keeps `mft --help` quick

    raise typer.Exit(run_demo(data, once=once, keep=keep))
