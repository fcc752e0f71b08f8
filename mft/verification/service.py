"""A round: every object of the catalog in every region, every name of every store, what has landed, and keys."""

from __future__ import annotations

import dataclasses
import logging
import time
from typing import TYPE_CHECKING

from sqlalchemy import select

from mft.audit import SYSTEM, customer_chain
from mft.catalog.model import CASE_KEYS, CASES, LANDING_KEYS
from mft.verification import listing
from mft.verification.crossing import crossed
from mft.verification.examination import Examiner
from mft.verification.fault import UNSEEN, Fault, Flaw, Report
from mft.verification.landings import Landings
from mft.verification.mending import Mender, NotMendedError, note_withdrawn
from mft.verification.strangers import DatedStore, Strangers
from storage.errors import KeyProviderError, KeyUnavailableError, ObjectNotFoundError, StorageError, TamperedError
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.landed import LandedFiles
    from mft.verification.examination import Examination, Listed
    from mft.verification.notebook import Notebook
    from mft.verification.strangers import Stranger
    from storage.keys.service import KeyService
    from storage.landing import LandingZone
    from storage.store import ObjectStore

log = logging.getLogger(__name__)
STRANGER_SECONDS = 24 * 3600.0
"""How long what nothing needs is left alone."""
_PROBE = "verify"
"""Subject of a key that is made to see whether its scope's key opens, and thrown away."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a round is to do."""

    regions: tuple[str, ...]
    case: str | None = None
    """A case's number: nothing but what is its own."""
    deep: bool = False
    """Read every byte, and hold it against its digest."""
    repair: bool = False
    by: str = "verify"
    after: str = ""
    """Go on behind this object, with the objects alone to their end, then with the rest."""


