"""How long things are kept: holds, destructions, ends of keys; break-glass; the installation itself."""

from sqlalchemy import BigInteger
from sqlmodel import Column, Field, Text, UniqueConstraint

from mft.catalog.model.table import Table, core_table


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


LEGAL_HOLDS = core_table(LegalHold)
DESTRUCTIONS = core_table(Destruction)
DESTROYED_KEYS = core_table(DestroyedKey)
KEY_ROTATIONS = core_table(KeyRotation)
GLASS_REQUESTS = core_table(GlassRequest)
GLASS_APPROVALS = core_table(GlassApproval)
INSTALLATION = core_table(Installation)
