"""Bring a catalog's schema to this release."""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from mft.catalog.errors import CatalogVersionError

if TYPE_CHECKING:
    from alembic.config import Config as AlembicConfig
    from sqlalchemy import Connection

HEAD = "0001"
"""The newest migration; a test holds it against the files."""

_VERSION_TABLE = (
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, "
    "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
)
"""As Alembic makes it."""


def _settings(connection: Connection | None = None) -> AlembicConfig:
    from alembic.config import Config as AlembicConfig  # noqa: PLC0415 - heavy, and not needed where nothing changed

    settings = AlembicConfig()
    settings.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    settings.attributes["connection"] = connection
    return settings


def upgrade(path: Path) -> None:
    """Make the catalog at *path*, or bring it to this release's schema, in one transaction.

    Raises:
        CatalogVersionError: it was written by a newer release; nothing is changed.
    """
    if not path.exists() or path.stat().st_size == 0:
        _make(path)
    elif not is_current(path):
        migrate(path)


def migrate(path: Path) -> None:
    """Bring the catalog at *path* to this release's schema, step by step from what it has. See `upgrade`."""
    from alembic import command  # noqa: PLC0415 - heavy, and not needed where nothing changed; so below
    from alembic.migration import MigrationContext  # noqa: PLC0415
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    from mft.catalog.database import open_engine  # noqa: PLC0415

    engine = open_engine(path)
    try:
        with engine.begin() as connection:
            script = ScriptDirectory.from_config(_settings())
            current = MigrationContext.configure(connection).get_current_revision()
            known = {revision.revision for revision in script.walk_revisions()}
            if current is not None and current not in known:
                raise CatalogVersionError(
                    f"{path} was written by a newer release (schema {current}); start that release, or restore a backup"
                )
            if current != script.get_current_head():
                command.upgrade(_settings(connection), "head")
            _give_name(connection)
        path.chmod(0o600)
    finally:
        engine.dispose()


def _make(path: Path) -> None:
    """Make a catalog of this release: what all migrations together make, and a test holds it against them."""
    from sqlalchemy import text  # noqa: PLC0415 - heavy, and not needed where nothing changed; so below

    from mft.catalog.database import open_engine  # noqa: PLC0415
    from mft.catalog.model import Table  # noqa: PLC0415

    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = open_engine(path)
    try:
        with engine.begin() as connection:
            Table.metadata.create_all(connection)
            connection.execute(text(_VERSION_TABLE))
            connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
            _give_name(connection)
        path.chmod(0o600)
    finally:
        engine.dispose()


def _give_name(connection: Connection) -> None:
    """Give the installation the name that it keeps, unless it has one."""
    from sqlalchemy import insert, select  # noqa: PLC0415 - heavy, and not needed where nothing changed; so below

    from mft.catalog.model import INSTALLATION  # noqa: PLC0415

    if connection.execute(select(INSTALLATION.c.value).where(INSTALLATION.c.key == "id")).first() is None:
        connection.execute(insert(INSTALLATION).values(key="id", value=secrets.token_hex(8)))


def is_current(path: Path) -> bool:
    """Say whether the catalog at *path* is there and already of this release."""
    if not path.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(path)) as connection:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            named = connection.execute("SELECT value FROM installation WHERE key = 'id'").fetchone()
    except sqlite3.Error:
        return False
    return revision == (HEAD,) and named is not None


def drift(connection: Connection) -> list[object]:
    """Say in what the database at *connection* differs from `mft.catalog.model`'s tables; empty when in nothing."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - heavy, and not needed where nothing changed
    from alembic.migration import MigrationContext  # noqa: PLC0415

    from mft.catalog.model import Table  # noqa: PLC0415

    context = MigrationContext.configure(
        connection,
        opts={"include_name": lambda name, kind, _: kind != "table" or name in Table.metadata.tables},
    )
    return list(compare_metadata(context, Table.metadata))


def new_revision(path: Path, message: str) -> None:
    """Write a migration for what `mft.catalog.model` has and the catalog at *path* has not (for developers)."""
    from alembic import command  # noqa: PLC0415 - heavy, and not needed where nothing changed

    from mft.catalog.database import open_engine  # noqa: PLC0415

    engine = open_engine(path)
    with engine.begin() as connection:
        command.revision(_settings(connection), message=message, autogenerate=True)
    engine.dispose()
