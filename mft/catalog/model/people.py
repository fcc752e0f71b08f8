"""Accounts, tokens, log-ins that failed, rights that ended, and releases from quarantine."""

from sqlalchemy import BigInteger
from sqlmodel import Column, Field, LargeBinary

from mft.catalog.model.table import Table, core_table


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


ACCOUNTS = core_table(Account)
ACCOUNT_GRANTS = core_table(AccountGrant)
ACCOUNT_KEYS = core_table(AccountKey)
TOKENS = core_table(AccessToken)
RELEASE_VOTES = core_table(ReleaseVote)
RELEASES = core_table(Release)
API_REPLAYS = core_table(ApiReplay)
FAILURES = core_table(LoginFailure)
REVOCATIONS = core_table(Revocation)
