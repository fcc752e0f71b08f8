"""Cases, their keys and names, and the built-in registry."""

from sqlmodel import Column, Field, Index, LargeBinary, Text, UniqueConstraint

from mft.catalog.model.table import Table, core_table


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


CASES = core_table(CaseRecord)
CASE_KEYS = core_table(CaseKey)
PSEUDONYM_BOOKS = core_table(PseudonymBook)
RECIPIENTS = core_table(Recipient)
REGISTRY_CUSTOMERS = core_table(RegistryCustomer)
REGISTRY_CASES = core_table(RegistryCase)
