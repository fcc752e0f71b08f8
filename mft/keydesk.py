"""The desk of those who administer keys: exchange, retire, unlock, look. It gives out no key and opens no file.

While the server runs the desk is the key agent's, at a socket in the data directory that only the server's user can
reach; otherwise a command opens the keys itself, behind the lock that keeps a server from starting meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import json
import os
import secrets
import socket
import time
from typing import TYPE_CHECKING, Any, Protocol

from mft.keyagent import MESSAGE_LIMIT, answer_with
from storage.errors import KeyProviderError, KeyringError, KeyUnavailableError
from storage.keys.door import state_of
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.ledger import DestroyedKey

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mft.config.model import Config
    from mft.regionkeys import RegionKeys

DESK_SECONDS = 120.0
"""Longest wait for an answer at the desk: a new passphrase may be made to cost much."""
_NAME = "keys.sock"


class DeskError(Exception):
    """What was asked for at the desk was not done; says why."""

    def __init__(self, why: str, kind: str = "unavailable") -> None:
        """Keep the *kind* of reason, as the key agent names them: `tampered`, `destroyed`, `provider`."""
        super().__init__(why)
        self.kind = kind


class Desk(Protocol):
    """Where keys are administered."""

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Return the answer to a request.

        Raises:
            DeskError: it was refused, or went wrong.
        """


class KeyDesk:
    """What can be asked at the desk, over the keys that are open in this process."""

    def __init__(self, keys: RegionKeys) -> None:
        """Administer *keys*."""
        self._keys = keys

    def perform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Do what *request* asks.

        Raises:
            StorageError: it cannot be done; says why.
        """
        verb = request["verb"]
        region = str(request.get("region") or "")
        if verb == "status":
            return {"regions": [self._state(name) for name in self._keys.doors], "customers": self._customers()}
        if region not in self._keys.doors:
            raise KeyUnavailableError(f"there is no region {region!r}")
        known = {
            "rotate": self._rotate,
            "rewrap": self._rewrap,
            "retire": self._retire,
            "passphrase": self._passphrase,
            "unlock": self._unlock,
            "forget": self._forget,
        }
        if verb not in known:
            raise KeyUnavailableError(f"the key agent knows no {verb!r}")
        return known[verb](Region(region), request)

    def _rotate(self, region: Region, _request: Mapping[str, Any]) -> dict[str, Any]:
        return {"key": self._keys.doors[region].rotate()}

    def _unlock(self, region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        self._keys.unlock(region, str(request["passphrase"]))
        return {}

    def _forget(self, region: Region, _request: Mapping[str, Any]) -> dict[str, Any]:
        return {"forgotten": self._keys.forget(region)}

    def _state(self, region: Region) -> dict[str, Any]:
        door, settings = self._keys.doors[region], self._keys.config.regions[region].keys
        state, why = state_of(door)
        found: dict[str, Any] = {"region": region, "type": settings.type, "state": state, "why": why, "keys": []}
        if state == "open":
            current = door.current
            found["keys"] = [
                {"id": each, "current": each == current, "created": self._created(region, each)}
                for each in door.key_ids
            ]
        shelf = self._keys.shelves.get(region)
        found["cached"] = 0 if shelf is None else len(shelf)
        return found

    def _created(self, region: Region, key_id: str) -> str | None:
        keys = self._keys.doors[region].opened()
        return keys.created(key_id).isoformat(timespec="seconds") if isinstance(keys, Keyring) else None

    def _customers(self) -> list[dict[str, Any]]:
        found = []
        for name in self._keys.customers.names():
            wrapper = self._keys.customers.wrapper(name)
            state, why = state_of(wrapper)
            current = wrapper.current if state == "open" else None
            if state == "open":
                self._keys.service.note_answer(name)
            cached = len(self._keys.customers.shelf(name))
            found.append({"name": name, "state": state, "why": why, "key": current, "cached": cached})
        return found

    def _rewrap(self, region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        wrapped = base64.b64decode(request["wrapped"], validate=True)
        fresh = self._keys.service.rewrap_scope(region, str(request["scope"]), wrapped, owner=request.get("owner"))
        return {"wrapped": base64.b64encode(fresh).decode("ascii")}

    def _retire(self, region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        key_id, why = str(request["key"]), str(request.get("why") or "retired")
        self._keys.doors[region].retire(key_id)
        self._keys.forget(region)
        self._keys.ledgers[region].add([DestroyedKey(kind="key", name=key_id, why=why)])
        return {}

    def _passphrase(self, region: Region, request: Mapping[str, Any]) -> dict[str, Any]:
        settings = self._keys.config.regions[region]
        if settings.keys.type != "keyring":
            raise KeyUnavailableError(f"the keys of {region!r} lie in no keyring")
        Keyring.load(settings.keyring.path, str(request["old"]))  # who changes it has to know it
        ring = self._keys.doors[region].opened()
        if not isinstance(ring, Keyring):
            raise KeyUnavailableError(f"the keys of {region!r} lie in no keyring")
        given = {name: int(request[name]) for name in ("memory_kib", "iterations", "lanes") if request.get(name)}
        cost = PassphraseCost(**given) if given else None
        ring.change_passphrase(str(request["new"]), cost=cost)
        self._keys.learn_passphrase(region, str(request["new"]))
        return {}


class LocalDesk:
    """The desk in the process of a command, where no server runs."""

    def __init__(self, desk: KeyDesk) -> None:
        """Ask *desk* itself."""
        self._desk = desk

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Return the answer to a request."""
        request = json.dumps({"id": "0", "verb": verb, **arguments}).encode()
        return _read_answer(answer_with(self._desk.perform, request))


