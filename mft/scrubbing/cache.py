"""Where what is compiled from the scrubber's rules is kept between runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


def rules_folder(environment: Mapping[str, str]) -> Path | None:
    """Give `mft` in the user's cache directory (XDG Base Directory Specification), None where there is no such user."""
    base = environment.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "mft"
    home = environment.get("HOME", "")
    return Path(home) / ".cache" / "mft" if home.startswith("/") else None
