"""What can go wrong in storage.

    StorageError
    ├── ObjectNotFoundError          no object of that name in this store
    ├── ObjectExistsError            the name is taken, and nothing is ever overwritten
    ├── ObjectNameError              the name cannot be the name of an object
    ├── TamperedError                sealed bytes are not what was sealed; `what` names it
    │   ├── WrongKeyError                another key, or associated data of another thing
    │   ├── UnknownFormatError           not one of our formats, or of a later version
    │   ├── AlteredHeaderError           the header of a body, or of the stream in it
    │   ├── AlteredSegmentError          one segment of a stream
    │   ├── MisplacedSegmentError        segments out of order, or taken from elsewhere in the stream
    │   ├── TruncatedError               the end is missing
    │   ├── TrailingBytesError           something follows the end
    │   ├── WrongObjectError             whole and genuine, but another object's, or another region's
    │   ├── AlteredSlotError             a slot file
    │   ├── AlteredKeyError              a wrapped key, or one that was bound to something else
    │   └── DifferingCopyError           two regions hold different bytes of one name
    ├── KeyUnavailableError          this process holds no key of that region, or not that one
    │   ├── KeyProviderError             what holds the key is locked, switched off, or does not answer
    │   │   └── CustomerKeyError             and it is in a customer's hands
    │   └── KeyDestroyedError            the key was destroyed, and the ledger says so
    ├── KeyringError                 a keyring file that is missing, in the way, or not a keyring
    │   └── WrongPassphraseError         the passphrase does not open it (or its file was altered)
    ├── RegionNotAllowedError        the placement does not name that region
    ├── NoReplicaError               no allowed region that has it answers
    ├── StoreUnavailableError        a store does not answer, or its disk fails
    │   └── StoreRefusedError            it answers, and will not have us: credentials, rights, no such bucket
    ├── ObjectLockedError            the store keeps it until a day that it was told (WORM)
    ├── OutOfSpaceError              disk or disk quota is full (ENOSPC, EDQUOT)
    ├── ObjectTooLargeError          more segments than a stream can number
    └── LandingError
        ├── LandingNotFoundError         no log of that upload
        ├── LandingExistsError           there is one already
        ├── LandingBusyError             another handle is writing it
        ├── LandingClosedError           the handle is closed
        ├── HoleError                    bytes in the middle were never written
        ├── RewrittenError               what was read of an upload under way has changed since
        ├── AlteredRecordError           a record, where a torn tail cannot explain it (also a TamperedError)
        └── RolledBackError              fewer records or bytes than were committed (also a TamperedError)

A later try may succeed with `NoReplicaError`, `StoreUnavailableError`, `OutOfSpaceError`, `LandingBusyError` and
`KeyUnavailableError`, with `ObjectLockedError` once its day has come; with the others only something else can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import datetime as dt


class StorageError(Exception):
    """Base of everything that storage raises on purpose."""


class ObjectNotFoundError(StorageError):
    """No object of that name is in this store."""


class ObjectExistsError(StorageError):
    """The name is taken."""


class ObjectNameError(StorageError):
    """The name cannot be the name of an object."""


class TamperedError(StorageError):
    """Sealed bytes are not what was sealed."""

    what: ClassVar[str] = "altered"
    """The finding in a few stable words, for the audit and for metrics."""


class WrongKeyError(TamperedError):
    """The key is another one, or the associated data belong to something else."""

    what = "wrong key or associated data"


class UnknownFormatError(TamperedError):
    """The bytes are in no format of ours, or in one of a later version."""

    what = "unknown format"


class AlteredHeaderError(TamperedError):
    """The header of a body, or of the stream in it, was altered."""

    what = "header altered"


class AlteredSegmentError(TamperedError):
    """A segment does not open under a key that opens others."""

    what = "segment altered"


class MisplacedSegmentError(TamperedError):
    """A genuine segment stands where another belongs."""

    what = "segments out of order"


class TruncatedError(TamperedError):
    """The end is missing."""

    what = "truncated"


class TrailingBytesError(TamperedError):
    """Something follows the end."""

    what = "trailing bytes"


class WrongObjectError(TamperedError):
    """Whole and genuine, but another object's or another region's."""

    what = "wrong object"


class AlteredSlotError(TamperedError):
    """A slot file was altered."""

    what = "slot altered"


class AlteredKeyError(TamperedError):
    """A wrapped key was altered, or was bound to another region, scope or subject."""

    what = "wrapped key altered or bound to something else"


class DifferingCopyError(TamperedError):
    """Two regions hold different bytes under one name, or a copy did not read back as it was written."""

    what = "copies differ"


class KeyUnavailableError(StorageError):
    """This process holds no key of that region, or not that one."""


class KeyProviderError(KeyUnavailableError):
    """What holds the key (a token, a key service, a sealed file) is locked, switched off, or does not answer."""


class CustomerKeyError(KeyProviderError):
    """The customer's own key, without which nothing of theirs opens, is switched off or out of reach."""


class KeyDestroyedError(KeyUnavailableError):
    """The key was destroyed: whatever it wrapped never opens again."""


class KeyringError(StorageError):
    """The keyring file is missing, in the way, or not a keyring."""


class WrongPassphraseError(KeyringError):
    """The passphrase does not open the keyring, or its file was altered."""


class RegionNotAllowedError(StorageError):
    """The placement does not name that region."""


class NoReplicaError(StorageError):
    """No allowed region that has it answers."""


class StoreUnavailableError(StorageError):
    """A store does not answer, or its disk fails."""


class StoreRefusedError(StoreUnavailableError):
    """The store answers and will not have us: an operator has to mend credentials, rights or the configuration."""


class ObjectLockedError(StorageError):
    """The store was told to keep the object, and does (object lock, WORM)."""

    def __init__(self, message: str, *, until: dt.datetime | None = None) -> None:
        """Say so, with the moment (UTC) at which it can go; None where that is not known (a legal hold)."""
        super().__init__(message)
        self.until = until


class OutOfSpaceError(StorageError):
    """The disk or the disk quota is full."""


class ObjectTooLargeError(StorageError):
    """The stream would need more segments than it can number."""


class LandingError(StorageError):
    """Base of what the landing zone raises."""


class LandingNotFoundError(LandingError):
    """There is no log of that upload."""


class LandingExistsError(LandingError):
    """There is a log of that upload already."""


class LandingBusyError(LandingError):
    """Another handle, here or in another process, is writing that log."""


class LandingClosedError(LandingError):
    """The handle is closed."""


class HoleError(LandingError):
    """Bytes in the middle were never written."""


class RewrittenError(LandingError):
    """What was read of an upload under way was written again, or cut off, since."""


class AlteredRecordError(LandingError, TamperedError):
    """A record does not open, where a torn tail cannot be the reason."""

    what = "landing record altered"


class RolledBackError(LandingError, TamperedError):
    """The log holds fewer records or other bytes than were committed."""

    what = "landing log rolled back"
