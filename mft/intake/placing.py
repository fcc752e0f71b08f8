"""Where stored files lie, brought into line with where they may lie: copies asked for, and copies withdrawn.

Rules are of the configuration, and what they are held against is of the case system: either may change while files lie
and copies are under way. A review asks anew and writes wishes; whoever carries them out asks once more. Without an
answer nothing new is put anywhere, and nothing is taken away.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update

from mft.audit import customer_chain
from mft.box import is_box
from mft.casetree import note_placement, placement_text
from mft.catalog.model import BODIES, CASE_KEYS, CASES, PSEUDONYM_BOOKS, RELEASES, REPLICAS, REVOCATIONS, UPLOADS
from mft.catalog.states import PARTIAL, StateError, UploadState, move_upload
from mft.holds import held_cases
from mft.intake.landingwishes import wish_moves
from mft.intake.records import tree_in
from protocols.errors import NotFoundError, RejectedError, UnavailableError
from storage.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from mft.audit import AuditTrail
    from mft.cases import Cases
    from mft.casetree import CaseTree, EnteredCase
    from mft.catalog.database import Database
    from mft.intake.rebinding import Rebinding
    from mft.residency import Residency
    from storage.landing import LandingZone

log = logging.getLogger(__name__)
HELD = ("present", "wanted", "leaving")
"""States of a replica of which something may lie in its region."""
_PAGE = 200
_OVER = (UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED, UploadState.DESTROYED)
_NEEDED = (UploadState.RECEIVING, UploadState.INTERRUPTED, UploadState.LANDED, UploadState.SCRUBBING)


class Placing:
    """Reviews cases."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        cases: Cases,
        zones: Mapping[str, LandingZone],
        rebinding: Rebinding,
        regions_of: Callable[[str], Collection[str] | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask *cases* where they may lie; *regions_of* says where a login works, None where that is everywhere."""
        self._database = database
        self._trail = trail
        self._cases = cases
        self._zones = zones
        self._rebinding = rebinding
        self._regions_of = regions_of
        self._clock = clock
        self._lock = threading.Lock()
        self._flagged: set[str] = set()
        self.changed = threading.Event()
        """Set when a case was flagged."""

    # -- asking ----------------------------------------------------------------------------------------------------

    def may_lie(self, tree: CaseTree, region: str) -> bool | None:
        """Say whether something of a case may be put into *region* now; None: nobody can say, so it must wait.

        Where the catalog says otherwise of the case, what holds now is written down first: by it the proof of place
        judges.
        """
        try:
            entered = self._placed(tree.number, tree.customer)
        except RejectedError:
            return False
        except (NotFoundError, UnavailableError):
            return None
        if region not in entered.residency.regions:
            return False
        if not is_box(tree.number):
            with self._database.read() as connection:
                told = connection.execute(select(CASES.c.placement).where(CASES.c.id == tree.id)).scalar()
            if told != placement_text(entered.residency):
                with self._database.write() as connection:
                    note_placement(connection, self._trail, tree, entered)
                self.flag(tree.number)
        return True

    def _placed(self, number: str, customer: str) -> EnteredCase:
        """Return where a case, or the box of a login of *customer*, may lie now. Raises as `Cases.placed` does."""
        if is_box(number):
            return self._cases.placed_box(number, customer)
        return self._cases.placed(number)

    def home_for(self, tree: CaseTree, landed_in: str) -> str:
        """Return the region for what is stored of an upload that landed in a region that was its home then.

        Raises:
            RejectedError: the case has no place here.
            UnavailableError: the case system does not answer: what has landed has to wait where it is.
        """
        if is_box(tree.number):
            return landed_in
        try:
            entered = self._cases.placed(tree.number)
        except NotFoundError:  # the case system has forgotten it: what is on record holds
            if landed_in not in _recorded(tree):
                raise UnavailableError("there is no such case any more, and it may not lie where it landed") from None
            return landed_in
        if tree.placement != placement_text(entered.residency):
            with self._database.write() as connection:
                note_placement(connection, self._trail, tree, entered)
        return landed_in if landed_in in entered.residency.regions else entered.residency.home

    # -- reviewing -------------------------------------------------------------------------------------------------

    def flag(self, number: str) -> None:
        """Have a case reviewed soon."""
        with self._lock:
            self._flagged.add(number)
        self.changed.set()

    def flag_customer(self, customer: str) -> None:
        """Have every case of a customer reviewed soon."""
        with self._database.read() as connection:
            numbers = connection.execute(select(CASES.c.number).where(CASES.c.customer == customer)).scalars().all()
        for number in numbers:
            self.flag(number)

    def review_flagged(self) -> int:
        """Review what was flagged; return how many cases that was. One that fails is flagged again."""
        self.changed.clear()
        with self._lock:
            numbers, self._flagged = self._flagged, set()
        for number in sorted(numbers):
            try:
                self.review(number)
            except Exception:  # the border of one case: others have their turn
                log.exception("placing.review_failed")
                with self._lock:
                    self._flagged.add(number)
        return len(numbers)

    def review_all(self) -> Iterator[str]:
        """Review every case of which something lies anywhere, one for each step; yield its number."""
        last = 0
        holding = select(BODIES.c.case_id).where(BODIES.c.state == "stored")
        landing = select(UPLOADS.c.case_id).where(UPLOADS.c.landing_gone_at.is_(None))
        while True:
            with self._database.read() as connection:
                rows = connection.execute(
                    select(CASES.c.id, CASES.c.number)
                    .where(CASES.c.id > last, CASES.c.id.in_(holding) | CASES.c.id.in_(landing))
                    .order_by(CASES.c.id)
                    .limit(_PAGE)
                ).all()
            for row in rows:
                self.review(row.number)
                yield row.number
            if not rows:
                return
            last = rows[-1].id

    def review(self, number: str) -> None:
        """Bring what is wished of one case into line with where it may lie now."""
        with self._database.read() as connection:
            row = connection.execute(select(CASES.c.id, CASES.c.customer).where(CASES.c.number == number)).first()
        if row is None:
            return
        try:
            entered = self._placed(number, row.customer)
        except RejectedError as error:
            log.error("placing.no_place", extra={"case": number, "why": str(error)})  # noqa: TRY400 - no trace
            return
        except (NotFoundError, UnavailableError):
            return
        residency = entered.residency
        wanted = {residency.home, *residency.copies, *self._on_demand(entered)}
        self._rebinding.move_books(row.id, residency)
        self._rebinding.move_passwords(row.id, residency)
        with self._database.write() as connection:
            tree = tree_in(connection, row.id)
            if tree.number != number:
                return  # it was destroyed meanwhile
            if note_placement(connection, self._trail, tree, entered):
                log.info("placing.changed", extra={"case": number, "rule": residency.rule})
            for key in _out_of_line(connection, row.id, residency, wanted):
                self._place(connection, key, tree, residency, wanted)
            self._let_go(connection, tree, residency)
            self._discard(connection, tree, residency)
            wish_moves(connection, tree, residency, self._clock())
            self._shred(connection, tree, residency)
            emptied = self._clear_landing(connection, tree, residency)
        for region, landing_id in emptied:
            try:
                self._zones[region].destroy(landing_id)
            except StorageError as error:
                log.warning("placing.landing_left", extra={"region": region, "why": type(error).__name__})

    def _on_demand(self, entered: EnteredCase) -> Iterator[str]:
        """Yield where a copy is wanted because the engineer who has the case works there."""
        residency, assignee = entered.residency, entered.case.assignee
        if assignee is None or not residency.on_demand:
            return
        try:
            works_in = self._regions_of(assignee)
        except UnavailableError:
            return
        if works_in is None or set(works_in) & {residency.home, *residency.copies}:
            return  # works everywhere, or where there is one already
        for region in residency.on_demand:
            if region in works_in:
                yield region
                return

    def _place(
        self, connection: Connection, key: str, tree: CaseTree, residency: Residency, wanted: Collection[str]
    ) -> None:
        rows = {row.region: row for row in connection.execute(select(REPLICAS).where(REPLICAS.c.object_key == key))}
        now = self._clock()
        for region in wanted:
            row = rows.get(region)
            if row is None:
                connection.execute(
                    insert(REPLICAS).values(object_key=key, region=region, state="wanted", queued_at=now, due_at=now)
                )
            elif row.state == "withdrawn":
                self._set(connection, row, state="wanted", attempts=0, queued_at=now, due_at=now, last_error=None)
        safe = any(row.state == "present" and row.region in residency.regions for row in rows.values())
        for region, row in rows.items():
            # What is whole nowhere else stays until it is: to withdraw it would be to lose it.
            gone = row.state == "wanted" or (row.state == "present" and safe)
            if region not in residency.regions and gone:
                self._set(connection, row, state="leaving", attempts=0, due_at=now, last_error=None)
                log.info("placing.leaving", extra={"case": tree.number, "object": key, "region": region})

    @staticmethod
    def _set(connection: Connection, row: Row[Any], **values: object) -> None:
        here = (REPLICAS.c.object_key == row.object_key, REPLICAS.c.region == row.region)
        connection.execute(update(REPLICAS).where(*here).values(**values))

    def _let_go(self, connection: Connection, tree: CaseTree, residency: Residency) -> None:
        """End uploads that are not whole and lie where they may not any more: nobody may go on with them there.

        One that is still being received is taken from its handle, as by a resume: its next write fails.
        """
        rows = connection.execute(
            select(UPLOADS).where(
                UPLOADS.c.case_id == tree.id,
                UPLOADS.c.state.in_(list(PARTIAL)),
                UPLOADS.c.region.not_in(residency.regions),
            )
        ).all()
        for row in rows:
            why, epoch = "it may not lie there any more", row.epoch + 1
            try:
                move_upload(
                    connection,
                    row.id,
                    UploadState.EXPIRED,
                    reason=why,
                    epoch=epoch,
                    reserved=0,
                    finished_at=self._clock(),
                )
            except StateError:
                continue
            if row.state == UploadState.RECEIVING:
                connection.execute(
                    insert(REVOCATIONS).values(kind="upload", subject=row.id, reason=f"epoch {epoch}", at=self._clock())
                )
            chain = customer_chain(tree.customer)
            self._trail.append(connection, chain, "upload.expired", upload=row.id, login=row.login, why=why)

    @staticmethod
    def _discard(connection: Connection, tree: CaseTree, residency: Residency) -> None:
        """Give up what attempts to store have left where the case may not lie: the sweep deletes it.

        Of a file in quarantine an object is made only while its release is carried out.
        """
        releasing = select(RELEASES.c.upload_id).where(RELEASES.c.done_at.is_(None))
        released = (UPLOADS.c.state == UploadState.QUARANTINED) & UPLOADS.c.id.in_(releasing)
        making = (UPLOADS.c.state == UploadState.SCRUBBING) | released
        dead = select(UPLOADS.c.id).where(UPLOADS.c.case_id == tree.id, ~making)
        connection.execute(
            update(BODIES)
            .where(
                BODIES.c.case_id == tree.id,
                BODIES.c.state == "writing",
                BODIES.c.region.not_in(residency.regions),
                BODIES.c.upload_id.in_(dead),
            )
            .values(state="discarded", taught=None, book_id=None, reverse_map=None)
        )

    def _clear_landing(self, connection: Connection, tree: CaseTree, residency: Residency) -> list[tuple[str, str]]:
        """Say that landing logs that nobody needs are gone from where they may not lie; return them."""
        needed = select(UPLOADS.c.landing_id).where(
            UPLOADS.c.state.in_([*_NEEDED, UploadState.QUARANTINED]), UPLOADS.c.case_id == tree.id
        )
        stale = (
            UPLOADS.c.case_id == tree.id,
            UPLOADS.c.state.in_(_OVER),
            UPLOADS.c.landing_gone_at.is_(None),
            UPLOADS.c.region.not_in(residency.regions),
            UPLOADS.c.landing_id.not_in(needed),
            UPLOADS.c.case_id.not_in(held_cases()),  # what a hold keeps goes along
        )
        rows = connection.execute(select(UPLOADS.c.region, UPLOADS.c.landing_id).where(*stale).distinct()).all()
        connection.execute(update(UPLOADS).where(*stale).values(landing_gone_at=self._clock()))
        return [(row.region, row.landing_id) for row in rows]

    def _shred(self, connection: Connection, tree: CaseTree, residency: Residency) -> None:
        """Destroy the case's keys of regions where it may not lie and nothing of it is read any more."""
        for region in regions_to_shred(connection, tree.id, residency.regions):
            connection.execute(
                update(CASE_KEYS)
                .where(CASE_KEYS.c.case_id == tree.id, CASE_KEYS.c.region == region)
                .values(wrapped=None, destroyed_at=self._clock(), withdrawn=True)
            )
            chain = customer_chain(tree.customer)
            self._trail.append(
                connection,
                chain,
                "key.shredded",
                case=tree.number,
                region=region,
                scope=tree.key_scope,
                rule=residency.rule,
            )


def _out_of_line(connection: Connection, case_id: int, residency: Residency, wanted: Collection[str]) -> list[str]:
    """Return the stored objects of a case that lack a copy where one is wanted, or have one where none may be.

    The catalog is asked for them: a case may have a hundred thousand, and is looked at whenever one was stored.
    """
    stored = select(BODIES.c.key).where(BODIES.c.case_id == case_id, BODIES.c.state == "stored")
    copies = select(REPLICAS.c.object_key).where(REPLICAS.c.object_key == BODIES.c.key)
    lacks = [~copies.where(REPLICAS.c.region == region, REPLICAS.c.state != "withdrawn").exists() for region in wanted]
    strays = copies.where(REPLICAS.c.region.not_in(residency.regions), REPLICAS.c.state.in_(("wanted", "present")))
    return list(connection.execute(stored.where(or_(strays.exists(), *lacks)).order_by(BODIES.c.key)).scalars())


def is_recorded(connection: Connection, tree: CaseTree, region: str) -> bool:
    """Say whether a case may lie in *region* by what is written down at this moment."""
    return is_box(tree.number) or region in _recorded(tree_in(connection, tree.id))


def _recorded(tree: CaseTree) -> set[str]:
    """Return the regions that may hold a case by what was last written down."""
    told = json.loads(tree.placement or "{}")
    return {region for region in (told.get("home"), *told.get("copies", ()), *(told.get("on_demand") or ())) if region}


def regions_to_shred(connection: Connection, case_id: int, allowed: Collection[str]) -> list[str]:
    """Return the regions outside *allowed* that have a key of a case and nothing that is to be read with it."""
    held = (
        select(func.count())
        .select_from(REPLICAS)
        .join(BODIES, BODIES.c.key == REPLICAS.c.object_key)
        .where(
            BODIES.c.case_id == case_id,
            REPLICAS.c.region == CASE_KEYS.c.region,
            REPLICAS.c.state.in_(["present", "wanted"]),
        )
        .scalar_subquery()
    )
    writing = (
        select(func.count())
        .select_from(BODIES)
        .where(BODIES.c.case_id == case_id, BODIES.c.region == CASE_KEYS.c.region, BODIES.c.state == "writing")
        .scalar_subquery()
    )
    books = (
        select(func.count())
        .select_from(PSEUDONYM_BOOKS)
        .where(PSEUDONYM_BOOKS.c.case_id == case_id, PSEUDONYM_BOOKS.c.region == CASE_KEYS.c.region)
        .scalar_subquery()
    )
    rows = connection.execute(
        select(CASE_KEYS.c.region).where(
            CASE_KEYS.c.case_id == case_id,
            CASE_KEYS.c.wrapped.is_not(None),
            CASE_KEYS.c.region.not_in(list(allowed)),
            held == 0,
            writing == 0,
            books == 0,
        )
    )
    return list(rows.scalars())
