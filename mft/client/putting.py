"""Sending files: small ones whole, large ones as parts by several connections that the server joins (tus 1.0.0).

Each chunk carries its checksum; where one broke off, the next of its part has none, so that the server keeps whatever
of it gets through. A connection sends a chunk while the answer to the one before is under way, and asks for addresses
of parts ahead of the bytes of another, so that no round trip is waited for; once all parts have one the server is told
what they are for, and writes the file as they come. The receipt is compared with the SHA-256 that was computed here.
"""

from __future__ import annotations

import base64
import collections
import hashlib
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from mft.client.connection import RETRIED, refused
from mft.client.errors import ChangedError, ClientError, MismatchError, RefusedError, UnreachableError
from mft.client.pace import MOST
from mft.client.parcel import MIB, SMALL, Memory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mft.client.connection import Answer, Line, Server
    from mft.client.crew import Crew, Meter
    from mft.client.parcel import Parcel, Part

CHUNK = 16 * MIB
"""What one request brings of a part at most, with its checksum: what a cut can cost."""
LEAST_CHUNK = MIB // 8
"""The same where connections break off again and again: after each one brings a quarter, down to this."""
_AHEAD = 5
"""Parts whose addresses are asked for at a time."""
_TINY = 4096
"""A file up to this is sent whole again where its connection broke off."""
_BARE_PIECE = 1024
"""What is sent at a time, as a record of TLS, where little gets through: of a record that breaks off nothing counts."""
_PROVEN = 8
"""Chunks kept in a row, of all connections, after which one brings twice as much again."""
IN_FLIGHT = 2
"""Chunks of one connection whose answers are not there yet, at most."""
_OF_THE_FILE = frozenset({400, 409, 413, 422})
"""Statuses that say no to this file, and nothing of others: its name, its size, a folder in its place."""
_STREAM = "application/offset+octet-stream"
_JOIN_SECONDS = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that has arrived."""

    name: str
    size: int
    sha256: str
    receipt: dict[str, Any]
    """As the server signed it; empty where it gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chunk:
    """Bytes of a part that were sent."""

    part: Part
    length: int
    end: int
    """Of the part, where it ends."""


class _Announcement:
    """A request to make the file of its parts, before they are there: so it is written while they come."""


class _Flight:
    """What one connection has under way of a file, in the order in which it is answered."""

    def __init__(self, line: Line, parcel: Parcel, meter: Meter) -> None:
        self.line = line
        self.parcel = parcel
        self.sent: collections.deque[_Chunk | Part | _Announcement] = collections.deque()
        """Chunks, parts whose addresses were asked for, and what the parts are for."""
        self.part: Part | None = None
        """Of which more is to be sent."""
        self.trusted = False
        """Whether the server has taken a chunk; before that its *no* is waited for."""
        self._meter = meter

    def count(self, part: Part, done: int) -> None:
        """Have the meter know that *done* bytes of *part* are through."""
        self._meter.add(done - part.counted)
        part.counted = done

    def counted(self, part: Part, body: Iterator[bytes]) -> Iterator[bytes]:
        for piece in body:
            yield piece
            self.count(part, part.counted + len(piece))

    def chunks(self) -> int:
        return sum(isinstance(each, _Chunk) for each in self.sent)

    def crash(self) -> None:
        """Give everything back that is not known to have arrived."""
        mine = [self.part] if self.part is not None else []
        for each in self.sent:
            if isinstance(each, _Chunk):
                mine.append(each.part)
            elif isinstance(each, _Announcement):
                self.parcel.announcing.clear()
            else:
                self.parcel.made(each, None)
        given: set[int] = set()
        for part in mine:
            if id(part) not in given and not part.whole:
                given.add(id(part))
                part.bare = True
                self.count(part, 0)
                self.parcel.give_back(part)
        self.line.close()


