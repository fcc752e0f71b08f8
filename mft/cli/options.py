"""Options that several commands have, and what they stand for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mft.config import Config

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", envvar="MFT_CONFIG", metavar="FILE", help="The configuration file.")
]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]
Reason = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why; it stands in the audit.")]
Releaser = Annotated[str, typer.Option("--login", metavar="LOGIN", help="Who you are: a login with the role releaser.")]


def load(path: Path) -> Config:
    """Load the configuration with this process's environment.

    Raises:
        ConfigError: with every fault.
    """
    from mft.config import load_config  # noqa: PLC0415  keeps `mft --help` quick

    return load_config(path, os.environ)
