"""`mft get`: files and folders from a case, by as many connections as are worth it, gone on with after any break."""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from urllib.parse import unquote

import typer

from mft.cli.remote import (
    INTERRUPTED,
    CaCert,
    FingerprintOption,
    Proxy,
    Quiet,
    SecretFile,
    Streams,
    User,
    exit_code,
    server_at,
)

if TYPE_CHECKING:
    from mft.client.connection import Server
    from mft.client.getting import Fetched

_STDOUT = Path("-")
Source = Annotated[str, typer.Argument(metavar="URL", help="https://HOST/files/…, of a file or a folder.")]
Target = Annotated[Path, typer.Argument(metavar="DST", help="A file's name, or a folder; or -, standard output.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("get")(get)


def get(  # noqa: PLR0917 - the command's options
    url: Source,
    target: Target = Path(),
    user: User = None,
    secret_file: SecretFile = None,
    cacert: CaCert = None,
    fingerprint: FingerprintOption = None,
    proxy: Proxy = None,
    streams: Streams = None,
    quiet: Quiet = False,  # noqa: FBT002 - an option
) -> None:
    """Fetch a file, or a folder with all that is in it, over HTTPS.

    Where DST is a folder that is there, a file goes into it, and so does a folder whose URL has no slash at its end;
    with a slash what the folder holds does.

    What has come lies in NAME.part until it is whole and has the digest that the server tells; after any break run the
    same command again: it goes on where it was.

    DST may be -: a file is written to standard output once it is whole; until then it lies in $TMPDIR.

    Exit code 0: all is here; 4: the server cannot be reached any more, to be gone on with; 5: a file changed on the
    server, or what arrived is not what lies there; 6: the server refused; 2: wrong usage; 1: another failure.
    """
    server, path = server_at(url, user, secret_file, cacert, fingerprint, proxy)
    if target != _STDOUT:
        _fetch(
            server,
            path,
            target.resolve() if target.is_symlink() and target.is_file() else target,
            streams=streams,
            quiet=quiet,
        )
        return
    if path.endswith("/"):
        raise typer.BadParameter("a folder does not go to standard output; add ?archive=tar to its address, with curl")
    with tempfile.TemporaryDirectory(prefix="mft-get-") as place:
        whole = Path(place) / unquote(path.rpartition("/")[2])
        _fetch(server, path, whole, streams=streams, quiet=quiet, piped=True)
        with whole.open("rb") as file:
            shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)


def _fetch(server: Server, path: str, target: Path, *, streams: int | None, quiet: bool, piped: bool = False) -> None:
    """Fetch the file or folder at *path* (of a URL) to *target*; *piped*: a file alone, and standard output is its."""
    from mft.cli.progress import ProgressBar  # noqa: PLC0415  keeps `mft --help` quick
    from mft.client.connection import Line  # noqa: PLC0415
    from mft.client.crew import Crew, Meter  # noqa: PLC0415
    from mft.client.errors import ClientError, FolderError  # noqa: PLC0415
    from mft.client.getting import Receiver, files_below  # noqa: PLC0415

    bar = ProgressBar(1)
    meter = Meter()
    crew = Crew(server, meter, streams=streams)

    def arrived(fetched: Fetched) -> None:
        if not quiet:
            bar.clear()
            note = "" if fetched.proven else "  (the server knows no digest of it yet)"
            out = sys.stderr if piped else sys.stdout
            shown = fetched.target.name if piped else fetched.target
            out.write(f"{shown}  {fetched.size} bytes  sha256 {fetched.sha256}{note}\n")

    receiver = Receiver(crew, meter, arrived=arrived)
    line = Line(server, met=crew.meet)
    try:
        if not path.endswith("/"):
            target = target / unquote(path.rpartition("/")[2]) if target.is_dir() else target
            try:
                bar = ProgressBar(receiver.begin(line, path, target))
            except FolderError:
                if piped:
                    raise
                path += "/"
        if path.endswith("/"):
            found = [(each, target.joinpath(*below.parts), size) for each, below, size in files_below(line, path)]
            bar = ProgressBar(sum(size for _, _, size in found))
            receiver.expect(file for _, file, _ in found)
            for each, file, _ in found:
                receiver.fetch(each, file)
        crew.lend(line)
        crew.run(lambda done, connections: None if quiet else bar.show(done, f"{connections} connections"))
    except ClientError as error:
        bar.clear()
        sys.stderr.write(f"mft: {error}\n")
        raise typer.Exit(exit_code(error)) from error
    except KeyboardInterrupt as error:
        bar.clear()
        sys.stderr.write("mft: interrupted; run the same command again to go on\n")
        raise typer.Exit(INTERRUPTED) from error
    finally:
        bar.clear()
        line.close()
