"""What is due: the plan (a dry run), and the round that carries it out."""

from __future__ import annotations

import datetime as dt
import enum
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row, func, select, tuple_, update

from casemap.errors import CaseMapError, CaseNotFoundError
from mft.catalog.model import BODIES as OBJECTS
from mft.catalog.model import CASES, DESTRUCTIONS, REPLICAS, TOKENS, UPLOADS
from mft.holds import hold_on
from mft.lifecycle.answers import CaseAnswers
from mft.lifecycle.destruction import UNDER_WAY, NotDestroyedError, Verdict, end_tokens
from mft.retention import Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.cached import CachedLookup
    from casemap.model import Case
    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.lifecycle.destruction import Destruction
    from mft.retention import Life, LifeRules

log = logging.getLogger(__name__)
PAGE = 1000
_NOT_CASES = "~%"
"""Numbers of what is no case: boxes of unfiled deposits, what was destroyed."""


class Fate(enum.StrEnum):
    """What a round would do about a case."""

    DESTROY = "destroy"
    HELD = "held"
    """Due, and a legal hold stands against it."""
    BUSY = "busy"
    """Due, and something of it is under way."""
    LATER = "later"
    """Closed, and not due yet."""
    KEEP = "keep"
    """Open, or closed without a retention."""
    UNKNOWN = "unknown"
    """The case system does not say: nothing is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prospect:
    """One case in the plan."""

    case_id: int
    case: str
    customer: str
    fate: Fate
    why: str
    stage: Stage | None
    rule: str | None
    closed: dt.datetime | None
    due: dt.datetime | None
    files: int
    bytes: int
    regions: tuple[str, ...]
    hold: int | None
    verdict: Verdict | None = None

    def to_dict(self) -> dict[str, object]:
        """Return it as JSON has it."""
        return {
            "case": self.case,
            "customer": self.customer,
            "fate": self.fate.value,
            "why": self.why,
            "stage": None if self.stage is None else self.stage.value,
            "rule": self.rule,
            "closed": None if self.closed is None else self.closed.isoformat(timespec="seconds"),
            "due": None if self.due is None else self.due.isoformat(timespec="seconds"),
            "files": self.files,
            "bytes": self.bytes,
            "regions": list(self.regions),
            "hold": self.hold,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What a round did."""

    destroyed: tuple[tuple[str, str], ...]
    """(case, id of the destruction)."""
    left: tuple[tuple[str, str], ...]
    """(case, why)."""
    tokens: int
    finished: int
    """Destructions of before that were finished now."""


