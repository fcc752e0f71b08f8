"""One file through the scrubber: where it is read from, where it goes, and what came of it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

from mft.cli.output import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.engine import Ready
    from scrubber.excerpt import Excerpt
    from scrubber.model import Finding, Options, ScrubReport, Source
    from scrubber.reversal import ReverseMap

PIECE = 2**20
_SCRATCH_MEMORY = 8 * 2**20
"""Bytes of temporary data kept in memory; beyond it they lie sealed in a file without a name."""
_EXPLAINED = 10_000
"""Most places explained of one file."""


class UnscannableError(Exception):
    """Something in the file could not be looked into."""

    def __init__(self, report: ScrubReport) -> None:
        """Hold the report, which says what."""
        super().__init__("something could not be looked into")
        self.report = report


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One file to scrub."""

    source: Path
    """Or `-`, standard input."""
    target: Path
    """Or `-`, standard output."""
    name: str
    """What the report calls it."""
    key: bytes
    options: Options
    dictionary: bytes = field(default=b"", repr=False)
    """What all files of the folder have learned."""
    learning: bool = True
    """Whether to read the file for its users, hosts and domains first; not where *dictionary* has them."""
    reverse: ReverseMap | None = field(default=None, repr=False)
    """What takes down which value each pseudonym stands for; for one process."""
    explain: bool = False
    places: bool = True
    """Whether the report should keep each place, not counts alone."""
    jobs: int = 1
    """Processes for this one file, where it is long."""

    def __repr__(self) -> str:
        """Show nothing of the key."""
        return f"Task({self.name!r})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one file."""

    report: ScrubReport
    explained: tuple[str, ...] = ()
    """A line for each place that was replaced, where that was asked for."""


def is_dash(path: Path) -> bool:
    """Say whether *path* stands for standard input or output."""
    return str(path) == "-"


def scrub_file(task: Task, progress: Callable[[int], None] | None = None) -> Result:
    """Scrub one file; *progress* is told the bytes read so far. The target appears only when all of it is scrubbed.

    Raises:
        OSError: the source cannot be read, or the target cannot be written.
    """
    from scrubber.engine import scrub  # noqa: PLC0415  keeps `mft --help` quick

    explained: list[str] = []
    values: set[tuple[str, str, str]] = set()

    def explain(excerpt: Excerpt) -> None:
        if len(explained) >= _EXPLAINED:
            return
        found = excerpt.finding
        value = (found.member, found.rule, found.fingerprint)
        explained.append(explanation(excerpt) if value not in values else f"{_place(found)}, the same value again")
        values.add(value)

    ready = _ready_for(task)

    def run(source: Source, options: Options, left: list[tuple[bytes, str]], *, learning: bool) -> ScrubReport:
        explained.clear()
        values.clear()
        try:
            with _sink(task.target) as sink:
                report = scrub(
                    source,
                    sink,
                    pseudonyms=ready.pseudonyms,
                    ready=ready,
                    name=task.name,
                    options=options,
                    scratch=_scratch,
                    progress=progress,
                    explain=explain if task.explain else None,
                    learning=learning,
                    left=left,
                    jobs=task.jobs,
                )
                _let_through(report)
        except UnscannableError as error:
            return error.report
        return report

    with _source(task.source) as source:
        left: list[tuple[bytes, str]] = []
        report = run(source, task.options, left, learning=task.learning)
        if left:  # secrets that stand elsewhere with nothing to tell them: now they are known
            report = run(source, replace(task.options, known=tuple(left)), [], learning=False)
    if not task.places:
        report = replace(report, findings=(), findings_omitted=report.total)
    return Result(report=report, explained=tuple(explained))


_kept: tuple[Task, Ready] | None = None
"""What was made ready last in this process, and for which of a folder's files."""


