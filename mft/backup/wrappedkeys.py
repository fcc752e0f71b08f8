"""Wrapped keys, taken out of a catalog's copy into a file of their own, and put in again."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple

from mft.backup.errors import AlteredBackupError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator


class _Column(NamedTuple):
    table: str
    key: tuple[str, ...]
    column: str
    empty: object
    """What stands there without it."""


COLUMNS = (
    _Column("case_key", ("case_id", "region"), "wrapped", None),
    _Column("landing_key", ("region", "day"), "wrapped", None),
    _Column("pseudonym_book", ("id",), "envelope", ""),
    _Column("upload", ("id",), "landing_envelope", ""),
    _Column("archive_password", ("id",), "envelope", ""),
)
"""Every place of the catalog where wrapped keys lie."""


def take_keys(connection: sqlite3.Connection) -> Iterator[str]:
    """Yield every wrapped key as a line; once all are taken none is left in the database, nor in its free pages."""
    connection.execute("PRAGMA secure_delete=ON")
    for number, place in enumerate(COLUMNS):
        keys = ", ".join(place.key)
        held = f"{place.column} IS NOT NULL AND {place.column} != ''"
        for row in connection.execute(f"SELECT {keys}, {place.column} FROM {place.table} WHERE {held}"):  # noqa: S608
            value = row[-1]
            told: dict[str, object] = {"place": number, "row": list(row[:-1])}
            told |= {"b": base64.b64encode(value).decode()} if isinstance(value, bytes) else {"t": value}
            yield json.dumps(told) + "\n"
        statement = f"UPDATE {place.table} SET {place.column} = ? WHERE {held}"  # noqa: S608 - names from above alone
        connection.execute(statement, (place.empty,))
    connection.commit()
    connection.execute("VACUUM")


def put_keys(connection: sqlite3.Connection, lines: Iterable[str]) -> None:
    """Put what `take_keys` gave back to its places; the caller commits.

    Raises:
        AlteredBackupError: a line is none of ours.
    """
    for line in lines:
        try:
            told = json.loads(line)
            place, row = COLUMNS[told["place"]], told["row"]
            value = base64.b64decode(told["b"], validate=True) if "b" in told else str(told["t"])
        except (ValueError, KeyError, TypeError, IndexError) as error:
            raise AlteredBackupError("a line of the wrapped keys cannot be understood") from error
        where = " AND ".join(f"{name} = ?" for name in place.key)
        statement = f"UPDATE {place.table} SET {place.column} = ? WHERE {where}"  # noqa: S608 - names from above alone
        connection.execute(statement, (value, *row))
