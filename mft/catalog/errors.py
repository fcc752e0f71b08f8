"""What can go wrong with the catalog.

CatalogError
├── CatalogBusyError       no write lock within the patience given; a later try may succeed
├── CatalogDiskError       its disk fails, and nothing of the transaction counts; a later try may succeed
│   └── CatalogFullError       because it is full
├── CatalogDamagedError    the file is no catalog, or a part of it was altered; no later try succeeds
├── CatalogVersionError    written by a newer release than this one
└── NoSuchRowError         the row that was asked for is not there
"""

from __future__ import annotations


class CatalogError(Exception):
    """Base of the catalog's errors."""


class CatalogBusyError(CatalogError):
    """The write lock could not be had in time."""


class CatalogDiskError(CatalogError):
    """The disk of the catalog fails; nothing of the transaction counts."""


class CatalogFullError(CatalogDiskError):
    """The disk of the catalog is full; nothing of the transaction counts."""


class CatalogDamagedError(CatalogError):
    """The file is no catalog, or a part of it was altered."""


class CatalogVersionError(CatalogError):
    """The database was written by a newer release."""


class NoSuchRowError(CatalogError):
    """The row that was asked for is not there."""
