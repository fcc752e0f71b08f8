"""The built-in case registry: customers and cases in the catalog, for who has no case system.

Every change is one transaction: the row, a numbered announcement so that every worker looks again, and its event.
Logins are not kept here: local accounts (`mft.auth.accounts`) are who comes in.
"""

from mft.registry.cases import CaseRegister
from mft.registry.customers import CustomerRegister
from mft.registry.entry import CaseEntry, CustomerEntry
from mft.registry.errors import (
    CaseExistsError,
    CustomerExistsError,
    CustomerInUseError,
    EntryChangedError,
    InvalidEntryError,
    NoSuchCaseError,
    NoSuchCustomerError,
    PlaceError,
    RegistryError,
)
from mft.registry.journal import Journal
from mft.registry.lookup import RegistryLookup

__all__ = [
    "CaseEntry",
    "CaseExistsError",
    "CaseRegister",
    "CustomerEntry",
    "CustomerExistsError",
    "CustomerInUseError",
    "CustomerRegister",
    "EntryChangedError",
    "InvalidEntryError",
    "Journal",
    "NoSuchCaseError",
    "NoSuchCustomerError",
    "PlaceError",
    "RegistryError",
    "RegistryLookup",
]
