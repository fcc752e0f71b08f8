"""`.meta/versions/NAME/1`, `2`, …: every version of a file that whoever looks may see, the oldest first.

A version is a deposit; they are counted in the order in which they were closed. Numbers do not move: one that was
quarantined or rejected leaves a gap for everybody but its sender.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, or_, select

from mft.catalog.model import UPLOADS
from mft.catalog.states import WHOLE, UploadState
from mft.vfs.tree import Leaf, find_leaf, walk_place
from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Row, Select

    from mft.catalog.database import Database
    from mft.vfs.tree import Place

VERSIONS = "versions"
_PAGE = 256


def list_versions(database: Database, place: Place, leaf: Leaf) -> Iterator[Leaf]:
    """Yield the versions of the file *leaf* in *place* that its view shows, each named by its number."""
    if leaf.node_id is None:
        return
    statement = _rows(place, leaf.node_id).order_by(UPLOADS.c.version).limit(_PAGE)
    last = 0
    while True:
        with database.read() as connection:
            rows = connection.execute(statement.where(UPLOADS.c.version > last)).all()
        yield from (_leaf(row, place) for row in rows)
        if len(rows) < _PAGE:
            return
        last = rows[-1].version


def find_version(database: Database, place: Place, leaf: Leaf, number: int) -> Leaf | None:
    """Return one version of the file *leaf*, or None if there is none of that number to be seen."""
    if leaf.node_id is None:
        return None
    with database.read() as connection:
        row = connection.execute(_rows(place, leaf.node_id).where(UPLOADS.c.version == number)).first()
    return None if row is None else _leaf(row, place)


def version_entry(leaf: Leaf) -> Entry:
    """Describe a version by what a reader of it gets."""
    scrubbed = leaf.state == UploadState.STORED
    return Entry(
        name=leaf.name,
        is_directory=False,
        size=leaf.size,
        modified=leaf.modified,
        created=leaf.created,
        etag=leaf.read_tag if scrubbed else f"{leaf.upload_id}-sent",
    )


def walk_versions(database: Database, root: Place, rest: tuple[str, ...]) -> tuple[Place, Leaf, Leaf | None] | None:
    """Return what a path below `versions` means: the directory and the file, and the version if it names one.

    None: no file is there (a directory may be).
    """
    for names, number in ((rest, None), (rest[:-1], rest[-1] if rest else "")):
        if not names:
            continue
        place = walk_place(database, root, names[:-1])
        leaf = None if place is None else find_leaf(database, place, names[-1])
        if place is None or leaf is None or leaf.is_directory:
            continue
        if number is None:
            return place, leaf, None
        version = find_version(database, place, leaf, int(number)) if _is_number(number) else None
        return None if version is None else (place, leaf, version)
    return None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10 and not text.startswith("0")


def _rows(place: Place, node_id: int) -> Select[Any]:
    own = and_(UPLOADS.c.login == place.login, UPLOADS.c.state.in_(list(WHOLE)))
    stored = UPLOADS.c.state == UploadState.STORED
    seen = stored
    if place.sender:
        seen = own if place.own_only else or_(stored, own)
    return select(UPLOADS).where(UPLOADS.c.node_id == node_id, seen)


def _leaf(row: Row[Any], place: Place) -> Leaf:
    stored = row.state == UploadState.STORED
    leaf = Leaf(
        name=str(row.version),
        node_id=row.node_id,
        is_directory=False,
        size=(row.scrubbed_size or 0) if stored else row.size,
        modified=row.modified if row.modified is not None else row.landed_at,
        upload_id=row.id,
        own=row.login == place.login,
        state=row.state,
        created=row.landed_at,
        revision=row.revision,
    )
    return leaf._replace(scrubbed_size=row.scrubbed_size) if stored else leaf
