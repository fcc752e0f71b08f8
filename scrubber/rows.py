"""Read the plain rows of tables with the compiled part: what a column's cells become is asked once for each text."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from scrubber.fields import is_kind
from scrubber.tables import is_password

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scrubber.fields import Field
    from scrubber.sieve import Sieve, Sifted
    from scrubber.tables import CellImages, Columns

_PHONE = 1
_NUMBERS = 3


class RowSieve:
    """Knows what columns hold, under one key. One for each thread."""

    def __init__(self, sieve: Sieve, cells: CellImages, ranks: Mapping[str, int]) -> None:
        """Find with *sieve* what the rules, which have *ranks*, look for in columns."""
        self._sieve = sieve
        self._cells = cells
        self._ranks = ranks
        self._kinds: dict[Field | None, int] = {}

    def reader(self, sifted: Sifted) -> Callable[[Columns, bytes, int, int], int]:
        """Give what reads rows and adds what it finds to *sifted*, once that is settled."""

        def read(columns: Columns, separator: bytes, pos: int, limit: int) -> int:
            if columns.numbers is None:
                columns.numbers = self._numbers(columns)
            return sifted.rows(pos, limit, separator[0], columns.numbers)

        return read

    def _numbers(self, columns: Columns) -> ctypes.Array[ctypes.c_uint32]:
        numbers: list[int] = []
        for field, secret in zip(columns.fields, columns.secrets, strict=True):
            rank = self._ranks.get("person.column" if field is not None else "password.column")
            if rank is None or (field is None and not secret):
                numbers += [0] * _NUMBERS
            else:
                numbers += (self._kind(field) + 1, rank, _PHONE if field is not None and field.kind == "phone" else 0)
        return (ctypes.c_uint32 * len(numbers))(*numbers)

    def _kind(self, field: Field | None) -> int:
        """Give the number of what *field* holds, of secrets where there is none."""
        if field not in self._kinds:
            self._kinds[field] = self._sieve.add_column(self._image(field))
        return self._kinds[field]

    def _image(self, field: Field | None) -> Callable[[bytes], bytes | None]:
        if field is None:
            secret = self._cells.secret
            return lambda text: secret(text) if is_password(text) else None
        image = self._cells.fields[field.kind]
        return lambda text: image(text) if is_kind(field, text) else None
