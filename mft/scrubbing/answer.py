"""What a child gives back over its result pipe: a document, the case's dictionary if it has grown, a reverse map.

A child reads hostile files, so nothing that it says is believed unseen: an answer has a size, a form, and no more in it
than was asked for.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mft.scrubbing.sealednames import SEALED_LIMIT

if TYPE_CHECKING:
    from collections.abc import Sequence

DOCUMENT_LIMIT = 8 * 2**20
"""Bytes of the document."""
REVERSE_LIMIT = 32 * 2**20
"""Bytes of a reverse map, sealed."""
ANSWER_LIMIT = 8 + DOCUMENT_LIMIT + SEALED_LIMIT + REVERSE_LIMIT
LISTED = 1000
"""Findings, obstacles and members not looked into that are told one by one; the counts are of all."""
_LISTS = ("findings", "obstacles", "unseen")
_DIGEST = re.compile(r"[0-9a-f]{64}")


class AnswerError(Exception):
    """A child's answer is not one: too large, cut off, or of another form. Never says what was in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The parts of an answer."""

    document: dict[str, Any]
    names: bytes = b""
    """The case's dictionary, sealed; empty: it has not grown."""
    reverse_map: bytes = b""
    """What pseudonyms stand for, sealed to the customer; empty: that was not wanted."""


def write_answer(document: dict[str, Any], names: bytes = b"", reverse_map: bytes = b"") -> bytes:
    """Put an answer into bytes: the lengths of document and *names* (four bytes each, big-endian), then the three.

    A report that is too long for an answer keeps the beginning of its lists.
    """
    listed = LISTED
    while len(text := json.dumps(_shortened(document, listed)).encode()) > DOCUMENT_LIMIT and listed:
        listed //= 2
    return len(text).to_bytes(4, "big") + len(names).to_bytes(4, "big") + text + names + reverse_map


def _shortened(document: dict[str, Any], listed: int) -> dict[str, Any]:
    report = document.get("report")
    if report is None:
        return document
    return {**document, "report": {**report, **{name: report[name][:listed] for name in _LISTS if name in report}}}


def read_answer(answer: bytes) -> Answer:
    """Undo `write_answer`.

    Raises:
        AnswerError: it is none.
    """
    length, names = int.from_bytes(answer[:4], "big"), int.from_bytes(answer[4:8], "big")
    end = 8 + length
    last = end + names
    too_long = length > DOCUMENT_LIMIT or names > SEALED_LIMIT or len(answer) - last > REVERSE_LIMIT
    if too_long or not length or last > len(answer):
        raise AnswerError("the answer is too long or cut off")
    try:
        document = json.loads(answer[8:end])
    except (ValueError, RecursionError) as error:
        raise AnswerError("the answer is no document") from error
    if not isinstance(document, dict):
        raise AnswerError("the answer is no document")
    return Answer(document=document, names=answer[end:last], reverse_map=answer[last:])


def check_scrubbed(document: dict[str, Any], names: Sequence[str]) -> None:
    """See that *document* is what a child says that scrubbed a file called *names*.

    Raises:
        AnswerError: it is not.
    """
    _check(document.get("names") == list(names) and _texts(document.get("shown"), len(names)), "names")
    report: Any = document.get("report")
    body: Any = document.get("body")
    _check(isinstance(report, dict) and isinstance(body, dict), "parts")
    _check(_digest(report.get("sha256_in")) and _digest(report.get("sha256_out")), "digests")
    _check(_counts(report.get("counts")) and _counts(document.get("categories")), "counts")
    _check(all(_objects(report.get(name, [])) for name in _LISTS), "lists")
    _check(all(isinstance(each.get("reason"), str) for each in report["obstacles"]), "obstacles")
    _check(_size(body.get("size")) and _size(body.get("stored_size")) and _digest(body.get("sha256")), "body")


def _check(holds: object, what: str) -> None:
    if not holds:
        raise AnswerError(f"the answer's {what} are not as they should be")


def _texts(value: object, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(isinstance(each, str) for each in value)


def _objects(value: object) -> bool:
    return isinstance(value, list) and len(value) <= LISTED and all(isinstance(each, dict) for each in value)


def _counts(value: object) -> bool:
    return isinstance(value, dict) and all(_size(count) for count in value.values())


def _size(value: object) -> bool:
    return type(value) is int and value >= 0


def _digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None