class DistantDesk:
    """The desk of a server that runs."""

    def __init__(self, channel: socket.socket) -> None:
        """Ask over *channel*."""
        self._channel = channel
        self._channel.settimeout(DESK_SECONDS)

    def ask(self, verb: str, **arguments: object) -> dict[str, Any]:
        """Return the answer to a request."""
        request = json.dumps({"id": secrets.token_hex(8), "verb": verb, **arguments}).encode()
        if len(request) > MESSAGE_LIMIT:
            raise DeskError("the request is too long")
        try:
            self._channel.send(request)
            answer = self._channel.recv(MESSAGE_LIMIT)
        except OSError as error:
            raise DeskError("the key agent does not answer") from error
        if not answer:
            raise DeskError("the key agent has gone; try again in a moment")
        return _read_answer(answer)


def _read_answer(data: bytes) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(data)
    if "error" in answer:
        raise DeskError(str(answer["message"]), str(answer["error"]))
    return answer


def listen_for_administrators(data: Path) -> socket.socket:
    """Make the desk's socket below *data*, for this user alone.

    It is bound by way of its directory: the path of a socket may have some hundred bytes only.
    """
    directory = os.open(data / "run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        (data / "run" / _NAME).unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listening.bind(f"/proc/self/fd/{directory}/{_NAME}")
        finally:
            os.umask(before)
        listening.listen(8)
    finally:
        os.close(directory)
    return listening


@contextlib.contextmanager
def open_desk(config: Config, *, patience: float = 5.0) -> Iterator[Desk]:
    """Yield the desk of the server that runs on this data; else one in this process.

    Raises:
        DeskError: a server is starting or ending, and does not answer within *patience* seconds.
    """
    deadline = time.monotonic() + patience
    while True:
        channel = _connected(config.data)
        if channel is not None:
            with channel:
                yield DistantDesk(channel)
            return
        lock = _lock(config.data)
        if lock is not None:
            break
        if time.monotonic() >= deadline:
            raise DeskError(f"a server runs on {config.data}, and its key agent does not answer")
        time.sleep(0.1)
    try:
        yield LocalDesk(_opened(config))
    finally:
        os.close(lock)


def _opened(config: Config) -> KeyDesk:
    from mft.regionkeys import RegionKeys  # noqa: PLC0415 - not where a server runs

    keys = RegionKeys(config)
    for name, region in config.regions.items():
        if region.keys.type == "keyring" and not region.keyring.path.exists():
            raise DeskError(f"{region.keyring.path} is not there: `mft serve` makes the keyring of {name!r}")
    try:
        keys.open_keyrings()
    except (KeyringError, KeyProviderError) as error:
        raise DeskError(str(error)) from error
    return KeyDesk(keys)


def _connected(data: Path) -> socket.socket | None:
    try:
        directory = os.open(data / "run", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        channel.connect(f"/proc/self/fd/{directory}/{_NAME}")
    except OSError:
        channel.close()
        return None
    finally:
        os.close(directory)
    return channel


def _lock(data: Path) -> int | None:
    """Take the lock that a server takes; None where one has it."""
    (data / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(data / "run" / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if error.errno in {errno.EACCES, errno.EAGAIN}:
            return None
        raise
    return descriptor
