"""`mft scrub`: the server's own scrubber, for anyone at a shell, before anything is sent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, cast

import typer

from mft.cli.output import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.model import ScrubReport, Source

UNSCANNABLE = 3
"""Exit code: something could not be looked into, and nothing was written."""
KEY_BYTES = 16
"""Shortest key."""
_PIECE = 2**20
_SCRATCH_MEMORY = 64 * 2**20
"""Bytes of temporary data kept in memory; beyond it they lie sealed in a file without a name."""

Src = Annotated[Path, typer.Argument(metavar="SRC", help="The file to scrub, or - for standard input.")]
Dst = Annotated[Path, typer.Argument(metavar="DST", help="Where the scrubbed file goes, or - for standard output.")]
ReportPath = Annotated[
    Path | None, typer.Option("--report", metavar="FILE", help="Write what was found, as JSON; never the values.")
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help=f"A secret of {KEY_BYTES} bytes or more: under one key a value always gets the same pseudonym.",
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="The file's name in the report. Default: SRC's.")]


class UnscannableError(Exception):
    """Something in the file could not be looked into."""

    def __init__(self, report: ScrubReport) -> None:
        """Hold the report, which says what."""
        super().__init__("something could not be looked into")
        self.report = report


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("scrub")(scrub)


def scrub(src: Src, dst: Dst, report: ReportPath = None, key_file: KeyFile = None, name: Name = None) -> None:
    """Replace secrets and personal data in a file by pseudonyms.

    Archives are opened, scrubbed and packed again. DST appears only when it is whole. Exit code 0: clean, or scrubbed;
    3: something in SRC could not be looked into, and DST is not written; 2: wrong usage; 1: another failure.
    """
    from scrubber.report import summarize  # noqa: PLC0415  keeps `mft --help` quick

    _check_places(src, dst, report)
    key = _key(key_file)
    label = name or ("standard input" if _is_dash(src) else src.name)
    with _source(src) as source:
        try:
            with _sink(dst) as sink:
                result = _scrub(source, sink, key, label)
        except UnscannableError as error:
            result = error.report
    if report is not None:
        _write_report(report, result)
    typer.echo(summarize(result), err=True)
    if not result.scannable:
        typer.echo("mft: nothing was written: something could not be looked into", err=True)
        raise typer.Exit(UNSCANNABLE)


def _scrub(source: Source, sink: Callable[[bytes], object], key: bytes, name: str) -> ScrubReport:
    """Scrub *source* into *sink*.

    Raises:
        UnscannableError: what *sink* was given must be dropped.
    """
    from scrubber.engine import scrub as scrub_source  # noqa: PLC0415  keeps `mft --help` quick
    from scrubber.pseudonym import Pseudonymizer  # noqa: PLC0415

    report = scrub_source(source, sink, pseudonyms=Pseudonymizer(key), name=name, scratch=_scratch)
    if not report.scannable:
        raise UnscannableError(report)
    return report


def _check_places(src: Path, dst: Path, report: Path | None) -> None:
    if report is not None and _is_dash(report) and _is_dash(dst):
        raise typer.BadParameter("standard output cannot take both DST and the report")
    if not _is_dash(src) and src.is_dir():
        raise typer.BadParameter(f"{src} is a directory; pack it first (tar czf), or give one file")
    if not _is_dash(src) and not src.exists():
        raise typer.BadParameter(f"{src} is not there")
    for path in (dst, report):
        if path is None or _is_dash(path) or not path.exists():
            continue
        if not path.is_file():
            raise typer.BadParameter(f"{path} is no ordinary file; - is standard output")
        if not _is_dash(src) and path.samefile(src):
            raise typer.BadParameter(f"{path} is the file to scrub; it is never overwritten")
    if report is not None and not _is_dash(dst) and report.resolve() == dst.resolve():
        raise typer.BadParameter("DST and the report are one file")


def _is_dash(path: Path) -> bool:
    return str(path) == "-"


def _key(path: Path | None) -> bytes:
    if path is None:
        typer.echo("mft: the key is random for this run; for the same pseudonyms again, use --key-file", err=True)
        return secrets.token_bytes(32)
    try:
        key = path.read_bytes().strip()
        others = stat.S_IMODE(path.stat().st_mode) & 0o077
    except OSError as error:
        raise typer.BadParameter(f"{path}: {error.strerror}") from error
    if len(key) < KEY_BYTES:
        raise typer.BadParameter(f"{path} holds {len(key)} bytes; a key has {KEY_BYTES} or more")
    if others:
        typer.echo(f"mft: others can read {path}; whoever has it can test guesses against the pseudonyms", err=True)
    return key


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
        while piece := stream.read(_PIECE):
            self._scratch.write(piece)
            self.size += len(piece)

    def read(self, offset: int, n: int) -> bytes:
        self._scratch.seek(offset)
        return self._scratch.read(n)


@contextlib.contextmanager
def _source(path: Path) -> Iterator[Source]:
    if not _is_dash(path) and path.is_file():
        with path.open("rb") as file:
            yield _FileSource(file.fileno())
        return
    with contextlib.ExitStack() as stack:
        stream = sys.stdin.buffer if _is_dash(path) else stack.enter_context(path.open("rb"))
        scratch = _scratch()
        stack.callback(scratch.close)
        yield _SpooledSource(stream, scratch)


@contextlib.contextmanager
def _sink(path: Path) -> Iterator[Callable[[bytes], object]]:
    """Yield where the output goes; it is let through when the block ends, and dropped when it raises."""
    if not _is_dash(path):
        with whole_file(path) as file:
            yield file.write
        return
    with contextlib.closing(_scratch()) as scratch:
        yield scratch.write
        scratch.seek(0)
        while piece := scratch.read(_PIECE):
            sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()


def _write_report(path: Path, report: ScrubReport) -> None:
    text = json.dumps(report.to_dict(), indent=2, ensure_ascii=False) + "\n"
    if _is_dash(path):
        typer.echo(text, nl=False)
        return
    with whole_file(path) as file:
        file.write(text.encode())
