"""The tree, and what comes into it: uploads, their landing keys, locks and receipts."""

from sqlalchemy import BigInteger, text
from sqlmodel import Column, Field, Index, LargeBinary, Text, UniqueConstraint

from mft.catalog.model.table import Table, core_table


class LandingKey(Table, table=True):
    """The landing key of a region and day, wrapped by the region's key; destroyed after that day's last upload."""

    __tablename__ = "landing_key"

    region: str = Field(primary_key=True)
    day: str = Field(primary_key=True)
    wrapped: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: float
    destroyed_at: float | None = None


class Node(Table, table=True):
    """A name in a case's tree. A zone's root has no parent; names are unique among the children of a parent."""

    __tablename__ = "node"
    __table_args__ = (
        UniqueConstraint("parent_id", "name"),
        UniqueConstraint("parent_id", "shown_name"),
        Index(
            "ix_node_unshown",
            "head_upload",
            "is_directory",
            sqlite_where=text("shown_name IS NULL"),
        ),
    )

    id: int | None = Field(default=None, primary_key=True)
    case_id: int = Field(foreign_key="case_record.id", index=True)
    parent_id: int | None = Field(default=None, foreign_key="node.id")
    name: str
    """As its owner gave it."""
    shown_name: str | None = None
    """As everybody else sees it: scrubbed; None until there is something for them to see."""
    is_directory: bool
    owner: str
    created_at: float
    hidden_at: float | None = None
    """When it was deleted; its bytes stay until retention."""
    head_upload: str | None = None
    """The newest STORED version: what everybody but its sender sees."""
    shown_size: int | None = Field(default=None, sa_type=BigInteger)
    """Its scrubbed size, and the time that it shows: kept here for listings, by `mft.upload.newest`."""
    shown_at: float | None = None
    versions: int = 0


class Upload(Table, table=True):
    """The authority on one deposit, from first byte to last state. Each is one version of its node, in CLOSE order."""

    __tablename__ = "upload"
    __table_args__ = (
        Index("ix_upload_partial", "case_id", "login", "parent_id", "name", "state"),
        Index("ix_upload_state", "state", "updated_at"),
        Index("ix_upload_node", "node_id", "version"),
        Index("ix_upload_landing_id", "landing_id"),
        Index("ix_upload_login", "login", "created_at", "id"),
        Index("ix_upload_quota", "case_id", "state", "size", "reserved", "part"),
    )

    id: str = Field(primary_key=True)
    case_id: int = Field(foreign_key="case_record.id")
    zone: str
    parent_id: int = Field(foreign_key="node.id")
    name: str
    node_id: int | None = Field(default=None, foreign_key="node.id")
    version: int | None = None
    login: str
    protocol: str
    peer: str
    session_id: str
    state: str
    reason: str | None = None
    region: str
    copies: str = ""
    """The regions that residency gives copies to, as decided when it began; comma separated."""
    host: str
    """The machine whose landing zone holds it."""
    worker: str
    """The worker slot and process that receives it: what a dead process left RECEIVING is found by this."""
    landing_id: str
    """The landing log that holds its bytes: a resume of a closed file goes on in the log of that file."""
    landing_day: str
    landing_envelope: str = Field(sa_column=Column(Text, nullable=False))
    epoch: int = 0
    """Rises when a resume takes the upload over: the older handle's next write fails."""
    announced: int | None = Field(default=None, sa_type=BigInteger)
    reserved: int = Field(default=0, sa_type=BigInteger)
    """Bytes of the case's quota that it holds while it is under way."""
    prefix: int | None = Field(default=None, sa_type=BigInteger)
    """Where a resume may go on; None: not known, to be read from the landing log."""
    part: bool = False
    """Whether it is a part of a file to come (see `UploadResource`): no file of its own, and shown nowhere."""
    size: int = Field(default=0, sa_type=BigInteger)
    records: int = 0
    sha256: str | None = None
    modified: float | None = None
    object_key: str | None = None
    scrubbed_size: int | None = Field(default=None, sa_type=BigInteger)
    scrubbed_sha256: str | None = None
    report: str | None = Field(default=None, sa_column=Column(Text))
    revision: int = 0
    """How often what is stored of it was replaced since (see `Rescan`): part of what tells clients that it changed."""
    shown_path: str | None = Field(default=None, sa_column=Column(Text))
    """JSON: the names of its path as they were when it was scrubbed, each with its scrubbed form."""
    landing_gone_at: float | None = None
    attempts: int = 0
    created_at: float
    updated_at: float
    landed_at: float | None = None
    finished_at: float | None = None


