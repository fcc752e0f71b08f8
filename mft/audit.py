"""The audit trail: who touched what, and where it lay.

A hash chain for each customer and one for the system. Each event is written in the transaction of the change that it
records: there is no change without its event, and no event without its change. The event's hash covers its whole body
and the hash before it, and the place where the chain stands is signed, so that an edited, removed, inserted or cut-off
record shows. Order is the chain's, never the clock's. No secret and no content ever stands here.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sqlalchemy import bindparam, insert, select, update

from mft.catalog.fixed import Fixed
from mft.catalog.model import EVENTS, HEADS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import Connection

SYSTEM = "system"
GENESIS = "0" * 64
FOLD_SECONDS = 60.0
_PAGE = 1000

# Written with nearly every change: to build these anew costs as much as to run them.
_HEAD = Fixed(select(HEADS.c.position, HEADS.c.hash).where(HEADS.c.chain == bindparam("of")))
_NEW_EVENT = Fixed(insert(EVENTS), "chain", "position", "body", "previous", "hash")
_NEW_HEAD = Fixed(insert(HEADS), "chain", "position", "hash", "signature")
_NEXT_HEAD = Fixed(update(HEADS).where(HEADS.c.chain == bindparam("of")), "position", "hash", "signature")


def customer_chain(customer: str | None) -> str:
    """Name the chain of *customer*'s events; what belongs to no customer goes to the system's."""
    return f"customer:{customer}" if customer else SYSTEM


def customer_of(chain: str) -> str | None:
    """Return whose chain it is; None for the system's."""
    return None if chain == SYSTEM else chain.removeprefix("customer:")


def _link(previous: str, body: str) -> str:
    return hashlib.sha256(previous.encode("ascii") + body.encode()).hexdigest()


def _head_statement(chain: str, position: int, link: str) -> bytes:
    return json.dumps(["mft audit head v1", chain, position, link]).encode()


class AuditTrail:
    """Writes events, each in its caller's transaction."""

    def __init__(self, *, sign: Callable[[bytes], str], host: str) -> None:
        """Sign heads with *sign* (bytes to base64url text); *host* is this machine's name in the installation."""
        self._sign = sign
        self._host = host

    def append(self, connection: Connection, chain: str, kind: str, /, **details: object) -> None:
        """Write one event at the end of *chain*, in the write transaction of *connection*.

        *kind* is `noun.verb-in-the-past` (`upload.landed`). *details* are JSON values; None is left out.
        """
        head = _HEAD.first(connection, {"of": chain})
        position, previous = (head.position + 1, head.hash) if head else (1, GENESIS)
        body = json.dumps(
            {
                "at": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
                "chain": chain,
                "host": self._host,
                "kind": kind,
                "n": position,
                **{name: value for name, value in details.items() if value is not None},
            },
            sort_keys=True,
            separators=(",", ":"),
            ensure_ascii=False,
        )
        link = _link(previous, body)
        place = {"position": position, "hash": link}
        _NEW_EVENT.run(connection, {"chain": chain, "body": body, "previous": previous, **place})
        place["signature"] = self._sign(_head_statement(chain, position, link))
        if head is None:
            _NEW_HEAD.run(connection, {"chain": chain, **place})
        else:
            _NEXT_HEAD.run(connection, {"of": chain, **place})


@dataclass(slots=True)
class _Fold:
    since: float
    count: int = 0
    details: dict[str, object] = field(default_factory=dict)


class Folding:
    """Folds repeats of one event (a denial, a listing) within a minute into one counted record.

    The first is written at once; what repeats is counted and comes out of `due`.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count by *clock*, in seconds."""
        self._clock = clock
        self._folds: dict[tuple[str, str, str], _Fold] = {}
        self._lock = threading.Lock()

    def first(self, chain: str, kind: str, subject: str, details: dict[str, object]) -> bool:
        """Say whether this is the first of its minute, to be written now; otherwise count it."""
        with self._lock:
            fold = self._folds.get((chain, kind, subject))
            if fold is None:
                self._folds[chain, kind, subject] = _Fold(since=self._clock(), details=details)
                return True
            fold.count += 1
            return False

    def due(self, *, everything: bool = False) -> Iterator[tuple[str, str, dict[str, object]]]:
        """Yield (chain, kind, details with `repeated`) of every fold whose minute is over, and forget it."""
        now = self._clock()
        with self._lock:
            over = [key for key, fold in self._folds.items() if everything or now - fold.since >= FOLD_SECONDS]
            folds = [(key, self._folds.pop(key)) for key in over]
        for (chain, kind, _subject), fold in folds:
            if fold.count:
                yield chain, kind, {**fold.details, "repeated": fold.count}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One place where a chain does not hold."""

    chain: str
    position: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a check of every chain found."""

    chains: int
    events: int
    faults: tuple[Fault, ...]


