"""PUT: allowed by the rules before its body is asked for, received by the head, and adopted by the rules at its end.

A body that is not proven whole is kept as interrupted, as everywhere; what was there before it stays.
"""

from __future__ import annotations

import contextlib
import hashlib
import zlib
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from aiohttp import hdrs, web

from protocols.errors import FileSystemError
from protocols.http.body import Limit, receive
from protocols.http.dav.rules import Ask, apply_rules
from protocols.http.status import ProblemError, TransferCutError, proceed
from protocols.http.tail import Tail
from protocols.http.upload import parse_order

if TYPE_CHECKING:
    from collections.abc import Mapping

    from multidict import CIMultiDictProxy

    from protocols.aio import Crossing
    from protocols.filesystem import Receipt, WriteHandle
    from protocols.http.dav.rules import Verdict
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Target
    from protocols.http.upload import Order
    from protocols.session import Session

OC_CHECKSUM = "OC-Checksum"
_OC_MTIME = "X-OC-MTime"
_DIGESTS = {"SHA1": "sha1", "MD5": "md5", "SHA256": "sha256", "SHA512": "sha512"}


class Digest(Protocol):
    """A running checksum."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take *data* in."""

    def hexdigest(self) -> str:
        """Return it in hexadecimal."""


class Adler32:
    """The checksum of RFC 1950, as ownCloud's clients may send it."""

    def __init__(self) -> None:
        """Begin."""
        self._value = 1

    def update(self, data: bytes | memoryview, /) -> None:
        """Take *data* in."""
        self._value = zlib.adler32(data, self._value)

    def hexdigest(self) -> str:
        """Return it in hexadecimal."""
        return f"{self._value:08x}"


def parse_checksums(headers: CIMultiDictProxy[str]) -> dict[str, str]:
    """Return the checksums of `OC-Checksum: SHA1:HEX MD5:HEX …` that can be compared, by algorithm.

    Raises:
        ProblemError: 400, it reads otherwise.
    """
    found: dict[str, str] = {}
    for text in headers.getall(OC_CHECKSUM, []):
        for part in text.replace(",", " ").split():
            kind, colon, value = part.partition(":")
            if not colon or not value.isalnum():
                raise ProblemError(HTTPStatus.BAD_REQUEST, f"{OC_CHECKSUM} must read ALGORITHM:HEX, as in SHA1:0a4d…")
            if kind.upper() in _DIGESTS or kind.upper() == "ADLER32":
                found[kind.upper()] = value.lower()
    return found


class RefusedError(Exception):
    """The rules say no, and have written the answer."""

    def __init__(self, verdict: Verdict) -> None:
        """Carry *verdict* to where it is answered."""
        super().__init__("the rules of WebDAV refuse it")
        self.verdict = verdict


class Body:
    """A body on its way into the landing."""

    def __init__(self, handle: WriteHandle, order: Order, checksums: Mapping[str, str]) -> None:
        """Write to *handle* what *order* announces; compare with *checksums*."""
        self.handle = handle
        self.order = order
        self.tail = Tail(offset=0, pieces=[])
        self.receipt: Receipt | None = None
        self._wanted = checksums
        self._digests: dict[str, Digest] = {
            kind: Adler32() if kind == "ADLER32" else hashlib.new(_DIGESTS[kind], usedforsecurity=False)
            for kind in checksums
        }
        if checksums or order.checksum is not None:
            self.tail.checksum = self

    def update(self, data: bytes | memoryview, /) -> None:
        """Take *data*, which is being written, into every checksum."""
        for digest in self._digests.values():
            digest.update(data)
        if self.order.checksum is not None:
            self.order.checksum.update(data)

    def flush(self) -> None:
        """Write what has come."""
        self.tail.flush(self.handle)

    def adopt(self) -> None:
        """Make it a file, if it is what its sender says that it is.

        Raises:
            ProblemError: 400, a checksum is another.
        """
        for kind, digest in self._digests.items():
            if digest.hexdigest().lstrip("0") != self._wanted[kind].lstrip("0"):
                raise ProblemError(
                    HTTPStatus.BAD_REQUEST, f"{kind} of what came is not what {OC_CHECKSUM} says; send it again"
                )
        if self.order.checksum is not None and not self.order.checksum.holds:
            raise ProblemError(
                HTTPStatus.BAD_REQUEST, "what came does not have the digest that was sent with it; send it again"
            )
        whole = self.order.whole if self.order.whole is not None else self.tail.offset
        self.receipt = self.handle.commit(length=whole, modified=self.order.modified)

    def keep(self, reason: str) -> None:
        """Give it up for now. Never raises; after `adopt` it does nothing."""
        if self.receipt is not None:
            return
        with contextlib.suppress(Exception):  # what ended the transfer is told; the upload must be given up
            self.tail.flush(self.handle)
        self.handle.abort(reason)


