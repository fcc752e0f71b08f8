"""What is told of what happened: the audit trail, and webhooks."""

from sqlalchemy import BigInteger
from sqlmodel import Column, Field, Index, Text, UniqueConstraint

from mft.catalog.model.table import Table, core_table


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


EVENTS = core_table(AuditEvent)
HEADS = core_table(AuditHead)
WEBHOOK_ENDPOINTS = core_table(WebhookEndpoint)
WEBHOOK_DELIVERIES = core_table(WebhookDelivery)
WEBHOOK_RECEIPTS = core_table(WebhookReceipt)
