"""What the scrubber's tests share: a key, a source over bytes, and one call that scrubs bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from scrubber.engine import scrub
from scrubber.model import ScrubReport
from scrubber.pseudonym import Pseudonymizer

Scrub = Callable[..., tuple[bytes, ScrubReport]]


KEY = b"one case's key".ljust(32, b".")


class BytesSource:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


@pytest.fixture(scope="session")
def pseudonyms() -> Pseudonymizer:
    return Pseudonymizer(KEY)


@pytest.fixture(scope="session")
def scrubbed() -> Scrub:
    """Give a function that scrubs bytes into bytes and a report."""

    def run(data: bytes, name: str = "upload", **options: Any) -> tuple[bytes, ScrubReport]:
        out = io.BytesIO()
        pseudonyms = Pseudonymizer(KEY)  # with a dictionary of its own: one test learns nothing from another
        report = scrub(BytesSource(data), out.write, pseudonyms=pseudonyms, name=name, **options)
        return out.getvalue(), report

    return run
