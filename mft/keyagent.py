"""The key agent: the one process that holds region keys, and how the others ask it for the key of one thing.

Each process slot has a socket pair of its own (SOCK_SEQPACKET: one message, one datagram), made by the supervisor and
kept by it, so that either end may die and come back. A request carries a random number; an answer to somebody who
died is recognised by it and dropped. Messages are JSON; keys in it are base64. Nothing here is ever logged.

Keys in a file are answered for at once. Where a token or a key service has to be asked, a region has threads of its
own, so that one that does not answer keeps nobody else waiting.
"""

from __future__ import annotations

import base64
import contextlib
import json
import secrets
import select
import selectors
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import (
    CustomerKeyError,
    KeyDestroyedError,
    KeyProviderError,
    KeyUnavailableError,
    StorageError,
    TamperedError,
)
from storage.keys.envelope import Envelope
from storage.keys.service import KEYS_AT_ONCE
from storage.keys.wrapped import is_shared

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from storage.keys.envelope import Region
    from storage.keys.service import KeyService

MESSAGE_LIMIT = 64 * 1024
ANSWER_SECONDS = 15.0
"""Longest wait for an answer: three tries of a key service, and something over."""
LANE_THREADS = 4
"""Questions at once to one region whose keys lie elsewhere."""
LANE_WAITING = 200
"""Questions that wait for their turn there; more are refused at once."""
_ERRORS: Mapping[str, type[StorageError]] = {
    "tampered": TamperedError,
    "unavailable": KeyUnavailableError,
    "provider": KeyProviderError,
    "customer": CustomerKeyError,
    "destroyed": KeyDestroyedError,
}


