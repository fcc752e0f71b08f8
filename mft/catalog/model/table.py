"""What the tables share."""

from sqlalchemy import MetaData
from sqlalchemy import Table as CoreTable
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Table(SQLModel):
    """What the tables share: one naming convention, so that migrations can name every constraint."""

    metadata = MetaData(naming_convention=NAMING)
    model_config = {"defer_build": True}
    """Nothing is validated here, so no validators are built: that would be a part of every start."""


def core_table(model: type[Table]) -> CoreTable:
    """Return the table of *model* as SQLAlchemy Core knows it."""
    return Table.metadata.tables[str(model.__tablename__)]
