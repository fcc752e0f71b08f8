"""What every step of the story has at hand."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from mft.demo.narration import StepFailedError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from mft.demo.bundle import Planted
    from mft.demo.cast import Cast
    from mft.demo.clients import Clients
    from mft.demo.ground import Ground
    from mft.demo.narration import Narrator
    from mft.demo.servers import Servers

T = TypeVar("T")
PATIENCE_SECONDS = 30.0
_POLL_SECONDS = 0.1


@dataclass(slots=True, kw_only=True)
class Scene:
    """The stage, and what earlier steps left on it."""

    ground: Ground
    cast: Cast
    clients: Clients
    servers: Servers
    narrator: Narrator
    planted: Planted | None = None
    receipts: dict[str, str] = field(default_factory=dict)
    """Ids of receipts by the name of what was sent."""

    @property
    def marks(self) -> dict[str, str]:
        """What was planted, by kind.

        Raises:
            StepFailedError: nothing was planted.
        """
        if self.planted is None:
            raise StepFailedError("nothing was planted: the first step failed")
        return dict(self.planted.marks)

    def events(self, kind: str, **wanted: object) -> list[dict[str, Any]]:
        """Return the audit's events of a kind that hold the values *wanted*, in the order of their chains."""
        with contextlib.closing(sqlite3.connect(f"{self.ground.catalog.as_uri()}?mode=ro", uri=True)) as catalog:
            rows = catalog.execute("SELECT body FROM audit_event ORDER BY chain, position").fetchall()
        told = (json.loads(body) for (body,) in rows)
        return [
            event
            for event in told
            if event["kind"] == kind and all(event.get(name) == value for name, value in wanted.items())
        ]


def await_it(look: Callable[[], T | None], what: str, seconds: float = PATIENCE_SECONDS) -> T:
    """Look again and again until *look* returns something; return that.

    Raises:
        StepFailedError: it has not come within *seconds*; names *what*.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen:
            return seen
        if time.monotonic() > deadline:
            raise StepFailedError(f"{what}: not within {seconds:g} s")
        time.sleep(_POLL_SECONDS)


def read_json(text: str) -> dict[str, Any]:
    """Read a JSON object that a program printed.

    Raises:
        StepFailedError: it is none.
    """
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise StepFailedError(f"no JSON object came back: {text[:120]!r}")
    return document


def size_of(path: Path) -> str:
    """Return a file's size for people."""
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1_000_000 else f"{size / 1e3:.1f} kB"