def _pack(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _unpack(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


class AgentKeys:
    """The `KeyService` of a process that holds no region key: asks the agent. Safe for many threads.

    Each thread's question has its own answer: a slow one keeps no other waiting. Whichever thread waits reads for all.
    """

    def __init__(self, channel: socket.socket) -> None:
        """Ask over *channel*, this process's end of its slot's pair."""
        self._channel = channel
        self._channel.settimeout(ANSWER_SECONDS)
        self._turn = threading.Condition()
        self._reading = False
        self._awaited: dict[str, dict[str, Any] | None] = {}

    def new_scope(self, region: Region, scope: str, *, owner: str | None = None) -> bytes:
        """Make a scope key, wrapped by the region's key."""
        return _unpack(self._ask("new_scope", region=region, scope=scope, owner=owner)["wrapped"])

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Make a leaf key: in clear and wrapped."""
        return self.new_keys(region, scope, scope_key, [subject])[0]

    def new_keys(
        self, region: Region, scope: str, scope_key: bytes, subjects: Sequence[str]
    ) -> list[tuple[bytes, Envelope]]:
        """Make a leaf key for each of *subjects*."""
        made = self._ask("new_keys", region=region, scope=scope, scope_key=_pack(scope_key), subjects=list(subjects))
        return [(_unpack(each["key"]), Envelope.from_dict(each["envelope"])) for each in made["keys"]]

    def open_key(self, envelope: Envelope) -> bytes:
        """Unwrap a leaf key."""
        return self.open_keys([envelope])[0]

    def open_keys(self, envelopes: Sequence[Envelope]) -> list[bytes]:
        """Unwrap leaf keys."""
        answer = self._ask("open_keys", envelopes=[each.to_dict() for each in envelopes])
        return [_unpack(each) for each in answer["keys"]]

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Wrap a leaf key for another region, without seeing it."""
        answer = self._ask(
            "move_key", envelope=envelope.to_dict(), region=region, scope=scope, scope_key=_pack(scope_key)
        )
        return Envelope.from_dict(answer["envelope"])

    def rewrap_scope(self, region: Region, scope: str, scope_key: bytes, *, owner: str | None = None) -> bytes:
        """Wrap a scope key by the region's current key, without seeing it."""
        answer = self._ask("rewrap_scope", region=region, scope=scope, scope_key=_pack(scope_key), owner=owner)
        return _unpack(answer["wrapped"])

    def _ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        number = secrets.token_hex(8)
        request = json.dumps({"id": number, "verb": verb, **arguments}).encode()
        patience = self._channel.gettimeout() or ANSWER_SECONDS
        with self._turn:
            self._awaited[number] = None
        try:
            self._channel.send(request)
            answer = self._answer_to(number, time.monotonic() + patience)
        except (OSError, ValueError) as error:
            raise KeyUnavailableError("the key agent does not answer") from error
        finally:
            with self._turn:
                self._awaited.pop(number, None)
        if "error" in answer:
            raise _ERRORS.get(answer["error"], KeyUnavailableError)(answer["message"])
        return answer

    def _answer_to(self, number: str, deadline: float) -> dict[str, Any]:
        """Return the answer of that number, reading as long as nobody else does.

        Raises:
            TimeoutError: it has not come in time.
        """
        while True:
            with self._turn:
                while True:
                    answer = self._awaited[number]
                    if answer is not None:
                        return answer
                    if time.monotonic() >= deadline:
                        raise TimeoutError
                    if not self._reading:
                        self._reading = True
                        break
                    self._turn.wait(max(0.0, deadline - time.monotonic()))
            found: dict[str, Any] | None = None
            try:
                found = self._read(deadline)
            finally:
                with self._turn:
                    self._reading = False
                    if found is not None and found.get("id") in self._awaited:
                        self._awaited[found["id"]] = found
                    self._turn.notify_all()

    def _read(self, deadline: float) -> dict[str, Any] | None:
        waiting = select.poll()
        waiting.register(self._channel, select.POLLIN)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            return None
        answer = json.loads(self._channel.recv(MESSAGE_LIMIT))
        return answer if isinstance(answer, dict) else None


def _perform(keys: KeyService, request: Mapping[str, Any]) -> dict[str, Any]:
    match request["verb"]:
        case "new_scope":
            return {"wrapped": _pack(keys.new_scope(request["region"], request["scope"], owner=request.get("owner")))}
        case "new_keys":
            scope_key, subjects = _unpack(request["scope_key"]), request["subjects"]
            if len(subjects) > KEYS_AT_ONCE:
                raise KeyUnavailableError(f"the key agent makes {KEYS_AT_ONCE} keys at once, and not {len(subjects)}")
            made = keys.new_keys(request["region"], request["scope"], scope_key, subjects)
            return {"keys": [{"key": _pack(key), "envelope": envelope.to_dict()} for key, envelope in made]}
        case "open_keys":
            if len(request["envelopes"]) > KEYS_AT_ONCE:
                raise KeyUnavailableError(f"the key agent opens {KEYS_AT_ONCE} keys at once, and no more")
            opened = keys.open_keys([Envelope.from_dict(each) for each in request["envelopes"]])
            return {"keys": [_pack(each) for each in opened]}
        case "move_key":
            envelope = keys.move_key(
                Envelope.from_dict(request["envelope"]),
                request["region"],
                request["scope"],
                _unpack(request["scope_key"]),
            )
            return {"envelope": envelope.to_dict()}
        case "rewrap_scope":
            scope_key, owner = _unpack(request["scope_key"]), request.get("owner")
            return {"wrapped": _pack(keys.rewrap_scope(request["region"], request["scope"], scope_key, owner=owner))}
        case verb:
            raise KeyUnavailableError(f"the key agent knows no {verb!r}")


def answer_with(perform: Callable[[Mapping[str, Any]], dict[str, Any]], message: bytes) -> bytes:
    """Return the answer to a message: what *perform* says, or what went wrong, in words that hold no key."""
    number = ""
    try:
        request = json.loads(message)
        number = str(request["id"])
        answer = perform(request)
    except TamperedError as error:
        answer = {"error": "tampered", "message": str(error)}
    except StorageError as error:
        answer = {"error": _kind_of(error), "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the border of the process: one bad request must not end it
        answer = {"error": "unavailable", "message": f"the request was not understood ({type(error).__name__})"}
    return json.dumps({"id": number, **answer}).encode()


def _kind_of(error: StorageError) -> str:
    for kind in type(error).__mro__:
        for word, known in _ERRORS.items():
            if kind is known:
                return word
    return "unavailable"


class Lanes:
    """Threads for what has to wait: a few for each region whose keys lie elsewhere, and for each customer's key."""

    def __init__(self, waits: Callable[[str, str | None], bool]) -> None:
        """Ask *waits* of each region, and of the customer whose scope it is about, whether keys lie elsewhere."""
        self._waits = waits
        self._pools: dict[str, ThreadPoolExecutor] = {}
        self._waiting: dict[str, int] = {}
        self._guard = threading.Lock()

    def lane(self, message: bytes) -> str:
        """Return the lane of a request; empty: it is answered at once."""
        try:
            request = json.loads(message)
            about = [request, request.get("envelope") or {}, *(request.get("envelopes") or ())]
            named = [str(each.get("region") or "") for each in about]
            wrapped = {each.get("scope_key") for each in about}
            shared = any(each and is_shared(_unpack(str(each))) for each in wrapped)
        except (ValueError, AttributeError, TypeError):
            return ""
        regions = sorted({each for each in set(named) if each and self._waits(each, request.get("owner"))})
        return " ".join([*regions, *(["customer"] if shared else [])])

    def run(self, lane: str, work: Callable[[], None]) -> bool:
        """Do *work* on a thread of *lane*; say no where too much waits there already."""
        with self._guard:
            if self._waiting.get(lane, 0) >= LANE_WAITING:
                return False
            self._waiting[lane] = self._waiting.get(lane, 0) + 1
            pool = self._pools.get(lane)
            if pool is None:
                pool = self._pools[lane] = ThreadPoolExecutor(LANE_THREADS, thread_name_prefix=f"keys-{lane}")

        def worked() -> None:
            try:
                work()
            finally:
                with self._guard:
                    self._waiting[lane] -= 1

        pool.submit(worked)
        return True

    def close(self) -> None:
        """End the threads; what waits is not done any more."""
        for pool in self._pools.values():
            pool.shutdown(wait=False, cancel_futures=True)


def serve_keys(
    keys: KeyService,
    channels: Sequence[socket.socket],
    stopped: Callable[[], bool],
    *,
    waits: Callable[[str, str | None], bool] = lambda _region, _owner: False,
    desk: tuple[socket.socket, Callable[[Mapping[str, Any]], dict[str, Any]]] | None = None,
) -> None:
    """Answer requests on *channels* until *stopped* says so; looked at twice a second.

    Args:
        keys: what answers.
        channels: the agent's ends.
        stopped: says when to end.
        waits: says of a region and a customer whether keys lie elsewhere, so that asking takes a thread.
        desk: a listening socket for those who administer keys, and what performs their requests.
    """
    lanes = Lanes(waits)
    asked = _Asked(perform=lambda request: _perform(keys, request), lane=lanes.lane)
    with selectors.DefaultSelector() as selector:
        for each in channels:
            selector.register(each, selectors.EVENT_READ, asked)
        if desk is not None:
            selector.register(desk[0], selectors.EVENT_READ, None)
        try:
            while not stopped():
                for ready, _events in selector.select(timeout=0.5):
                    channel: socket.socket = ready.fileobj  # type: ignore[assignment]  # what was registered
                    if isinstance(ready.data, _Asked):
                        _take(channel, ready.data, selector, lanes)
                    elif desk is not None:
                        _admit(channel, _Asked(perform=desk[1], lane=lambda _message: "desk", closes=True), selector)
        finally:
            lanes.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Who answers what comes over a channel, and in which lane."""

    perform: Callable[[Mapping[str, Any]], dict[str, Any]]
    lane: Callable[[bytes], str]
    closes: bool = False
    """The channel is this process's alone: closed when the other end is."""


def _admit(listening: socket.socket, asked: _Asked, selector: selectors.BaseSelector) -> None:
    """Let an administrator in: the file's mode keeps all others out."""
    try:
        connection, _ = listening.accept()
    except OSError:
        return
    selector.register(connection, selectors.EVENT_READ, asked)


def _take(channel: socket.socket, asked: _Asked, selector: selectors.BaseSelector, lanes: Lanes) -> None:
    """Take one message from *channel*, and have it answered."""
    try:
        message = channel.recv(MESSAGE_LIMIT)
    except OSError:
        message = b""
    if not message:
        selector.unregister(channel)
        if asked.closes:
            channel.close()
        return

    def answer() -> None:
        said = answer_with(asked.perform, message)
        with contextlib.suppress(OSError):  # whoever asked has gone
            channel.send(said)

    lane = asked.lane(message)
    if not lane:
        answer()
    elif not lanes.run(lane, answer):
        with contextlib.suppress(OSError):
            channel.send(answer_with(_refuse, message))


def _refuse(_request: Mapping[str, Any]) -> dict[str, Any]:
    raise KeyProviderError("too many questions wait for the keys of that region; try again in a moment")
