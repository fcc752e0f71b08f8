"""What was received and is not stored yet: whether its landing logs are there, and whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import select

from mft.catalog.model import CASES, LANDING_MOVES, UPLOADS
from mft.catalog.states import UploadState
from mft.verification.fault import Flaw
from storage.errors import KeyProviderError, KeyUnavailableError, LandingNotFoundError, StorageError, TamperedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sqlalchemy import Row

    from mft.catalog.database import Database
    from mft.upload.landed import LandedFiles
    from storage.landing import LandingReader, LandingZone

_KEPT = [UploadState.LANDED, UploadState.SCRUBBING, UploadState.QUARANTINED]
_PAGE = 500
_PIECE = 2**20


class Landing(NamedTuple):
    """One upload, and what is wrong with its log; None: nothing."""

    row: Row[Any]
    flaw: Flaw | None
    detail: str


class Landings:
    """Looks at the landing zones of this node."""

    def __init__(
        self,
        *,
        database: Database,
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        host: str,
        locked: frozenset[str],
        pace: Callable[[int], None],
    ) -> None:
        """Look into *zones* (by region) for what *host* has received; of *locked* regions no key is here."""
        self._database = database
        self._zones = zones
        self._landed = landed
        self._host = host
        self._locked = locked
        self._pace = pace

    def examine(self, regions: Iterable[str], *, case: str | None, deep: bool) -> Iterator[Landing]:
        """Yield every upload whose bytes must be in a landing zone, with what is wrong with them."""
        after = ""
        while rows := self._page(after, regions, case):
            for row in rows:
                yield self._look(row, deep=deep)
            after = rows[-1].id

    def strangers(self, region: str) -> Iterator[str]:
        """Yield the ids of logs that no upload needs: it is unknown, or its log was given up."""
        ids = list(self._zones[region].ids())
        for start in range(0, len(ids), _PAGE):
            batch = ids[start : start + _PAGE]
            with self._database.read() as connection:
                needed = set(
                    connection.execute(
                        select(UPLOADS.c.landing_id).where(
                            UPLOADS.c.landing_id.in_(batch),
                            UPLOADS.c.landing_gone_at.is_(None),
                            UPLOADS.c.region == region,
                        )
                    ).scalars()
                )
                # One that is being moved, or is to be taken away, has its own row.
                needed.update(
                    connection.execute(
                        select(LANDING_MOVES.c.landing_id).where(LANDING_MOVES.c.landing_id.in_(batch))
                    ).scalars()
                )
            yield from (each for each in batch if each not in needed)

    def _page(self, after: str, regions: Iterable[str], case: str | None) -> list[Row[Any]]:
        wanted = (
            select(UPLOADS, CASES.c.number, CASES.c.customer)
            .join(CASES, CASES.c.id == UPLOADS.c.case_id)
            .where(
                UPLOADS.c.id > after,
                UPLOADS.c.state.in_(_KEPT),
                UPLOADS.c.host == self._host,
                UPLOADS.c.region.in_(list(regions)),
                UPLOADS.c.landing_gone_at.is_(None),
            )
            .order_by(UPLOADS.c.id)
            .limit(_PAGE)
        )
        if case is not None:
            wanted = wanted.where(CASES.c.number == case)
        with self._database.read() as connection:
            return list(connection.execute(wanted).all())

    def _look(self, row: Row[Any], *, deep: bool) -> Landing:
        found = self._seen(row, deep=deep)
        if found.flaw is None:
            return found
        with self._database.read() as connection:
            now = connection.execute(select(UPLOADS.c.state).where(UPLOADS.c.id == row.id)).scalar()
        return found if now in _KEPT else Landing(row, None, "")

    def _seen(self, row: Row[Any], *, deep: bool) -> Landing:
        zone = self._zones.get(row.region)
        try:
            if zone is None:
                return Landing(row, Flaw.UNREACHABLE, f"this node has no landing zone of {row.region!r}")
            zone.log_size(row.landing_id)
            if deep and row.region not in self._locked:
                with_key = zone.open(row.landing_id, self._landed.key_of(row), records=row.records, size=row.size)
                try:
                    self._read_through(with_key)
                finally:
                    with_key.close()
        except LandingNotFoundError:
            return Landing(row, Flaw.MISSING_LANDING, f"{row.size} bytes that were received are not there")
        except KeyUnavailableError as error:
            locked = isinstance(error, KeyProviderError)
            return Landing(row, Flaw.LOCKED if locked else Flaw.UNDECRYPTABLE, str(error))
        except TamperedError as error:
            return Landing(row, Flaw.CORRUPT_LANDING, f"{error.what}: {error}")
        except (StorageError, OSError) as error:
            return Landing(row, Flaw.UNREACHABLE, str(error))
        return Landing(row, None, "")

    def _read_through(self, reader: LandingReader) -> None:
        for offset in range(0, reader.size, _PIECE):
            self._pace(len(reader.read(offset, _PIECE)))
