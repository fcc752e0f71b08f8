"""`mft scrub`: the server's own scrubber, for anyone at a shell, before anything is sent."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli.scrubkey import KEY_BYTES, load_key

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mft.cli.scrubfile import Task
    from scrubber.model import Options

QUARANTINED = 3
"""Exit code: something could not be looked into, and was held back."""

Src = Annotated[Path, typer.Argument(metavar="SRC", help="The file or folder to scrub, or - for standard input.")]
Dst = Annotated[Path, typer.Argument(metavar="DST", help="Where it goes, or - for standard output.")]
ReportPath = Annotated[
    Path | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Write what was found, never the values: SARIF 2.1.0 if FILE ends in .sarif, else JSON.",
    ),
]
KeyFile = Annotated[
    Path | None,
    typer.Option(
        "--key-file",
        metavar="FILE",
        help=f"A secret of {KEY_BYTES} bytes or more, made if it is not there: under one key a value always gets the "
        "same pseudonym.",
    ),
]
Name = Annotated[str | None, typer.Option("--name", help="The file's name in the report. Default: SRC's.")]
ProfileName = Annotated[
    str,
    typer.Option(
        "--profile",
        help="strict, support or secrets-only: what is replaced, and whether pictures and the like pass.",
    ),
]
Explain = Annotated[
    bool,
    typer.Option("--explain", help="Say of each replaced place which rule it was, why, and what stands there now."),
]
Passwords = Annotated[
    Path | None,
    typer.Option(
        "--archive-password-file", metavar="FILE", help="Passwords that open encrypted archives, one on each line."
    ),
]
OwnTerms = Annotated[
    Path | None,
    typer.Option(
        "--terms",
        metavar="FILE",
        help="Own words: a line each that always goes, after ! one that always stays; or YAML with deny and allow.",
    ),
]
ReversePath = Annotated[
    Path | None,
    typer.Option(
        "--reverse-map",
        metavar="FILE",
        help="Write what pseudonyms stand for (personal data, no secrets), sealed to --reverse-key; in one process.",
    ),
]
ReverseKey = Annotated[
    Path | None,
    typer.Option(
        "--reverse-key", metavar="FILE", help="The public key for --reverse-map: `mft reverse new` makes one."
    ),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", min=1, help="Processes for a folder or for long texts. Default: one for each processor core."
    ),
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("scrub")(scrub)


def scrub(  # noqa: PLR0917 - the command's options
    src: Src,
    dst: Dst,
    report: ReportPath = None,
    key_file: KeyFile = None,
    name: Name = None,
    profile: ProfileName = "support",
    explain: Explain = False,  # noqa: FBT002 - an option
    terms: OwnTerms = None,
    archive_password_file: Passwords = None,
    jobs: Jobs = None,
    reverse_map: ReversePath = None,
    reverse_key: ReverseKey = None,
) -> None:
    """Replace secrets and personal data in a file or a folder by pseudonyms.

    Archives are opened, scrubbed and packed again. DST appears only when it is whole. A folder keeps its relative
    paths; what could not be looked into is not in DST, and DST/quarantine.json says why.

    Exit code 0: clean, or scrubbed; 3: something was held back because it could not be looked into (of a file nothing
    is written, of a folder the rest is); 2: wrong usage; 1: another failure.
    """
    from mft.cli.scrubfile import Task, is_dash  # noqa: PLC0415  keeps `mft --help` quick
    from mft.scrubbing.cache import rules_folder  # noqa: PLC0415
    from scrubber.cachefolder import keep_in  # noqa: PLC0415

    keep_in(rules_folder(os.environ))
    folder = not is_dash(src) and src.is_dir()
    if not folder and not is_dash(dst) and dst.is_dir() and not is_dash(src):
        dst = dst / src.name
    _check_places(src, dst, report, folder=folder)
    task = Task(
        source=src,
        target=dst,
        name=name or ("standard input" if is_dash(src) else src.resolve().name),
        key=b"",
        options=_options(profile, terms, archive_password_file),
        explain=explain,
        places=report is not None or not folder,
        jobs=jobs or len(os.sched_getaffinity(0)),
    )
    if reverse_map is not None or reverse_key is not None:
        from mft.cli.reversal import recording  # noqa: PLC0415

        context: AbstractContextManager[Task] = recording(task, reverse_map, reverse_key)
    else:
        context = nullcontext(task)
    with context as ready:
        if folder:
            _scrub_folder(ready, key_file, report)
        else:
            _scrub_file(ready, key_file, report)


def _options(profile: str, terms: Path | None, password_file: Path | None) -> Options:
    from scrubber.errors import TermsError  # noqa: PLC0415  keeps `mft --help` quick
    from scrubber.model import Options  # noqa: PLC0415
    from scrubber.profile import find_profile  # noqa: PLC0415
    from scrubber.terms import Terms, parse_terms  # noqa: PLC0415

    try:
        chosen = find_profile(profile)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    try:
        own = parse_terms(terms.read_text(encoding="utf-8")) if terms is not None else Terms()
    except UnicodeDecodeError as error:
        raise typer.BadParameter(f"{terms}: it is not UTF-8") from error
    except OSError as error:
        raise typer.BadParameter(f"{terms}: {error.strerror}") from error
    except TermsError as error:
        raise typer.BadParameter(f"{terms}: {error}") from error
    try:
        lines = password_file.read_bytes().splitlines() if password_file is not None else []
    except OSError as error:
        raise typer.BadParameter(f"{password_file}: {error.strerror}") from error
    return Options(profile=chosen, terms=own, passwords=tuple(line for line in lines if line))


def _check_places(src: Path, dst: Path, report: Path | None, *, folder: bool) -> None:
    from mft.cli.scrubfile import is_dash  # noqa: PLC0415  keeps `mft --help` quick

    if report is not None and is_dash(report) and is_dash(dst):
        raise typer.BadParameter("standard output cannot take both DST and the report")
    if not is_dash(src) and not src.exists():
        raise typer.BadParameter(f"{src} is not there")
    if folder and is_dash(dst):
        raise typer.BadParameter(f"{src} is a directory, and goes to a directory; standard output takes one file")
    for path in (report,) if folder else (dst, report):
        if path is not None and not is_dash(path):
            _check_output(path, src)
    if report is not None and not is_dash(dst) and report.resolve() == dst.resolve():
        raise typer.BadParameter("DST and the report are one file")
    if report is not None and folder and report.resolve().is_relative_to(src.resolve()):
        raise typer.BadParameter("the report must not lie in SRC")


def _check_output(path: Path, src: Path) -> None:
    """See that *path* can be written: nothing is read for hours to be lost at the end."""
    from mft.cli.scrubfile import is_dash  # noqa: PLC0415  keeps `mft --help` quick

    if not path.parent.is_dir():
        raise typer.BadParameter(f"{path}: there is no directory {path.parent}")
    if path.exists() and not path.is_file():
        raise typer.BadParameter(f"{path} is no ordinary file; - is standard output")
    if path.exists() and not is_dash(src) and path.samefile(src):
        raise typer.BadParameter(f"{path} is the file to scrub; it is never overwritten")


def _scrub_file(task: Task, key_file: Path | None, report: Path | None) -> None:
    from dataclasses import replace  # noqa: PLC0415  keeps `mft --help` quick

    from mft.cli.progress import ProgressBar  # noqa: PLC0415
    from mft.cli.scrubfile import is_dash, scrub_file  # noqa: PLC0415
    from mft.cli.scrubreport import write_report  # noqa: PLC0415
    from scrubber.report import summarize  # noqa: PLC0415

    task = replace(task, key=load_key(key_file))
    size = 0 if is_dash(task.source) else task.source.stat().st_size
    bar = ProgressBar(size)
    try:
        result = scrub_file(task, bar.show)
    finally:
        bar.clear()
    if report is not None:
        write_report(report, {task.name: result.report})
    for line in result.explained:
        typer.echo(line, err=is_dash(task.target) or (report is not None and is_dash(report)))
    typer.echo(summarize(result.report), err=True)
    if not result.report.scannable:
        typer.echo("mft: nothing was written: something could not be looked into", err=True)
        raise typer.Exit(QUARANTINED)


def _scrub_folder(task: Task, key_file: Path | None, report: Path | None) -> None:
    from dataclasses import replace  # noqa: PLC0415  keeps `mft --help` quick

    from mft.cli.scrubfile import is_dash  # noqa: PLC0415
    from mft.cli.scrubfolder import LIST, FolderError, check_places, scrub_folder  # noqa: PLC0415
    from mft.cli.scrubreport import folder_summary, write_report  # noqa: PLC0415

    try:
        check_places(task.source, task.target)
    except FolderError as error:
        raise typer.BadParameter(str(error)) from error
    task = replace(task, key=load_key(key_file))
    result = scrub_folder(task.source, task.target, task)
    if report is not None:
        write_report(report, {name: each.report for name, each in result.results.items()}, folder=result)
    for each in result.results.values():
        for line in each.explained:
            typer.echo(line, err=report is not None and is_dash(report))
    typer.echo(folder_summary(result), err=True, nl=False)
    if result.quarantined:
        typer.echo(f"mft: {len(result.quarantined):,} held back; {task.target / LIST} says why", err=True)
        raise typer.Exit(QUARANTINED)
