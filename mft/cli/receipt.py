"""`mft receipt verify` and `mft receipt key`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mft.cli import options

if TYPE_CHECKING:
    from collections.abc import Mapping

Receipt = Annotated[Path, typer.Argument(metavar="FILE", help="The receipt, or - for standard input.")]
Keys = Annotated[
    list[Path],
    typer.Option(
        "--key",
        "--public-key",
        metavar="PUB",
        help="The server's published key (its JSON document, or PEM); may be repeated.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Signed receipts.", no_args_is_help=True, rich_markup_mode=None)
    group.command("verify")(verify)
    group.command("key")(key)
    app.add_typer(group, name="receipt")


def verify(file: Receipt, keys: Keys) -> None:
    """Say whether a receipt is genuine, offline; shows what it claims. Exit code 1 when it is not."""
    claims, signed_by = genuine(file, keys)
    typer.echo(f"{file}: genuine, signed by the key {signed_by}")
    for name, value in sorted(claims.items()):
        typer.echo(f"  {name}: {json.dumps(value)}")


def genuine(file: Path, keys: list[Path]) -> tuple[Mapping[str, object], str]:
    """Return what a signed document claims, and which of *keys* has signed it; `-` is standard input.

    Raises:
        ReceiptError: it is not genuine, or one of the files is not what it should be; names it.
    """
    from mft.receipts import ReceiptError, key_id, parse_public_key, parse_receipt, verify_receipt  # noqa: PLC0415

    at, why = file, ""
    try:
        document = parse_receipt(sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes())
        known = {}
        for at in keys:
            public = parse_public_key(at.read_bytes())
            known[key_id(public)] = public
        signature = document.get("signature")
        named = str(signature.get("key") if isinstance(signature, dict) else None)
        at, why = file, "not genuine: "
        return verify_receipt(document, known.get(named) or next(iter(known.values()))), named
    except ReceiptError as error:
        raise type(error)(f"{at}: {why}{error}") from error


def key(config: options.ConfigPath) -> None:
    """Show the public key with which this server's receipts can be verified, as the document to publish."""
    import datetime as dt  # noqa: PLC0415  keeps `mft --help` quick

    from mft.credentials import load_credentials  # noqa: PLC0415
    from mft.receipts import public_key_document  # noqa: PLC0415

    credentials = load_credentials(options.load(config), now=dt.datetime.now(dt.UTC))
    typer.echo(json.dumps(public_key_document(credentials.receipt_key.public_key()), indent=2))
