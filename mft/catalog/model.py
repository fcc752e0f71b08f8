"""The tables. They describe; `mft.catalog`'s other modules ask and change.

SQLModel tables do not validate: values are checked at the edges. Times are UTC, POSIX seconds as REAL. Keys in these
tables are wrapped: they open nothing without the key agent. The names in capitals at the end are the same tables for
SQLAlchemy Core, which is what queries are written in. Annotations stand as they are in this module: deferred, each
would be compiled and looked up at every start.
"""

from sqlalchemy import BigInteger, MetaData, text
from sqlalchemy import Table as CoreTable
from sqlmodel import Column, Field, Index, LargeBinary, SQLModel, Text, UniqueConstraint

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


class CaseRecord(Table, table=True):
    """A case that has been seen: what its folder needs. The case system stays the authority on who may."""

    __tablename__ = "case_record"

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(unique=True)
    customer: str = Field(index=True)
    title: str
    home_region: str
    scope: str = Field(unique=True)
    """Random name of the case's key scope: keys are bound to this, never to a number that could be given twice."""
    kind: str | None = None
    classification: str | None = None
    """Both as the case system said when the case was last entered: they choose how its files are scrubbed."""
    priority: int = 3
    """1 (first) to 5: how soon its copies are made, by its rule or as the case system said."""
    placement: str | None = None
    """JSON: where it may lie and be read from, and which rule says so, as last recorded in the audit."""
    upload_root: int | None = None
    download_root: int | None = None
    created_at: float
    closed_at: float | None = None
    """When the case system closed it, as far as we have noticed; None while it is open."""


class CaseKey(Table, table=True):
    """The case's scope key of one region, wrapped by that region's key."""

    __tablename__ = "case_key"

    case_id: int = Field(primary_key=True, foreign_key="case_record.id")
    region: str = Field(primary_key=True)
    wrapped: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    created_at: float
    destroyed_at: float | None = None
    withdrawn: bool = False
    """Destroyed because the case may not lie there any more: where it may again, there is a fresh one."""


class PseudonymBook(Table, table=True):
    """The pseudonym key of a case, or of a customer in a region, and what its uploads have taught of names."""

    __tablename__ = "pseudonym_book"
    __table_args__ = (UniqueConstraint("case_id"), UniqueConstraint("customer", "region"))

    id: int | None = Field(default=None, primary_key=True)
    case_id: int | None = Field(default=None, foreign_key="case_record.id")
    """None: it is a customer's."""
    customer: str | None = None
    """None: it is a case's."""
    region: str
    scope: str
    """Name of the key's scope, as in its envelope."""
    envelope: str = Field(sa_column=Column(Text, nullable=False))
    names: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Sealed under a key made from the pseudonym key; None: nothing yet."""
    serial: int = 0
    """Rises whenever `names` changes."""
    created_at: float


class Recipient(Table, table=True):
    """A customer's public key, to which what its pseudonyms stand for is sealed; see `mft.recipients`."""

    __tablename__ = "recipient"

    customer: str = Field(primary_key=True)
    public_key: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    registered_by: str
    registered_at: float


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


class ReceiptRecord(Table, table=True):
    """A signed receipt as it was given out."""

    __tablename__ = "receipt"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    kind: str = Field(primary_key=True)
    document: str = Field(sa_column=Column(Text, nullable=False))
    created_at: float


class AuditEvent(Table, table=True):
    """One link of a chain; see `mft.audit`. Never changed, never deleted."""

    __tablename__ = "audit_event"
    __table_args__ = (UniqueConstraint("chain", "previous"), UniqueConstraint("chain", "position"))

    id: int | None = Field(default=None, primary_key=True)
    chain: str
    position: int
    body: str = Field(sa_column=Column(Text, nullable=False))
    previous: str
    hash: str = Field(unique=True)


class AuditHead(Table, table=True):
    """Where a chain stands, signed: a removed tail shows."""

    __tablename__ = "audit_head"

    chain: str = Field(primary_key=True)
    position: int
    hash: str
    signature: str


