"""Statements that are run for every file, however small it is: their text is made once, and the driver runs it.

SQLAlchemy takes ten times as long to run a statement that it knows as SQLite takes to answer it, and three times that
if it is built anew. What is not run for every file is not worth this.
"""

from __future__ import annotations

from collections import namedtuple
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Insert, Select, UnaryExpression, or_
from sqlalchemy.dialects import sqlite
from sqlalchemy.sql.operators import custom_op

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sqlalchemy import ColumnElement, Connection
    from sqlalchemy.sql.dml import UpdateBase

T = TypeVar("T")


class Fixed:
    """One statement whose values are `bindparam`s (plain ones, no lists: see `any_of`) or constants.

    Its rows are named tuples of what the driver gives: a Boolean is 0 or 1. The driver's own errors come through;
    `Database` knows them.
    """

    def __init__(self, statement: Select[Any] | UpdateBase, *columns: str) -> None:
        """Take *statement*; *columns* are those that it is given values for, if it is an INSERT or a bare UPDATE."""
        compiled = statement.compile(dialect=sqlite.dialect(paramstyle="named"), column_keys=list(columns) or None)
        self.text = str(compiled)
        """What the driver runs."""
        self._constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
        if isinstance(statement, Insert):
            defaults = {column.key: getattr(column.default, "arg", None) for column in statement.table.columns}
            self._constants |= {name: value for name, value in defaults.items() if value is not None}
        selected = statement.selected_columns if isinstance(statement, Select) else getattr(statement, "_returning", ())
        names = [str(each.key) for each in selected]
        self._row: Any = namedtuple("Row", names, rename=True) if names else None  # noqa: PYI024 - made

    def all(self, connection: Connection, values: Mapping[str, object]) -> list[Any]:
        """Run it in the transaction of *connection* and return its rows."""
        return list(map(self._row._make, self._cursor(connection, values).fetchall()))

    def first(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - a named tuple
        """Run it and return its first row, or None."""
        row = self._cursor(connection, values).fetchone()
        return None if row is None else self._row._make(row)

    def scalar(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - what the column has
        """Run it and return the first column of its first row, or None."""
        row = self._cursor(connection, values).fetchone()
        return None if row is None else row[0]

    def run(self, connection: Connection, values: Mapping[str, object]) -> int:
        """Run it and return how many rows it has changed."""
        count: int = self._cursor(connection, values).rowcount
        return count

    def _cursor(self, connection: Connection, values: Mapping[str, object]) -> Any:  # noqa: ANN401 - the driver's
        driver: Any = connection.connection.dbapi_connection
        return driver.execute(self.text, {**self._constants, **values})


def any_of(column: ColumnElement[Any], values: Iterable[str]) -> ColumnElement[bool]:
    """Say that *column* is one of *values*, in a statement of fixed text."""
    return or_(*(column == str(value) for value in values))


def unindexed(column: ColumnElement[T]) -> ColumnElement[T]:
    """Return *column* as something that no index is chosen for (SQLite's query planner, on unary "+").

    Without statistics SQLite may take the order of time for a better way to one row than that row's own names.
    """
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)
