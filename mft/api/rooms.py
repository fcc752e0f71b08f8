"""What the routes are made of: the application's services, as one worker has them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.api.fault import not_found
from protocols.errors import ElsewhereError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    from casemap.lookup import CaseLookup
    from casemap.model import Case, Customer
    from mft.api.caller import Caller
    from mft.api.cursor import Cursors
    from mft.audit import AuditTrail
    from mft.auth.tokens import Tokens
    from mft.breakglass import BreakGlass
    from mft.cases import Cases
    from mft.casetree import EnteredCase
    from mft.catalog.database import Database
    from mft.config.model import Config
    from mft.entrances import Entrances
    from mft.holds import Holds
    from mft.lifecycle.service import Lifecycle
    from mft.unfiled import Unfiled
    from mft.upload.service import Uploads
    from mft.webhooks.endpoints import Endpoints
    from mft.webhooks.outbox import Outbox


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRooms:
    """Where handlers go."""

    config: Config
    database: Database
    trail: AuditTrail
    lookup: CaseLookup
    """The case system's answers, cached."""
    cases: Cases
    """The same, narrowed by policy."""
    uploads: Uploads
    tokens: Tokens
    cursors: Cursors
    unfiled: Unfiled
    entrances: Entrances
    receipt_key: Ed25519PublicKey
    sign: Callable[[Mapping[str, object]], dict[str, object]]
    """Signs claims as a receipt."""
    endpoints: Endpoints
    outbox: Outbox
    lifecycle: Lifecycle
    holds: Holds
    glass: BreakGlass

    @staticmethod
    def now() -> dt.datetime:
        """Return the time, in UTC."""
        return dt.datetime.now(dt.UTC)

    def enter(self, caller: Caller, number: str) -> EnteredCase:
        """Return a case that is there for *caller*.

        Raises:
            ApiError: there is none, as far as this caller may know.
            ElsewhereError: it is there by another entrance.
            UnavailableError: the case system does not answer.
        """
        try:
            return self.cases.enter(caller.reader, number)
        except ElsewhereError:
            raise
        except NotFoundError:
            raise not_found("case") from None

    def known_case(self, number: str) -> Case:
        """Return a case as the case system has it, for who runs the house and enters none.

        Raises:
            ApiError: there is none of that number.
            RejectedError: it has no home here.
            UnavailableError: the case system does not answer.
        """
        try:
            return self.cases.placed(number).case
        except NotFoundError:
            raise not_found("case") from None

    def known_customer(self, customer: str) -> Customer:
        """Return a customer as the case system has it.

        Raises:
            ApiError: there is none of that id.
            UnavailableError: the case system does not answer.
        """
        try:
            return self.cases.customer(customer)
        except NotFoundError:
            raise not_found("customer") from None
