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


def load(path: Path) -> Config:
    """Load the configuration with this process's environment.

    Raises:
        ConfigError: with every fault.
    """
    from mft.config import load_config  # noqa: PLC0415  keeps `mft --help` quick

    return load_config(path, os.environ)
