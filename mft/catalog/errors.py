"""What can go wrong with the catalog.

CatalogError
├── CatalogBusyError       no write lock within the patience given; a later try may succeed
├── CatalogVersionError    written by a newer release than this one
└── NoSuchRowError         the row that was asked for is not there
"""

from __future__ import annotations


class CatalogError(Exception):
    """Base of the catalog's errors."""


class CatalogBusyError(CatalogError):
    """The write lock could not be had in time."""


class CatalogVersionError(CatalogError):
    """The database was written by a newer release."""


class NoSuchRowError(CatalogError):
    """The row that was asked for is not there."""
