"""What a client may ask to have executed: digests, legacy scp, and the questions of programs that look for a shell.

There is no shell, and nothing is executed: a command's words are taken apart here, and what they ask is done by this
server on its own tree. Every other command is refused.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TypeAlias

from protocols.sftp.digests import ALGORITHMS

MAX_COMMAND = 16 * 1024
_SHELL_PROBE = "echo ${ShellId}%ComSpec%"
"""By its answer rclone tells shells apart; one like sh's lets it ask for digests."""
_SHELL_ANSWER = "%ComSpec%\n"
_SUMS = {f"{name}sum": name for name in ALGORITHMS}
_LOOKS = (("type",), ("which",), ("command", "-v"))


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestCommand:
    """`sha256sum PATH...`; without a path of what comes in, or of *given*."""

    program: str
    algorithm: str
    paths: tuple[str, ...] = ()
    given: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpCommand:
    """`scp -t` (to here) or `scp -f` (from here), as the other end of a legacy `scp` starts it."""

    to_here: bool
    paths: tuple[str, ...]
    recursive: bool = False
    keeps_times: bool = False
    into_directory: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SayCommand:
    """Something that has one answer."""

    text: str
    status: int = 0


Command: TypeAlias = "DigestCommand | ScpCommand | SayCommand"


def parse_command(command: str) -> Command | None:
    """Return what *command* asks for; None: it is refused."""
    if len(command) > MAX_COMMAND:
        return None
    if command.strip() == _SHELL_PROBE:
        return SayCommand(text=_SHELL_ANSWER)
    words = _words(command)
    found: Command | None = None
    match words:
        case ["echo", *said, "|", program] if program in _SUMS and not any(map(_is_operator, said)):
            given = " ".join(said).encode() + b"\n"
            found = DigestCommand(program=program, algorithm=_SUMS[program], given=given)
        case _ if any(map(_is_operator, words)):
            pass
        case ["scp", *arguments]:
            found = _scp(arguments)
        case [program, *arguments] if program in _SUMS:
            found = _digest(program, arguments)
        case [*look, program] if tuple(look) in _LOOKS:
            known = program in _SUMS or program == "scp"
            found = SayCommand(text=f"{program}\n" if known else "", status=0 if known else 1)
    return found


def _words(command: str) -> list[str]:
    """Return the words of *command* as sh parts and unquotes them, operators by themselves; none where that fails."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:  # a quote that does not end
        return []


def _is_operator(word: str) -> bool:
    return bool(word) and set(word) <= set("();<>|&")


def _digest(program: str, arguments: list[str]) -> Command | None:
    options, paths = _parted(arguments)
    if options - set("bt"):
        return None
    return DigestCommand(program=program, algorithm=_SUMS[program], paths=tuple(paths))


def _scp(arguments: list[str]) -> Command | None:
    options, paths = _parted(arguments)
    ways = options & set("tf")
    if options - set("tfrpdvq") or len(ways) != 1 or not paths or ("t" in options and len(paths) != 1):
        return None
    return ScpCommand(
        to_here="t" in options,
        paths=tuple(paths),
        recursive="r" in options,
        keeps_times="p" in options,
        into_directory="d" in options,
    )


def _parted(arguments: list[str]) -> tuple[set[str], list[str]]:
    """Return the letters of all options, and what is none."""
    options: set[str] = set()
    for place, word in enumerate(arguments):
        if word == "--":
            return options, arguments[place + 1 :]
        if not word.startswith("-") or word == "-":
            return options, arguments[place:]
        options |= set(word[1:])
    return options, []