class Lifecycle:
    """Follows cases to their end."""

    def __init__(
        self,
        *,
        database: Database,
        trail: AuditTrail,
        lookup: CachedLookup,
        rules: LifeRules,
        destruction: Destruction,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Ask *lookup* about each case; *clock* is in POSIX seconds."""
        self._database = database
        self._trail = trail
        self._lookup = lookup
        self._rules = rules
        self._destruction = destruction
        self._clock = clock

    def plan(
        self, *, at: float | None = None, after: tuple[str, int] = ("", 0), case: str | None = None, page: int = PAGE
    ) -> Iterator[Prospect]:
        """Say of every case that has a folder what a round would do about it, now or at a time; change nothing.

        Cases come by customer. With *after*, go on behind the case of that customer and id; with *case*, of that number
        alone. So many as a *page* are asked for at a time, from the case system's lists where that is less work.
        """
        now = self._clock() if at is None else at
        last = after
        place = tuple_(CASES.c.customer, CASES.c.id)
        wanted = select(CASES).where(CASES.c.number.not_like(_NOT_CASES)).order_by(CASES.c.customer, CASES.c.id)
        if case is not None:
            wanted = wanted.where(CASES.c.number == case)
        while True:
            with self._database.read() as connection:
                rows = connection.execute(wanted.where(place > last).limit(page)).all()
            answers = CaseAnswers(self._lookup, ((row.customer, row.number) for row in rows))
            for row in rows:
                prospect = self._prospect(row, now, answers.of)
                if prospect.fate is Fate.DESTROY and answers.is_listed(row.number):
                    prospect = self._prospect(row, now, answers.anew)
                yield prospect
            if len(rows) < page:
                return
            last = rows[-1].customer, rows[-1].id

    def run(self, *, by: str, case: str | None = None) -> Round:
        """Carry the plan out, after what was begun before; with *case*, what it says of that one."""
        finished = self._destruction.clear_all()
        destroyed: list[tuple[str, str]] = []
        left: list[tuple[str, str]] = []
        tokens = 0
        for prospect in self.plan(case=case):
            tokens += self._follow(prospect)
            if prospect.fate is not Fate.DESTROY or prospect.verdict is None:
                if prospect.fate in {Fate.HELD, Fate.BUSY}:
                    left.append((prospect.case, prospect.why))
                continue
            try:
                destroyed.append((prospect.case, self._destruction.destroy(prospect.case_id, prospect.verdict, by=by)))
            except NotDestroyedError as error:
                left.append((prospect.case, str(error)))
        return Round(destroyed=tuple(destroyed), left=tuple(left), tokens=tokens, finished=finished)

    def shred(self, *, reason: str, by: str, case: str | None = None, customer: str | None = None) -> Round:
        """Destroy the files of a case, or of every case of a customer, on order: whatever rules say, but no hold.

        The keys go first, in one transaction for each case. Who may order it was asked before (`mft.breakglass`).
        """
        wanted = CASES.c.number == case if customer is None else CASES.c.customer == customer
        with self._database.read() as connection:
            rows = connection.execute(
                select(CASES.c.id, CASES.c.number)
                .where(wanted, CASES.c.number.not_like("~destroyed/%"))
                .order_by(CASES.c.id)
            ).all()
        now = self._clock()
        verdict = Verdict(rule="ordered", reason=reason, retention=0.0, closed_at=now, due_at=now)
        destroyed: list[tuple[str, str]] = []
        left: list[tuple[str, str]] = []
        for row in rows:
            try:
                destroyed.append((row.number, self._destruction.destroy(row.id, verdict, by=by)))
            except NotDestroyedError as error:
                left.append((row.number, str(error)))
        return Round(destroyed=tuple(destroyed), left=tuple(left), tokens=0, finished=0)

    def certificates(
        self, number: str | None = None, *, before: tuple[float, str] | None = None, limit: int | None = None
    ) -> tuple[Row[Any], ...]:
        """Return the destructions of a case (or of an id), or all of them, the newest first; those *before* a place."""
        place = tuple_(DESTRUCTIONS.c.begun_at, DESTRUCTIONS.c.id)
        statement = select(DESTRUCTIONS).order_by(DESTRUCTIONS.c.begun_at.desc(), DESTRUCTIONS.c.id.desc()).limit(limit)
        if before is not None:
            statement = statement.where(place < before)
        if number is not None:
            statement = statement.where((DESTRUCTIONS.c.number == number) | (DESTRUCTIONS.c.id == number))
        with self._database.read() as connection:
            return tuple(connection.execute(statement).all())

    def unfinished(self) -> tuple[str, ...]:
        """Return the cases that are destroyed and of which something could not be cleared away yet."""
        waiting = select(DESTRUCTIONS.c.number).where(DESTRUCTIONS.c.finished_at.is_(None)).order_by(DESTRUCTIONS.c.id)
        with self._database.read() as connection:
            return tuple(connection.execute(waiting).scalars())

    # -- judging one case --------------------------------------------------------------------------------------------

    def _prospect(self, row: Row[Any], now: float, ask: Callable[[str], Case]) -> Prospect:
        with self._database.read() as connection:
            sums = connection.execute(
                select(
                    func.count().label("files"),
                    func.coalesce(func.sum(UPLOADS.c.size), 0).label("bytes"),
                    func.max(UPLOADS.c.landed_at).label("last"),
                ).where(UPLOADS.c.case_id == row.id)
            ).one()
            busy = connection.execute(
                select(UPLOADS.c.id).where(UPLOADS.c.case_id == row.id, UPLOADS.c.state.in_(UNDER_WAY)).limit(1)
            ).first()
            regions = connection.execute(
                select(REPLICAS.c.region)
                .join(OBJECTS, OBJECTS.c.key == REPLICAS.c.object_key)
                .where(OBJECTS.c.case_id == row.id, REPLICAS.c.state == "present")
                .distinct()
                .order_by(REPLICAS.c.region)
            ).scalars()
            hold = hold_on(connection, row.number)
            common: dict[str, Any] = {
                "case_id": row.id,
                "case": row.number,
                "customer": row.customer,
                "files": sums.files,
                "bytes": sums.bytes,
                "regions": tuple(regions),
                "hold": None if hold is None else hold.id,
            }
        try:
            case = ask(row.number)
        except CaseNotFoundError:
            why = "the case system does not know it: it is kept until that says that it is closed"
            return _unknown(common, why)
        except CaseMapError:
            return _unknown(common, "the case system does not answer")
        life = self._rules.of(
            customer=case.customer, case=case.number, kind=case.kind, classification=case.classification
        )
        closed = _closed_at(case, row, now)
        stage = life.stage(closed_at=closed, last_upload_at=sums.last, now=now)
        due = None if closed is None else life.due_at(closed_at=closed, last_upload_at=sums.last)
        fate, why = _fate(stage, due, hold, busy=busy is not None)
        return Prospect(
            **common,
            fate=fate,
            why=why,
            stage=stage,
            rule=life.rule,
            closed=_moment(closed),
            due=_moment(due),
            verdict=_verdict(life, closed, due),
        )

    def _follow(self, prospect: Prospect) -> int:
        """Keep when a case was closed, as first noticed; end the tokens of one that nobody reads any more."""
        if prospect.stage is None:
            return 0
        closed = None if prospect.closed is None else prospect.closed.timestamp()
        with self._database.read() as connection:
            known = connection.execute(select(CASES.c.closed_at).where(CASES.c.id == prospect.case_id)).scalar()
            tokens = connection.execute(
                select(TOKENS.c.id).where(TOKENS.c.case_number == prospect.case, TOKENS.c.revoked_at.is_(None)).limit(1)
            ).first()
        ended = prospect.stage in {Stage.SHUT, Stage.DUE} and tokens is not None
        if (known is None) == (closed is None) and not ended:
            return 0
        with self._database.write() as connection:
            connection.execute(update(CASES).where(CASES.c.id == prospect.case_id).values(closed_at=closed))
            if not ended:
                return 0
            return end_tokens(
                connection,
                self._trail,
                prospect.case,
                prospect.customer,
                now=self._clock(),
                why="the case is closed",
            )


def _closed_at(case: Case, row: Row[Any], now: float) -> float | None:
    if case.is_open:
        return None
    if case.closed is not None:
        return case.closed.timestamp()
    return float(row.closed_at) if row.closed_at is not None else now


def _fate(stage: Stage, due: float | None, hold: Row[Any] | None, *, busy: bool) -> tuple[Fate, str]:
    if stage is Stage.OPEN:
        return Fate.KEEP, "it is open"
    if due is None:
        return Fate.KEEP, "no retention is set for it"
    if stage is not Stage.DUE:
        return Fate.LATER, "its retention is not over"
    if hold is not None:
        return Fate.HELD, f"legal hold {hold.id}, set by {hold.set_by}: {hold.reason}"
    if busy:
        return Fate.BUSY, "an upload of it is under way"
    return Fate.DESTROY, "its retention is over"


def _verdict(life: Life, closed: float | None, due: float | None) -> Verdict | None:
    if closed is None or due is None or life.retention is None:
        return None
    return Verdict(rule=life.rule, reason=life.reason, retention=life.retention, closed_at=closed, due_at=due)


def _unknown(common: dict[str, Any], why: str) -> Prospect:
    return Prospect(**common, fate=Fate.UNKNOWN, why=why, stage=None, rule=None, closed=None, due=None)


def _moment(seconds: float | None) -> dt.datetime | None:
    return None if seconds is None else dt.datetime.fromtimestamp(seconds, dt.UTC)
