"""Where the directories of an installation are, and making them."""

from __future__ import annotations

import contextlib
import errno
import secrets
from typing import TYPE_CHECKING

from storage.durable import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from mft.config.model import Config


def make_directories(config: Config) -> None:
    """Make the directories that the configuration names, closed to other users."""
    for directory in (config.data, config.catalog.path.parent, *_region_directories(config)):
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except FileExistsError as error:
            raise NotADirectoryError(errno.ENOTDIR, "it should be a directory; move it away", str(directory)) from error


def _region_directories(config: Config) -> list[Path]:
    directories: list[Path] = []
    for name, region in config.regions.items():
        directories += [region.landing, region.keyring.path.parent, scratch_directory(config, name)]
        if region.store.bucket is None:
            directories.append(region.store.path)
    return directories


def scratch_directory(config: Config, region: str) -> Path:
    """Return where the scrub children of a region put sealed scratch files: within the region."""
    return config.regions[region].landing / "scratch"


def node_name(config: Config) -> str:
    """Return the name of the node that this data belongs to, which says whose landing zone an upload is in.

    It lies with the data and not in the machine's name: a container has another one each time, and data move house.
    """
    path = config.data / "node"
    if not path.exists():
        with contextlib.suppress(FileExistsError):  # another process was as quick
            write_file(path, f"node-{secrets.token_hex(8)}\n".encode(), replace=False)
    return path.read_text(encoding="ascii").strip()
