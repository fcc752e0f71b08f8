"""`mft demo`."""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli.failure import INTERRUPTED, reporting_failures

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mft.demo.programs import Ran

Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Where it keeps everything.")]
Once = Annotated[bool, typer.Option("--once", help="End after the story; exit code 1 if a step failed.")]
Keep = Annotated[bool, typer.Option("--keep", help="Serve what the last demo left, without the story.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("demo")(demo)


def demo(*, once: Once = False, keep: Keep = False, data: Data = Path("var/demo")) -> None:
    """Show the whole house on this machine with the real sftp and curl, then keep serving until Ctrl-C."""
    from mft.demo.command import run_demo  # noqa: PLC0415  keeps `mft --help` quick

    raise typer.Exit(run_demo(data, once=once, keep=keep, mft=run_here))


def run_here(words: Sequence[str], given: str) -> Ran:
    """Run a command of this very program in this process: what it imports is imported once."""
    from mft.cli import build  # noqa: PLC0415  it knows this module
    from mft.demo.programs import Ran  # noqa: PLC0415  keeps `mft --help` quick

    output, errors, code = io.StringIO(), io.StringIO(), 0
    before, sys.stdin = sys.stdin, io.StringIO(given)
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors), reporting_failures():
            build(words[0])(list(words))
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    finally:
        sys.stdin = before
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return Ran(code=code, output=output.getvalue(), errors=errors.getvalue())
