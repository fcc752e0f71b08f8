"""`mft audit`: check the audit's chains and read them, offline and without writing a byte."""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import sqlite3
import urllib.parse
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, printable, show_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from sqlalchemy import Connection

    from mft.audit import Fault

BROKEN = 3
"""Exit code: a chain does not hold."""
_TOLD_APART = ("at", "chain", "kind", "n")
"""What each line of `show` begins with."""

MaybeConfig = Annotated[
    Path | None,
    typer.Option("--config", "-c", envvar="MFT_CONFIG", metavar="FILE", help="The configuration file."),
]
PublicKey = Annotated[
    Path | None,
    typer.Option(
        "--public-key",
        "--key",
        metavar="FILE",
        help="The server's published key (its JSON document, or PEM). Default: the key of the configuration's server.",
    ),
]
Heads = Annotated[
    Path | None,
    typer.Option("--heads", metavar="FILE", help="Heads that were handed out earlier (audit.export_head), to compare."),
]
Catalog = Annotated[
    Path | None,
    typer.Argument(metavar="[CATALOG]", help="A catalog or a copy of one. Default: the configuration's."),
]
Chain = Annotated[
    str | None,
    typer.Option("--chain", metavar="NAME", help="Only this chain: system, or customer:ID; * as in a shell."),
]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only this kind: login.denied, upload.*, …")]
Last = Annotated[int, typer.Option("--last", metavar="N", min=1, help="How many, the newest.")]
AsJson = options.AsJson


class CatalogUnreadableError(Exception):
    """The file is no catalog, or cannot be read; says which."""


class HeadsUnreadableError(Exception):
    """The file holds no heads as `audit.export_head` writes them."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The audit's chains.", no_args_is_help=True, rich_markup_mode=None)
    group.command("verify")(verify)
    group.command("show")(show)
    app.add_typer(group, name="audit")


def verify(
    catalog: Catalog = None, *, config: MaybeConfig = None, public_key: PublicKey = None, heads: Heads = None
) -> None:
    """Say whether every chain of the audit holds: no record edited, removed, inserted or cut off.

    Local accounts are held against it too: rights that no event tells of were written past the server.

    Needs no server and changes nothing; with CATALOG and --public-key no configuration either. Exit code 0: all of it
    holds; 3: something does not, and each fault is named; 1: it could not be checked.
    """
    from mft.audit import verify_trail  # noqa: PLC0415  keeps `mft --help` quick
    from mft.auth.audited import unaudited  # noqa: PLC0415

    check, signer = _checker(config, public_key)
    with _reading(_place(config, catalog)) as connection:
        verdict = verify_trail(connection, check)
        faults = [*verdict.faults, *_unlike(connection, heads)]
        altered = unaudited(connection)
    for fault in faults:
        typer.echo(f"chain {printable(fault.chain)}, record {fault.position}: {fault.what}")
    for fault in altered:
        typer.echo(f"account {printable(fault.what)}")
    counted = f"chains: {verdict.chains}, events: {verdict.events}, faults: {len(faults)}"
    if faults:
        typer.echo(f"{counted}; the audit does not hold")
        raise typer.Exit(BROKEN)
    if altered:
        typer.echo(f"{counted}; every chain holds, and accounts have rights that nobody gave them by this server")
        raise typer.Exit(BROKEN)
    typer.echo(f"{counted}; every chain holds, every head is signed by the key {signer}")


def show(
    catalog: Catalog = None,
    *,
    config: MaybeConfig = None,
    chain: Chain = None,
    kind: Kind = None,
    last: Last = 50,
    as_json: AsJson = False,
) -> None:
    """Show the audit's newest events, the oldest of them first. It does not check them: see `mft audit verify`."""
    with _reading(_place(config, catalog)) as connection:
        events = _newest(connection, chain or "*", kind or "*", last)
    if as_json:
        show_json(events)
        return
    for event in events:
        rest = " ".join(f"{name}={_value(value)}" for name, value in event.items() if name not in _TOLD_APART)
        line = f"{event.get('at', '-')} {event['chain']}#{event['n']} {event.get('kind', '-')} {rest}"
        typer.echo(printable(line.rstrip()))


def _place(config: Path | None, catalog: Path | None) -> Path:
    return catalog or options.load(config or DEFAULT).catalog.path


