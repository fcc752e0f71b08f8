"""Passwords on their way in: from the terminal, a file or standard input; never as an argument, which all can see."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Annotated

import typer

PasswordFile = Annotated[
    Path | None,
    typer.Option("--password-file", metavar="FILE", help="Read the password from FILE, its first line."),
]
PasswordStdin = Annotated[bool, typer.Option("--password-stdin", help="Read the password from standard input.")]


class OpenSecretError(Exception):
    """A file with a password in it is open to everyone."""


def read_password(file: Path | None, *, from_stdin: bool, prompt: str) -> str:
    """Return the password, asked for twice where it is typed.

    Raises:
        typer.BadParameter: it is given both ways, or not at all and there is no terminal to ask at.
        OpenSecretError: everyone could have read the file.
    """
    if file is not None and from_stdin:
        raise typer.BadParameter("give the password by --password-file or by --password-stdin, not both")
    if file is not None:
        mode = file.stat().st_mode
        if stat.S_ISREG(mode) and mode & stat.S_IROTH:
            raise OpenSecretError(f"{file}: everyone can read it; change that (chmod 600) and choose another password")
        return _first_line(file.read_text(encoding="utf-8"))
    if from_stdin:
        return _first_line(sys.stdin.read())
    if not sys.stdin.isatty():
        raise typer.BadParameter("no terminal to ask for a password at; use --password-file or --password-stdin")
    answer: str = typer.prompt(prompt, hide_input=True, confirmation_prompt=True)
    return answer


def ask_passphrase(region: str, *, new: bool = False) -> str | None:
    """Return the passphrase of a region's keyring; None where none comes.

    It is asked for at the terminal, twice for a *new* one; where there is none it is a line of standard input.
    """
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n") or None
    prompt = f"Passphrase of the keyring of {region}"
    answer: str = typer.prompt(prompt, hide_input=True, err=True, confirmation_prompt=new)
    return answer


def _first_line(text: str) -> str:
    return text.splitlines()[0] if text else ""
