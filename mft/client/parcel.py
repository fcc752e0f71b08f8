"""A file under way to the server, and the parts that it is cut into; what is known of them outlives the process."""

from __future__ import annotations

import collections
import contextlib
import hashlib
import json
import os
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.client.errors import ChangedError, ClientError
from mft.client.pace import shrinking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MIB = 1024 * 1024
SMALL = 8 * MIB
"""A file up to this goes in one request."""
LEAST_PART = 4 * MIB
_MOST_LEAST = 2048
KEPT_SECONDS = 30 * 24 * 3600.0
"""How long it is known where the parts of a file are: servers keep them for a week, if nothing else is said."""
_READ = MIB


@dataclass(slots=True, kw_only=True)
class Part:
    """A part of a file; to the server an upload of its own."""

    start: int
    length: int
    url: str | None = None
    offset: int | None = None
    """Where it stands, if that is known for certain."""
    counted: int = 0
    """What the meter has of it."""
    whole: bool = False
    proven: int = 0
    """Bytes of it that the server is known to have."""
    bare: bool = False
    """What was sent of it last broke off: now whatever gets through is to be kept, however little it is."""


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
    parts: list[Part] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    digest: bytes | None = None
    announced: bool = False
    """Whether the server was asked to make the file of its parts."""
    announcing: threading.Event = field(default_factory=threading.Event)
    """Set while it has not answered that."""
    given_up: bool = False
    """The server will not have it."""
    _left: collections.deque[Part] = field(default_factory=collections.deque)
    _being_made: list[Part] = field(default_factory=list)

    def cut(self, memory: Memory) -> None:
        """Cut it into parts, as it was cut before where *memory* has that."""
        self.parts = memory.parts_of(self) or self._cut()
        self._left.extend(self.parts)

    def _cut(self) -> list[Part]:
        parts: list[Part] = []
        start, least = 0, max(LEAST_PART, self.size // _MOST_LEAST)
        while start < self.size:
            parts.append(Part(start=start, length=shrinking(self.size - start, least, self.size)))
            start += parts[-1].length
        return parts

    def take(self) -> Part | None:
        """Return a part that nobody sends, one that nobody has made just now if there is one; None: there is none."""
        with self.lock:
            for index, part in enumerate(self._left):
                if not any(part is each for each in self._being_made):
                    del self._left[index]
                    return part
            return self._left.popleft() if self._left else None

    def take_unmade(self) -> Part | None:
        """Return a part that the server does not know yet, for its address to be asked for; anybody may send it."""
        with self.lock:
            for part in self._left:
                if part.url is None and not any(part is each for each in self._being_made):
                    self._being_made.append(part)
                    return part
        return None

    def made(self, part: Part, url: str | None) -> None:
        """Note the address of a part from `take_unmade`; None: it got none. One that was given in vain expires."""
        with self.lock:
            self._being_made = [each for each in self._being_made if each is not part]
        if url is not None and part.url is None:
            self.address(part, url)

    def address(self, part: Part, url: str) -> None:
        """Note where a part was made that nothing was sent of; where two had it made, the first place counts."""
        with self.lock:
            part.url, part.offset = part.url or url, 0

    def announce(self) -> tuple[str, ...]:
        """Return the addresses of all parts, once there are all and they were not told yet; else none."""
        with self.lock:
            urls = tuple(part.url for part in self.parts if part.url is not None)
            if self.announced or len(urls) < len(self.parts):
                return ()
            self.announced = True
            self.announcing.set()
            return urls

    def give_up(self) -> bool:
        """Have nothing more of it sent; say whether that is news."""
        with self.lock:
            news, self.given_up = not self.given_up, True
            self._left.clear()
            return news

    def give_back(self, part: Part) -> None:
        """Have a part sent by somebody else; where it stands must be asked."""
        with self.lock:
            part.offset = None
            if not self.given_up:
                self._left.appendleft(part)

    def unchanged(self, size: int) -> None:
        """Hold the file against what it was.

        Raises:
            ChangedError: it is another one.
        """
        now = self.source.stat()
        if (now.st_size, now.st_mtime_ns, size) != (self.size, self.stamp, self.size):
            raise ChangedError(f"{self.name}: it changed while it was sent; run it again")

    def compute(self) -> None:
        """Compute the digest of the whole file, beside its sending."""
        digest = hashlib.sha256()
        try:
            for piece in self.read(0, self.size):
                digest.update(piece)
            result = digest.digest()
        except (OSError, ClientError):
            result = b"?"
        with self.lock:
            self.digest = result

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Yield *length* bytes from *start*, in pieces.

        Raises:
            ChangedError: it has become shorter.
        """
        with self.source.open("rb", buffering=0) as file:
            fd, end = file.fileno(), start + length
            while start < end:
                data = os.pread(fd, min(_READ, end - start), start)
                if not data:
                    raise ChangedError(f"{self.name}: it became shorter while it was sent")
                start += len(data)
                yield data


def parcel_of(source: Path, folder: str, name: str) -> Parcel:
    """Look at a file that is to be sent.

    Raises:
        ClientError: its name is none that can be sent.
    """
    try:
        name.encode()
    except UnicodeEncodeError as error:
        shown = name.encode(errors="surrogateescape").decode(errors="backslashreplace")
        raise ClientError(f"{shown}: the name is no text (UTF-8); rename the file and send it again") from error
    stat = source.stat()
    return Parcel(source=source, folder=folder, name=name, size=stat.st_size, stamp=stat.st_mtime_ns)


class Memory:
    """Where the parts of files under way are on the server: a file for each, for a later run."""

    def __init__(self, directory: Path, host: str) -> None:
        """Keep it in *directory*, for the server *host*."""
        self._directory = directory
        self._host = host

    def parts_of(self, parcel: Parcel) -> list[Part] | None:
        """Return how a file was cut before; None where that is not known."""
        try:
            kept = json.loads(self._file(parcel).read_text())
            parts = [Part(start=each["start"], length=each["length"], url=each["url"]) for each in kept["parts"]]
        except (OSError, ValueError, KeyError, TypeError):
            return None
        return parts if sum(part.length for part in parts) == parcel.size else None

    def keep(self, parcel: Parcel) -> None:
        """Write down where the parts are; where there is no room for that, a later run sends them anew."""
        with parcel.lock, contextlib.suppress(OSError):
            file = self._file(parcel)
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            parts = [{"start": part.start, "length": part.length, "url": part.url} for part in parcel.parts]
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps({"parts": parts}))
            fresh.replace(file)

    def prune(self) -> None:
        """Let go of what is known of files that nobody has gone on with for long."""
        with contextlib.suppress(OSError):
            for file in self._directory.iterdir():
                if file.suffix in {".json", ".new"} and file.stat().st_mtime < time.time() - KEPT_SECONDS:
                    file.unlink()

    def forget(self, parcel: Parcel) -> None:
        """Let go of what is known of it."""
        with contextlib.suppress(OSError):
            self._file(parcel).unlink()

    def _file(self, parcel: Parcel) -> Path:
        """Return where it is kept: a name that says nothing, of what makes the file this one."""
        what = "\0".join(
            (
                self._host,
                parcel.folder,
                parcel.name,
                str(parcel.source.resolve()),
                str(parcel.size),
                str(parcel.stamp),
            )
        )
        return self._directory / f"{hashlib.sha256(what.encode(errors='surrogateescape')).hexdigest()[:32]}.json"
