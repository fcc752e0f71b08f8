"""The reverse map of `mft scrub`: written, sealed, beside what was scrubbed."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import typer

from mft.cli.output import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.cli.scrubfile import Task


@contextlib.contextmanager
def recording(task: Task, path: Path | None, key: Path | None) -> Iterator[Task]:
    """Yield *task* so that it takes down what pseudonyms stand for; write that to *path* when the block ends well.

    Something that was held back (an exit of typer's) is no reason not to write it: the rest was scrubbed.
    """
    from scrubber.reversal import SEALED_FOR, ReverseMap  # noqa: PLC0415  keeps `mft --help` quick
    from storage.errors import UnknownFormatError  # noqa: PLC0415
    from storage.recipient import read_public_key, seal_to  # noqa: PLC0415

    if path is None or key is None:
        raise typer.BadParameter("--reverse-map FILE and --reverse-key PUBLIC-KEY go together")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is no ordinary file")
    if path.resolve() in {task.source.resolve(), task.target.resolve()}:
        raise typer.BadParameter(f"{path} is SRC or DST; the map needs a file of its own")
    try:
        public = read_public_key(key.read_bytes())
    except OSError as error:
        raise typer.BadParameter(f"{key}: {error.strerror}") from error
    except UnknownFormatError as error:
        raise typer.BadParameter(f"{key}: {error}") from error
    reverse = ReverseMap()
    held_back: typer.Exit | None = None
    try:
        yield replace(task, reverse=reverse, jobs=1)
    except typer.Exit as error:
        held_back = error
    with whole_file(path) as file:
        file.write(seal_to(public, reverse.to_bytes(), context=SEALED_FOR))
    typer.echo(f"mft: {path}: what {len(reverse):,} pseudonyms stand for, sealed to {key}", err=True)
    if held_back is not None:
        raise held_back
