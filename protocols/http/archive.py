"""A folder as one zip or tar, made while it is sent: nothing of it lies anywhere meanwhile.

What may not be read just now, an upload that is not whole for example, is named in a file of the archive: an archive
that lacks something says so. Sizes are not known before, so zip entries have data descriptors and zip64 throughout.
"""

from __future__ import annotations

import io
import stat
import tarfile
import time
import zipfile
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import parse_qs

from aiohttp import hdrs, web

from protocols.errors import FileSystemError, UnavailableError
from protocols.http.disposition import content_disposition
from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from protocols.aio import Crossing
    from protocols.filesystem import Entry, FileSystem, ReadHandle
    from protocols.http.settings import HttpSettings
    from protocols.path import VirtualPath

Kind = Literal["zip", "tar"]
_TYPES: Final[dict[str, Kind]] = {"application/zip": "zip", "application/x-tar": "tar"}
LEFT_OUT: Final = "LEFT-OUT.txt"
_SKIPPED: Final = frozenset({".meta"})
"""Folders that are made up on the spot, and describe the others."""
_MSDOS_DIRECTORY = 0x10
"""Attribute of a folder where the host is not Unix (APPNOTE, section 4.4.15)."""
_EARLIEST = 315_619_200.0
"""A zip's calendar begins in 1980, …"""
_LATEST = 4_354_732_800.0
"""… and ends in 2107 (APPNOTE, section 4.4.6); a client's own time may be any."""


def wanted_archive(request: web.Request) -> tuple[Kind, bool] | None:
    """Return which archive of a folder is asked for, by `?archive=zip|tar` or by Accept, and whether to compress it.

    Raises:
        ProblemError: 400, it is one that is not made here.
    """
    query = parse_qs(request.raw_path.partition("?")[2], max_num_fields=20)
    named = query.get("archive", [])
    deflate = query.get("compression", ["store"])[-1]
    if named:
        if named[-1] not in {"zip", "tar"} or deflate not in {"store", "deflate"}:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST,
                "a folder is had as archive=zip or archive=tar; compression=deflate goes with zip",
            )
        return ("zip" if named[-1] == "zip" else "tar"), deflate == "deflate"
    accepted = [part.partition(";")[0].strip().lower() for part in request.headers.get(hdrs.ACCEPT, "").split(",")]
    kind = next((_TYPES[part] for part in accepted if part in _TYPES), None)
    return None if kind is None else (kind, deflate == "deflate")


async def answer_archive(  # noqa: PLR0917 - what a download has
    request: web.Request,
    filesystem: FileSystem,
    path: VirtualPath,
    crossing: Crossing,
    settings: HttpSettings,
    wanted: tuple[Kind, bool],
) -> web.StreamResponse:
    """Return the answer, its body sent.

    Raises:
        FileSystemError: before anything is sent: the answer; later: the connection is to be cut, without a last chunk.
    """
    kind, deflate = wanted
    name = f"{path.name or 'files'}.{kind}"
    headers = {
        hdrs.CONTENT_TYPE: next(media for media, each in _TYPES.items() if each == kind),
        hdrs.CONTENT_DISPOSITION: content_disposition(name),
        hdrs.CACHE_CONTROL: "private, no-store",
        hdrs.VARY: hdrs.ACCEPT,
    }
    if request.method == hdrs.METH_HEAD:
        await crossing.run(filesystem.stat, path)
        return web.Response(headers=headers)
    pieces = archive_pieces(filesystem, path, kind, deflate=deflate, piece=settings.piece)
    first = await crossing.run(next, pieces, b"")
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        data = first
        while data:
            await response.write(data)
            data = await crossing.run(next, pieces, b"")
        await response.write_eof()
    finally:
        await crossing.run(pieces.close)  # type: ignore[attr-defined]  # it is a generator
    return response


def archive_pieces(
    filesystem: FileSystem, path: VirtualPath, kind: Kind, *, deflate: bool = False, piece: int = 512 * 1024
) -> Iterator[bytes]:
    """Yield an archive of what lies below *path*, in pieces of about *piece* bytes."""
    return (_zip if kind == "zip" else _tar)(filesystem, path, piece, deflate)


