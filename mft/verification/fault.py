"""What can be wrong with what is kept, and the account of one round."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field


class Flaw(enum.StrEnum):
    """What is wrong, in the words that the audit, metrics and JSON have for it."""

    MISSING_BODY = "missing-body"
    """The catalog names a copy, and its body is not there."""
    MISSING_SLOT = "missing-slot"
    CORRUPT_BODY = "corrupt-body"
    """A segment or header was altered, or the content is not what its manifest says."""
    CORRUPT_SLOT = "corrupt-slot"
    WRONG_SIZE = "wrong-size"
    """The body has another length than the catalog says."""
    OTHER_CONTENT = "other-content"
    """Whole and genuine, and not what the catalog says: an older one, say."""
    UNDECRYPTABLE = "undecryptable"
    """The key that wraps its key is not in the region's keys."""
    CROSSED = "crossed"
    """The catalog contradicts itself: an upload has another's object, or a name another case's file."""
    MISPLACED = "misplaced"
    """It lies in a region where its case may not lie."""
    ORPHANED = "orphaned"
    """Nothing needs it, and it opens nothing."""
    UNLISTED = "unlisted"
    """A genuine object that the catalog does not know: `mft rebuild` takes it in."""
    MISSING_LANDING = "missing-landing"
    """What was received and not stored yet is not in the landing zone."""
    CORRUPT_LANDING = "corrupt-landing"
    UNREACHABLE = "unreachable"
    """The region's store does not answer."""
    LOCKED = "locked"
    """The region's keys, or the customer's own, are not at hand: what they seal cannot be looked into."""


UNSEEN = frozenset({Flaw.UNREACHABLE, Flaw.LOCKED})
"""Nothing is known to be wrong; it could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that is wrong in one region."""

    subject: str
    """An object's key, a name in a store, an upload's id, a key's scope, or the region itself."""
    region: str
    flaw: Flaw
    detail: str
    case: str | None = None
    customer: str | None = None
    upload: str | None = None
    mended: bool = False
    note: str = ""
    """What was done about it, or why nothing was."""

    @property
    def is_unseen(self) -> bool:
        """Whether nothing is known to be wrong, and it could not be looked at."""
        return self.flaw in UNSEEN

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        told = {
            "subject": self.subject,
            "region": self.region,
            "flaw": str(self.flaw),
            "detail": self.detail,
            "case": self.case,
            "customer": self.customer,
            "upload": self.upload,
            "mended": self.mended,
            "note": self.note,
        }
        return {name: value for name, value in told.items() if value not in {None, ""}}


@dataclass(slots=True, kw_only=True)
class Report:
    """What one round has looked at, and found."""

    regions: tuple[str, ...]
    deep: bool
    objects: int = 0
    copies: int = 0
    bytes: int = 0
    """Plaintext that was read and held against its digest."""
    names: int = 0
    """Files of the stores that were held against the catalog."""
    landings: int = 0
    keys: int = 0
    faults: list[Fault] = field(default_factory=list)
    finished: bool = False
    """Whether it came to its end."""
    _reasons: set[tuple[str, str, str]] = field(default_factory=set)

    def is_news(self, fault: Fault) -> bool:
        """Say whether *fault* is worth a line: why a region, or a customer, cannot be looked into is told once."""
        reason = (fault.region, str(fault.flaw), fault.detail)
        is_known = reason in self._reasons
        self._reasons.add(reason)
        return not (fault.is_unseen and is_known)

    @property
    def left(self) -> list[Fault]:
        """What is wrong and was not mended."""
        return [fault for fault in self.faults if not fault.mended and not fault.is_unseen]

    @property
    def mended(self) -> list[Fault]:
        """What was wrong and is no more."""
        return [fault for fault in self.faults if fault.mended]

    @property
    def unseen(self) -> list[Fault]:
        """What could not be looked at."""
        return [fault for fault in self.faults if fault.is_unseen]

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "regions": list(self.regions),
            "deep": self.deep,
            "objects": self.objects,
            "copies": self.copies,
            "bytes": self.bytes,
            "names": self.names,
            "landings": self.landings,
            "keys": self.keys,
            "left": len(self.left),
            "mended": len(self.mended),
            "unseen": len(self.unseen),
            "faults": [fault.to_dict() for fault in self.faults],
        }