def _ready_for(task: Task) -> Ready:
    """Give the key and the names of *task*, with the rules ready for them: all files of a folder have the same."""
    from scrubber.dictionary import Dictionary  # noqa: PLC0415  keeps `mft --help` quick
    from scrubber.engine import Ready  # noqa: PLC0415
    from scrubber.pseudonym import Pseudonymizer  # noqa: PLC0415

    global _kept  # noqa: PLW0603 -- a process has one, as many files as it is given
    if task.reverse is not None:
        from scrubber.reversal import RecordingPseudonymizer  # noqa: PLC0415

        return Ready(RecordingPseudonymizer(task.key, Dictionary.from_bytes(task.dictionary), task.reverse))
    if _kept is not None and (_kept[0].key, _kept[0].dictionary) == (task.key, task.dictionary):
        return _kept[1]
    ready = Ready(Pseudonymizer(task.key, Dictionary.from_bytes(task.dictionary)))
    if not task.learning:  # else it would know the next file's names of this one
        _kept = task, ready
    return ready


def learn_file(task: Task) -> bytes:
    """Learn the users, hosts and domains that one file names; give them as a dictionary's bytes.

    What cannot be read teaches nothing: scrubbing it says why.
    """
    from scrubber.engine import learn  # noqa: PLC0415  keeps `mft --help` quick
    from scrubber.errors import ScrubberError  # noqa: PLC0415
    from scrubber.pseudonym import Pseudonymizer  # noqa: PLC0415

    pseudonyms = Pseudonymizer(task.key)
    with contextlib.suppress(OSError, ScrubberError, MemoryError), _source(task.source) as source:
        learn(source, pseudonyms=pseudonyms, name=task.name, options=task.options, scratch=_scratch, jobs=task.jobs)
    return pseudonyms.dictionary.to_bytes()


def _let_through(report: ScrubReport) -> None:
    if not report.scannable:
        raise UnscannableError(report)


def explanation(excerpt: Excerpt) -> str:
    """Say of one place which rule replaced it and why, and show what stands around it now."""
    from scrubber.rules import known_rules  # noqa: PLC0415  keeps `mft --help` quick

    finding = excerpt.finding
    rule = known_rules().get(finding.rule)
    why = rule.description if rule is not None else "a name that was learned"
    return f"{_place(finding)}\n    why: {why}\n    now: {excerpt.before}»{excerpt.shown}«{excerpt.after}"


def _place(finding: Finding) -> str:
    return f"{finding.member} at {finding.offset}: {finding.rule}"


def _scratch() -> BinaryIO:
    from storage.scratch import SealedScratch  # noqa: PLC0415  keeps `mft --help` quick

    return cast("BinaryIO", SealedScratch(Path(tempfile.gettempdir()), _SCRATCH_MEMORY))


class _FileSource:
    """An open file as the scrubber reads it."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self.size = os.fstat(fd).st_size

    def read(self, offset: int, n: int) -> bytes:
        return os.pread(self._fd, n, offset)


class _SpooledSource:
    """What came through a pipe, kept in sealed scratch."""

    def __init__(self, stream: BinaryIO, scratch: BinaryIO) -> None:
        self._scratch = scratch
        self.size = 0
        while piece := stream.read(PIECE):
            self._scratch.write(piece)
            self.size += len(piece)

    def read(self, offset: int, n: int) -> bytes:
        self._scratch.seek(offset)
        return self._scratch.read(n)


@contextlib.contextmanager
def _source(path: Path) -> Iterator[Source]:
    if not is_dash(path) and path.is_file():
        with path.open("rb") as file:
            yield _FileSource(file.fileno())
        return
    with contextlib.ExitStack() as stack:
        stream = sys.stdin.buffer if is_dash(path) else stack.enter_context(path.open("rb"))
        scratch = _scratch()
        stack.callback(scratch.close)
        yield _SpooledSource(stream, scratch)


@contextlib.contextmanager
def _sink(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Yield where the output goes; it is let through when the block ends, and dropped when it raises."""
    if not is_dash(path):
        with whole_file(path) as file:
            yield file.write
        return
    with contextlib.closing(_scratch()) as scratch:
        yield scratch.write
        scratch.seek(0)
        while piece := scratch.read(PIECE):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
