"""`mft unseal`: one stored object in clear, for an operator who holds its region's key.

Whoever may do this could read every file of the region: it asks for a reason, and the audit has both before the first
byte is given out. Keys never leave this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Protocol

import typer

from mft.cli import options
from mft.cli.ledger import DEFAULT, actor, check_regions, open_ledger, printable
from mft.cli.output import whole_file
from mft.cli.secret import ask_passphrase

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.auth.ledger import Ledger
    from mft.config import Config
    from storage.body import BodyReader
    from storage.errors import TamperedError
    from storage.keys.service import LocalKeyService
    from storage.local import LocalReader
    from storage.slot import Manifest
    from storage.store import ObjectReader, ObjectStore

TAMPERED = 3
"""Exit code: what is sealed is not what was sealed."""
_PIECE = 2**20
_BODY_KEY = slice(16, 32)
"""Where a body's header names its object (docs/format.md)."""

Object = Annotated[str | None, typer.Option("--object", metavar="KEY", help="The object, by its key.")]
Upload = Annotated[
    str | None, typer.Option("--upload", metavar="ID", help="The object of an upload, by a receipt's id.")
]
Body = Annotated[Path | None, typer.Option("--body", metavar="FILE", help="A body file, with --slot.")]
SlotFile = Annotated[Path | None, typer.Option("--slot", metavar="FILE", help="The slot file of that body.")]
Region = Annotated[
    str | None,
    typer.Option("--region", metavar="REGION", help="The region to read from. Default: the first that has it."),
]
Output = Annotated[
    Path, typer.Option("--output", metavar="FILE", help="A new file for what was sealed, or - for standard output.")
]
Request = Annotated[
    str | None,
    typer.Option("--request", metavar="ID", help="What was agreed on by `mft break-glass`, where more than one must."),
]
Reason = options.Reason


class NotStoredError(Exception):
    """There is no such object to unseal."""


