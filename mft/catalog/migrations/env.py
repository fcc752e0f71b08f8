"""Alembic's environment: runs on the connection that `mft.catalog.schema` hands it."""

from __future__ import annotations

from alembic import context

from mft.catalog.model import Table


def _ours(name: str | None, kind: str, _parents: object) -> bool:
    """Leave the job engine's tables, which share the database, alone."""
    return kind != "table" or name in Table.metadata.tables


def run() -> None:
    connection = context.config.attributes["connection"]
    context.configure(
        connection=connection,
        target_metadata=Table.metadata,
        render_as_batch=True,
        include_name=_ours,
        transaction_per_migration=False,
    )
    context.run_migrations()


run()