class RegistryCustomer(Table, table=True):
    """A customer of the built-in registry; see `mft.registry`."""

    __tablename__ = "registry_customer"

    id: str = Field(primary_key=True)
    likeness: str = Field(unique=True)
    """The id in one letter case: no two customers differ in that alone."""
    document: str = Field(sa_column=Column(Text, nullable=False))
    """JSON: the record of the lookup contract."""
    revision: int
    created_at: float
    updated_at: float


class RegistryCase(Table, table=True):
    """A case of the built-in registry. What the server itself keeps of a case that was entered is `CaseRecord`."""

    __tablename__ = "registry_case"
    __table_args__ = (
        Index("ix_registry_case_customer_state", "customer", "state", "number"),
        Index("ix_registry_case_customer", "customer", "number"),
        Index("ix_registry_case_state", "state", "number"),
    )

    number: str = Field(primary_key=True)
    likeness: str = Field(unique=True)
    customer: str = Field(foreign_key="registry_customer.id")
    state: str
    document: str = Field(sa_column=Column(Text, nullable=False))
    """JSON: the record of the lookup contract."""
    folder: str
    """What its folder is called in a layout that says nothing else: made of the record, for long lists."""
    traits: str
    """JSON: what of the record decides who may enter it, but number and state. Cases that share it share the answer."""
    opened_at: float
    revision: int
    created_at: float
    updated_at: float


class Account(Table, table=True):
    """A local account, made by `mft user`."""

    __tablename__ = "account"

    login: str = Field(primary_key=True)
    name: str = ""
    roles: str
    """Role names, comma separated."""
    customer: str | None = None
    password_hash: str | None = None
    regions: str | None = None
    """Region names, comma separated; None: every region."""
    clearance: int = 0
    limited: bool = False
    """Whether it sees no more cases than its grants name."""
    active: bool = True
    expires_at: float | None = None
    created_at: float
    updated_at: float


class AccountGrant(Table, table=True):
    """Cases that a limited account of staff may see: a customer's, one, or one as long as it is that customer's."""

    __tablename__ = "account_grant"

    login: str = Field(primary_key=True, foreign_key="account.login")
    customer: str = Field(primary_key=True)
    """Empty: whoever's the case is."""
    case_number: str = Field(primary_key=True)
    """Empty: every case of the customer."""
    clearance: int | None = None
    created_at: float
    created_by: str


class AccountKey(Table, table=True):
    """An SSH public key of a local account."""

    __tablename__ = "account_key"

    fingerprint: str = Field(primary_key=True)
    login: str = Field(primary_key=True, foreign_key="account.login")
    public_key: str
    comment: str = ""
    created_at: float


class AccessToken(Table, table=True):
    """A token that stands in for a login's password, or one of a case; only its keyed hash is kept."""

    __tablename__ = "access_token"

    id: str = Field(primary_key=True)
    digest: str = Field(unique=True)
    login: str = Field(index=True)
    label: str = ""
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    created_by: str = ""
    refreshed_at: float | None = None
    scopes: str | None = None
    """Words, comma separated: what the token is narrowed to; None: all that its login may do."""
    case_number: str | None = Field(default=None, index=True)
    """The one case that it is for; None: a token of the login."""
    customer: str | None = None
    """Whose case that was when the token was made: it must still be."""
    max_bytes: int | None = Field(default=None, sa_type=BigInteger)
    max_files: int | None = None
    networks: str | None = None
    """CIDR blocks, comma separated, that it may be used from; None: from anywhere."""


class ReleaseVote(Table, table=True):
    """What a releaser wants done with a quarantined upload: to be `release`d unscrubbed or to be `destroy`ed."""

    __tablename__ = "release_vote"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    login: str = Field(primary_key=True)
    wish: str
    reason: str
    at: float


class Release(Table, table=True):
    """A quarantined upload about which enough releasers are agreed; intake carries it out."""

    __tablename__ = "release"

    upload_id: str = Field(primary_key=True, foreign_key="upload.id")
    wish: str
    voters: str
    """Their logins, as a JSON list."""
    reason: str
    decided_at: float
    done_at: float | None = Field(default=None, index=True)


