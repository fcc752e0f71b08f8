"""The key of `mft scrub`: from a file, made where it is not there, or random for one run."""

from __future__ import annotations

import os
import secrets
import stat
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

KEY_BYTES = 16
"""Shortest key."""


def load_key(path: Path | None) -> bytes:
    """Return the key in *path*, which is made if it is not there; a random one without a path.

    Raises:
        typer.BadParameter: it cannot be read or made, or is too short.
    """
    if path is None:
        typer.echo("mft: the key is random for this run; for the same pseudonyms again, use --key-file", err=True)
        return secrets.token_bytes(32)
    try:
        key = _made(path) or path.read_bytes().strip()
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error
    if len(key) < KEY_BYTES:
        raise typer.BadParameter(f"{path} holds {len(key)} bytes; a key has {KEY_BYTES} or more")
    if others:
        typer.echo(f"mft: others can read {path}; whoever has it can test guesses against the pseudonyms", err=True)
    return key


def _made(path: Path) -> bytes | None:
    """Make the key file, for its owner alone; None if it is there already."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    key = secrets.token_hex(32).encode()
    with os.fdopen(fd, "wb") as file:
        file.write(key + b"\n")
        file.flush()
        os.fsync(file.fileno())
    typer.echo(f"mft: made a new key in {path}; keep it for as long as pseudonyms should stay the same", err=True)
    return key
