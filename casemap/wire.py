"""The JSON of the lookup contract: strict, and nothing of an answer that is wrong anywhere is used."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypeVar

from casemap.errors import InvalidRecordError, LookupAnswerError
from casemap.lookup import Page, is_cursor
from casemap.model import parse_case, parse_customer
from casemap.record import Record, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from casemap.model import Case, CaseState, Customer

T = TypeVar("T")


def load_answer(body: bytes) -> object:
    """Parse a JSON text (RFC 8259) in UTF-8, refusing what parsers read differently: repeated keys, NaN, infinities.

    Raises:
        LookupAnswerError: it is none.
    """
    try:
        return json.loads(body.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise LookupAnswerError("the case system's answer is not the JSON of the contract") from error


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object has a key twice")
    return made


def _constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def parse_case_page(data: object, *, customer: str | None, state: CaseState | None, cursor: str | None) -> Page[Case]:
    """Make a page of cases that fits what was asked: that customer, that state.

    Raises:
        InvalidRecordError: a record or the page breaks the contract.
        LookupAnswerError: it answers another question, a case comes twice, or the list runs in a circle.
    """
    page = _parse_page(data, cursor, parse_case, lambda case: case.number)
    for case in page.items:
        if customer is not None and case.customer != customer:
            raise LookupAnswerError("the list of a customer's cases holds a case of another customer")
        if state is not None and case.state is not state:
            raise LookupAnswerError("the list holds a case in another state than was asked for")
    return page


def parse_customer_page(data: object, *, cursor: str | None) -> Page[Customer]:
    """Make a page of customers; see `parse_case_page`."""
    return _parse_page(data, cursor, parse_customer, lambda customer: customer.id)


def _parse_page(data: object, cursor: str | None, parse: Callable[..., T], name: Callable[[T], str]) -> Page[T]:
    record = Record(data, "")
    items = data.get("items") if isinstance(data, dict) else None
    if not isinstance(items, list):
        raise InvalidRecordError("items", f"must be a list, is {kind_of(items)}")
    next_cursor = record.optional_text("next_cursor", _check_cursor)
    if next_cursor is not None and (next_cursor == cursor or not items):
        raise LookupAnswerError("the list runs in a circle")
    parsed = tuple(parse(item, at=f"items[{index}]") for index, item in enumerate(items))
    if len({name(item) for item in parsed}) != len(parsed):
        raise LookupAnswerError("the list holds a record twice")
    return Page(items=parsed, next_cursor=next_cursor)


def _check_cursor(text: str) -> str:
    if not is_cursor(text):
        raise ValueError("is not a cursor: up to 1,024 visible ASCII characters")
    return text
