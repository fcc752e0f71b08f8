"""`mft put`: files and folders to a case, by as many connections as are worth it, gone on with after any break."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli.remote import (
    INTERRUPTED,
    REFUSED,
    CaCert,
    FingerprintOption,
    Proxy,
    Quiet,
    SecretFile,
    Streams,
    User,
    exit_code,
    folder_of,
    server_at,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.client.connection import Server
    from mft.client.putting import Sent

HELD_BACK = 3
_STDIN = Path("-")
_PLACE = frozenset({403, 404, 409})
"""Answers that may mean that a folder was taken for a file."""
_CASE = re.compile(r"/(?:cases|upload/issue)/[^/]+")
"""Where a case is named, and no file: a folder, with a slash at its end or without."""
Sources = Annotated[list[Path], typer.Argument(metavar="SRC...", help="Files and folders; or -, standard input.")]
Destination = Annotated[
    str, typer.Argument(metavar="URL", help="https://HOST/cases/CASE/, or another folder; with a name for one file.")
]
Scrub = Annotated[
    bool, typer.Option("--scrub", help="Scrub here first, as `mft scrub` does, and send what comes of it.")
]
Profile = Annotated[str, typer.Option("--profile", help="With --scrub: strict, support or secrets-only.")]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="With --scrub: the secret of the pseudonyms.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("put")(put)


def put(  # noqa: PLR0917 - the command's options
    sources: Sources,
    url: Destination,
    user: User = None,
    secret_file: SecretFile = None,
    cacert: CaCert = None,
    fingerprint: FingerprintOption = None,
    proxy: Proxy = None,
    streams: Streams = None,
    scrub: Scrub = False,  # noqa: FBT002 - an option
    profile: Profile = "support",
    key_file: KeyFile = None,
    quiet: Quiet = False,  # noqa: FBT002 - an option
) -> None:
    """Send files and folders to a case, over HTTPS.

    Large files go in parts by several connections. After any break run the same command again: it goes on where it was.
    Each file's SHA-256 is compared with the server's receipt. SRC may be -, standard input, where URL has a name.
    Of several files each that the server does not take is told, and the others are sent.

    Exit code 0: all has arrived; 3: --scrub held something back, which was not sent; 4: the server cannot be reached
    any more, to be gone on with; 5: a file changed, or what arrived is not what was sent; 6: the server refused; 2:
    wrong usage; 1: another failure.
    """
    server, path = server_at(url, user, secret_file, cacert, fingerprint, proxy)
    if _CASE.fullmatch(path):
        path += "/"
    folder = folder_of(path if path.endswith("/") else path.rpartition("/")[0] + "/")
    with contextlib.ExitStack() as stack:
        held_back: list[str] = []
        if _STDIN in sources:
            room = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mft-put-")))
            sources = [_collected(path, room, alone=len(sources) == 1)]
        named = list(_named(sources, path))
        if scrub:
            place = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="mft-put-")))
            named = list(_scrubbed(named, place, profile, key_file, held_back))
        _send(server, named, folder, streams=streams, quiet=quiet, folder_given=path.endswith("/"))
    for line in held_back:
        sys.stderr.write(f"mft: held back, not sent: {line}\n")
    if held_back:
        raise typer.Exit(HELD_BACK)


def _collected(path: str, place: Path, *, alone: bool) -> Path:
    """Return a file with what standard input holds: what is to survive a break must be read twice."""
    if alone and not path.endswith("/"):
        file = place / "stdin"
        with file.open("wb") as target:
            shutil.copyfileobj(sys.stdin.buffer, target, 1 << 20)
        return file
    raise typer.BadParameter("standard input has no name, and goes alone: end the address with a name")


def _named(sources: list[Path], path: str) -> Iterator[tuple[Path, str]]:
    """Yield files with the names that they get, folders included."""
    for source in sources:
        if not source.exists():
            raise typer.BadParameter(f"{source} is not there")
        if not source.is_dir() and not source.is_file():
            raise typer.BadParameter(f"{source} is neither a file nor a folder")
    if not path.endswith("/"):
        if len(sources) > 1 or sources[0].is_dir():
            raise typer.BadParameter("several files, or a folder, go to a folder: end the address with a slash")
        from urllib.parse import unquote  # noqa: PLC0415

        yield sources[0], unquote(path.rpartition("/")[2])
        return
    for source in sources:
        if not source.is_dir():
            yield source, source.resolve().name
            continue
        yield from _below(source.resolve())


def _below(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files below a folder; what is left out is told.

    Raises:
        OSError: a folder of it cannot be read.
    """

    def fail(error: OSError) -> None:
        raise error

    for directory, names, files in os.walk(root, onerror=fail):
        names.sort()
        if not names and not files:
            sys.stderr.write(f"mft: left out: {directory}, an empty folder\n")
        for name in sorted([*files, *(each for each in names if (Path(directory) / each).is_symlink())]):
            file = Path(directory) / name
            if file.is_symlink():
                sys.stderr.write(f"mft: left out: {file}, a symbolic link\n")
            elif not file.is_file():
                sys.stderr.write(f"mft: left out: {file}, neither a file nor a folder\n")
            else:
                yield file, f"{root.name}/{file.relative_to(root).as_posix()}"


