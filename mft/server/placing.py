"""Where files lie, kept in line with where they may lie: the part of the intake process that sees to it."""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from casemap.errors import CaseMapError, PrincipalNotFoundError
from mft.auth.accounts import Accounts
from mft.auth.ledger import Ledger
from mft.intake.placing import Placing
from mft.intake.rebinding import Rebinding
from mft.revocation import RevocationWatch, Subject
from protocols.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection

    from mft.intake.records import CaseBook
    from mft.server.parts import Parts

log = logging.getLogger(__name__)
PATIENCE = 30.0
"""How long a case is left alone whose review has failed."""


def make_placing(parts: Parts, book: CaseBook) -> Placing:
    """Put together what reviews cases."""
    accounts = Accounts(Ledger(database=parts.database, audit=parts.trail))

    def regions_of(login: str) -> Collection[str] | None:
        try:
            found = accounts.principal(login) or parts.lookup.principal(login)
        except PrincipalNotFoundError:
            return ()
        except CaseMapError as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error
        return found.regions

    return Placing(
        database=parts.database,
        trail=parts.trail,
        cases=parts.cases,
        zones=parts.zones,
        rebinding=Rebinding(database=parts.database, trail=parts.trail, keys=parts.keys, book=book),
        regions_of=regions_of,
    )


_BREATH = 0.2
"""Seconds between two reviews of what was flagged."""


class PlacingRounds:
    """A thread that reviews what was flagged at once, and every case every so often, at first when it begins."""

    def __init__(self, parts: Parts, placing: Placing, *, every: float, poll: float) -> None:
        """Review by *placing*; look every *poll* seconds for what the case system has announced."""
        self._parts = parts
        self._placing = placing
        self._every = every
        self._stopped = threading.Event()
        self._watch = RevocationWatch(parts.database, poll=poll, on=self._changed)
        self._thread = threading.Thread(target=self._run, name="placing", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._watch.start()
        self._thread.start()

    def stop(self) -> None:
        """End, after the case that is under review."""
        self._stopped.set()
        self._placing.changed.set()
        self._watch.stop()
        if self._thread.ident is not None:
            self._thread.join()

    def _changed(self, kind: Subject, subject: str, _reason: str) -> None:
        match kind:
            case Subject.CASE:
                self._parts.lookup.forget_case(subject)
                self._parts.cases.forget(subject)
                self._placing.flag(subject)
            case Subject.CUSTOMER:
                self._parts.lookup.forget_customer(subject)
                self._placing.flag_customer(subject)
            case Subject.PRINCIPAL:
                self._parts.lookup.forget_principal(subject)
            case Subject.TOKEN | Subject.UPLOAD:
                pass

    def _run(self) -> None:
        due = 0.0
        while not self._stopped.is_set():
            try:
                if time.monotonic() >= due:
                    due = time.monotonic() + self._every
                    self._review_all()
                if self._placing.review_flagged():
                    self._stopped.wait(_BREATH)  # many uploads of a case are one review
            except Exception:  # the border of this thread: one bad round must not end it
                log.exception("placing.round_failed")
                self._stopped.wait(min(PATIENCE, self._every))
            self._placing.changed.wait(min(1.0, self._every))

    def _review_all(self) -> None:
        for _number in self._placing.review_all():
            if self._stopped.is_set():
                return
            self._placing.review_flagged()  # what was announced does not wait for the end of a round
