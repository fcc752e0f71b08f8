"""Read who is who in the columns of a table: exports of directories and inventories, dumps of tables of accounts.

A column that holds hosts or logins tells of each of them, and so does one of full names; what the rest of the upload
says of them is found by these. Texts that are a table from their first line on, and statements of SQL, are read here;
a table that stands within another text is `columns.told_by_columns`'s.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from scrubber.fields import KINDS
from scrubber.tables import STATEMENTS, CellImages, TableReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST = 1 << 20
"""So much of a text is read: tables that are longer are logs, and say the same things again."""
_TOLD = {"host": "host", "login": "user", "name": "person"}
"""What a column's kind tells of, as the identity pass calls it."""


def _named(name: str) -> Callable[[bytes], bytes]:
    """Return what gives *name*, whatever it is asked."""
    answer = name.encode()
    return lambda _text: answer


_KINDS = CellImages({kind: _named(kind) for kind in KINDS}, _named("secret"))
"""In place of pseudonyms the kinds of what stands in the cells."""


def read_inventory(text: bytes) -> Iterator[tuple[str, bytes]]:
    """Give the kind and the value of all that the tables of *text* tell: hosts, users, persons."""
    text = text[: text.rfind(b"\n", 0, MOST) + 1] if len(text) > MOST else text
    reader = TableReader(_KINDS)
    statements = any(word in text for word in STATEMENTS)
    for _, _, value, kind, _ in reader.read(text, 0, len(text), statements=statements):
        told = _TOLD.get(kind.decode())
        if told is not None:
            yield told, value
