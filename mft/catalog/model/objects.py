"""What is stored: bodies, where they lie, what ails them, and their second scrubbing."""

from sqlalchemy import BigInteger
from sqlmodel import Column, Field, Index, LargeBinary, Text

from mft.catalog.model.table import Table, core_table


class StoredBody(Table, table=True):
    """A sealed object, named before its first byte is written."""

    __tablename__ = "stored_body"

    key: str = Field(primary_key=True)
    upload_id: str = Field(foreign_key="upload.id", index=True)
    case_id: int = Field(foreign_key="case_record.id", index=True)
    state: str
    size: int = Field(default=0, sa_type=BigInteger)
    stored_size: int = Field(default=0, sa_type=BigInteger)
    sha256: str | None = None
    region: str | None = None
    """Where it was written first: the home when it was scrubbed."""
    sealed_sha256: str | None = None
    """Of the body as it lies in every region."""
    book_id: int | None = Field(default=None, foreign_key="pseudonym_book.id")
    """The pseudonyms that it was written with, as long as `taught` waits to be kept there."""
    taught: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Sealed: the names known once it was written, if its upload taught any; None once they are kept."""
    reverse_map: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """What its pseudonyms stand for, sealed to the customer; None where that is not wanted."""
    replaces: str | None = Field(default=None, sa_column=Column(Text))
    """JSON: the objects in whose place it stands, the newest first; None: it is the first of its upload."""
    created_at: float


class Rescan(Table, table=True):
    """An order to scrub what is stored of a case once more, by the rules of now; see `mft.rescans`."""

    __tablename__ = "rescan"

    id: str = Field(primary_key=True)
    case_id: int = Field(foreign_key="case_record.id", index=True)
    dry_run: bool
    """Only find out what would change."""
    ordered_by: str
    reason: str
    created_at: float
    finished_at: float | None = Field(default=None, index=True)


class RescanFile(Table, table=True):
    """One stored version in an order, and what became of it."""

    __tablename__ = "rescan_file"
    __table_args__ = (Index("ix_rescan_file_waiting", "state", "due_at"),)

    rescan_id: str = Field(primary_key=True, foreign_key="rescan.id")
    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    object_key: str
    """What was stored when it was ordered."""
    state: str
    removed: str | None = Field(default=None, sa_column=Column(Text))
    """JSON: what was found anew, by rule and count."""
    told: str | None = Field(default=None, sa_column=Column(Text))
    """JSON: what its scrub child said, until that is settled."""
    why: str | None = None
    attempts: int = 0
    due_at: float
    finished_at: float | None = None


class Replica(Table, table=True):
    """One region's copy of an object, the wish for it, or what is known of one that is gone.

    States: wanted → present; either → leaving → withdrawn (→ wanted again); and with its case destroying → destroyed.
    """

    __tablename__ = "replica"
    __table_args__ = (Index("ix_replica_state", "state", "due_at"),)

    object_key: str = Field(primary_key=True, foreign_key="stored_body.key")
    region: str = Field(primary_key=True)
    state: str
    attempts: int = 0
    last_error: str | None = None
    queued_at: float
    due_at: float
    verified_at: float | None = None
    withdrawn_at: float | None = None


class LandingMove(Table, table=True):
    """A landing log on its way to another region, or of which something is still to be taken away in one.

    Its uploads say where it lies. The row is there before a byte is anywhere else, and goes when nothing is any more.
    """

    __tablename__ = "landing_move"
    __table_args__ = (Index("ix_landing_move_due_at", "due_at"),)

    landing_id: str = Field(primary_key=True)
    case_id: int = Field(foreign_key="case_record.id", index=True)
    host: str
    """The machine whose landing zones these are."""
    target: str | None = None
    """Where it is to lie; None: where it does."""
    left_in: str = ""
    """Regions in which something of it may lie besides; comma separated."""
    attempts: int = 0
    last_error: str | None = None
    queued_at: float
    due_at: float


class ObjectFault(Table, table=True):
    """What a round of verification found wrong; see `mft.verification`."""

    __tablename__ = "object_fault"

    subject: str = Field(primary_key=True)
    """An object's key, a name in a store, an upload's id, or a key's scope."""
    region: str = Field(primary_key=True)
    flaw: str = Field(primary_key=True)
    detail: str
    found_at: float
    seen_at: float
    ended_at: float | None = Field(default=None, index=True)
    """When it was mended, or was found to be right again."""


BODIES = core_table(StoredBody)
RESCANS = core_table(Rescan)
RESCAN_FILES = core_table(RescanFile)
REPLICAS = core_table(Replica)
LANDING_MOVES = core_table(LandingMove)
OBJECT_FAULTS = core_table(ObjectFault)
