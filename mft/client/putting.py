"""Sending files: small ones whole, large ones as parts by several connections that the server joins (tus 1.0.0).

Each chunk carries its checksum. What is known of the parts lies in a file of its own, so that another run goes on; the
receipt is compared with the SHA-256 that was computed here.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from mft.client.connection import RETRIED, refused
from mft.client.errors import ChangedError, ClientError, MismatchError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from mft.client.connection import Answer, Line, Server
    from mft.client.crew import Crew, Meter

MIB = 1024 * 1024
SMALL = 8 * MIB
"""A file up to this goes in one request."""
MOST_PARTS = 64
CHUNK = 16 * MIB
"""What one request brings of a part, with its checksum: what a cut can cost."""
_READ = MIB
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


@dataclass(slots=True, kw_only=True)
class _Part:
    start: int
    length: int
    url: str | None = None
    whole: bool = False


@dataclass(slots=True, kw_only=True)
class Parcel:
    """One file under way."""

    source: Path
    folder: str
    """Where it goes: a path of the tree, with a slash at its end."""
    name: str
    """With the folders before it that are to be made, if any."""
    size: int
    stamp: int
    """The file's modification time when this began, nanoseconds."""
    parts: list[_Part] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    digest: bytes | None = None


def parcel_of(source: Path, folder: str, name: str) -> Parcel:
    """Look at a file that is to be sent."""
    stat = source.stat()
    return Parcel(source=source, folder=folder, name=name, size=stat.st_size, stamp=stat.st_mtime_ns)


