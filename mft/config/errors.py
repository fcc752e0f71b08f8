"""What is wrong with a configuration, every fault of it at once.

ConfigError          the configuration cannot be used; holds every fault that was found
└── SecretFileError  a file that a secret should come from cannot be used
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong, and where."""

    file: str
    path: str
    """The key, as in `regions.eu.store.path` or `listeners[0].port`; empty for the file itself."""
    expected: str
    problem: str = ""
    """What is wrong, where that is not plain from what is expected: `is missing`."""
    found: str = ""
    """What stands there instead, as the file has it; never a secret's value."""
    nearest: str = ""
    """The key that was probably meant."""
    line: int | None = None
    """Counted from 1; None where the key is not in the file."""

    def __str__(self) -> str:
        """Say it in one line, file and line first, as compilers do."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        text = f"{place}: {self.path}: " if self.path else f"{place}: "
        text += f"{self.problem}; " if self.problem else ""
        text += f"expected {self.expected}"
        if self.found:
            text += f"; found {self.found}"
        if self.nearest:
            text += f"; did you mean {self.nearest}?"
        return text


class ConfigError(Exception):
    """The configuration cannot be used."""

    def __init__(self, faults: tuple[Fault, ...]) -> None:
        """Hold every fault; there is at least one."""
        super().__init__("\n".join(str(fault) for fault in faults))
        self.faults = faults


class SecretFileError(ConfigError):
    """A file that a secret should come from is missing, empty or open to everyone."""
