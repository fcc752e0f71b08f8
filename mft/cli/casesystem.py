"""`mft case-system`: the simulator of a case system."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Where it listens; port 0: any free one.")]
Data = Annotated[Path, typer.Option("--data", metavar="FILE", help="Customers, principals and cases: YAML or JSON.")]
SecretFile = Annotated[
    Path | None,
    typer.Option("--secret-file", metavar="FILE", help="What requests are signed with. Default: made up and shown."),
]


Announce = Annotated[
    str | None,
    typer.Option("--announce", metavar="URL", help="Where changes are announced: https://HOST/api/v1/webhooks/in."),
]
AnnounceSecret = Annotated[
    Path | None, typer.Option("--announce-secret-file", metavar="FILE", help="What announcements are signed with.")
]
AnnounceCa = Annotated[
    Path | None, typer.Option("--announce-ca-file", metavar="FILE", help="The certificate to trust there.")
]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("case-system")(case_system)


def case_system(
    data: Data,
    *,
    listen: Listen = "127.0.0.1:8090",
    secret_file: SecretFile = None,
    announce: Announce = None,
    announce_secret_file: AnnounceSecret = None,
    announce_ca_file: AnnounceCa = None,
) -> None:
    """Run a case system to try the server with, until SIGTERM. Its address is the first line of the output, as JSON."""
    from mft.casesystem.command import make_announcer, run_case_system  # noqa: PLC0415  keeps `mft --help` quick

    try:
        announcer = make_announcer(announce, announce_secret_file, announce_ca_file)
        run_case_system(listen=listen, data=data, secret_file=secret_file, announcer=announcer)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
