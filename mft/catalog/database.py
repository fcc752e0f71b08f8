"""Connections and transactions.

Writers take the lock at BEGIN (IMMEDIATE) and retry it after a short random wait: SQLite's own busy handler backs off
so far that the slowest of a hundred writers waits six times as long. One writer at a time in each process. Readers
have an engine of their own and never wait for writers (WAL).
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DatabaseError, OperationalError

from mft.catalog.errors import CatalogBusyError, CatalogDamagedError, CatalogDiskError, CatalogFullError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Select

PATIENCE = 10.0
"""Seconds that a writer tries for the lock before it gives up."""
_READ_BUSY_MS = 2000


def _set_pragmas(connection: sqlite3.Connection, *, read_only: bool) -> None:
    connection.isolation_level = None  # transactions are begun by us: see `_begin`
    busy = _READ_BUSY_MS if read_only else 0
    for pragma in (
        f"busy_timeout={busy}",
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "secure_delete=ON",
        "temp_store=MEMORY",
        "journal_size_limit=67108864",
        *(("query_only=ON",) if read_only else ()),
    ):
        _retry_locked(lambda pragma=pragma: connection.execute(f"PRAGMA {pragma}"))


def _retry_locked(attempt: Any) -> Any:  # noqa: ANN401 - passes through whatever the attempt returns
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return attempt()
        except (sqlite3.OperationalError, OperationalError) as error:
            cause = error.orig if isinstance(error, OperationalError) else error
            code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
            if code not in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise
            if time.monotonic() > deadline:
                raise CatalogBusyError("the catalog's write lock was held by others for too long") from error
        time.sleep(random.uniform(0.0003, 0.0012))  # noqa: S311 - jitter, not a secret


_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE, sqlite3.SQLITE_IOERR_SHMMAP}
"""What SQLite says of a disk without room: the latter two of the journal's index, which it does not tell from a failure
(result codes of SQLite's documentation)."""


_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def _damage(what: object, cause: object) -> str:
    return f"{what} is damaged ({cause}): move it away, and have `mft restore` or `mft rebuild` make it"


@contextlib.contextmanager
def _disk_errors() -> Iterator[None]:
    """Raise what the block meets of a full or failing disk in the catalog's own words."""
    try:
        yield
    except (DatabaseError, sqlite3.DatabaseError) as error:
        cause = error.orig if isinstance(error, DatabaseError) else error  # statements of `fixed` are the driver's
        code = getattr(cause, "sqlite_errorcode", 0)
        if code & 0xFF in _DAMAGED:
            raise CatalogDamagedError(_damage("the catalog", cause)) from error
        if code in _FULL or code & 0xFF == sqlite3.SQLITE_FULL:
            raise CatalogFullError("no space left for the catalog") from error
        if code & 0xFF == sqlite3.SQLITE_IOERR:
            raise CatalogDiskError(f"the catalog's disk failed ({cause})") from error
        raise


def open_engine(path: Path, *, read_only: bool = False, pool_size: int = 8) -> Engine:
    """Make an engine on the catalog at *path*, with this house's PRAGMAs and ways of beginning a transaction."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=pool_size,
        max_overflow=pool_size,
        connect_args={"check_same_thread": False},
    )

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        try:
            _set_pragmas(connection, read_only=read_only)
        except sqlite3.DatabaseError as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
                raise CatalogDamagedError(_damage(path, error)) from error
            raise

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        driver: Any = connection.connection.dbapi_connection  # at once: this is run for every transaction
        statement = "BEGIN" if read_only else "BEGIN IMMEDIATE"
        try:
            _retry_locked(lambda: driver.execute(statement))
        except sqlite3.OperationalError as error:  # as whoever waits for one knows it
            raise OperationalError(statement, None, error) from error

    return engine


def open_job_engine(path: Path) -> Engine:
    """Make an engine for the job engine's tables, which begins its own transactions (`isolation_level` IMMEDIATE)."""
    engine = create_engine(f"sqlite:///{path}", connect_args={"check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _connect(connection: sqlite3.Connection, _record: object) -> None:
        _set_pragmas(connection, read_only=False)
        connection.isolation_level = "IMMEDIATE"
        connection.execute("PRAGMA busy_timeout=30000")

    return engine


def paged(statement: Select[Any]) -> str:
    """Return *statement* as text for `fetched`, of at most `:size` rows; its values are `bindparam`s or literal.

    A page of a long list is one statement asked again and again: to work out that it is that one costs as much as
    a thousand rows.
    """
    return f"{statement.compile(dialect=sqlite.dialect(paramstyle='named'))} LIMIT :size"


def fetched(connection: Connection, text: str, values: dict[str, object]) -> list[Any]:
    """Return the rows of a `paged` statement as the driver's own tuples, in its types: rows of objects are dear."""
    result = connection.exec_driver_sql(text, values)
    cursor = result.cursor
    if cursor is None:
        raise TypeError("only what returns rows can be fetched")
    try:
        return list(cursor.fetchall())
    finally:
        result.close()


class _Kept:
    """Connections of an engine that are kept from one transaction to the next.

    To take one out of the engine's pool, and to put it back, costs as much as several statements.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: list[Connection] = []

    @contextlib.contextmanager
    def begin(self) -> Iterator[Connection]:
        """Give a connection in a transaction of its own; one that met an error is not kept."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._engine.connect()
        try:
            with connection.begin():
                yield connection
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)

    def close(self) -> None:
        """Let go of all that is not in use."""
        while self._idle:
            self._idle.pop().close()
        self._engine.dispose()


class Database:
    """The catalog as one process sees it."""

    def __init__(self, path: Path) -> None:
        """Open it; the schema must be in place (`mft.catalog.schema.upgrade`)."""
        self.path = path
        self._writer = open_engine(path)
        self._reader = open_engine(path, read_only=True, pool_size=16)
        self._writing, self._reading = _Kept(self._writer), _Kept(self._reader)
        self._write_lock = threading.Lock()

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a write transaction: committed, durably, at the end of the block, or rolled back.

        Never hold it over I/O.

        Raises:
            CatalogBusyError: other processes held the lock for `PATIENCE` seconds.
            CatalogFullError, CatalogDiskError: the disk is full or fails; nothing of the block counts.
        """
        with self._write_lock, _disk_errors(), self._writing.begin() as connection:
            yield connection

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection for reading one consistent state.

        Raises:
            CatalogFullError, CatalogDiskError: the disk is full (readers write into the journal's index) or fails.
        """
        with _disk_errors(), self._reading.begin() as connection:
            yield connection

    def truncate_journal(self) -> bool:
        """Bring everything into the main file and empty the journal, in which overwritten values still stand.

        Return whether that could be done: not while somebody reads an older state; then later commits do it.
        """
        with contextlib.closing(sqlite3.connect(self.path, timeout=_READ_BUSY_MS / 1000)) as connection:
            busy, _pages, _moved = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return not busy

    def close(self) -> None:
        """Let go of every connection."""
        self._writing.close()
        self._reading.close()