def verify_trail(connection: Connection, check: Callable[[bytes, str], bool]) -> Verdict:
    """Walk every chain; *check* says whether a signature (base64url) fits a statement."""
    faults: list[Fault] = []
    events = 0
    chains = {row.chain for row in connection.execute(select(EVENTS.c.chain).distinct())}
    heads = {row.chain: row for row in connection.execute(select(HEADS))}
    for chain in sorted(chains | set(heads)):
        walk = _Walk(chain=chain)
        for row in _rows(connection, chain):
            walk.step(row.position, row.body, row.previous, row.hash)
        events += walk.count
        faults += walk.faults
        faults += _head_faults(walk, heads.get(chain), check)
    return Verdict(chains=len(chains | set(heads)), events=events, faults=tuple(faults))


def export_heads(connection: Connection) -> str:
    """Write the signed head of every chain, a line of JSON each, to be kept out of the catalog's reach."""
    at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    rows = connection.execute(select(HEADS).order_by(HEADS.c.chain))
    return "".join(
        json.dumps(
            {"at": at, "chain": row.chain, "position": row.position, "hash": row.hash, "signature": row.signature}
        )
        + "\n"
        for row in rows
    )


def _rows(connection: Connection, chain: str) -> Iterator[EventRow]:
    last = -1
    columns = (EVENTS.c.position, EVENTS.c.body, EVENTS.c.previous, EVENTS.c.hash)
    while True:
        page = connection.execute(
            select(*columns)
            .where(EVENTS.c.chain == chain, EVENTS.c.position > last)
            .order_by(EVENTS.c.position)
            .limit(_PAGE)
        ).all()
        if not page:
            return
        for position, body, previous, link in page:
            yield EventRow(position=position, body=body, previous=previous, hash=link)
        last = page[-1].position


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One link as it lies in the catalog."""

    position: int
    body: str
    previous: str
    hash: str


@dataclass(slots=True, kw_only=True)
class _Walk:
    chain: str
    position: int = 0
    link: str = GENESIS
    count: int = 0
    faults: list[Fault] = field(default_factory=list)

    def step(self, position: int, body: str, previous: str, link: str) -> None:
        self.count += 1
        if position != self.position + 1:
            missing = (
                f"{self.position + 1}" if position == self.position + 2 else f"{self.position + 1} to {position - 1}"
            )
            self._fault(position, f"record {missing} was removed")
        elif previous != self.link:
            self._fault(position, "a record was inserted, replaced or put in another place")
        if _link(previous, body) != link:
            self._fault(position, "the record was edited")
        elif not self._says_where_it_is(body, position):
            self._fault(position, "the record belongs to another place")
        self.position, self.link = position, link

    def _says_where_it_is(self, body: str, position: int) -> bool:
        try:
            told = json.loads(body)
        except ValueError:
            return False
        return isinstance(told, dict) and told.get("n") == position and told.get("chain") == self.chain

    def _fault(self, position: int, what: str) -> None:
        self.faults.append(Fault(chain=self.chain, position=position, what=what))


def _head_faults(walk: _Walk, head: object, check: Callable[[bytes, str], bool]) -> list[Fault]:
    def fault(position: int, what: str) -> list[Fault]:
        return [Fault(chain=walk.chain, position=position, what=what)]

    if head is None:
        return fault(walk.position, "the chain's signed head was removed")
    position, link, signature = getattr(head, "position", 0), getattr(head, "hash", ""), getattr(head, "signature", "")
    if not check(_head_statement(walk.chain, position, link), signature):
        return fault(position, "the chain's head does not bear this installation's signature")
    if position > walk.position:
        return fault(walk.position + 1, f"records {walk.position + 1} to {position} were removed from the end")
    if position < walk.position:
        return fault(position + 1, f"records {position + 1} to {walk.position} were inserted after the signed end")
    if link != walk.link:
        return fault(position, "the last record is not the one that was signed")
    return []