def _send(
    server: Server,
    named: list[tuple[Path, str]],
    folder: str,
    *,
    streams: int | None,
    quiet: bool,
    folder_given: bool,
) -> None:
    from mft.cli.progress import ProgressBar  # noqa: PLC0415  keeps `mft --help` quick
    from mft.client.crew import Crew, Meter  # noqa: PLC0415
    from mft.client.errors import ClientError, RefusedError  # noqa: PLC0415
    from mft.client.parcel import parcel_of  # noqa: PLC0415
    from mft.client.putting import Sender  # noqa: PLC0415

    meter = Meter()
    crew = Crew(server, meter, streams=streams)
    try:
        parcels = [parcel_of(source, folder, name) for source, name in named]
    except ClientError as error:
        sys.stderr.write(f"mft: {error}\n")
        raise typer.Exit(exit_code(error)) from error
    bar = ProgressBar(sum(parcel.size for parcel in parcels))

    def arrived(sent: Sent) -> None:
        if not quiet:
            bar.clear()
            number = sent.receipt.get("id", "")
            sys.stdout.write(f"{sent.name}  {sent.size} bytes  sha256 {sent.sha256}  receipt {number}\n")

    refused: list[RefusedError] = []

    def left(error: RefusedError) -> None:
        bar.clear()
        sys.stderr.write(f"mft: {error}\n")
        refused.append(error)

    sender = Sender(server, crew, meter, state=_state(), arrived=arrived, left=left)
    for parcel in parcels:
        sender.send(parcel)
    try:
        crew.run(lambda done, connections: None if quiet else bar.show(done, f"{connections} connections"))
    except ClientError as error:
        bar.clear()
        slash = isinstance(error, RefusedError) and error.status in _PLACE and not folder_given
        hint = "; the address of a folder ends with a slash" if slash else ""
        sys.stderr.write(f"mft: {error}{hint}\n")
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        bar.clear()
        sys.stderr.write("mft: interrupted; run the same command again to go on\n")
        raise typer.Exit(INTERRUPTED) from error
    finally:
        bar.clear()
    if refused:
        raise typer.Exit(REFUSED)


def _state() -> Path:
    """Return where it is kept how far uploads are."""
    base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "mft" / "uploads"


def _scrubbed(
    named: list[tuple[Path, str]], place: Path, profile: str, key_file: Path | None, held_back: list[str]
) -> Iterator[tuple[Path, str]]:
    """Yield what is left of each file once it is scrubbed; what could not be looked into is held back.

    What one file tells of users, hosts and domains is found in all of them, as `mft scrub` does with a folder.
    """
    from mft.cli.scrubfile import Task  # noqa: PLC0415  heavy
    from mft.cli.scrubfolder import LARGE, LeftOut, attempt_file, learn_all  # noqa: PLC0415
    from mft.cli.scrubkey import load_key  # noqa: PLC0415
    from scrubber.model import Options  # noqa: PLC0415
    from scrubber.profile import find_profile  # noqa: PLC0415

    try:
        options = Options(profile=find_profile(profile))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    key, jobs = load_key(key_file), len(os.sched_getaffinity(0))
    tasks = {
        str(number): Task(
            source=source,
            target=place / str(number),
            name=name,
            key=key,
            options=options,
            explain=False,
            places=False,
            jobs=jobs if source.stat().st_size > LARGE else 1,
        )
        for number, (source, name) in enumerate(named)
    }
    dictionary = learn_all(tasks, jobs=jobs)
    for task in tasks.values():
        outcome = attempt_file(replace(task, dictionary=dictionary, learning=False))
        if isinstance(outcome, LeftOut):
            held_back.append(f"{task.name}: {outcome.reason}")
        elif not outcome.report.scannable:
            held_back.append(f"{task.name}: {outcome.report.obstacles[0].reason}")
        else:
            stamp = task.source.stat()
            os.utime(task.target, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            yield task.target, task.name