class _Counted:
    """Counts a body as it is sent, and takes that back where it was in vain."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._count = 0

    def over(self, body: Iterator[bytes]) -> Iterator[bytes]:
        for piece in body:
            yield piece
            self._count += len(piece)
            self._meter.add(len(piece))

    def take_back(self) -> None:
        self._meter.add(-self._count)


class Sender:
    """Sends files."""

    def __init__(
        self, server: Server, crew: Crew, meter: Meter, *, state: Path, arrived: Callable[[Sent], None]
    ) -> None:
        """Keep what is known of parts below *state*; *arrived* is called for each file, on any thread."""
        self._server = server
        self._crew = crew
        self._meter = meter
        self._state = state
        self._arrived = arrived

    def send(self, parcel: Parcel) -> None:
        """Have the crew send a file."""
        if parcel.size <= SMALL:
            self._crew.add(lambda line: self._send_small(line, parcel))
            return
        self._plan(parcel)
        threading.Thread(target=self._compute, args=(parcel,), daemon=True).start()
        for part in parcel.parts:
            self._crew.add(lambda line, part=part: self._send_part(line, parcel, part))  # type: ignore[misc]

    # -- small ones ------------------------------------------------------------------------------------------------

    def _send_small(self, line: Line, parcel: Parcel) -> None:
        data = parcel.source.read_bytes()
        self._unchanged(parcel, len(data))
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

    def _send_part(self, line: Line, parcel: Parcel, part: _Part) -> None:
        if not part.whole:
            offset = self._where(line, part) if part.url is not None else None
            if offset is None:
                offset = self._begin(line, parcel, part)
            self._meter.add(offset)
            try:
                while offset < part.length:
                    offset += self._send_chunk(line, parcel, part, offset)
            except BaseException:
                self._meter.add(-offset)
                raise
        with parcel.lock:
            part.whole = True
            self._keep(parcel)
            ready = all(each.whole for each in parcel.parts)
        if ready:
            self._crew.add(lambda line: self._join(line, parcel), first=True)

    def _where(self, line: Line, part: _Part) -> int | None:
        """Ask where a part stands; None: the server has it no more."""
        answer = line.ask("HEAD", part.url or "", {"Tus-Resumable": "1.0.0"})
        if answer.status in {404, 410}:
            part.url = None
            return None
        if answer.status != 200:
            raise _failed(answer, "a part")
        return int(answer.headers["upload-offset"])

    def _begin(self, line: Line, parcel: Parcel, part: _Part) -> int:
        headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(part.length), "Upload-Concat": "partial"}
        answer = _asked(line, "POST", _creation(parcel), headers, (), 0, parcel.name)
        with parcel.lock:
            part.url = urlsplit(answer.headers["location"]).path
            self._keep(parcel)
        return 0

    def _send_chunk(self, line: Line, parcel: Parcel, part: _Part, offset: int) -> int:
        length = min(CHUNK, part.length - offset)
        digest = hashlib.sha256()
        for piece in _read(parcel, part.start + offset, length):
            digest.update(piece)
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Offset": str(offset),
            "Content-Type": _STREAM,
            "Upload-Checksum": f"sha256 {base64.b64encode(digest.digest()).decode()}",
        }
        counted = _Counted(self._meter)
        try:
            body = counted.over(_read(parcel, part.start + offset, length))
            answer = line.ask("PATCH", part.url or "", headers, body, length)
            self._require_kept(answer, parcel, part)
        except BaseException:
            counted.take_back()
            raise
        return length

    @staticmethod
    def _require_kept(answer: Answer, parcel: Parcel, part: _Part) -> None:
        """Raise what stands against a chunk's being there."""
        if answer.status in {409, 460}:
            raise UnreachableError("a chunk did not arrive as it was sent")  # it is asked anew where the part stands
        if answer.status in {404, 410}:
            part.url = None
            raise UnreachableError("the server gave a part up")
        if answer.status != 204:
            raise _failed(answer, parcel.name)

    def _join(self, line: Line, parcel: Parcel) -> None:
        """Have the parts made a file, and compare what came of it."""
        digest = self._digest(parcel)
        self._unchanged(parcel, parcel.size)
        urls = " ".join(part.url or "" for part in parcel.parts)
        headers = {
            "Tus-Resumable": "1.0.0",
            "Upload-Concat": f"final;{urls}",
            "Upload-Metadata": _metadata(parcel),
        }
        answer = line.ask("POST", _creation(parcel), headers)
        if answer.status in {404, 410}:
            self._forget(parcel)
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
        self._forget(parcel)

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

    # -- what is known -----------------------------------------------------------------------------------------------

    def _plan(self, parcel: Parcel) -> None:
        """Cut a file into parts, as it was cut before where that is known."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            kept = json.loads(self._file(parcel).read_text())
            parcel.parts = [
                _Part(start=each["start"], length=each["length"], url=each["url"]) for each in kept["parts"]
            ]
            if sum(part.length for part in parcel.parts) == parcel.size:
                return
        count = min(MOST_PARTS, -(-parcel.size // SMALL))
        length = -(-parcel.size // count // (256 * 1024)) * 256 * 1024
        parcel.parts = [
            _Part(start=start, length=min(length, parcel.size - start)) for start in range(0, parcel.size, length)
        ]

    def _keep(self, parcel: Parcel) -> None:
        """Write down where the parts are."""
        file = self._file(parcel)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        parts = [{"start": part.start, "length": part.length, "url": part.url} for part in parcel.parts]
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({"parts": parts}))
        fresh.replace(file)

    def _forget(self, parcel: Parcel) -> None:
        with contextlib.suppress(OSError):
            self._file(parcel).unlink()

    def _file(self, parcel: Parcel) -> Path:
        """Return where it is kept: a name that says nothing, of what makes the file this one."""
        what = "\0".join(
            (
                self._server.host,
                parcel.folder,
                parcel.name,
                str(parcel.source.resolve()),
                str(parcel.size),
                str(parcel.stamp),
            )
        )
        return self._state / f"{hashlib.sha256(what.encode()).hexdigest()[:32]}.json"

    def _compute(self, parcel: Parcel) -> None:
        """Compute the digest of the whole file, beside its sending."""
        digest = hashlib.sha256()
        try:
            for piece in _read(parcel, 0, parcel.size):
                digest.update(piece)
            result = digest.digest()
        except (OSError, ClientError):
            result = b"?"
        with parcel.lock:
            parcel.digest = result

    def _digest(self, parcel: Parcel) -> bytes:
        while True:
            with parcel.lock:
                digest = parcel.digest
            if digest is not None:
                if len(digest) != hashlib.sha256().digest_size:
                    raise ChangedError(f"{parcel.name}: it could not be read to its end")
                return digest
            time.sleep(0.05)

    @staticmethod
    def _unchanged(parcel: Parcel, size: int) -> None:
        now = parcel.source.stat()
        if (now.st_size, now.st_mtime_ns, size) != (parcel.size, parcel.stamp, parcel.size):
            raise ChangedError(f"{parcel.name}: it changed while it was sent; run it again")


def _read(parcel: Parcel, start: int, length: int) -> Iterator[bytes]:
    with parcel.source.open("rb", buffering=0) as file:
        fd, end = file.fileno(), start + length
        while start < end:
            data = os.pread(fd, min(_READ, end - start), start)
            if not data:
                raise ChangedError(f"{parcel.name}: it became shorter while it was sent")
            start += len(data)
            yield data


def _metadata(parcel: Parcel) -> str:
    pairs = {"filename": parcel.name.rpartition("/")[2], "modified": f"{parcel.stamp / 1e9:.3f}"}
    if "/" in parcel.name:
        pairs["relativePath"] = parcel.name
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


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
