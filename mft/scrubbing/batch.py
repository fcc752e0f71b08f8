"""Several small files of one case in one child: what starting one costs is paid once.

The files are read one after the other for the names that they tell, into one dictionary, and then each is scrubbed as
it would be alone with all of that known: the rules need not be made ready anew for every name that comes. Nothing that
is learned from a file may be kept unless that file is published, and where a file brings the child down nobody knows
what the others would have been: so whoever asked takes all of the answer or none of it, and does the files one by one
then.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from mft.scrubbing.answer import ANSWER_LIMIT, Answer, AnswerError, read_answer, write_answer
from mft.scrubbing.sealednames import SEALED_LIMIT, seal_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mft.scrubbing.child import Errand
    from scrubber.engine import Ready

BATCH_FILES = 32
"""Most files of one child: it may have 64 descriptors open."""
BATCH_BYTES = 4 * 2**20
"""Most bytes of them together, as sent."""
BODY_LIMIT = 4 * 2**20
"""Bytes of any file that a child writes, in memory or as scratch: what becomes larger is done alone, as it comes."""
BODIES_LIMIT = 16 * 2**20
"""The same of all of them."""
BATCH_LIMIT = BODIES_LIMIT + ANSWER_LIMIT
"""Bytes that a child may give back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one file of a batch has of its own; the fields are those of an `Errand`."""

    names: tuple[str, ...]
    landing_id: str
    landing_key: bytes = field(repr=False)
    records: int
    size: int
    object_key: str
    data_key: bytes = field(repr=False)

    def to_plain(self) -> dict[str, Any]:
        """Write it for an errand."""
        return {
            "names": list(self.names),
            "landing_id": self.landing_id,
            "landing_key": base64.b64encode(self.landing_key).decode("ascii"),
            "records": self.records,
            "size": self.size,
            "object_key": self.object_key,
            "data_key": base64.b64encode(self.data_key).decode("ascii"),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrubbed:
    """What became of one file of a batch."""

    document: dict[str, Any]
    body: bytes = field(repr=False)
    reverse_map: bytes = field(repr=False)


def part_of(errand: Errand, own: dict[str, Any]) -> Errand:
    """Return the errand of one file, of what `Part.to_plain` wrote."""
    keys = {name: base64.b64decode(own[name]) for name in ("landing_key", "data_key")}
    return replace(errand, batch=(), **{**own, "names": tuple(own["names"]), **keys})


class RunOne(Protocol):
    """Does the errand of one file (`mft.scrubbing.child.run_errand`)."""

    def __call__(self, errand: Errand, descriptors: Sequence[int], /, *, ready: Ready | None, taught: bool) -> None:
        """Do *errand* with what *ready* has of names and rules, which was *taught* its file, or with its own."""


def run_batch(
    errand: Errand,
    descriptors: Sequence[int],
    *,
    run: RunOne,
    ready_for: Callable[[Errand], Ready],
    teach: Callable[[Errand, int, Ready], str],
) -> None:
    """Have all files teach their names by *teach*, then do each one's errand by *run*: the rules are made ready once.

    *descriptors* are the landing logs, then the pipe for the answer. It ends with the first file that fails. The
    dictionary comes last: without it the answer is not whole.
    """
    *logs, answer_fd = descriptors
    room = BODIES_LIMIT
    with os.fdopen(answer_fd, "wb") as pipe:
        parts = [part_of(errand, own) for own in errand.batch]
        # What engineers send teaches nothing: each of their files begins with the case's names alone.
        ready = None if errand.outbound else ready_for(errand)
        names = None if ready is None else ready.pseudonyms.dictionary
        known = 0 if names is None else names.extent
        teachers = set()
        if ready is not None:
            for number, (part, log) in enumerate(zip(parts, logs, strict=True)):
                before = ready.pseudonyms.dictionary.extent
                if failure := teach(part, log, ready):
                    _write(pipe, write_answer({"error": failure}), b"")
                    return
                if ready.pseudonyms.dictionary.extent > before:
                    teachers.add(number)
        for number, (part, log) in enumerate(zip(parts, logs, strict=True)):
            before = 0 if names is None else names.extent
            body, answer = _done(part, log, run, ready)
            if answer.document.get("again"):
                body, answer = _done(replace(part, again=True), log, run, ready)
            room -= len(body)
            document: dict[str, Any] = {"error": "large"} if room < 0 else answer.document
            document["taught"] = names is not None and (number in teachers or names.extent > before)
            _write(pipe, write_answer(document, b"", answer.reverse_map), body)
            if "error" in document:
                return
        grown = b"" if names is None or names.extent == known else seal_names(names, errand.pseudonym_key)
        _write(pipe, write_answer({"files": len(logs)}, grown if len(grown) <= SEALED_LIMIT else b""), b"")


def _done(part: Errand, log: int, run: RunOne, ready: Ready | None) -> tuple[bytes, Answer]:
    """Do one file's errand, its two pipes being files in memory."""
    held = os.dup(log)
    body, answer = (os.memfd_create(name, os.MFD_CLOEXEC) for name in ("body", "answer"))
    kept = os.dup(body), os.dup(answer)
    try:
        run(part, [held, body, answer], ready=ready, taught=ready is not None)  # which closes what it was given
        return _content(kept[0]), read_answer(_content(kept[1]))
    finally:
        for descriptor in kept:
            os.close(descriptor)


def _content(descriptor: int) -> bytes:
    size = os.lseek(descriptor, 0, os.SEEK_END)
    return os.pread(descriptor, size, 0)


def _write(pipe: Any, answer: bytes, body: bytes) -> None:  # noqa: ANN401 - a file that bytes are written to
    pipe.write(len(answer).to_bytes(4, "big") + len(body).to_bytes(4, "big") + answer + body)


def read_batch(data: bytes, files: int) -> tuple[list[Scrubbed], bytes]:
    """Undo what `run_batch` wrote for so many *files*; return also the case's dictionary, if it has grown.

    Raises:
        AnswerError: it is not whole, or one of the files failed.
    """
    done: list[Scrubbed] = []
    at = 0
    for number in range(files + 1):
        length, size = int.from_bytes(data[at : at + 4], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + length
        if not length or end + size > len(data):
            raise AnswerError("the answer is cut off")
        answer = read_answer(data[at + 8 : end])
        if "error" in answer.document:
            raise AnswerError(f"file {number + 1} failed")
        if number == files:
            return done, answer.names
        done.append(Scrubbed(document=answer.document, body=data[end : end + size], reverse_map=answer.reverse_map))
        at = end + size
    raise AssertionError("the last round returns")