class Sender:
    """Sends files."""

    def __init__(
        self,
        server: Server,
        crew: Crew,
        meter: Meter,
        *,
        state: Path,
        arrived: Callable[[Sent], None],
        left: Callable[[RefusedError], None],
    ) -> None:
        """Keep what is known of parts below *state*.

        *arrived* is called for each file, *left* for one that the server does not take for what it is, its name say,
        while it takes others; both on any thread.
        """
        self._crew = crew
        self._meter = meter
        self._memory = Memory(state, server.host)
        self._memory.prune()
        self._arrived = arrived
        self._left = left
        self._chunk = CHUNK
        self._kept = 0
        """Chunks kept since one was lost, or since they last grew."""

    def send(self, parcel: Parcel) -> None:
        """Have the crew send a file."""
        if parcel.size <= SMALL:
            self._crew.add(lambda line: self._attempt(self._send_small, line, parcel))
        else:
            self._send_large(parcel)

    def _send_large(self, parcel: Parcel) -> None:
        parcel.cut(self._memory)
        threading.Thread(target=parcel.compute, daemon=True).start()
        for _ in range(min(MOST, len(parcel.parts))):
            self._crew.add(lambda line: self._attempt(self._send_parts, line, parcel))

    def _attempt(self, send: Callable[[Line, Parcel], None], line: Line, parcel: Parcel) -> None:
        """Do a task of a file; where the server will not have this file, leave it and go on with others."""
        try:
            send(line, parcel)
        except RefusedError as error:
            if error.status not in _OF_THE_FILE:
                raise
            line.close()
            if parcel.give_up():
                self._meter.add(parcel.size)
                self._left(error)

    # -- small ones ------------------------------------------------------------------------------------------------

    def _send_small(self, line: Line, parcel: Parcel) -> None:
        """Send a file whole; where that breaks off, as a part that can be gone on with."""
        try:
            self._send_whole(line, parcel)
        except UnreachableError:
            if not line.broke or parcel.size <= _TINY:
                raise
            self._shrink(parcel.size)
            self._send_large(parcel)

    def _send_whole(self, line: Line, parcel: Parcel) -> None:
        data = parcel.source.read_bytes()
        parcel.unchanged(len(data))
        digest = hashlib.sha256(data).digest()
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(data)),
            "Upload-Metadata": _metadata(parcel),
            "Content-Type": _STREAM,
            "Upload-Checksum": f"sha256 {base64.b64encode(digest).decode()}",
        }
        answer = _asked(line, "POST", _creation(parcel), headers, [data], len(data), parcel.name)
        self._meter.add(len(data))
        self._finish(line, parcel, answer, digest)

    # -- large ones ------------------------------------------------------------------------------------------------

    def _send_parts(self, line: Line, parcel: Parcel) -> None:
        """Send parts until none is left that nobody sends."""
        flight = _Flight(line, parcel, self._meter)
        try:
            while (part := parcel.take()) is not None:
                flight.part = part
                self._send_part(flight, part)
                flight.part = None
            while flight.sent:
                self._hear(flight)
        except BaseException:
            lost = next((each.length for each in flight.sent if isinstance(each, _Chunk)), None)
            if lost is not None and line.broke:
                self._shrink(lost)
            flight.crash()
            raise

    def _shrink(self, lost: int) -> None:
        """Have a request bring less than the one of *lost* bytes: a line that breaks often lets little through."""
        self._chunk, self._kept = min(self._chunk, max(LEAST_CHUNK, lost // 4)), 0

    def _grow(self) -> None:
        """Have a request bring more, once enough of them got through."""
        self._kept += 1
        if self._kept >= _PROVEN:
            self._chunk, self._kept = min(CHUNK, self._chunk * 2), 0

    def _send_part(self, flight: _Flight, part: Part) -> None:
        if part.offset is None:
            while flight.sent:
                self._hear(flight)
        if part.offset is None:  # it may have been made with one of these answers
            self._find(flight, part)
        offset = part.offset or 0
        part.offset = None  # known again once the server has answered
        flight.count(part, offset)
        if offset == part.length:
            self._done(flight.parcel, part)
        while offset < part.length:
            length = min(self._chunk, part.length - offset)
            self._ask_ahead(flight)
            self._send_chunk(flight, part, offset, length)
            offset += length
            while flight.chunks() >= (IN_FLIGHT if flight.trusted else 1):
                self._hear(flight)

    def _find(self, flight: _Flight, part: Part) -> None:
        """Ask where a part stands, or have it made."""
        if part.url is not None:
            answer = flight.line.ask("HEAD", part.url, {"Tus-Resumable": "1.0.0"})
            if answer.status == 200:
                part.offset = int(answer.headers["upload-offset"])
                self._prove(part, part.offset)
                self._announce(flight)
                return
            if answer.status not in {404, 410}:
                raise _failed(answer, "a part")
            part.url = None
        answer = _asked(flight.line, "POST", _creation(flight.parcel), _birth(part), (), 0, flight.parcel.name)
        flight.parcel.address(part, urlsplit(answer.headers["location"]).path)
        self._memory.keep(flight.parcel)
        self._announce(flight)

    @staticmethod
    def _announce(flight: _Flight) -> None:
        """Say what the parts are for, once all of them have an address."""
        urls = flight.parcel.announce()
        if urls:
            flight.sent.append(_Announcement())
            flight.line.send("POST", _creation(flight.parcel), _joining(flight.parcel, urls))

    @staticmethod
    def _ask_ahead(flight: _Flight) -> None:
        """Have other parts made while bytes go out: the sooner all are, the sooner it is said what they are for."""
        if any(not isinstance(each, _Chunk) for each in flight.sent):
            return
        for _ in range(_AHEAD):
            part = flight.parcel.take_unmade()
            if part is None:
                return
            flight.sent.append(part)
            flight.line.send("POST", _creation(flight.parcel), _birth(part))

    @staticmethod
    def _send_chunk(flight: _Flight, part: Part, offset: int, length: int) -> None:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": str(offset), "Content-Type": _STREAM}
        body = flight.parcel.read(part.start + offset, length)
        if part.bare:
            body = _split(body, _BARE_PIECE)
        else:
            digest = hashlib.sha256()
            for piece in flight.parcel.read(part.start + offset, length):
                digest.update(piece)
            headers["Upload-Checksum"] = f"sha256 {base64.b64encode(digest.digest()).decode()}"
        flight.sent.append(_Chunk(part=part, end=offset + length, length=length))
        body = flight.counted(part, body)
        flight.line.send("PATCH", part.url or "", headers, body, length)

    def _hear(self, flight: _Flight) -> None:
        """Take the next answer."""
        answer, sent = flight.line.receive(), flight.sent[0]
        if isinstance(sent, _Announcement):
            flight.sent.popleft()  # whatever stands against it is told when all parts are there
            flight.parcel.announcing.clear()
            return
        if not isinstance(sent, _Chunk):
            if answer.status != 201:
                raise _failed(answer, flight.parcel.name)
            flight.sent.popleft()
            flight.parcel.made(sent, urlsplit(answer.headers["location"]).path)
            self._memory.keep(flight.parcel)
            self._announce(flight)
            return
        _require_kept(answer, flight.parcel, sent.part)
        flight.trusted = True
        flight.sent.popleft()
        sent.part.bare = False
        self._prove(sent.part, sent.end)
        self._grow()
        if sent.end == sent.part.length:
            self._done(flight.parcel, sent.part)

    def _prove(self, part: Part, there: int) -> None:
        """Note that the server has *there* bytes of a part."""
        if there > part.proven:
            part.proven = there
            self._meter.prove()

    def _done(self, parcel: Parcel, part: Part) -> None:
        """Note that a part is whole; after the last one they are joined."""
        with parcel.lock:
            fresh, part.whole = not part.whole, True
            ready = fresh and all(each.whole for each in parcel.parts)
        if ready:
            self._crew.add(lambda line: self._attempt(self._join, line, parcel), first=True)

    def _join(self, line: Line, parcel: Parcel) -> None:
        """Have the parts made a file, and compare what came of it."""
        digest = self._digest(parcel)
        parcel.unchanged(parcel.size)
        while parcel.announcing.is_set():  # the same is not to be asked for twice at a time
            time.sleep(0.01)
        answer = line.ask("POST", _creation(parcel), _joining(parcel, [part.url or "" for part in parcel.parts]))
        if answer.status == 410:
            self._memory.forget(parcel)
            raise ClientError(f"{parcel.name}: the server has given its parts up; run it again to send them anew")
        if answer.status != 201:
            raise _failed(answer, parcel.name)
        place = urlsplit(answer.headers["location"]).path
        deadline = time.monotonic() + _JOIN_SECONDS
        while "upload-offset" not in answer.headers:
            if time.monotonic() > deadline:
                raise UnreachableError("the server has not put the parts together in time")
            time.sleep(1)
            answer = line.ask("HEAD", place, {"Tus-Resumable": "1.0.0"})
            if answer.status != 200:
                raise _failed(answer, parcel.name)
        self._finish(line, parcel, answer, digest)
        self._memory.forget(parcel)

    def _finish(self, line: Line, parcel: Parcel, answer: Answer, digest: bytes) -> None:
        """Compare the receipt with what was sent."""
        receipt: dict[str, Any] = {}
        url = answer.headers.get("content-location")
        if url is not None:
            told = line.ask("GET", url, {"Accept": "application/json"})
            if told.status == 200 and isinstance(told.document, dict):
                receipt = told.document
        seen = receipt.get("sha256")
        if isinstance(receipt.get("sent"), dict):
            seen = receipt["sent"].get("sha256", seen)
        size = receipt.get("size")
        if (isinstance(seen, str) and seen != "pending" and seen != digest.hex()) or (
            isinstance(size, int) and receipt.get("kind") == "landed" and size != parcel.size
        ):
            raise MismatchError(f"{parcel.name}: what arrived is not what was sent; the receipt says {seen}")
        self._arrived(Sent(name=parcel.name, size=parcel.size, sha256=digest.hex(), receipt=receipt))

    @staticmethod
    def _digest(parcel: Parcel) -> bytes:
        while True:
            with parcel.lock:
                digest = parcel.digest
            if digest is not None:
                if len(digest) != hashlib.sha256().digest_size:
                    raise ChangedError(f"{parcel.name}: it could not be read to its end")
                return digest
            time.sleep(0.05)


def _require_kept(answer: Answer, parcel: Parcel, part: Part) -> None:
    """Raise what stands against a chunk's being there."""
    if answer.status in {409, 460}:
        raise UnreachableError("a chunk did not arrive as it was sent")  # it is asked anew where the part stands
    if answer.status in {404, 410}:
        part.url = None
        raise UnreachableError("the server gave a part up")
    if answer.status != 204:
        raise _failed(answer, parcel.name)


def _split(pieces: Iterable[bytes], size: int) -> Iterator[bytes]:
    for piece in pieces:
        for start in range(0, len(piece), size):
            yield piece[start : start + size]


def _metadata(parcel: Parcel) -> str:
    pairs = {"filename": parcel.name.rpartition("/")[2], "modified": f"{parcel.stamp / 1e9:.3f}"}
    if "/" in parcel.name:
        pairs["relativePath"] = parcel.name
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


def _birth(part: Part) -> dict[str, str]:
    return {"Tus-Resumable": "1.0.0", "Upload-Length": str(part.length), "Upload-Concat": "partial"}


def _joining(parcel: Parcel, urls: Iterable[str]) -> dict[str, str]:
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Concat": f"final;{' '.join(urls)}",
        "Upload-Metadata": _metadata(parcel),
    }


def _creation(parcel: Parcel) -> str:
    return "/tus" + quote(parcel.folder)


def _asked(  # noqa: PLR0917 - a request has so much
    line: Line,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Iterable[bytes],
    length: int,
    what: str,
) -> Answer:
    answer = line.ask(method, path, headers, body, length)
    if answer.status == 460:
        raise UnreachableError("it did not arrive as it was sent")
    if answer.status not in {200, 201, 204}:
        raise _failed(answer, what)
    return answer


def _failed(answer: Answer, what: str) -> ClientError:
    if answer.status in RETRIED:
        return UnreachableError(str(refused(answer, what)))
    return refused(answer, what)