class Puts:
    """Answers PUT below `/dav`."""

    def __init__(self, crossing: Crossing, settings: HttpSettings) -> None:
        """Write through *crossing*, within *settings*."""
        self._crossing = crossing
        self._settings = settings

    async def answer(self, request: web.Request, session: Session, target: Target) -> web.Response:
        """Receive the body; return 201 for a new name and 204 for a new version.

        Raises:
            ProblemError, FileSystemError: it is refused.
            TransferCutError: the body broke off.
        """
        if hdrs.CONTENT_RANGE in request.headers or hdrs.RANGE in request.headers:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "a PUT by WebDAV is a whole file; parts are taken below /files")
        order = parse_order(request, target, self._settings)
        checksums = parse_checksums(request.headers)
        ask = Ask(method="PUT", target=target, headers=request.headers, host=request.host)
        status, handle = await self._crossing.run(_open, ask, session, order, self._settings)
        body = Body(handle, order, checksums)
        try:
            await proceed(request)
            await self._receive(request, body)
            etag = await self._crossing.run(_land, body, ask, session, self._settings)
        except BaseException as error:
            await self._crossing.run(body.keep, _reason(error))
            raise
        return _answer(status, etag, order, body.receipt)

    async def _receive(self, request: web.Request, body: Body) -> None:
        """Take the body piece by piece; what is shorter than a piece waits for the last crossing."""
        announced, settings = body.order.body, self._settings
        most = announced if announced is not None else settings.max_body
        limit = Limit(
            most=most,
            problem=lambda: ProblemError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"files of up to {most} bytes are taken"),
        )
        received = await receive(
            request, body.handle, body.tail, crossing=self._crossing, settings=settings, limit=limit
        )
        if announced is not None and received != announced:
            raise TransferCutError("the body broke off")


def _open(ask: Ask, session: Session, order: Order, settings: HttpSettings) -> tuple[int, WriteHandle]:
    """Have the rules allow it, and begin the upload, in one crossing; return what will be answered."""
    verdict = _allowed(apply_rules(ask, session, settings))
    return verdict.status, session.filesystem.open_write(order.path, order.mode, length=order.whole)


def _allowed(verdict: Verdict) -> Verdict:
    """Return *verdict* if it is none against it."""
    if verdict.status >= HTTPStatus.BAD_REQUEST:
        raise RefusedError(verdict)
    return verdict


def _land(body: Body, ask: Ask, session: Session, settings: HttpSettings) -> str | None:
    """Write the last piece and have the rules adopt it, in one crossing; return the ETag that it has now."""
    body.flush()
    _allowed(apply_rules(ask, session, settings, adopt=body.adopt))
    try:
        return session.filesystem.stat(body.order.path).etag
    except FileSystemError:
        return None


def _answer(status: int, etag: str | None, order: Order, receipt: Receipt | None) -> web.Response:
    headers: dict[str, str] = {hdrs.CACHE_CONTROL: "no-store"}
    if etag is not None:
        headers[hdrs.ETAG] = f'"{etag}"'
    if order.modified is not None:
        headers[_OC_MTIME] = "accepted"
    url = None if receipt is None else receipt.document.get("url")
    if isinstance(url, str):
        headers["X-Receipt"] = url
    return web.Response(status=status, headers=headers)


def _reason(error: BaseException) -> str:
    """Return what the record says about an upload that was not committed."""
    if isinstance(error, ProblemError | FileSystemError | TransferCutError | RefusedError):
        return str(error)
    return "the transfer ended early"
