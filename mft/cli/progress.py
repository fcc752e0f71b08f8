"""A bar on a terminal that shows how far something has come."""

from __future__ import annotations

import sys
import time

_WIDTH = 30
_EVERY = 0.1
"""Seconds between two drawings."""


class ProgressBar:
    """Draws on standard error, and only where that is a terminal."""

    def __init__(self, total: int) -> None:
        """Count up to *total* bytes."""
        self._total = max(1, total)
        self._shown = sys.stderr.isatty()
        self._due = 0.0

    def show(self, done: int, note: str = "") -> None:
        """Draw *done* bytes, with a word about what is under way."""
        now = time.monotonic()
        if not self._shown or now < self._due:
            return
        self._due = now + _EVERY
        share = min(1.0, done / self._total)
        filled = int(share * _WIDTH)
        bar = "#" * filled + "-" * (_WIDTH - filled)
        sys.stderr.write(f"\r\x1b[K[{bar}] {share:4.0%} {done / 1e6:,.1f} of {self._total / 1e6:,.1f} MB {note}")
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the bar away."""
        if self._shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