class _Buffer(io.RawIOBase):
    """What an archive is written to, and pieces are taken from."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size = 0
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        view = bytes(memoryview(data))  # type: ignore[arg-type]  # any buffer
        self._parts.append(view)
        self.size += len(view)
        self._written += len(view)
        return len(view)

    def tell(self) -> int:
        return self._written

    def take(self) -> bytes:
        data = b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return data


def _zip(filesystem: FileSystem, path: VirtualPath, piece: int, deflate: bool) -> Iterator[bytes]:  # noqa: FBT001
    buffer, left_out = _Buffer(), []
    method = zipfile.ZIP_DEFLATED if deflate else zipfile.ZIP_STORED
    with zipfile.ZipFile(buffer, "w", method, allowZip64=True) as archive:
        for name, entry, opened in _walk(filesystem, path, piece):
            if isinstance(opened, str):
                left_out.append(f"{name}: {opened}\n")
                continue
            info = zipfile.ZipInfo(name, time.gmtime(min(max(entry.modified, _EARLIEST), _LATEST))[:6])
            info.compress_type = method
            if opened is None:
                info.external_attr = (stat.S_IFDIR | 0o700) << 16 | _MSDOS_DIRECTORY
                archive.writestr(info, b"")
                continue
            info.external_attr = (stat.S_IFREG | 0o600) << 16
            with archive.open(info, "w", force_zip64=True) as member:
                for data in opened.content():
                    member.write(data)
                    if buffer.size >= piece:
                        yield buffer.take()
        if left_out:
            archive.writestr(LEFT_OUT, "".join(left_out))
    yield buffer.take()


def _tar(filesystem: FileSystem, path: VirtualPath, piece: int, _deflate: bool) -> Iterator[bytes]:  # noqa: FBT001
    buffer, left_out = _Buffer(), []
    for name, entry, opened in _walk(filesystem, path, piece):
        if isinstance(opened, str):
            left_out.append(f"{name}: {opened}\n")
            continue
        info = tarfile.TarInfo(name)
        info.mtime, info.mode = int(entry.modified), 0o600
        if opened is None:
            info.type, info.mode = tarfile.DIRTYPE, 0o700
            buffer.write(info.tobuf(tarfile.PAX_FORMAT))
            continue
        info.size = opened.size
        buffer.write(info.tobuf(tarfile.PAX_FORMAT))
        for data in opened.content():
            buffer.write(data)
            if buffer.size >= piece:
                yield buffer.take()
        buffer.write(bytes(-info.size % tarfile.BLOCKSIZE))
    if left_out:
        text = "".join(left_out).encode()
        info = tarfile.TarInfo(LEFT_OUT)
        info.size, info.mode = len(text), 0o600
        buffer.write(info.tobuf(tarfile.PAX_FORMAT) + text + bytes(-len(text) % tarfile.BLOCKSIZE))
    buffer.write(bytes(2 * tarfile.BLOCKSIZE))
    yield buffer.take()


class _Opened:
    """A file whose beginning was read: what cannot be read at all is known before anything of it is written."""

    def __init__(self, handle: ReadHandle, piece: int) -> None:
        """Read the first of pieces of *piece* bytes."""
        self.size = handle.entry.size
        self._handle = handle
        self._piece = piece
        try:
            self._first = self._read(0) if self.size else b""
        except BaseException:
            handle.close()
            raise

    def content(self) -> Iterator[bytes]:
        """Yield it in pieces, exactly as long as it says, and close it.

        Raises:
            UnavailableError: it ended before its own size.
        """
        try:
            data, offset = self._first, len(self._first)
            while data:
                yield data
                data = self._read(offset) if offset < self.size else b""
                offset += len(data)
        finally:
            self._handle.close()

    def _read(self, offset: int) -> bytes:
        data = self._handle.read(offset, min(self._piece, self.size - offset))
        if not data:
            raise UnavailableError(f"a file ended at {offset} of {self.size} bytes")
        return data


def _walk(filesystem: FileSystem, root: VirtualPath, piece: int) -> Iterator[tuple[str, Entry, _Opened | str | None]]:
    """Yield what lies below *root*: a name, an entry, and the open file; None for a folder, a text for what may not be.

    Whoever takes a file from here reads it to its end, which closes it.
    """
    waiting = [(root, "")]
    while waiting:
        folder, prefix = waiting.pop()
        for entry in filesystem.scandir(folder):
            path = folder.child(entry.name)
            if entry.is_directory:
                if entry.name not in _SKIPPED:
                    yield f"{prefix}{entry.name}/", entry, None
                    waiting.append((path, f"{prefix}{entry.name}/"))
                continue
            yield f"{prefix}{entry.name}", entry, _opened(filesystem, path, piece)


def _opened(filesystem: FileSystem, path: VirtualPath, piece: int) -> _Opened | str:
    try:
        return _Opened(filesystem.open_read(path), piece)
    except UnavailableError:
        raise
    except FileSystemError as error:
        return str(error)
