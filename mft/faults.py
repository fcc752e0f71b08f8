"""One table: what the leaves raise, as the protocol heads understand it. Looked up along the class hierarchy.

What is not in the table is a defect or a breakdown: it passes through, is logged once at the head and never shown to
a client.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

from casemap.errors import LookupAnswerError, LookupUnavailableError
from mft.catalog.errors import CatalogBusyError, CatalogDiskError, CatalogFullError
from mft.catalog.states import StateError
from protocols.errors import (
    DamagedError,
    FileSystemError,
    LockedError,
    NoSpaceError,
    NotFoundError,
    OffsetMismatchError,
    QuotaExceededError,
    UnavailableError,
)
from storage.errors import (
    CustomerKeyError,
    HoleError,
    KeyDestroyedError,
    KeyProviderError,
    KeyUnavailableError,
    LandingBusyError,
    LandingClosedError,
    LandingNotFoundError,
    NoReplicaError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    OutOfSpaceError,
    StoreUnavailableError,
    TamperedError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_log = logging.getLogger(__name__)
_DAMAGED = "no whole copy of this file is left in reach, and none is given out; tell support"
_FULL = "the server has no room left; what was acknowledged is kept, try again later"

TABLE: Mapping[type[Exception], tuple[type[FileSystemError], str]] = {
    OutOfSpaceError: (NoSpaceError, _FULL),
    CatalogFullError: (NoSpaceError, _FULL),
    CatalogDiskError: (UnavailableError, "the server's disk fails; what was acknowledged is kept, try again later"),
    ObjectTooLargeError: (QuotaExceededError, "the file is larger than any file may be"),
    HoleError: (OffsetMismatchError, "bytes in the middle are missing; resume the upload"),
    LandingBusyError: (LockedError, "another session is writing this upload; try again in a moment"),
    LandingClosedError: (LockedError, "another session has taken this upload over"),
    LandingNotFoundError: (NotFoundError, "the upload is gone; send the file again"),
    StateError: (
        LockedError,
        "another request ended or took over this upload; ask how much is there before you send more",
    ),
    KeyDestroyedError: (NotFoundError, "it was destroyed, and its keys with it"),
    CustomerKeyError: (
        UnavailableError,
        "the customer's own key is switched off or out of reach; nothing of theirs opens without it",
    ),
    KeyProviderError: (UnavailableError, "the keys of that region are locked or out of reach; try again later"),
    KeyUnavailableError: (UnavailableError, "keys are not at hand; try again in a moment"),
    NoReplicaError: (UnavailableError, "no copy of it can be read just now; try again in a moment"),
    ObjectNotFoundError: (DamagedError, _DAMAGED),
    TamperedError: (DamagedError, _DAMAGED),
    StoreUnavailableError: (UnavailableError, "the store does not answer; try again in a moment"),
    CatalogBusyError: (UnavailableError, "the server is busy; try again in a moment"),
    LookupUnavailableError: (UnavailableError, "the case system does not answer; try again in a moment"),
    LookupAnswerError: (UnavailableError, "the case system does not answer; try again in a moment"),
}


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise what the block raises in the heads' words."""
    try:
        yield
    except FileSystemError:
        raise
    except Exception as error:
        for kind in type(error).__mro__:
            if kind in TABLE:
                translation, message = TABLE[kind]
                if translation is DamagedError:
                    _log.error("file.damaged", extra={"error": type(error).__name__, "why": str(error)})
                raise translation(message) from error
        raise
