"""Fetching files: large ones as ranges by several connections, into NAME.part, which gets its name when it is whole.

A connection asks for its next range before it reads the one that comes, and the digest is computed as far as ranges are
there, so that neither a round trip nor a second reading is waited for.

Beside it NAME.part.json says which ranges are there, and of which version of the file: a later run goes on, and never
splices two versions.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import email.utils
import hashlib
import http.client
import json
import os
import threading
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import quote

from mft.client.connection import RETRIED, refused
from mft.client.errors import ChangedError, ClientError, FolderError, MismatchError, UnreachableError
from mft.client.pace import MOST, shrinking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from mft.client.connection import Answer, Line
    from mft.client.crew import Crew, Meter

MIB = 1024 * 1024
PIECE = 8 * MIB
LEAST_PIECE = 4 * MIB
_SHARE, _LEAST_SHARE = 256, 2048
"""Of the file, what a piece of a very large one is at most, and at least."""
_READ = 256 * 1024
_NOTES = ".json"
_LONGEST = 255 - len(".mft-part-3.json.new")
"""Bytes of a name that has room for all that stands behind it for a while."""
_ENDINGS = (".part", ".mft-part", ".mft-part-2", ".mft-part-3")
"""What a file that is not whole yet ends in: the first that is no other file's name."""

Range = tuple[int, int]
"""First byte, and the one behind the last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that is here."""

    target: Path
    size: int
    sha256: str
    proven: bool
    """Whether the server has told the same digest."""


@dataclass(slots=True, kw_only=True)
class _Fetch:
    path: str
    target: Path
    part: Path
    """Where it lies until it is whole."""
    size: int
    etag: str
    sha256: str | None
    modified: float | None
    fd: int
    left: set[Range] = field(default_factory=set)
    """What is not here yet, in pieces that are asked for one by one."""
    free: collections.deque[Range] = field(default_factory=collections.deque)
    """What of that nobody fetches."""
    lock: threading.Lock = field(default_factory=threading.Lock)
    hashing: threading.Lock = field(default_factory=threading.Lock)
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    hashed: int = 0

    def take(self, least: int = 0) -> Range | None:
        """Return a range that nobody fetches; None: there are no more than *least*."""
        with self.lock:
            return self.free.popleft() if len(self.free) > least else None

    def compute(self) -> None:
        """Take into the digest what is here in one piece from the start, unless somebody is at it."""
        while self.hashing.acquire(blocking=False):
            try:
                with self.lock:
                    end = min((start for start, _ in self.left), default=self.size)
                if end <= self.hashed:
                    return
                while self.hashed < end:
                    data = os.pread(self.fd, min(MIB, end - self.hashed), self.hashed)
                    if not data:
                        return
                    self.digest.update(data)
                    self.hashed += len(data)
            finally:
                self.hashing.release()

    def write(self, data: bytes, at: int) -> int:
        """Write *data* and return its length.

        Raises:
            ClientError: there is no room for it, say.
        """
        try:
            left = memoryview(data)
            while left:
                left = left[os.pwrite(self.fd, left, at + len(data) - len(left)) :]
        except OSError as error:
            raise ClientError(f"{self.part}: {error.strerror}; run it again once that is mended, to go on") from error
        return len(data)

    def keep(self, piece: Range, at: int) -> bool:
        """Note, for a later run too, that the bytes of *piece* before *at* are here; say whether they are the last."""
        with self.lock:
            self.left.discard(piece)
            if at < piece[1]:
                self.left.add((at, piece[1]))
            notes = {"etag": self.etag, "size": self.size, "there": _gaps(self.left, self.size)}
            fresh = self.notes.with_name(self.notes.name + ".new")
            try:
                fresh.write_text(json.dumps(notes))
                fresh.replace(self.notes)
            except OSError:  # a later run knows of less
                fresh.unlink(missing_ok=True)
            return not self.left

    @property
    def notes(self) -> Path:
        return self.part.with_name(self.part.name + _NOTES)