class ApiReplay(Table, table=True):
    """The answer to a request that came with an Idempotency-Key, for whoever sends it again."""

    __tablename__ = "api_replay"

    id: str = Field(primary_key=True)
    """A keyed hash of who asks and of the key."""
    fingerprint: str
    """A keyed hash of the request."""
    status: int | None = None
    """None: it is under way."""
    answer: bytes | None = Field(default=None, sa_column=Column(LargeBinary))
    """Sealed: an answer may hold a token."""
    created_at: float = Field(index=True)


class LoginFailure(Table, table=True):
    """Failed logins of an account or a network, for the throttle."""

    __tablename__ = "login_failure"

    subject: str = Field(primary_key=True)
    count: int
    window_started: float
    locked_until: float | None = None


class Revocation(Table, table=True):
    """A right that was changed or withdrawn, numbered; every worker reads on from the last it saw."""

    __tablename__ = "revocation"

    serial: int | None = Field(default=None, primary_key=True)
    kind: str
    subject: str
    reason: str
    at: float


class WebhookEndpoint(Table, table=True):
    """Who wants to be told of what. Its secret is not kept: it is derived, or lies in a file of the configuration."""

    __tablename__ = "webhook_endpoint"

    name: str = Field(primary_key=True)
    source: str
    """`config`, or `api` for one that was made by the API or at a shell."""
    url: str
    events: str
    """Patterns of event types, comma separated."""
    customers: str | None = None
    """Customer ids, comma separated; None: everybody's."""
    active: bool = True
    serial: int = 1
    """Number of its secret, for one that is derived; rises with each rotation."""
    previous_until: float | None = None
    """Until when the secret before this one signs too."""
    position: int = Field(default=0, sa_type=BigInteger)
    """The newest audit event that was looked at for it."""
    failures: int = 0
    """Attempts in a row that failed, to whichever case."""
    rest_until: float = 0.0
    note: str | None = None
    """Why it is not active, or what its last failure was."""
    created_at: float
    updated_at: float


class WebhookDelivery(Table, table=True):
    """One event for one endpoint, until it is delivered or given up."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        Index("ix_webhook_delivery_stream", "endpoint", "stream", "state", "id"),
        Index("ix_webhook_delivery_due", "state", "due_at"),
        UniqueConstraint("endpoint", "event_id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    endpoint: str = Field(foreign_key="webhook_endpoint.name")
    event_id: str
    """What the receiver tells repeats by: the same at every attempt."""
    type: str
    stream: str
    """The case's number: deliveries of one stream go in order."""
    payload: str = Field(sa_column=Column(Text, nullable=False))
    state: str
    """`waiting`, `delivered` or `dead`."""
    attempts: int = 0
    due_at: float
    expires_at: float
    """When it is given up."""
    last_status: int | None = None
    last_error: str | None = None
    created_at: float
    finished_at: float | None = None


class WebhookReceipt(Table, table=True):
    """An announcement of the case system that was taken: told again, it does nothing."""

    __tablename__ = "webhook_receipt"

    id: str = Field(primary_key=True)
    digest: str
    """SHA-256 of its body: the same id with another body is refused."""
    type: str
    received_at: float = Field(index=True)


class LegalHold(Table, table=True):
    """A case of which nothing may be destroyed, whatever its rules say, until the hold is released."""

    __tablename__ = "legal_hold"

    id: int | None = Field(default=None, primary_key=True)
    number: str = Field(index=True)
    reason: str
    set_by: str
    set_at: float
    released_by: str | None = None
    released_at: float | None = None


class Destruction(Table, table=True):
    """The end of a case's files: written with the shredding of its keys, before anything is deleted."""

    __tablename__ = "destruction"

    id: str = Field(primary_key=True)
    case_id: int = Field(foreign_key="case_record.id", unique=True)
    number: str = Field(index=True)
    customer: str
    manifest: str = Field(sa_column=Column(Text, nullable=False))
    """JSON: what is destroyed and by which rule, without a name; what the certificate says."""
    begun_at: float
    finished_at: float | None = None
    certificate: str | None = Field(default=None, sa_column=Column(Text))


class DestroyedKey(Table, table=True):
    """A key that was destroyed: written with what takes it away, then added to its region's ledger file."""

    __tablename__ = "destroyed_key"
    __table_args__ = (UniqueConstraint("region", "kind", "name"),)

    id: int | None = Field(default=None, primary_key=True)
    region: str
    kind: str
    """`scope` or `key`: of a scope, or of the region itself."""
    name: str
    why: str
    at: float


