"""What the demo says: numbered steps, what was typed, the telling line of what came back, and whether it is right."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable

_WIDTH = 116
_BOLD, _DIM, _GREEN, _RED, _PLAIN = "\033[1m", "\033[2m", "\033[32m", "\033[31m", "\033[0m"
_ASCII = str.maketrans({"✓": "+", "✗": "X", "→": "->", "…": "...", "—": "-", "·": "|", "“": '"', "”": '"'})


class StepFailedError(Exception):
    """A step did not go as the story has it; says what was seen instead."""


@dataclass(slots=True)
class Narrator:
    """Writes to a terminal, a file or a pipe."""

    out: TextIO
    failures: list[str] = field(default_factory=list)
    """Titles of the steps that failed."""

    def step(self, number: int, title: str, play: Callable[[], None]) -> None:
        """Play one step; a failure is told and counted, and the next step may still go well."""
        began = time.monotonic()
        self._write(f"{number:>2}  {title}", _BOLD)
        try:
            play()
        except StepFailedError as error:
            self.failures.append(title)
            self._write(f"    ✗ {error}", _RED)
        except Exception as error:  # noqa: BLE001  the border of a step: the others are to be seen too
            self.failures.append(title)
            self._write(f"    ✗ {type(error).__name__}: {error}", _RED)
        if (took := time.monotonic() - began) > 5:
            self._write(f"      ({took:.0f} s)", _DIM)

    def typed(self, command: str) -> None:
        """Show a command as it was typed, cut to the width of a screen."""
        self._write(_cut(f"    $ {command}"), _DIM)

    def told(self, line: str) -> None:
        """Show a line that came back."""
        self._write(_cut(f"      {line}"), "")

    def proved(self, what: str) -> None:
        """Tell what is shown to be so."""
        self._write(f"    ✓ {what}", _GREEN)

    def say(self, line: str = "") -> None:
        """Write a line of its own."""
        self._write(line, "")

    def head(self, line: str) -> None:
        """Write a heading."""
        self._write(line, _BOLD)

    def _write(self, line: str, colour: str) -> None:
        if "utf" not in (self.out.encoding or "").lower():
            line = line.translate(_ASCII).encode("ascii", "replace").decode()
        if colour and self.out.isatty() and "NO_COLOR" not in os.environ:
            line = f"{colour}{line}{_PLAIN}"
        self.out.write(line + "\n")
        self.out.flush()


def _cut(line: str) -> str:
    return line if len(line) <= _WIDTH else line[: _WIDTH - 1] + "…"


def expect(seen: object, otherwise: str) -> None:
    """Go on if *seen* is so.

    Raises:
        StepFailedError: with *otherwise*.
    """
    if not seen:
        raise StepFailedError(otherwise)
