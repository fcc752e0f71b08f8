"""What can go wrong in the built-in registry. Texts are for whoever may change it.

RegistryError
├── NoSuchCustomerError, NoSuchCaseError
├── CustomerExistsError, CaseExistsError   there is one whose name is, or looks like, that one
├── CustomerInUseError                     it has cases
├── InvalidEntryError                      a record that cannot be; `field` names where
├── EntryChangedError                      somebody else has changed it since it was read
└── PlaceError                             a place in a list that is none
"""

from __future__ import annotations


class RegistryError(Exception):
    """Base of the registry's errors."""


class NoSuchCustomerError(RegistryError):
    """No customer has that id."""


class NoSuchCaseError(RegistryError):
    """No case has that number."""


class CustomerExistsError(RegistryError):
    """There is a customer already whose id is, or looks like, that one."""


class CaseExistsError(RegistryError):
    """There is a case already whose number is, or looks like, that one."""


class CustomerInUseError(RegistryError):
    """The customer has cases."""


class InvalidEntryError(RegistryError):
    """A record cannot be like that."""

    def __init__(self, field: str, reason: str) -> None:
        """Name the *field* and say what is wrong with it."""
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class EntryChangedError(RegistryError):
    """The record was changed since it was read."""


class PlaceError(RegistryError):
    """The place in a list is none."""