class KeyRotation(Table, table=True):
    """How far the scope keys of a region have come under a new key of it; see `mft.rewrapping`."""

    __tablename__ = "key_rotation"

    id: int | None = Field(default=None, primary_key=True)
    region: str = Field(index=True)
    target: str
    """Id of the region's key under which everything goes."""
    reason: str
    started_by: str
    started_at: float
    stage: str
    """The part of the work that is under way."""
    place: str = ""
    """How far that part has come."""
    looked_at: int = Field(default=0, sa_type=BigInteger)
    rewrapped: int = Field(default=0, sa_type=BigInteger)
    failed: int = Field(default=0, sa_type=BigInteger)
    """Wrapped keys that do not open: altered, or somebody else's."""
    finished_at: float | None = None


class GlassRequest(Table, table=True):
    """Somebody's wish to do what goes past every rule: to unseal an object, or to shred keys."""

    __tablename__ = "glass_request"

    id: str = Field(primary_key=True)
    action: str
    """`unseal` or `shred`."""
    subject: str
    """An object's key, `case:` and a number, or `customer:` and a customer."""
    customer: str | None = None
    reason: str
    asked_by: str
    asked_at: float
    expires_at: float
    used_at: float | None = None


class GlassApproval(Table, table=True):
    """A person's yes to such a wish; who asks has said it first."""

    __tablename__ = "glass_approval"

    request_id: str = Field(primary_key=True, foreign_key="glass_request.id")
    login: str = Field(primary_key=True)
    reason: str
    at: float


class Installation(Table, table=True):
    """Facts about this installation: its id, the release that last wrote it."""

    __tablename__ = "installation"

    key: str = Field(primary_key=True)
    value: str


def _table(model: type[Table]) -> CoreTable:
    return Table.metadata.tables[str(model.__tablename__)]


CASES = _table(CaseRecord)
CASE_KEYS = _table(CaseKey)
PSEUDONYM_BOOKS = _table(PseudonymBook)
RECIPIENTS = _table(Recipient)
LANDING_KEYS = _table(LandingKey)
NODES = _table(Node)
UPLOADS = _table(Upload)
UPLOAD_RESOURCES = _table(UploadResource)
OWN_VERSIONS = _table(OwnVersion)
UNFILED = _table(UnfiledDeposit)
BODIES = _table(StoredBody)
RESCANS = _table(Rescan)
RESCAN_FILES = _table(RescanFile)
ARCHIVE_PASSWORDS = _table(ArchivePassword)
WRITE_LOCKS = _table(WriteLock)
NODE_PROPERTIES = _table(NodeProperty)
REPLICAS = _table(Replica)
LANDING_MOVES = _table(LandingMove)
OBJECT_FAULTS = _table(ObjectFault)
RECEIPTS = _table(ReceiptRecord)
EVENTS = _table(AuditEvent)
HEADS = _table(AuditHead)
REGISTRY_CUSTOMERS = _table(RegistryCustomer)
REGISTRY_CASES = _table(RegistryCase)
ACCOUNTS = _table(Account)
ACCOUNT_GRANTS = _table(AccountGrant)
ACCOUNT_KEYS = _table(AccountKey)
TOKENS = _table(AccessToken)
RELEASE_VOTES = _table(ReleaseVote)
RELEASES = _table(Release)
API_REPLAYS = _table(ApiReplay)
FAILURES = _table(LoginFailure)
REVOCATIONS = _table(Revocation)
WEBHOOK_ENDPOINTS = _table(WebhookEndpoint)
WEBHOOK_DELIVERIES = _table(WebhookDelivery)
WEBHOOK_RECEIPTS = _table(WebhookReceipt)
LEGAL_HOLDS = _table(LegalHold)
DESTRUCTIONS = _table(Destruction)
DESTROYED_KEYS = _table(DestroyedKey)
KEY_ROTATIONS = _table(KeyRotation)
GLASS_REQUESTS = _table(GlassRequest)
GLASS_APPROVALS = _table(GlassApproval)
INSTALLATION = _table(Installation)
