"""How the simulator misbehaves: slowly, with errors, or with nonsense of many kinds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from casemap.errors import InvalidRecordError
from casemap.lookup import MAX_LIMIT
from casemap.record import MAX_INTEGER, Record

if TYPE_CHECKING:
    from collections.abc import Callable

HUGE_BYTES = 50 * 1024 * 1024


class Nonsense(Enum):
    """Answers that break the contract."""

    HTML = "html"
    """A page for people, with status 200: what a login portal in between sends."""
    NOT_FOUND_PAGE = "not_found_page"
    """A 404 that is a page, not a problem document: what a proxy sends."""
    NOT_JSON = "not_json"
    BAD_UTF8 = "bad_utf8"
    NAN = "nan"
    DEEP = "deep"
    REPEATED_KEY = "repeated_key"
    LIST = "list"
    """A list where an object belongs."""
    EMPTY = "empty"
    """An object without any field."""
    WRONG_TYPES = "wrong_types"
    OVERSIZE = "oversize"
    """Texts longer than the contract allows."""
    OTHER_RECORD = "other_record"
    """A good record, of somebody else."""
    OTHER_CUSTOMER = "other_customer"
    """Cases of another customer in the list."""
    DUPLICATES = "duplicates"
    CIRCLE = "circle"
    """A list whose next page is this one."""
    TOO_MANY = "too_many"
    """More items than were asked for."""
    REDIRECT = "redirect"
    """To itself, for ever."""
    HUGE = "huge"
    """50 MB of white space before the answer."""
    COMPRESSED = "compressed"
    """Content-Encoding, unasked."""
    CUT = "cut"
    """Fewer bytes than announced."""
    DRIP = "drip"
    """A byte now and then, for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What the lookup part does to each request."""

    latency_ms: int = 0
    error_rate: float = 0.0
    """Share of the requests, 0 to 1, that are answered with *error_status*."""
    error_status: int = 503
    status: int | None = None
    """Answer every request with this status."""
    nonsense: Nonsense | None = None
    hang: bool = False
    """Take requests and never answer."""


def parse_behaviour(data: object) -> Behaviour:
    """Make a behaviour from parsed JSON; what is missing is as in a good case system.

    Raises:
        InvalidRecordError: a field is unknown or wrong.
    """
    record = Record(data, "")
    record.refuse_others(frozenset(Behaviour.__dataclass_fields__))
    rate = data.get("error_rate", 0) if isinstance(data, dict) else 0
    if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
        raise InvalidRecordError("error_rate", "must be a number from 0 to 1")
    nonsense = record.optional_text("nonsense", _check_nonsense)
    status = record.integer("status", default=0, least=0, most=599)
    return Behaviour(
        latency_ms=record.integer("latency_ms", default=0, least=0, most=MAX_INTEGER),
        error_rate=float(rate),
        error_status=record.integer("error_status", default=503, least=300, most=599),
        status=status or None,
        nonsense=None if nonsense is None else Nonsense(nonsense),
        hang=record.truth("hang", default=False),
    )


def _check_nonsense(text: str) -> str:
    if text not in {each.value for each in Nonsense}:
        raise ValueError(f"is not one of {', '.join(each.value for each in Nonsense)}")
    return text


def distort(kind: Nonsense, answer: dict[str, object]) -> bytes | None:
    """Return the body that *kind* makes of a good *answer*; None where it is the transport that misbehaves."""
    make = _DISTORTIONS.get(kind)
    return None if make is None else make(answer)


def _json(data: object) -> bytes:
    return json.dumps(data, ensure_ascii=False).encode()


def _listed(answer: dict[str, object]) -> list[dict[str, object]]:
    items = answer.get("items")
    return [dict(item) for item in items] if isinstance(items, list) else []


def _wrong_types(answer: dict[str, object]) -> bytes:
    if "items" in answer:
        return _json({"items": {"0": answer["items"]}, "next_cursor": 7})
    return _json({name: [value] if isinstance(value, (str, int)) else "x" for name, value in answer.items()})


def _oversize(answer: dict[str, object]) -> bytes:
    if "items" in answer:
        return _json({"items": [{**item, "title": "x" * 10_000, "name": "x" * 10_000} for item in _listed(answer)]})
    return _json({**answer, "title": "x" * 10_000, "name": "x" * 10_000})


def _other_record(answer: dict[str, object]) -> bytes:
    names: dict[str, object] = {key: f"{answer[key]}9" for key in ("login", "number", "id") if key in answer}
    return _json({**answer, **names})


def _other_customer(answer: dict[str, object]) -> bytes:
    return _json({**answer, "items": [{**item, "customer": "somebody-else"} for item in _listed(answer)]})


def _too_many(answer: dict[str, object]) -> bytes:
    row = next(iter(_listed(answer)), {"id": "c", "name": "c"})
    key = "number" if "number" in row else "id"
    return _json({"items": [{**row, key: f"X{n}"} for n in range(MAX_LIMIT + 1)]})


def _repeated_key(answer: dict[str, object]) -> bytes:
    name = next(iter(answer), "x")
    return b"{" + _json(name) + b": null, " + _json(answer)[1:]


_DISTORTIONS: dict[Nonsense, Callable[[dict[str, object]], bytes]] = {
    Nonsense.NOT_JSON: lambda answer: _json(answer)[:-1],
    Nonsense.BAD_UTF8: lambda answer: _json({**answer, "x": "?"}).replace(b"?", b"\xff"),
    Nonsense.NAN: lambda answer: _json({**answer, "priority": float("nan")}),
    Nonsense.DEEP: lambda _: b"[" * 100_000,
    Nonsense.REPEATED_KEY: _repeated_key,
    Nonsense.LIST: lambda answer: _json([answer]),
    Nonsense.EMPTY: lambda _: b"{}",
    Nonsense.WRONG_TYPES: _wrong_types,
    Nonsense.OVERSIZE: _oversize,
    Nonsense.OTHER_RECORD: _other_record,
    Nonsense.OTHER_CUSTOMER: _other_customer,
    Nonsense.DUPLICATES: lambda answer: _json({**answer, "items": _listed(answer) * 2}),
    Nonsense.CIRCLE: lambda answer: _json({**answer, "items": [], "next_cursor": "again"}),
    Nonsense.TOO_MANY: _too_many,
    Nonsense.COMPRESSED: _json,
}
