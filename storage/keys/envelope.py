"""A leaf key as it may lie in a catalog or a slot file: wrapped, and naming everything that it is bound to."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, NewType

from storage.errors import UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

Region = NewType("Region", str)
"""A named location of objects and of keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """One leaf key, wrapped under a scope key, which is wrapped under a region's key."""

    region: Region
    scope: str
    """What is shredded together: `case:<id>`, `landing:<yyyy-mm-dd>`."""
    scope_key: bytes
    """The scope key as the region's `KeyWrapper` wrapped it."""
    subject: str
    """What the key is of: an object key, an upload id, `pseudonym`."""
    key: bytes
    """The leaf key, wrapped under the scope key."""

    def to_dict(self) -> dict[str, str]:
        """Return it as JSON holds it: text as it is, bytes in standard base64 with padding (RFC 4648, section 4)."""
        return {
            "key": base64.b64encode(self.key).decode(),
            "region": self.region,
            "scope": self.scope,
            "scope_key": base64.b64encode(self.scope_key).decode(),
            "subject": self.subject,
        }

    @classmethod
    def from_dict(cls, document: Mapping[str, object]) -> Envelope:
        """Make one from what `to_dict` gave.

        Raises:
            UnknownFormatError: a field is missing, unknown or of the wrong type.
        """
        texts = {name: value for name, value in document.items() if isinstance(value, str)}
        if texts.keys() != {field.name for field in fields(cls)} or len(texts) != len(document):
            raise UnknownFormatError(f"an envelope has exactly five texts; this one has {sorted(document)}")
        try:
            return cls(
                region=Region(texts["region"]),
                scope=texts["scope"],
                scope_key=base64.b64decode(texts["scope_key"], validate=True),
                subject=texts["subject"],
                key=base64.b64decode(texts["key"], validate=True),
            )
        except (binascii.Error, ValueError) as error:
            raise UnknownFormatError("an envelope's keys are not in base64") from error