def _checker(config: Path | None, file: Path | None) -> tuple[Callable[[bytes, str], bool], str]:
    """Return what checks the heads' signatures, and the name of the key. The server's own key is read, never made."""
    from mft.receipts import key_id, parse_public_key  # noqa: PLC0415  keeps `mft --help` quick
    from mft.signers import head_checker  # noqa: PLC0415

    if file is not None:
        key = parse_public_key(file.read_bytes())
    else:
        from mft.credentials import load_receipt_key  # noqa: PLC0415

        key = load_receipt_key(options.load(config or DEFAULT).credentials).public_key()
    return head_checker(key), key_id(key)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Connection]:
    """Yield a connection on one consistent state of a catalog that nothing can be written to.

    Raises:
        CatalogUnreadableError: it is none.
    """
    from sqlalchemy import create_engine  # noqa: PLC0415  keeps `mft --help` quick
    from sqlalchemy.exc import DatabaseError  # noqa: PLC0415
    from sqlalchemy.pool import NullPool  # noqa: PLC0415

    engine = create_engine("sqlite://", creator=lambda: _open_read_only(path), poolclass=NullPool)
    try:
        with engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            yield connection
    except DatabaseError as error:
        raise CatalogUnreadableError(f"{path}: not a catalog that can be read: {error.orig}") from error
    finally:
        engine.dispose()


def _open_read_only(path: Path) -> sqlite3.Connection:
    """Open the file itself, and not even the journal beside it for writing where there is none.

    A catalog that was left in order has no `-wal` file. SQLite would make one, even to read, and cannot where the
    directory is closed to us or lies on a read-only medium; `immutable` does without (sqlite.org/wal.html, section 8).
    """
    if not path.is_file():
        raise CatalogUnreadableError(f"{path}: there is no such file")
    if not os.access(path, os.R_OK):
        raise CatalogUnreadableError(f"{path}: it may not be read")
    mode = "mode=ro" if path.with_name(f"{path.name}-wal").exists() else "mode=ro&immutable=1"
    place = urllib.parse.quote(os.fsencode(path.resolve()))
    return sqlite3.connect(f"file:{place}?{mode}", uri=True, isolation_level=None)


def _unlike(connection: Connection, heads: Path | None) -> Iterable[Fault]:
    """Yield a fault for each head handed out earlier that the catalog's record of that place is not."""
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.audit import Fault  # noqa: PLC0415
    from mft.catalog.model import EVENTS  # noqa: PLC0415

    for head in [] if heads is None else _read_heads(heads):
        chain, position = head["chain"], head["position"]
        wanted = (EVENTS.c.chain == chain) & (EVENTS.c.position == position)
        found = connection.execute(select(EVENTS.c.hash).where(wanted)).scalar()
        if found != head["hash"]:
            what = "is not the record" if found is not None else "is missing: it was"
            yield Fault(chain=chain, position=position, what=f"{what} that was handed out as its head at {head['at']}")


def _read_heads(path: Path) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        head = _parsed_json(line)
        if not head and line.startswith('{"at": "'):
            continue  # what a full disk or a power cut has left of one
        texts = (head.get("at"), head.get("chain"), head.get("hash"))
        if not isinstance(head.get("position"), int) or not all(isinstance(text, str) for text in texts):
            raise HeadsUnreadableError(f"{path}, line {number}: not a head as audit.export_head writes them")
        yield head


def _newest(connection: Connection, chain: str, kind: str, last: int) -> list[dict[str, Any]]:
    """Return the newest events of a chain and kind, in the order in which they were written."""
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.catalog.model import EVENTS  # noqa: PLC0415

    events: list[dict[str, Any]] = []
    columns = (EVENTS.c.chain, EVENTS.c.position, EVENTS.c.body)
    for row in connection.execute(select(*columns).order_by(EVENTS.c.id.desc())):
        event = _parsed(row.chain, row.position, row.body)
        if fnmatch.fnmatchcase(row.chain, chain) and fnmatch.fnmatchcase(str(event.get("kind", "")), kind):
            events.append(event)
            if len(events) == last:
                break
    return events[::-1]


def _parsed(chain: str, position: int, body: object) -> dict[str, Any]:
    """Return an event; of one that was tampered with, what can be said all the same."""
    return {**(_parsed_json(str(body)) or {"unreadable": str(body)}), "chain": chain, "n": position}


def _parsed_json(text: str) -> dict[str, Any]:
    """Return a JSON object; an empty one where *text* is something else."""
    try:
        told = json.loads(text)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return json.dumps(text, ensure_ascii=False) if not text or set(text) & set(" \"'=") else text
