"""Where a case may lie and from where it is read, with every rule that was looked at."""

from __future__ import annotations

import secrets
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field

from mft.api.document import Document, Moment, Nothing, Number, Parameters
from mft.api.fault import not_found
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.policy import Part
from mft.provenance import signed_report
from protocols.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.api.rooms import ApiRooms


class CasePath(Parameters):
    """Which case."""

    number: Number


class ResidencyQuery(Parameters):
    """When."""

    at: Annotated[Moment | None, Field(description="As it is then, for rules with hours. Default: now.")] = None


class Condition(Document):
    """One condition of a rule, held against the case."""

    name: str
    wanted: str
    found: str | None
    fits: bool


class ConsideredRule(Document):
    """One rule, in the order of the configuration."""

    rule: str
    reason: str | None
    fits: bool
    decides: Annotated[list[str], Field(description="`placement`, `readers`: what rests on it.")]
    conditions: list[Condition]


class ResidencyDocument(Document):
    """Where a case may lie and from where it is read, and why."""

    case: str
    customer: str
    at: Moment
    home: str | None
    copies: Annotated[list[str], Field(description="Where copies always go.")]
    on_demand: Annotated[list[str], Field(description="Where copies go once an engineer there has the case.")]
    readers: Annotated[list[str], Field(description="Regions whose entrances let it be read and written.")]
    rule: str | None
    readers_rule: str | None
    reason: str | None
    priority: int | None
    refused: Annotated[str | None, Field(description="Why nothing of it may be stored; null: it may.")]
    notes: list[str]
    rules: list[ConsideredRule]


class ReportQuery(Parameters):
    """Of whom, and of when."""

    customer: Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")]
    case: Annotated[Number | None, Field(description="One case alone.")] = None
    begin: Annotated[Moment | None, Field(alias="from", description="Leave out what had ended before.")] = None
    end: Annotated[Moment | None, Field(alias="to", description="As it stood then. Default: now.")] = None


class ResidencyReport(Document):
    """Where every object of a customer and its key slots have been, signed as receipts are."""

    kind: str
    id: str
    installation: str
    customer: str
    generated_at: str
    begin: Annotated[str | None, Field(alias="from")]
    end: Annotated[str, Field(alias="to")]
    chain: Annotated[dict[str, Any], Field(description="The signed head of the customer's chain of the audit.")]
    cases: Annotated[list[dict[str, Any]], Field(description="The rules in force, by case, with the times they began.")]
    keys: Annotated[list[dict[str, Any]], Field(description="Keys of cases that were shredded or moved.")]
    objects: Annotated[list[dict[str, Any]], Field(description="Each with its stays: region, since, until, rule.")]
    violations: Annotated[list[dict[str, Any]], Field(description="Stays that began where no rule let them.")]
    withdrawals: Annotated[
        list[dict[str, Any]], Field(description="Stays that a later rule forbade, and how they ended.")
    ]
    totals: dict[str, Any]
    events: Annotated[dict[str, str], Field(description="Positions and hashes of the events that it rests on.")]
    signature: dict[str, str]


class ResidencyRoutes:
    """Serves it."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Ask the cases of *rooms*."""
        self._rooms = rooms

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield Route(
            method="GET",
            path="/cases/{number}/residency",
            name="explainResidency",
            tag="residency",
            summary="Where a case may lie and be read from: which rule, which regions, why",
            handle=self.explain,
            permission=Permission.RESIDENCY_READ,
            path_model=CasePath,
            query_model=ResidencyQuery,
            answer_model=ResidencyDocument,
        )

        yield Route(
            method="GET",
            path="/residency/report",
            name="reportResidency",
            tag="residency",
            summary="Where every object of a customer has been, by which rule, signed",
            handle=self.report,
            permission=Permission.AUDIT_READ,
            query_model=ReportQuery,
            answer_model=ResidencyReport,
            errors=(HTTPStatus.NOT_FOUND,),
        )

    def report(self, call: Call[Nothing, ReportQuery, Nothing]) -> Answer:
        """Read the customer's chain and sign what follows from it."""
        query = call.query
        with self._rooms.database.read() as connection:
            made = signed_report(
                connection,
                self._rooms.sign,
                installation=self._rooms.config.installation,
                report_id=secrets.token_hex(16),
                customer=query.customer,
                now=self._rooms.now(),
                begin=query.begin,
                end=query.end,
                case=query.case,
            )
        if made is None:
            raise not_found("customer")
        return Answer(document=ResidencyReport.model_validate(made))

    def explain(self, call: Call[CasePath, ResidencyQuery, Nothing]) -> Answer:
        """Evaluate the rules for a case; nothing is recorded, and nothing changes."""
        if call.caller.reader.part is not Part.STAFF:
            self._rooms.enter(call.caller, call.path.number)
        try:
            case, account = self._rooms.cases.account(call.path.number, call.query.at or self._rooms.now())
        except NotFoundError:
            raise not_found("case") from None
        found = {**account.to_dict(), "at": account.at, "case": case.number, "customer": case.customer}
        return Answer(document=ResidencyDocument.model_validate(found))
