"""The key agent: the one process that holds region keys, and how the others ask it for the key of one thing.

Each process slot has a socket pair of its own (SOCK_SEQPACKET: one message, one datagram), made by the supervisor and
kept by it, so that either end may die and come back. A request carries a random number; an answer to somebody who
died is recognised by it and dropped. Messages are JSON; keys in it are base64. Nothing here is ever logged.
"""

from __future__ import annotations

import base64
import json
import secrets
import selectors
import threading
from typing import TYPE_CHECKING, Any

from storage.errors import KeyUnavailableError, StorageError, TamperedError
from storage.keys.envelope import Envelope

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from storage.keys.envelope import Region
    from storage.keys.service import KeyService

MESSAGE_LIMIT = 64 * 1024
ANSWER_SECONDS = 10.0
_ERRORS: Mapping[str, type[StorageError]] = {"tampered": TamperedError, "unavailable": KeyUnavailableError}


def _pack(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def _unpack(value: str) -> bytes:
    return base64.b64decode(value, validate=True)


class AgentKeys:
    """The `KeyService` of a process that holds no region key: asks the agent. Safe for many threads."""

    def __init__(self, channel: socket.socket) -> None:
        """Ask over *channel*, this process's end of its slot's pair."""
        self._channel = channel
        self._channel.settimeout(ANSWER_SECONDS)
        self._lock = threading.Lock()

    def new_scope(self, region: Region, scope: str) -> bytes:
        """Make a scope key, wrapped by the region's key."""
        return _unpack(self._ask("new_scope", region=region, scope=scope)["wrapped"])

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Make a leaf key: in clear and wrapped."""
        answer = self._ask("new_key", region=region, scope=scope, scope_key=_pack(scope_key), subject=subject)
        return _unpack(answer["key"]), Envelope.from_dict(answer["envelope"])

    def open_key(self, envelope: Envelope) -> bytes:
        """Unwrap a leaf key."""
        return _unpack(self._ask("open_key", envelope=envelope.to_dict())["key"])

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Wrap a leaf key for another region, without seeing it."""
        answer = self._ask(
            "move_key", envelope=envelope.to_dict(), region=region, scope=scope, scope_key=_pack(scope_key)
        )
        return Envelope.from_dict(answer["envelope"])

    def _ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        number = secrets.token_hex(8)
        request = json.dumps({"id": number, "verb": verb, **arguments}).encode()
        with self._lock:
            try:
                self._channel.send(request)
                while True:
                    answer: dict[str, Any] = json.loads(self._channel.recv(MESSAGE_LIMIT))
                    if answer.get("id") == number:
                        break
            except (OSError, ValueError) as error:
                raise KeyUnavailableError("the key agent does not answer") from error
        if "error" in answer:
            raise _ERRORS.get(answer["error"], KeyUnavailableError)(answer["message"])
        return answer


def _perform(keys: KeyService, request: Mapping[str, Any]) -> dict[str, Any]:
    match request["verb"]:
        case "new_scope":
            return {"wrapped": _pack(keys.new_scope(request["region"], request["scope"]))}
        case "new_key":
            scope_key = _unpack(request["scope_key"])
            key, envelope = keys.new_key(request["region"], request["scope"], scope_key, request["subject"])
            return {"key": _pack(key), "envelope": envelope.to_dict()}
        case "open_key":
            return {"key": _pack(keys.open_key(Envelope.from_dict(request["envelope"])))}
        case "move_key":
            envelope = keys.move_key(
                Envelope.from_dict(request["envelope"]),
                request["region"],
                request["scope"],
                _unpack(request["scope_key"]),
            )
            return {"envelope": envelope.to_dict()}
        case verb:
            raise KeyUnavailableError(f"the key agent knows no {verb!r}")


def _answer(keys: KeyService, message: bytes) -> bytes:
    number = ""
    try:
        request = json.loads(message)
        number = str(request["id"])
        answer = _perform(keys, request)
    except TamperedError as error:
        answer = {"error": "tampered", "message": str(error)}
    except StorageError as error:
        answer = {"error": "unavailable", "message": str(error)}
    except Exception as error:  # noqa: BLE001 - the border of the process: one bad request must not end it
        answer = {"error": "unavailable", "message": f"the request was not understood ({type(error).__name__})"}
    return json.dumps({"id": number, **answer}).encode()


def serve_keys(keys: KeyService, channels: Sequence[socket.socket], stopped: Callable[[], bool]) -> None:
    """Answer requests on *channels* until *stopped* says so; looked at twice a second."""
    with selectors.DefaultSelector() as selector:
        for each in channels:
            selector.register(each, selectors.EVENT_READ, each)
        while not stopped():
            for ready, _events in selector.select(timeout=0.5):
                channel: socket.socket = ready.data
                message = channel.recv(MESSAGE_LIMIT)
                if not message:
                    selector.unregister(channel)
                    continue
                channel.send(_answer(keys, message))