class Receiver:
    """Fetches files."""

    def __init__(self, crew: Crew, meter: Meter, *, arrived: Callable[[Fetched], None]) -> None:
        """Have *crew* fetch; *arrived* is called for each file, on any thread."""
        self._crew = crew
        self._meter = meter
        self._arrived = arrived
        self._expected: frozenset[Path] = frozenset()

    def expect(self, targets: Iterable[Path]) -> None:
        """Keep these names free for the files that will be fetched to them."""
        self._expected = frozenset(targets)

    def fetch(self, path: str, target: Path) -> None:
        """Have the file at *path* (of a URL, encoded) fetched to *target*."""

        def task(line: Line) -> None:
            self.begin(line, path, target)

        self._crew.add(task)

    def begin(self, line: Line, path: str, target: Path) -> int:
        """Ask what the file is, have its ranges fetched, and return its size.

        Raises:
            FolderError: it is a folder.
            ClientError: it is not there, or not for us; or what is at *target* is no file.
        """
        answer = line.ask("HEAD", path, {"Want-Repr-Digest": "sha-256=1"})
        if answer.status != 200:
            raise _failed(answer, target.name)
        if "etag" not in answer.headers and answer.headers.get("content-type", "").startswith("application/json"):
            raise FolderError(f"{target.name}: it is a folder")
        if target.exists() and not target.is_file():
            raise ClientError(f"{target}: it is no file, and is left as it is; name another place")
        fetch = self._opened(answer, path, target)
        self._meter.add(fetch.size - sum(end - start for start, end in fetch.left))
        if not fetch.left:
            self._finish(fetch)
        for _ in range(min(MOST, len(fetch.left))):
            self._crew.add(lambda line: self._stream(line, fetch))
        return fetch.size

    def _opened(self, answer: Answer, path: str, target: Path) -> _Fetch:
        size = int(answer.headers.get("content-length", "0"))
        etag = answer.headers.get("etag", "")
        fetch = _Fetch(
            path=path,
            target=target,
            part=part_of(target, self._expected),
            size=size,
            etag=etag,
            sha256=_digest_of(answer.headers.get("repr-digest", "")),
            modified=_time_of(answer.headers.get("last-modified")),
            fd=-1,
        )
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch.left = set(_cut(_gaps(self._there(fetch), size), size))
        fetch.free.extend(sorted(fetch.left))
        fetch.fd = os.open(fetch.part, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        os.ftruncate(fetch.fd, size)
        return fetch

    @staticmethod
    def _there(fetch: _Fetch) -> set[tuple[int, int]]:
        """Return the ranges that an earlier run has fetched of just this version."""
        try:
            notes = json.loads(fetch.notes.read_text())
            if not fetch.etag or notes["etag"] != fetch.etag or notes["size"] != fetch.size or not fetch.part.exists():
                return set()
            return {(int(start), int(end)) for start, end in notes["there"]}
        except (OSError, ValueError, KeyError, TypeError):
            return set()

    def _stream(self, line: Line, fetch: _Fetch) -> None:
        """Fetch ranges until none is left that nobody fetches."""
        asked: collections.deque[Range] = collections.deque()
        try:
            while asked or (piece := fetch.take()) is not None:
                if not asked:
                    self._ask(line, fetch, asked, piece)  # type: ignore[arg-type]  # the loop's own condition
                if (following := fetch.take(least=self._crew.busy)) is not None:  # the last ones are for who is free
                    self._ask(line, fetch, asked, following)
                self._hear(line, fetch, asked)
        except BaseException:
            line.close()
            with fetch.lock:
                fetch.free.extendleft(reversed(asked))
            raise

    @staticmethod
    def _ask(line: Line, fetch: _Fetch, asked: collections.deque[Range], piece: Range) -> None:
        headers = {"Range": f"bytes={piece[0]}-{piece[1] - 1}"}
        if fetch.etag:
            headers["If-Match"] = fetch.etag
        asked.append(piece)
        line.send("GET", fetch.path, headers)

    def _hear(self, line: Line, fetch: _Fetch, asked: collections.deque[Range]) -> None:
        """Take the next answer, which is to be the first range of *asked*; where it breaks off the rest stays there."""
        start, end = asked[0]
        answer, response = line.begin_answer()
        entire = answer.status == 200 and (start, end) == (0, fetch.size)
        if answer.status != 206 and not entire:
            if answer.status in {404, 412, 416, 200}:
                raise ChangedError(f"{fetch.target.name}: it changed on the server; run it again")
            body = response.read(MIB)
            raise _failed(type(answer)(status=answer.status, headers=answer.headers, body=body), fetch.target.name)
        if not entire and answer.headers.get("content-range") != f"bytes {start}-{end - 1}/{fetch.size}":
            raise ChangedError(f"{fetch.target.name}: the server sent another range than was asked for")
        whole = self._take(response, fetch, asked)
        line.end_answer(response)
        if whole:
            self._finish(fetch)
        else:
            fetch.compute()

    def _take(self, response: http.client.HTTPResponse, fetch: _Fetch, asked: collections.deque[Range]) -> bool:
        """Write what comes of the first range of *asked*, and say whether the file is whole then."""
        piece = asked[0]
        at, end = piece
        try:
            while at < end:
                data = _received(response, min(_READ, end - at))
                at += fetch.write(data, at)
                self._meter.add(len(data))
        finally:
            asked.popleft()
            if at < end:
                asked.appendleft((at, end))
            whole = fetch.keep(piece, at)
        return whole

    def _finish(self, fetch: _Fetch) -> None:
        """Compare the whole with its digest, make it durable, and give it its name."""
        with fetch.hashing:
            pass  # who is at it ends first
        fetch.compute()
        digest = fetch.digest
        try:
            if fetch.sha256 is not None and fetch.sha256 != digest.hexdigest():
                fetch.notes.unlink(missing_ok=True)
                raise MismatchError(f"{fetch.target.name}: what arrived is not what lies there; run it again")
            os.fsync(fetch.fd)
        finally:
            os.close(fetch.fd)
        if fetch.modified is not None:
            os.utime(fetch.part, (fetch.modified, fetch.modified))
        fetch.part.replace(fetch.target)
        fetch.notes.unlink(missing_ok=True)
        self._arrived(
            Fetched(
                target=fetch.target,
                size=fetch.size,
                sha256=digest.hexdigest(),
                proven=fetch.sha256 == digest.hexdigest(),
            )
        )


def _received(response: http.client.HTTPResponse, most: int) -> bytes:
    """Return the next bytes of a body that has more.

    Raises:
        UnreachableError: the connection broke off.
    """
    try:
        data = response.read(most)
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(f"the connection broke off: {error}") from error
    if not data:
        raise UnreachableError("the connection broke off")
    return data


def _gaps(ranges: Iterable[Range], size: int) -> list[Range]:
    """Return what is in none of *ranges* of *size* bytes, in order."""
    at, gaps = 0, []
    for start, end in sorted(ranges):
        if start > at:
            gaps.append((at, start))
        at = max(at, end)
    return [*gaps, (at, size)] if at < size else gaps


def _cut(gaps: Iterable[Range], size: int) -> Iterator[Range]:
    """Yield the pieces in which *gaps* of a file are fetched."""
    gaps = list(gaps)
    left = sum(end - start for start, end in gaps)
    for start, end in gaps:
        at = start
        while at < end:
            length = shrinking(left, max(LEAST_PIECE, size // _LEAST_SHARE), max(PIECE, size // _SHARE))
            yield at, min(at + length, end)
            left -= min(length, end - at)
            at += length


def part_of(target: Path, expected: frozenset[Path] = frozenset()) -> Path:
    """Return where a file lies until it is whole: beside *target*, in the way of none of the files *expected*.

    A name that leaves no room for an ending is cut, and told from others cut alike by its digest.
    """
    name = os.fsencode(target.name)
    if len(name) > _LONGEST:
        cut = name[: _LONGEST - 24].decode(errors="ignore")
        name = f"{cut}~{hashlib.sha256(name).hexdigest()[:16]}".encode()
    parts = [target.with_name(os.fsdecode(name) + ending) for ending in _ENDINGS]
    free = (part for part in parts if not {part, part.with_name(part.name + _NOTES)} & expected)
    return next(free, parts[-1])


def files_below(line: Line, path: str) -> Iterator[tuple[str, PurePosixPath, int]]:
    """Yield the files below the folder at *path* (of a URL): path, name below it, and size."""
    waiting = [(path.rstrip("/") + "/", PurePosixPath())]
    while waiting:
        folder, below = waiting.pop()
        answer = line.ask("GET", folder, {"Accept": "application/json"})
        if answer.status != 200 or not isinstance(answer.document, dict):
            raise _failed(answer, folder)
        for row in answer.document["entries"]:
            name = str(row["name"])
            if name in {"", ".", ".."} or "/" in name or "\0" in name:
                raise ClientError(f"the server lists {name!r}, which is no name of a file")
            if row["type"] == "directory":
                if name != ".meta":
                    waiting.append((f"{folder}{quote(name, safe='')}/", below / name))
            elif not row.get("partial"):
                yield folder + quote(name, safe=""), below / name, int(row.get("size", 0))


def _digest_of(text: str) -> str | None:
    """Return SHA-256 in hexadecimal digits from Repr-Digest."""
    for member in text.split(","):
        name, _, value = member.strip().partition("=")
        if name == "sha-256":
            with contextlib.suppress(ValueError):
                return base64.b64decode(value.strip(":")).hex()
    return None


def _time_of(text: str | None) -> float | None:
    try:
        return None if text is None else email.utils.parsedate_to_datetime(text).timestamp()
    except ValueError:
        return None


def _failed(answer: Answer, what: str) -> ClientError:
    error = refused(answer, what)
    return UnreachableError(str(error)) if answer.status in RETRIED else error