class Verification:
    """Finds what is wrong, and mends what can be mended."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        stores: Mapping[str, ObjectStore],
        zones: Mapping[str, LandingZone],
        landed: LandedFiles,
        keys: KeyService,
        locked: Mapping[str, str],
        allowed: Callable[[str], frozenset[str] | None],
        host: str,
        notebook: Notebook,
        pace: Callable[[int], None] = lambda _count: None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Hold *database*, *stores*, *zones* (each by region) and *keys* against one another.

        *locked* are regions whose keys are not at hand, and why. *allowed* says in which regions a case, by its
        number, may lie; None where that cannot be said. *pace* is called with the bytes of each read, and may sleep.
        """
        self._database = database
        self._trail = trail
        self._stores = stores
        self._zones = zones
        self._keys = keys
        self._locked = locked
        self._allowed = allowed
        self._notebook = notebook
        self._clock = clock
        self._examiner = Examiner(stores=stores, keys=keys, locked=locked, pace=pace)
        self._mender = Mender(database=database, stores=stores, keys=keys, examiner=self._examiner, pace=pace)
        self._landings = Landings(
            database=database, zones=zones, landed=landed, host=host, locked=frozenset(locked), pace=pace
        )

    def run(self, wish: Wish, *, at: Callable[[str, Report], None] = lambda _key, _report: None) -> Report:
        """Do a round; *at* is told after each page of objects how far it has come. What it raises passes through."""
        report = Report(regions=wish.regions, deep=wish.deep)
        before = self._notebook.open_faults()
        for region in wish.regions:
            if region in self._locked:
                told = f"its keys are not at hand: {self._locked[region]}"
                report.faults.append(Fault(subject=region, region=region, flaw=Flaw.LOCKED, detail=told))
        for page in listing.pages(self._database, case=wish.case, after=wish.after):
            for listed in page:
                self._object(listed, wish, report, before)
            at(page[-1].key, report)
        if wish.case is None:
            self._look_at_names(wish, report, before)
            for region in wish.regions:
                self._strangers(region, wish, report, before)
        self._look_at_landings(wish, report, before)
        self._look_at_keys(wish, report, before)
        report.finished = True
        self._close(wish, report)
        return report

    # -- objects ---------------------------------------------------------------------------------------------------

    def _object(self, listed: Listed, wish: Wish, report: Report, before: set[tuple[str, str, str]]) -> None:
        regions = [region for region in listed.regions if region in wish.regions and region in self._stores]
        found = self._examiner.examine(listed, regions, deep=wish.deep)
        report.objects += 1
        report.copies += len(regions)
        report.bytes += found.bytes
        told: set[tuple[str, str, str]] = set()
        if found.seen:
            again = listing.one(self._database, listed.key)
            if again is None:
                return  # destroyed meanwhile
            listed = again
            regions = [region for region in regions if region in listed.regions]
            found = self._examiner.examine(listed, regions, deep=wish.deep)
        for region in dict.fromkeys(seen.region for seen in found.seen):
            told |= self._broken(listed, region, found, wish, report)
        told |= self._misplaced(listed, regions, wish, report)
        self._end_faults(before, told, {(listed.key, region) for region in regions})

    def _broken(
        self, listed: Listed, region: str, found: Examination, wish: Wish, report: Report
    ) -> set[tuple[str, str, str]]:
        here = [seen for seen in found.seen if seen.region == region]
        mendable = not any(seen.flaw in UNSEEN | {Flaw.UNDECRYPTABLE} for seen in here)
        mended, note = False, ""
        if wish.repair and mendable and self._has_keys(region):
            try:
                source = self._mender.mend(listed, region)
                mended, note = True, f"from {source}"
            except NotMendedError as error:
                note = str(error)
        told = set()
        for seen in here:
            fault = Fault(
                subject=listed.key,
                region=region,
                flaw=seen.flaw,
                detail=seen.detail,
                case=listed.case,
                customer=listed.customer,
                upload=listed.upload,
                mended=mended,
                note=note,
            )
            told.add(self._tell(fault, wish, report))
        return told

    def _misplaced(
        self, listed: Listed, regions: Iterable[str], wish: Wish, report: Report
    ) -> set[tuple[str, str, str]]:
        allowed = self._allowed(listed.case)
        told = set()
        for region in regions:
            if allowed is None or region in allowed:
                continue
            fault = Fault(
                subject=listed.key,
                region=region,
                flaw=Flaw.MISPLACED,
                detail=f"its case may lie in {', '.join(sorted(allowed)) or 'no region'} alone",
                case=listed.case,
                customer=listed.customer,
                upload=listed.upload,
            )
            if wish.repair:
                fault = self._withdrawn(listed, region, allowed, fault)
            told.add(self._tell(fault, wish, report))
        return told

    def _withdrawn(self, listed: Listed, region: str, allowed: frozenset[str], fault: Fault) -> Fault:
        try:
            self._mender.withdraw(listed, region, allowed)
        except NotMendedError as error:
            return dataclasses.replace(fault, note=str(error))
        with self._database.write() as connection:
            note_withdrawn(connection, listed.key, region, self._clock())
        return dataclasses.replace(fault, mended=True, note="taken away: it lies where it may")

    def _look_at_names(self, wish: Wish, report: Report, before: set[tuple[str, str, str]]) -> None:
        told = set()
        for each in crossed(self._database):
            fault = Fault(
                subject=each.subject,
                region=each.region,
                flaw=Flaw.CROSSED,
                detail=each.why,
                case=each.case,
                customer=each.customer,
            )
            told.add(self._tell(fault, wish, report))
        looked_at = {(subject, region) for subject, region, flaw in before if flaw == Flaw.CROSSED}
        self._end_faults({each for each in before if each[2] == Flaw.CROSSED}, told, looked_at)

    # -- names in the stores -----------------------------------------------------------------------------------------

    def _strangers(self, region: str, wish: Wish, report: Report, before: set[tuple[str, str, str]]) -> None:
        found = Strangers(database=self._database, stores=self._stores, examiner=self._examiner)
        told: set[tuple[str, str, str]] = set()
        try:
            for stranger in found.find(region):
                fault = Fault(subject=stranger.name, region=region, flaw=stranger.flaw, detail=stranger.detail)
                told.add(self._tell(self._removed(stranger, fault, wish), wish, report))
            for landing_id in self._landings.strangers(region) if region in self._zones else ():
                name = f"landing/{landing_id}"
                stranger_of = Fault(subject=name, region=region, flaw=Flaw.ORPHANED, detail="no upload needs this log")
                told.add(self._tell(self._landing_removed(landing_id, stranger_of, wish), wish, report))
        except (StorageError, OSError) as error:
            fault = Fault(subject=region, region=region, flaw=Flaw.UNREACHABLE, detail=str(error))
            self._tell(fault, wish, report)
            return
        finally:
            report.names += found.names
        gone = {(subject, where) for subject, where, _ in before if where == region and "/" in subject}
        self._end_faults(before, told, gone)

    def _removed(self, stranger: Stranger, fault: Fault, wish: Wish) -> Fault:
        if not wish.repair or not stranger.removable:
            return fault
        store = self._stores[fault.region]
        try:
            since = store.modified(stranger.name) if isinstance(store, DatedStore) else None
            if not self._is_old(since, fault):
                return dataclasses.replace(fault, note="it is left alone for a day")
            store.delete(stranger.name)
        except ObjectNotFoundError:
            return dataclasses.replace(fault, mended=True, note="it is gone")
        except StorageError as error:
            return dataclasses.replace(fault, note=f"it could not be deleted: {error}")
        return dataclasses.replace(fault, mended=True, note="deleted")

    def _landing_removed(self, landing_id: str, fault: Fault, wish: Wish) -> Fault:
        if not wish.repair:
            return fault
        if not self._is_old(None, fault):
            return dataclasses.replace(fault, note="it is left alone for a day")
        try:
            self._zones[fault.region].destroy(landing_id)
        except StorageError as error:
            return dataclasses.replace(fault, note=f"it could not be deleted: {error}")
        return dataclasses.replace(fault, mended=True, note="deleted")

    def _is_old(self, since: float | None, fault: Fault) -> bool:
        """Say whether something has been there for a day, by its own date or by when it was first found."""
        first = since if since is not None else self._notebook.since(fault.subject, fault.region)
        return first is not None and first <= self._clock() - STRANGER_SECONDS

    # -- what was received, and keys -----------------------------------------------------------------------------------

    def _look_at_landings(self, wish: Wish, report: Report, before: set[tuple[str, str, str]]) -> None:
        for landing in self._landings.examine(wish.regions, case=wish.case, deep=wish.deep):
            report.landings += 1
            told = set()
            row = landing.row
            if landing.flaw is not None:
                fault = Fault(
                    subject=row.id,
                    region=row.region,
                    flaw=landing.flaw,
                    detail=landing.detail,
                    case=row.number,
                    customer=row.customer,
                    upload=row.id,
                )
                told.add(self._tell(fault, wish, report))
            self._end_faults(before, told, {(row.id, row.region)})

    def _look_at_keys(self, wish: Wish, report: Report, before: set[tuple[str, str, str]]) -> None:
        wanted = (
            select(CASE_KEYS.c.region, CASE_KEYS.c.wrapped, CASES.c.scope, CASES.c.number, CASES.c.customer)
            .join(CASES, CASES.c.id == CASE_KEYS.c.case_id)
            .where(CASE_KEYS.c.wrapped.is_not(None), CASE_KEYS.c.region.in_(wish.regions))
        )
        if wish.case is not None:
            wanted = wanted.where(CASES.c.number == wish.case)
        days = select(LANDING_KEYS).where(LANDING_KEYS.c.wrapped.is_not(None), LANDING_KEYS.c.region.in_(wish.regions))
        with self._database.read() as connection:
            rows = connection.execute(wanted).all()
            landing = [] if wish.case is not None else connection.execute(days).all()
        for row in rows:
            self._key(row.region, f"case:{row.scope}", row.wrapped, (row.number, row.customer), (wish, report, before))
        for row in landing:
            self._key(row.region, f"landing:{row.day}", row.wrapped, (None, None), (wish, report, before))

    def _key(
        self,
        region: str,
        scope: str,
        wrapped: bytes,
        owner: tuple[str | None, str | None],
        told_to: tuple[Wish, Report, set[tuple[str, str, str]]],
    ) -> None:
        wish, report, before = told_to
        if not self._has_keys(region):
            return
        report.keys += 1
        told = set()
        try:
            self._keys.new_key(Region(region), scope, wrapped, _PROBE)
        except (KeyUnavailableError, TamperedError) as error:
            case, customer = owner
            told.add(
                self._tell(
                    Fault(
                        subject=scope,
                        region=region,
                        flaw=Flaw.LOCKED if isinstance(error, KeyProviderError) else Flaw.UNDECRYPTABLE,
                        detail=str(error),
                        case=case,
                        customer=customer,
                    ),
                    wish,
                    report,
                )
            )
        self._end_faults(before, told, {(scope, region)})

    # -- writing down --------------------------------------------------------------------------------------------------

    def _has_keys(self, region: str) -> bool:
        return region not in self._locked

    def _tell(self, fault: Fault, wish: Wish, report: Report) -> tuple[str, str, str]:
        self._notebook.note(fault, by=wish.by)
        report.faults.append(fault)
        if report.is_news(fault):
            word = "verify.mended" if fault.mended else "verify.fault"
            facts = {"subject": fault.subject, "region": fault.region, "flaw": str(fault.flaw)}
            log.warning(word, extra=facts)
        return fault.subject, fault.region, str(fault.flaw)

    def _end_faults(
        self, before: set[tuple[str, str, str]], told: set[tuple[str, str, str]], looked_at: set[tuple[str, str]]
    ) -> None:
        """Write down that what was wrong of what was just looked at is wrong no more.

        Of what could not be looked at nothing is known: what was wrong there still is.
        """
        looked_at = looked_at - {(subject, region) for subject, region, flaw in told if flaw in UNSEEN}
        for subject, region, flaw in before:
            if (subject, region) in looked_at and (subject, region, flaw) not in told:
                self._notebook.end(subject, region, flaw)

    def _close(self, wish: Wish, report: Report) -> None:
        with self._database.write() as connection:
            customer = None
            if wish.case is not None:
                row = connection.execute(select(CASES.c.customer).where(CASES.c.number == wish.case)).first()
                customer = None if row is None else row.customer
            self._trail.append(
                connection,
                customer_chain(customer) if customer else SYSTEM,
                "store.verified",
                by=wish.by,
                regions=list(wish.regions),
                case=wish.case,
                deep=wish.deep,
                objects=report.objects,
                bytes=report.bytes,
                left=len(report.left),
                mended=len(report.mended),
                unseen=len(report.unseen),
            )
