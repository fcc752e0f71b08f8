"""Show each replaced place with what stands around it in the output, for a person who asks why.

Excerpts are cut from the output alone, so they hold pseudonyms where values were; they belong to whoever may read the
output, and are no part of a report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrubber.model import Finding

AROUND = 60
"""Bytes shown on either side."""
_LONGEST = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """One replaced place: what stands there now, and up to `AROUND` bytes of its line on either side."""

    finding: Finding
    before: str
    shown: str
    after: str


class ExcerptReader:
    """Reads the output of one member after the other as it is written."""

    def __init__(self, findings: Sequence[Finding], tell: Callable[[Excerpt], None]) -> None:
        """Tell of each of *findings*, a list that grows ahead of the output."""
        self._findings = findings
        self._tell = tell
        self._seen = 0
        self._pending: list[Finding] = []
        self._member = ""
        self._kept = b""
        self._at = 0

    def begin(self, member: str, *, wide: bool = False) -> None:  # noqa: ARG002 - NULs are left out of any excerpt
        """Begin with the output of *member*."""
        self.end()
        self._member = member
        self._seen = len(self._findings)
        self._at = 0

    def feed(self, data: bytes) -> None:
        """Take the next piece of the member's output."""
        for finding in self._findings[self._seen :]:
            if finding.member == self._member:
                self._pending.append(finding)
        self._seen = len(self._findings)
        self._kept += data
        self._at += len(data)
        self._emit(self._at - AROUND)

    def end(self) -> None:
        """Tell of what is left."""
        self._emit(self._at)
        self._pending.clear()
        self._kept = b""

    def _emit(self, limit: int) -> None:
        base = self._at - len(self._kept)
        left: list[Finding] = []
        for finding in self._pending:
            if finding.offset + finding.length > limit:
                left.append(finding)
                continue
            start = finding.offset - base
            end = start + finding.length
            self._tell(
                Excerpt(
                    finding=finding,
                    before=_readable(self._kept[max(0, start - AROUND) : max(0, start)].rpartition(b"\n")[2]),
                    shown=_readable(self._kept[max(0, start) : end][:_LONGEST]),
                    after=_readable(self._kept[end : end + AROUND].partition(b"\n")[0]),
                )
            )
        self._pending = left
        first = min((finding.offset for finding in left), default=self._at)
        self._kept = self._kept[max(0, min(first, self._at) - AROUND - base) :]


def _readable(data: bytes) -> str:
    text = data.replace(b"\0", b"").decode("utf-8", "replace")
    return "".join(c if c.isprintable() else "·" for c in text)
