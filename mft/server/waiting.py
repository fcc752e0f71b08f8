"""What intake's work waits for, told across processes: in a gauge, and in a file of one byte that readiness reads.

The file is as long from the beginning as it will ever be, so that it can be written on a full disk too.
"""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from mft.server import metrics
from mft.shortage import WORDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_NAME = "intake.waits"
_NOTHING = b"-"


class MachineLacksError(Exception):
    """What has landed waits for something that this machine lacks now."""


class Waiting:
    """Tells what is lacking. Safe for threads."""

    def __init__(self, directory: Path) -> None:
        """Tell it in *directory*; nothing is lacking yet."""
        self._path = directory / _NAME
        self.tell({})

    def tell(self, waiting: Mapping[str, int]) -> None:
        """Say how many uploads wait, by what they wait for (`mft.shortage.WORDS`)."""
        for word in WORDS:
            metrics.WAITING.labels(word).set(waiting.get(word, 0))
        first = next((word[:1].encode() for word in WORDS if waiting.get(word)), _NOTHING)
        with contextlib.suppress(OSError):  # the gauge has it too, and the log
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, first, 0)
            finally:
                os.close(descriptor)


def check_waiting(directory: Path) -> None:
    """See that intake waits for nothing.

    Raises:
        MachineLacksError: it does.
    """
    with contextlib.suppress(FileNotFoundError):
        if (directory / _NAME).read_bytes() not in {b"", _NOTHING}:
            raise MachineLacksError
