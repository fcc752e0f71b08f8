"""The catalog: its schema, its transactions, and the states that an upload may go through."""

from __future__ import annotations

import importlib
import sqlite3
import stat
import threading

import pytest
from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError, OperationalError

from mft.catalog import database as database_module
from mft.catalog.database import Database
from mft.catalog.errors import CatalogBusyError, CatalogVersionError
from mft.catalog.model import INSTALLATION, NODES, UPLOADS
from mft.catalog.schema import drift, is_current, migrate, upgrade
from mft.catalog.states import PARTIAL, WAYS, WHOLE, WORDS, StateError, UploadState, move_upload


@pytest.fixture
def path(tmp_path):
    upgrade(tmp_path / "catalog.db")
    return tmp_path / "catalog.db"


@pytest.fixture
def database(path):
    database = Database(path)
    yield database
    database.close()


def settings(database):
    with database.read() as connection:
        return dict(connection.execute(select(INSTALLATION.c.key, INSTALLATION.c.value)).all())


def statements(path):
    """Return what each table and index was made with, the parts of it in an order of their own."""
    connection = sqlite3.connect(path)
    rows = connection.execute("SELECT name, sql FROM sqlite_master").fetchall()
    connection.close()
    return {name: sorted(" ".join((sql or "").split()).replace("( ", "(").split(", ")) for name, sql in rows}


def without_brackets(parts):
    return sorted(part.strip("() ") for part in parts)


def test_migrations_make_what_the_model_describes(tmp_path, path):
    """A catalog that is made at once has the tables, constraints and indexes that the migrations lead to."""
    migrate(tmp_path / "migrated.db")
    stepped = Database(tmp_path / "migrated.db")
    with stepped.read() as connection:
        assert drift(connection) == []
    stepped.close()
    made, led_to = statements(path), statements(tmp_path / "migrated.db")
    assert len(made) > 50
    assert {name: without_brackets(parts) for name, parts in made.items()} == {
        name: without_brackets(parts) for name, parts in led_to.items()
    }


def test_catalog_that_is_made_at_once_is_of_this_release(path, database):
    """It has a name, and the next start finds nothing to do."""
    assert is_current(path)
    assert len(settings(database)["id"]) == 16


def test_upgrade_again_changes_nothing(path, database):
    """The installation keeps its id; the file is its owner's alone."""
    before = settings(database)
    upgrade(path)
    assert settings(database) == before
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_catalog_of_a_newer_release_is_left_alone(path):
    """It is refused with what to do, and not a byte of it changes."""
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = 'from-the-future'")
    connection.commit()
    connection.close()
    with pytest.raises(CatalogVersionError, match="newer release"):
        upgrade(path)
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("from-the-future",)]
    connection.close()


def test_failing_transaction_leaves_nothing(database):
    """All of a block or none of it."""

    def fail() -> None:
        with database.write() as connection:
            connection.execute(insert(INSTALLATION).values(key="half", value="done"))
            raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        fail()
    assert "half" not in settings(database)


def test_readers_see_one_state_and_cannot_write(database):
    """A reader's block does not change under it, and changes nothing."""
    with database.read() as reader:
        assert reader.execute(select(INSTALLATION)).all()
        with database.write() as writer:
            writer.execute(insert(INSTALLATION).values(key="new", value="x"))
        assert len(reader.execute(select(INSTALLATION)).all()) == 1
        with pytest.raises(OperationalError, match=r"readonly|read-only|query_only"):
            reader.execute(insert(INSTALLATION).values(key="y", value="y"))
    assert settings(database)["new"] == "x"


def test_many_writers_all_get_their_turn(path):
    """Threads of several processes' worth of connections write without losing a row."""
    databases = [Database(path) for _ in range(4)]

    def write(database: Database, name: str) -> None:
        for number in range(25):
            with database.write() as connection:
                connection.execute(insert(INSTALLATION).values(key=f"{name}-{number}", value="x"))

    threads = [threading.Thread(target=write, args=(each, f"t{n}")) for n, each in enumerate(databases * 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(settings(databases[0])) == 1 + 8 * 25
    for each in databases:
        each.close()


def test_lock_that_is_held_for_too_long_is_busy(path, database, monkeypatch):
    """A writer gives up after its patience with an error that says so."""
    monkeypatch.setattr(database_module, "PATIENCE", 0.2)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(CatalogBusyError), database.write():
        pass
    other.execute("ROLLBACK")
    other.close()
    with database.write() as connection:
        connection.execute(insert(INSTALLATION).values(key="after", value="x"))


def test_references_hold(database):
    """A row cannot point to what is not there."""

    def point_nowhere() -> None:
        with database.write() as connection:
            connection.execute(insert(NODES).values(case_id=99, name="x", is_directory=False, owner="", created_at=0.0))

    with pytest.raises(IntegrityError):
        point_nowhere()


# -- states ------------------------------------------------------------------------------------------------------------


def test_every_state_has_its_ways_and_its_word():
    """The table is whole, and what is over has no way out."""
    assert set(WAYS) == set(WORDS) == set(UploadState)
    assert {state for state, ways in WAYS.items() if not ways} == {
        UploadState.REJECTED,
        UploadState.EXPIRED,
        UploadState.DESTROYED,
    }
    assert not PARTIAL & WHOLE


@pytest.mark.parametrize("source", UploadState)
def test_only_the_table_s_ways_are_gone(core, source):
    """To each state: the move happens if the table has it, else it is refused and nothing changes."""
    core.client("ann").put("/ACME-1/to-support/a", b"x")
    (row,) = core.rows()

    def move(target: UploadState) -> None:
        with core.database.write() as connection:
            connection.execute(update(UPLOADS).values(state=source))
        with core.database.write() as connection:
            move_upload(connection, row.id, target)

    for target in WAYS[source]:
        move(target)
        assert core.states() == [target]
    for target in set(UploadState) - WAYS[source]:
        with pytest.raises(StateError):
            move(target)
        assert core.states() == [source]


@pytest.mark.parametrize(
    ("module", "name", "expected"),
    [
        ("mft.vfs.tree", "_PARTIAL", "ix_upload_partial"),
        ("mft.vfs.tree", "_PARTIALS", "ix_upload_partial"),
        ("mft.vfs.tree", "_SENDER_ROW", "sqlite_autoindex_node_1"),
        ("mft.vfs.tree", "_READER_ROW", "sqlite_autoindex_node_2"),
        ("mft.objects", "_REPLICAS", "sqlite_autoindex_replica_1"),
        ("mft.upload.arrival", "_SAME", "own_version USING PRIMARY KEY"),
    ],
)
def test_what_is_asked_for_every_file_does_not_grow_with_their_number(path, module, name, expected):
    """A statement that is run for every file finds it by its names, and not among all that a login sent or has."""
    fixed = getattr(importlib.import_module(module), name)
    connection = sqlite3.connect(path)
    plan = " ".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {fixed.text}", Anything()))
    connection.close()
    assert expected in plan
    assert "SCAN" not in plan
    assert "ix_upload_login" not in plan
    assert "ix_replica_state" not in plan


class Anything(dict):
    """A value for every name: a plan does not depend on them."""

    def __missing__(self, _name):
        return None