class Recorder(Protocol):
    """Who writes down what happens to an object."""

    def __call__(self, kind: str, find: Find, **details: object) -> None:
        """Write one event about *find*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """Where an object lies, and what the catalog says of it."""

    object_key: str
    regions: tuple[str, ...]
    """Where to look for it, in this order."""
    customer: str | None = None
    case: str | None = None
    upload: str | None = None


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("unseal")(unseal)


def unseal(
    output: Output,
    reason: Reason,
    *,
    config: options.ConfigPath = DEFAULT,
    object_key: Object = None,
    upload: Upload = None,
    body: Body = None,
    slot: SlotFile = None,
    region: Region = None,
    request: Request = None,
) -> None:
    """Give one stored object in clear, as it was after scrubbing.

    Opens the region's keyring with the passphrase that the configuration names. Exit code 3: the object was tampered
    with, and the finding is named; a file named by --output then does not appear. 1: another failure.
    """
    from storage.errors import TamperedError  # noqa: PLC0415  keeps `mft --help` quick

    _check_usage(output, reason, [object_key is not None, upload is not None, body is not None or slot is not None])
    files = (body, slot) if body is not None and slot is not None else None
    if files is None and (body or slot):
        raise typer.BadParameter("--body and --slot go together")
    settings = options.load(config)
    check_regions(settings, [region] if region else [])
    with contextlib.ExitStack() as stack:
        ledger = stack.enter_context(open_ledger(config))[1] if settings.catalog.path.exists() else None
        record = _recorder(ledger, reason)
        if files is not None:
            find = Find(object_key=_key_of(files[0]), regions=tuple(settings.regions))
        else:
            find = _find(settings, ledger, object_key, upload)
        find = replace(find, regions=(region,)) if region else find
        _break_glass(settings, ledger, find, request, reason)
        try:
            told = _unseal(settings, find, files, output, record)
        except TamperedError as error:
            record("object.tampering_found", find, what=error.what)
            typer.echo(f"mft: {find.object_key}: {error.what}: {printable(str(error))}", err=True)
            raise typer.Exit(TAMPERED) from error
    typer.echo(told, err=True)


def _break_glass(settings: Config, ledger: Ledger | None, find: Find, request: str | None, reason: str) -> None:
    """Write down that an object is about to be unsealed, before any key is opened, and that enough persons agreed.

    Raises:
        GlassError: more must agree; or there is no catalog to say who has.
    """
    from mft.breakglass import UNSEAL, GlassError  # noqa: PLC0415  keeps `mft --help` quick
    from mft.cli.breakglass import open_glass  # noqa: PLC0415

    if ledger is None:
        if settings.break_glass.approvals > 1:
            raise GlassError(
                "there is no catalog here to say who has agreed: with break_glass.approvals above 1 nothing is unsealed"
            )
        return
    with open_glass(settings, ledger) as glass:
        glass.use(UNSEAL, find.object_key, request, by=actor(), reason=reason, customer=find.customer, case=find.case)


def _check_usage(output: Path, reason: str, ways: list[bool]) -> None:
    if sum(ways) != 1:
        raise typer.BadParameter("name the object by one of --object, --upload, or --body with --slot")
    if not reason.strip():
        raise typer.BadParameter("--reason says why; it cannot be empty")
    if str(output) != "-" and (output.exists() or output.is_symlink()):
        raise typer.BadParameter(f"{output} is there already; it is not overwritten")


def _recorder(ledger: Ledger | None, reason: str) -> Recorder:
    from mft.audit import customer_chain  # noqa: PLC0415  keeps `mft --help` quick

    def record(kind: str, find: Find, **details: object) -> None:
        if ledger is None:
            typer.echo(f"mft: there is no catalog here: {kind} is recorded nowhere", err=True)
            return
        known = {"case": find.case, "upload": find.upload}
        with ledger.database.write() as connection:
            ledger.audit.append(
                connection,
                customer_chain(find.customer),
                kind,
                object=find.object_key,
                by=actor(),
                why=reason,
                **known,
                **details,
            )

    return record


def _find(settings: Config, ledger: Ledger | None, object_key: str | None, upload: str | None) -> Find:
    """Ask the catalog where an object lies; without its word every region is looked into.

    Raises:
        NotStoredError: the upload is unknown, or has no object.
        ObjectNameError: *object_key* is none.
    """
    from sqlalchemy import select  # noqa: PLC0415  keeps `mft --help` quick

    from mft.catalog.model import CASES, REPLICAS, UPLOADS  # noqa: PLC0415
    from storage.store import parse_object_key  # noqa: PLC0415

    if object_key is not None:
        parse_object_key(object_key)
    if ledger is None:
        if object_key is None:
            raise NotStoredError(
                "there is no catalog here to look an upload up in; use --object, or --body with --slot"
            )
        return Find(object_key=object_key, regions=tuple(settings.regions))
    wanted = UPLOADS.c.object_key == object_key if upload is None else UPLOADS.c.id == upload
    with ledger.database.read() as connection:
        row = connection.execute(
            select(UPLOADS, CASES.c.number, CASES.c.customer).join(CASES, CASES.c.id == UPLOADS.c.case_id).where(wanted)
        ).first()
        if row is None and object_key is not None:
            return Find(object_key=object_key, regions=tuple(settings.regions))
        if row is None:
            raise NotStoredError(f"there is no upload {upload}")
        if row.object_key is None:
            raise NotStoredError(f"upload {row.id} is {row.state}: there is no stored object of it")
        holding = select(REPLICAS.c.region).where(
            REPLICAS.c.object_key == row.object_key, REPLICAS.c.state == "present"
        )
        present = set(connection.execute(holding).scalars())
    regions = [name for name in dict.fromkeys((row.region, *settings.regions)) if name in present]
    return Find(
        object_key=row.object_key,
        regions=tuple(name for name in regions if name in settings.regions),
        customer=row.customer,
        case=row.number,
        upload=row.id,
    )


def _unseal(settings: Config, find: Find, files: tuple[Path, Path] | None, output: Path, record: Recorder) -> str:
    """Open the object, write that down, and give it out; return what to tell.

    Raises:
        TamperedError: the subclass names how.
    """
    with contextlib.ExitStack() as stack:
        region, opened, manifest = _open(settings, find, files, stack)
        find = _with_facts(find, manifest)
        record("object.unsealed", find, region=region, size=opened.size)
        with _sink(output) as sink:
            digest = _copy(opened, manifest, sink)
    return f"{find.object_key} from {region}: {opened.size} bytes, SHA-256 {digest}, case {printable(find.case or '-')}"


def _open(
    settings: Config, find: Find, files: tuple[Path, Path] | None, stack: contextlib.ExitStack
) -> tuple[str, BodyReader, Manifest]:
    """Open slot, key, manifest and body, of *files* (body, slot) or of the first region that has the object."""
    from storage.body import BodyReader  # noqa: PLC0415  keeps `mft --help` quick
    from storage.keys.envelope import Region as RegionName  # noqa: PLC0415
    from storage.slot import Slot  # noqa: PLC0415
    from storage.store import body_name, parse_object_key, slot_name  # noqa: PLC0415

    object_key = parse_object_key(find.object_key)
    if files is not None:
        slot_bytes = files[1].read_bytes()
        region = _region_of(slot_bytes, find)
        sealed: ObjectReader = _file(files[0])
    else:
        region, store, slot_bytes = _holder(settings, find, slot_name(object_key))
        sealed = store.open(body_name(object_key))
    stack.callback(sealed.close)
    parsed = Slot.parse(slot_bytes, object_key=object_key, region=RegionName(region))
    data_key = _service(settings, region).open_key(parsed.envelope)
    manifest = parsed.open_manifest(data_key)
    opened = BodyReader(sealed, data_key, object_key, stored_size=manifest.body.stored_size)
    return region, opened, manifest


def _service(settings: Config, region: str) -> LocalKeyService:
    """Open the keys of one region in this process: by its passphrase, its token, or whatever holds them.

    Raises:
        KeyringError, KeyUnavailableError: they do not open.
    """
    from mft.regionkeys import RegionKeys, open_keyring  # noqa: PLC0415  keeps `mft --help` quick
    from storage.keys.envelope import Region as RegionName  # noqa: PLC0415

    found = settings.regions[region]
    word = None
    if found.keyring.prompt and found.keys.type == "keyring":
        word = ask_passphrase(region)
    keys = RegionKeys(settings)
    if found.keys.type == "keyring":
        if not found.keyring.path.exists():
            raise NotStoredError(f"{found.keyring.path} is not there: without it nothing of {region!r} opens")
        keys.doors[RegionName(region)].put(open_keyring(settings, region, word))
    return keys.service


def _holder(settings: Config, find: Find, slot: str) -> tuple[str, ObjectStore, bytes]:
    """Return the first region that has the slot, its store, and the slot.

    Raises:
        NotStoredError: none has it.
        StoreUnavailableError: none that answers has it.
    """
    from mft.stores import open_store  # noqa: PLC0415  keeps `mft --help` quick
    from storage.errors import ObjectNotFoundError, StoreUnavailableError  # noqa: PLC0415
    from storage.slot import MAX_SLOT_BYTES  # noqa: PLC0415

    silent: StoreUnavailableError | None = None
    for region in find.regions:
        place = settings.regions[region].store
        if place.bucket is None and not place.path.is_dir():
            continue
        store = open_store(place, region, make=False)
        try:
            with contextlib.closing(store.open(slot)) as reader:
                return region, store, reader.read(0, min(reader.size, MAX_SLOT_BYTES))
        except ObjectNotFoundError:
            continue
        except StoreUnavailableError as error:
            silent = silent or error
    if silent is not None:
        raise silent
    raise NotStoredError(f"{find.object_key} is in none of {', '.join(find.regions) or 'the regions'}")


def _file(path: Path) -> LocalReader:
    from storage.local import LocalReader  # noqa: PLC0415  keeps `mft --help` quick

    return LocalReader(path.name, os.open(path, os.O_RDONLY | os.O_CLOEXEC))


def _key_of(body: Path) -> str:
    """Return the object whose body a file says that it is.

    Raises:
        NotStoredError: it is too short to say.
    """
    with body.open("rb") as file:
        header = file.read(_BODY_KEY.stop)
    if len(header) < _BODY_KEY.stop:
        raise NotStoredError(f"{body}: {len(header)} bytes are no body")
    return header[_BODY_KEY].hex()


def _region_of(data: bytes, find: Find) -> str:
    """Return the region of a slot file.

    Raises:
        TamperedError: it is no slot of the object in any of the regions.
    """
    from storage.errors import WrongObjectError  # noqa: PLC0415  keeps `mft --help` quick
    from storage.keys.envelope import Region as RegionName  # noqa: PLC0415
    from storage.slot import Slot  # noqa: PLC0415
    from storage.store import parse_object_key  # noqa: PLC0415

    refusal: TamperedError | None = None
    for region in find.regions:
        try:
            Slot.parse(data, object_key=parse_object_key(find.object_key), region=RegionName(region))
        except WrongObjectError as error:
            refusal = error
        else:
            return region
    raise refusal or WrongObjectError("this configuration names no region")


def _with_facts(find: Find, manifest: Manifest) -> Find:
    """Fill in from the sealed manifest what the catalog did not say."""
    texts = {name: value for name, value in manifest.facts.items() if isinstance(value, str)}
    return replace(
        find,
        customer=find.customer or texts.get("customer"),
        case=find.case or texts.get("case"),
        upload=find.upload or texts.get("upload"),
    )


def _copy(opened: BodyReader, manifest: Manifest, sink: BinaryIO) -> str:
    """Write the whole content to *sink* and return its SHA-256.

    Raises:
        TamperedError: the body was altered, or is not the one that the manifest describes.
    """
    from storage.errors import WrongObjectError  # noqa: PLC0415  keeps `mft --help` quick

    digest = hashlib.sha256()
    for offset in range(0, opened.size, _PIECE):
        piece = opened.read(offset, _PIECE)
        digest.update(piece)
        sink.write(piece)
    if digest.digest() != manifest.body.sha256:
        raise WrongObjectError("the content is not the one that its manifest describes")
    return digest.hexdigest()


@contextlib.contextmanager
def _sink(output: Path) -> Iterator[BinaryIO]:
    """Yield where the content goes: a file for this user alone that appears when it is whole, or standard output."""
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    before = os.umask(0o077)
    try:
        with whole_file(output) as file:
            yield file
    finally:
        os.umask(before)
