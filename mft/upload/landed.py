"""Bytes that have landed, read back: by their sender until they are stored, and by intake."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from protocols.errors import NotFoundError
from storage.errors import LandingNotFoundError
from storage.keys.envelope import Envelope

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Row

    from storage.keys.service import KeyService
    from storage.landing import LandingReader, LandingZone


class LandedFiles:
    """The landing zones of every region, for reading."""

    def __init__(self, *, keys: KeyService, zones: Mapping[str, LandingZone]) -> None:
        """Read from *zones* (by region)."""
        self._keys = keys
        self._zones = zones

    def key_of(self, row: Row[Any]) -> bytes:
        """Return the key of an upload's landing log; see `open_landing_key`."""
        return open_landing_key(self._keys, row)

    def keys_of(self, rows: Sequence[Row[Any]]) -> list[bytes]:
        """Return the keys of several, `KEYS_AT_ONCE` at most; see `open_landing_key`."""
        return self._keys.open_keys([_envelope_of(row) for row in rows])

    def open(self, row: Row[Any]) -> LandingReader:
        """Open what upload *row* received, as it was when it landed.

        Raises:
            NotFoundError: it has been destroyed.
        """
        try:
            return self._zones[row.region].open(row.landing_id, self.key_of(row), records=row.records, size=row.size)
        except LandingNotFoundError:
            raise NotFoundError("what was sent is no longer kept") from None


def open_landing_key(keys: KeyService, row: Row[Any]) -> bytes:
    """Return the key of an upload's landing log.

    Raises:
        NotFoundError: it was destroyed.
    """
    return keys.open_key(_envelope_of(row))


def _envelope_of(row: Row[Any]) -> Envelope:
    if not row.landing_envelope:
        raise NotFoundError("what was sent is no longer kept")
    return Envelope.from_dict(json.loads(row.landing_envelope))
