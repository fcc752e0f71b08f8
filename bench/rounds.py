"""Rounds in which the servers take turns, and what is made of them."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MIB, GIB = 1 << 20, 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One transfer."""

    seconds: float
    """By the clock, from the client's start to its end."""
    setup: float
    """Of a session in which nothing is transferred, measured just before."""
    processor: float
    """Processor seconds of the server's process tree."""
    by_role: Mapping[str, float] = field(default_factory=dict)
    """The same for each of our server's processes."""


@dataclass(slots=True, kw_only=True)
class Comparison:
    """One kind of transfer, by one server and another; the first is what the others are compared with."""

    title: str
    size: int
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    """Servers that could not be measured, and why."""

    def add(self, server: str, sample: Sample) -> None:
        """Note a sample of *server*."""
        self.samples.setdefault(server, []).append(sample)

    def rows(self) -> list[Row]:
        """Return medians by server."""
        return [Row.of(server, samples, self.size) for server, samples in self.samples.items()]

    def to_dict(self, peer: str) -> dict[str, object]:
        """Give plain JSON values; ratios are to *peer*, more than 1 being faster than it."""
        rows = {row.server: row for row in self.rows()}
        base = rows.get(peer)
        return {
            "title": self.title,
            "bytes": self.size,
            "absent": self.absent,
            "servers": {
                name: {
                    **row.to_dict(),
                    "ratio": None if base is None else base.seconds / row.seconds,
                    "net_ratio": None if base is None else base.net / row.net,
                    "processor_ratio": None if base is None else row.processor / max(base.processor, 0.001),
                    "samples": [
                        {
                            "seconds": each.seconds,
                            "setup": each.setup,
                            "processor": each.processor,
                            "by_role": dict(each.by_role),
                        }
                        for each in self.samples[name]
                    ],
                }
                for name, row in rows.items()
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """Medians of one server."""

    server: str
    size: int
    seconds: float
    best: float
    setup: float
    processor: float
    runs: int

    @classmethod
    def of(cls, server: str, samples: list[Sample], size: int) -> Row:
        """Make it from samples."""
        return cls(
            server=server,
            size=size,
            seconds=statistics.median(each.seconds for each in samples),
            best=min(each.seconds for each in samples),
            setup=statistics.median(each.setup for each in samples),
            processor=statistics.median(each.processor for each in samples),
            runs=len(samples),
        )

    @property
    def net(self) -> float:
        """Seconds without the session's set-up."""
        return max(self.seconds - self.setup, 0.001)

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        return {
            "seconds": self.seconds,
            "best_seconds": self.best,
            "setup_seconds": self.setup,
            "mb_per_second": self.size / self.seconds / 1e6,
            "net_mb_per_second": self.size / self.net / 1e6,
            "processor_seconds": self.processor,
            "processor_seconds_per_gib": self.processor * GIB / self.size,
            "runs": self.runs,
        }
