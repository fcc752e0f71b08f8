"""Cases and customers: to be read wherever they are kept, and changed where the built-in registry keeps them."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, Field

from casemap.errors import CursorError, CustomerNotFoundError, LookupAnswerError, LookupUnavailableError
from casemap.model import CaseState
from mft.api.document import WHOLE, Document, Moment, Nothing, Number, Page, PageQuery, Parameters
from mft.api.fault import ApiError, conflict, not_found, unprocessable
from mft.api.route import Answer, Call, Route
from mft.permissions import Permission
from mft.policy import Part
from mft.registry.cases import CaseRegister
from mft.registry.customers import CustomerRegister
from mft.registry.errors import (
    CaseExistsError,
    CustomerExistsError,
    CustomerInUseError,
    EntryChangedError,
    InvalidEntryError,
    NoSuchCaseError,
    NoSuchCustomerError,
)
from mft.registry.journal import Journal
from protocols.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from casemap.model import Case, Customer
    from mft.api.rooms import ApiRooms
    from mft.registry.entry import CaseEntry, CustomerEntry

R = TypeVar("R")
Word = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9][A-Za-z0-9._-]*$")]
CustomerId = Annotated[str, Field(min_length=1, max_length=64, pattern="^[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?$")]
RegionWord = Annotated[str, Field(min_length=1, max_length=32, pattern="^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$")]
Title = Annotated[str, Field(max_length=4096, description="Whatever people typed; made safe where it names a folder.")]
Clearance = Annotated[int, Field(ge=0, le=100), WHOLE]
Priority = Annotated[int, Field(ge=1, le=5), WHOLE]


class CasePath(Parameters):
    """Which case."""

    number: Number


class CustomerPath(Parameters):
    """Which customer."""

    id: CustomerId


class CaseQuery(PageQuery):
    """Which cases."""

    customer: Annotated[CustomerId | None, Field(description="Those of one customer.")] = None
    state: Annotated[Literal["open", "closed"] | None, Field(description="Others than staff see open ones.")] = None


class NewCase(Document):
    """A case to be opened in the built-in registry."""

    number: Number
    customer: CustomerId
    title: Title = ""
    kind: Word | None = None
    classification: Word | None = None
    clearance: Clearance | None = None
    home_region: RegionWord | None = None
    regions: Annotated[list[RegionWord] | None, Field(max_length=100)] = None
    priority: Priority | None = None


class ChangedCase(Document):
    """What is to be changed; null takes a field away, a field that is left out stays."""

    title: Title | None = None
    kind: Word | None = None
    classification: Word | None = None
    clearance: Clearance | None = None
    home_region: RegionWord | None = None
    regions: Annotated[list[RegionWord] | None, Field(max_length=100)] = None
    priority: Priority | None = None


class Turn(Document):
    """Why a case is closed or opened again."""

    reason: Annotated[str | None, Field(max_length=1000, description="Kept in the audit.")] = None


class CaseDocument(Document):
    """A case."""

    number: str
    title: str
    customer: str
    state: Literal["open", "closed"]
    opened: Moment | None
    closed: Moment | None
    kind: str | None
    classification: str | None
    clearance: int
    home_region: str | None
    regions: list[str] | None
    priority: int


class NewCustomer(Document):
    """A customer to be added to the built-in registry."""

    id: CustomerId
    name: Annotated[str, Field(min_length=1, max_length=4096)]
    home_region: RegionWord | None = None
    tags: Annotated[list[Word] | None, Field(max_length=100)] = None


class ChangedCustomer(Document):
    """What is to be changed; null takes a field away, a field that is left out stays."""

    name: Annotated[str, Field(min_length=1, max_length=4096)] = Field(default_factory=str)
    home_region: RegionWord | None = None
    tags: Annotated[list[Word] | None, Field(max_length=100)] = None


class CustomerDocument(Document):
    """A customer."""

    id: str
    name: str
    home_region: str | None
    tags: list[str]


class CaseRoutes:
    """Serves them."""

    def __init__(self, rooms: ApiRooms) -> None:
        """Read through the lookup of *rooms*; change its registry, if that is what keeps the cases."""
        self._rooms = rooms
        journal = Journal(database=rooms.database, trail=rooms.trail, regions=tuple(rooms.config.regions))
        self._cases = CaseRegister(journal)
        self._customers = CustomerRegister(journal)

    def routes(self) -> Iterator[Route[Any, Any, Any]]:
        """Yield what is served."""
        yield from self._reading()
        yield from self._changing()
        yield from self._customer_routes()

    def _reading(self) -> Iterator[Route[Any, Any, Any]]:
        yield Route(
            method="GET",
            path="/cases",
            name="listCases",
            tag="cases",
            summary="The cases that are there for you",
            handle=self.list,
            permission=Permission.CASES_READ,
            query_model=CaseQuery,
            answer_model=Page[CaseDocument],
        )
        yield Route(
            method="GET",
            path="/cases/{number}",
            name="getCase",
            tag="cases",
            summary="One case",
            handle=self.get,
            permission=Permission.CASES_READ,
            path_model=CasePath,
            answer_model=CaseDocument,
            tagged=True,
        )

    def _changing(self) -> Iterator[Route[Any, Any, Any]]:
        yield Route(
            method="POST",
            path="/cases",
            name="openCase",
            tag="cases",
            summary="Open a case in the built-in registry",
            handle=self.open,
            permission=Permission.CASES_WRITE,
            body_model=NewCase,
            answer_model=CaseDocument,
            status=HTTPStatus.CREATED,
            errors=(HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND),
            repeatable=True,
            tagged=True,
        )
        yield Route(
            method="PATCH",
            path="/cases/{number}",
            name="changeCase",
            tag="cases",
            summary="Change some fields of a case in the built-in registry",
            handle=self.change,
            permission=Permission.CASES_WRITE,
            path_model=CasePath,
            body_model=ChangedCase,
            answer_model=CaseDocument,
            errors=(HTTPStatus.CONFLICT,),
            conditional=True,
            tagged=True,
        )
        for name, handle, summary in (
            ("close", self.close, "Close a case: its folders go, its tokens and live sessions end"),
            ("reopen", self.reopen, "Open a closed case again"),
        ):
            yield Route(
                method="POST",
                path=f"/cases/{{number}}/{name}",
                name=f"{name}Case",
                tag="cases",
                summary=summary,
                handle=handle,
                permission=Permission.CASES_WRITE,
                path_model=CasePath,
                body_model=Turn,
                answer_model=CaseDocument,
                errors=(HTTPStatus.CONFLICT,),
                repeatable=True,
                conditional=True,
                tagged=True,
            )

    def _customer_routes(self) -> Iterator[Route[Any, Any, Any]]:
        yield Route(
            method="POST",
            path="/customers",
            name="addCustomer",
            tag="customers",
            summary="Add a customer to the built-in registry",
            handle=self.add_customer,
            permission=Permission.CASES_WRITE,
            body_model=NewCustomer,
            answer_model=CustomerDocument,
            status=HTTPStatus.CREATED,
            errors=(HTTPStatus.CONFLICT,),
            repeatable=True,
            tagged=True,
        )
        yield Route(
            method="GET",
            path="/customers/{id}",
            name="getCustomer",
            tag="customers",
            summary="One customer",
            handle=self.get_customer,
            permission=Permission.CASES_READ,
            path_model=CustomerPath,
            answer_model=CustomerDocument,
            tagged=True,
        )
        yield Route(
            method="PATCH",
            path="/customers/{id}",
            name="changeCustomer",
            tag="customers",
            summary="Change some fields of a customer in the built-in registry",
            handle=self.change_customer,
            permission=Permission.CASES_WRITE,
            path_model=CustomerPath,
            body_model=ChangedCustomer,
            answer_model=CustomerDocument,
            errors=(HTTPStatus.CONFLICT,),
            conditional=True,
            tagged=True,
        )
        yield Route(
            method="DELETE",
            path="/customers/{id}",
            name="removeCustomer",
            tag="customers",
            summary="Remove a customer that has no cases from the built-in registry",
            handle=self.remove_customer,
            permission=Permission.CASES_WRITE,
            path_model=CustomerPath,
            status=HTTPStatus.NO_CONTENT,
            errors=(HTTPStatus.CONFLICT,),
            conditional=True,
        )

    # -- cases -----------------------------------------------------------------------------------------------------

    def list(self, call: Call[Nothing, CaseQuery, Nothing]) -> Answer:
        """Return a page. It may hold fewer cases than asked for: some of those that there are may be hidden."""
        reader, query = call.caller.reader, call.query
        if reader.case is not None:
            case = self._rooms.enter(call.caller, reader.case).case
            return Answer(document=Page(items=[_case(case)]))
        staff = reader.part is Part.STAFF
        customer = reader.customer if reader.part is Part.CUSTOMER else query.customer
        if query.customer not in {None, customer}:
            return Answer(document=Page[CaseDocument](items=[]))
        state = CaseState(query.state) if query.state is not None else None if staff else CaseState.OPEN
        listing = f"cases {customer} {state}"
        key = self._rooms.cursors.read(listing, query.cursor)
        try:
            found = self._rooms.lookup.cases(
                customer, state=state, cursor=None if key is None else str(key[0]), limit=query.limit
            )
        except CursorError as error:
            raise ApiError(
                HTTPStatus.NOT_FOUND, "invalid-cursor", "the list has changed; begin again without a cursor"
            ) from error
        except CustomerNotFoundError:
            return Answer(document=Page[CaseDocument](items=[]))
        except (LookupUnavailableError, LookupAnswerError) as error:
            raise UnavailableError("the case system does not answer; try again in a moment") from error
        more = None if found.next_cursor is None else self._rooms.cursors.write(listing, [found.next_cursor])
        items = [_case(case) for case in found.items if staff or self._rooms.cases.sees(reader, case)]
        return Answer(document=Page(items=items, next_cursor=more))

    def get(self, call: Call[CasePath, Nothing, Nothing]) -> Answer:
        """Return one."""
        if call.caller.reader.part is not Part.STAFF:
            return _answer(_case(self._rooms.enter(call.caller, call.path.number).case))
        if not self._keeps_cases:
            return _answer(_case(self._rooms.known_case(call.path.number)))
        return _case_answer(_tried(lambda: self._cases.get(call.path.number)))

    def open(self, call: Call[Nothing, Nothing, NewCase]) -> Answer:
        """Open one."""
        self._need_registry()
        record = call.body.model_dump(mode="json", exclude_none=True)
        entry = _tried(lambda: self._cases.open(record, by=call.caller.login))
        answer = _case_answer(entry)
        return Answer(
            document=answer.document, etag=answer.etag, headers={"Location": f"/api/v1/cases/{entry.case.number}"}
        )

    def change(self, call: Call[CasePath, Nothing, ChangedCase]) -> Answer:
        """Change one."""
        self._need_registry()
        changes = call.body.model_dump(mode="json", exclude_unset=True)
        revision = self._revision(call)
        entry = _tried(lambda: self._cases.change(call.path.number, changes, by=call.caller.login, revision=revision))
        return _case_answer(entry)

    def close(self, call: Call[CasePath, Nothing, Turn]) -> Answer:
        """Close one; a second time changes nothing."""
        self._need_registry()
        revision, why = self._revision(call), call.body.reason
        return _case_answer(
            _tried(lambda: self._cases.close(call.path.number, by=call.caller.login, why=why, revision=revision))
        )

    def reopen(self, call: Call[CasePath, Nothing, Turn]) -> Answer:
        """Open one again."""
        self._need_registry()
        revision, why = self._revision(call), call.body.reason
        return _case_answer(
            _tried(lambda: self._cases.reopen(call.path.number, by=call.caller.login, why=why, revision=revision))
        )

    def _revision(self, call: Call[CasePath, Nothing, Any]) -> int | None:
        """Return the revision that the caller has seen, if it says."""
        if call.if_match is None:
            return None
        entry = _tried(lambda: self._cases.get(call.path.number))
        call.expect(str(entry.revision))
        return entry.revision

    # -- customers -------------------------------------------------------------------------------------------------

    def add_customer(self, call: Call[Nothing, Nothing, NewCustomer]) -> Answer:
        """Add one."""
        self._need_registry()
        record = call.body.model_dump(mode="json", exclude_none=True)
        entry = _tried(lambda: self._customers.add(record, by=call.caller.login))
        answer = _customer_answer(entry)
        location = {"Location": f"/api/v1/customers/{entry.customer.id}"}
        return Answer(document=answer.document, etag=answer.etag, headers=location)

    def get_customer(self, call: Call[CustomerPath, Nothing, Nothing]) -> Answer:
        """Return one: customers see themselves."""
        reader = call.caller.reader
        if not reader.may_know_customer(call.path.id):
            raise not_found("customer")
        if self._keeps_cases:
            return _customer_answer(_tried(lambda: self._customers.get(call.path.id)))
        return _answer(_customer(self._rooms.known_customer(call.path.id)))

    def change_customer(self, call: Call[CustomerPath, Nothing, ChangedCustomer]) -> Answer:
        """Change one."""
        self._need_registry()
        changes = call.body.model_dump(mode="json", exclude_unset=True)
        revision = None
        if call.if_match is not None:
            revision = _tried(lambda: self._customers.get(call.path.id)).revision
            call.expect(str(revision))
        return _customer_answer(
            _tried(lambda: self._customers.change(call.path.id, changes, by=call.caller.login, revision=revision))
        )

    def remove_customer(self, call: Call[CustomerPath, Nothing, Nothing]) -> Answer:
        """Remove one that has no cases."""
        self._need_registry()
        call.expect(str(_tried(lambda: self._customers.get(call.path.id)).revision))
        _tried(lambda: self._customers.remove(call.path.id, by=call.caller.login))
        return Answer()

    @property
    def _keeps_cases(self) -> bool:
        return self._rooms.config.lookup.type == "registry"

    def _need_registry(self) -> None:
        if not self._keeps_cases:
            raise conflict(
                f"the cases are kept in your case system (lookup.type is {self._rooms.config.lookup.type}): "
                "change them there",
                "no-registry",
            )


def _tried(do: Callable[[], R]) -> R:
    """Return what *do* does, its errors as those of the API."""
    try:
        return do()
    except NoSuchCaseError:
        raise not_found("case") from None
    except NoSuchCustomerError:
        raise not_found("customer") from None
    except (CaseExistsError, CustomerExistsError, CustomerInUseError) as error:
        raise conflict(str(error)) from error
    except EntryChangedError as error:
        raise ApiError(HTTPStatus.PRECONDITION_FAILED, "changed-meanwhile", str(error)) from error
    except InvalidEntryError as error:
        raise unprocessable(error.reason, f"/{error.field}") from error


def _answer(document: BaseModel) -> Answer:
    return Answer(document=document, etag=hashlib.sha256(document.model_dump_json().encode()).hexdigest()[:16])


def _case_answer(entry: CaseEntry) -> Answer:
    return Answer(document=_case(entry.case), etag=str(entry.revision))


def _customer_answer(entry: CustomerEntry) -> Answer:
    return Answer(document=_customer(entry.customer), etag=str(entry.revision))


def _case(case: Case) -> CaseDocument:
    return CaseDocument(
        number=case.number,
        title=case.title,
        customer=case.customer,
        state="open" if case.is_open else "closed",
        opened=case.opened,
        closed=case.closed,
        kind=case.kind,
        classification=case.classification,
        clearance=case.clearance,
        home_region=case.home_region,
        regions=None if case.regions is None else sorted(case.regions),
        priority=case.priority,
    )


def _customer(customer: Customer) -> CustomerDocument:
    return CustomerDocument(
        id=customer.id, name=customer.name, home_region=customer.home_region, tags=sorted(customer.tags)
    )