class UploadResource(Table, table=True):
    """What an upload that has an address of its own is known by there; see `protocols.resumable`."""

    __tablename__ = "upload_resource"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    kind: str
    """`whole`, `part`, or `joined` of parts."""
    dialect: str
    path: str
    """As the client gave it: looked at anew, with its sender's rights, at each request."""
    described: str = Field(default="", sa_column=Column(Text, nullable=False))
    """What the client told of it, as it was sent."""
    length: int | None = Field(default=None, sa_type=BigInteger)
    parts: str | None = Field(default=None, sa_column=Column(Text))
    """JSON: of a joined one the ids of its parts, in order."""
    joined_into: str | None = None
    """Of a part: the id of the upload that it is for, once that is known."""
    unverified_from: int | None = Field(default=None, sa_type=BigInteger)
    """Where a piece began whose checksum has not been compared: what lies behind counts for nothing."""
    landed_as: str | None = None
    """The id of its receipt, once it has landed."""
    ended_at: float | None = None
    """When its sender gave the address up."""


class OwnVersion(Table, table=True):
    """The newest version that a login itself sent of a node: what that login sees."""

    __tablename__ = "own_version"
    __table_args__ = ({"sqlite_with_rowid": False},)  # listings look up one for each name

    node_id: int = Field(primary_key=True, foreign_key="node.id")
    login: str = Field(primary_key=True)
    upload_id: str = Field(foreign_key="upload.id")
    size: int = Field(sa_type=BigInteger)
    """Its size as sent, and the time that it shows: kept here for listings, by `mft.upload.newest`."""
    sent_at: float


class UnfiledDeposit(Table, table=True):
    """A deposit that names no case, until it is assigned to one or its time is over."""

    __tablename__ = "unfiled_deposit"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    customer: str = Field(index=True)
    login: str
    why: str
    """Why no case was found for it."""
    kept_until: float | None = Field(default=None, index=True)
    """None until it has landed."""
    assigned_at: float | None = None
    assigned_by: str | None = None
    assigned_to: str | None = None
    """The case's number."""


class ArchivePassword(Table, table=True):
    """A password that a sender gave for an archive, sealed, until a scrub child has tried it."""

    __tablename__ = "archive_password"
    __table_args__ = (Index("ix_archive_password_place", "parent_id", "name", "login"),)

    id: str = Field(primary_key=True)
    upload_id: str | None = Field(default=None, foreign_key="upload.id", index=True)
    """None: it waits for a file of that name."""
    case_id: int = Field(foreign_key="case_record.id")
    parent_id: int = Field(foreign_key="node.id")
    name: str
    login: str
    envelope: str = Field(sa_column=Column(Text, nullable=False))
    sealed: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: float


class WriteLock(Table, table=True):
    """A WebDAV lock (RFC 4918, section 6), for every worker; see `mft.vfs.locks`."""

    __tablename__ = "write_lock"

    token: str = Field(primary_key=True)
    case_id: int = Field(foreign_key="case_record.id", index=True)
    place: str = Field(index=True)
    """Case, zone and names below it, as its writers see them: `/12/upload/folder/name`."""
    login: str = Field(index=True)
    exclusive: bool
    deep: bool
    owner: str = Field(sa_column=Column(Text, nullable=False))
    """XML that is shown to others."""
    created_at: float
    expires_at: float = Field(index=True)


class NodeProperty(Table, table=True):
    """What a client wants said of a file (RFC 4918, section 4): shown to those who may write there, as they gave it."""

    __tablename__ = "node_property"

    node_id: int = Field(primary_key=True, foreign_key="node.id")
    name: str = Field(primary_key=True)
    value: str = Field(sa_column=Column(Text, nullable=False))


class ReceiptRecord(Table, table=True):
    """A signed receipt as it was given out."""

    __tablename__ = "receipt"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    kind: str = Field(primary_key=True)
    document: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float


LANDING_KEYS = core_table(LandingKey)
NODES = core_table(Node)
UPLOADS = core_table(Upload)
UPLOAD_RESOURCES = core_table(UploadResource)
OWN_VERSIONS = core_table(OwnVersion)
UNFILED = core_table(UnfiledDeposit)
ARCHIVE_PASSWORDS = core_table(ArchivePassword)
WRITE_LOCKS = core_table(WriteLock)
NODE_PROPERTIES = core_table(NodeProperty)
RECEIPTS = core_table(ReceiptRecord)
