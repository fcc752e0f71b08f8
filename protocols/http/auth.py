"""From an Authorization header to a session: Basic (password or token) and Bearer.

A session belongs to one connection and one credential. The header is looked at once a connection; after that a keyed
digest of it finds the session again, so that the credential itself is not kept.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import re
import secrets
import unicodedata
from http import HTTPStatus
from typing import TYPE_CHECKING

from aiohttp import hdrs, web

from protocols.errors import AuthenticationError, EndedTokenError, ThrottledError, WrongEntranceError
from protocols.http.connection import Connection
from protocols.http.status import ProblemError
from protocols.session import BearerCredential, Origin, PasswordCredential, Session

if TYPE_CHECKING:
    from protocols.aio import Crossing
    from protocols.session import Authenticator

_TOKEN68 = re.compile(r"[A-Za-z0-9._~+/-]+=*")


_REFUSED = "the login or its secret was not accepted"
"""All that anybody learns about a credential that is no good."""


class Gate:
    """Finds or opens the session of a request."""

    def __init__(self, authenticator: Authenticator, crossing: Crossing) -> None:
        """Ask *authenticator*, on threads of *crossing*."""
        self._authenticator = authenticator
        self._crossing = crossing
        self._key = secrets.token_bytes(32)

    async def session(self, request: web.Request, protocol: str) -> Session:
        """Return the session of *request*'s credential on its connection, opening it at the first request.

        *protocol* is what the session is said to speak.

        Raises:
            AuthenticationError: there is no credential, or it is not good.
            ThrottledError: too many failures from there.
            WrongEntranceError: it is good, by another entrance.
            UnavailableError: the account source does not answer.
            ProblemError: the header is malformed (400).
        """
        connection = connection_of(request)
        credential = parse_authorization(request.headers.getall(hdrs.AUTHORIZATION, []))
        mark = hashlib.blake2b(
            f"{protocol} {request.headers[hdrs.AUTHORIZATION]}".encode("utf-8", "surrogateescape"), key=self._key
        ).digest()
        session = connection.session(mark)
        if session is None:
            origin = Origin(protocol=protocol, peer=connection.peer, region=connection.region)
            loop = asyncio.get_running_loop()
            session = await self._crossing.run(self._open, connection, mark, credential, origin, loop)
        if session.revoked is not None:
            raise AuthenticationError("access has been withdrawn")
        request[SESSION] = session
        return session

    def _open(
        self,
        connection: Connection,
        mark: bytes,
        credential: PasswordCredential | BearerCredential,
        origin: Origin,
        loop: asyncio.AbstractEventLoop,
    ) -> Session:
        """Check and open in one crossing; the connection has the session before anybody can lose it."""
        try:
            grant = self._authenticator.check(credential, origin)
        except (ThrottledError, EndedTokenError, WrongEntranceError):
            raise
        except AuthenticationError as error:
            raise AuthenticationError(_REFUSED) from error
        session = self._authenticator.open(grant, origin)
        connection.adopt(mark, session, loop)
        return session


GATE = web.AppKey("gate", Gate)
SESSION = web.RequestKey("session", Session)


async def session_of(request: web.Request, protocol: str = "https") -> Session:
    """Return the session of *request*; raises as `Gate.session` does, which the head turns into 401, 429 or 503."""
    return await request.app[GATE].session(request, protocol)


def connection_of(request: web.BaseRequest) -> Connection:
    """Return the connection of *request*.

    Raises:
        ConnectionResetError: it is gone.
    """
    protocol: object = request.protocol
    if not isinstance(protocol, Connection):
        raise ConnectionResetError("the connection is gone")
    return protocol


def challenges(realm: str, ended: EndedTokenError | None = None) -> list[str]:
    """Return the values of WWW-Authenticate (RFC 7617, section 2.1; RFC 6750, section 3), with what *ended* says."""
    told = "" if ended is None else f', error="invalid_token", error_description="{ended}"'
    return [f'Basic realm="{realm}", charset="UTF-8"', f'Bearer realm="{realm}"{told}']


def parse_authorization(values: list[str]) -> PasswordCredential | BearerCredential:
    """Make a credential from the Authorization headers of a request.

    Raises:
        AuthenticationError: there is none, its scheme is not known, or a part of it is empty.
        ProblemError: 400, it cannot be read.
    """
    if not values:
        raise AuthenticationError("sign in with a login and a password, or with a token")
    if len(values) > 1:
        raise _malformed("there are several")
    scheme, _, rest = values[0].strip().partition(" ")
    rest = rest.strip()
    if scheme.lower() == "basic":
        return _parse_basic(rest)
    if scheme.lower() == "bearer":
        if not rest:
            raise AuthenticationError(_REFUSED)
        if not _TOKEN68.fullmatch(rest):
            raise _malformed("a bearer token has characters outside RFC 6750, section 2.1")
        return BearerCredential(token=rest)
    raise AuthenticationError("sign in with the scheme Basic or Bearer")


def _parse_basic(text: str) -> PasswordCredential:
    """Decode `base64(login:password)` in UTF-8 (RFC 7617, section 2)."""
    try:
        decoded = base64.b64decode(text.encode("ascii"), validate=True).decode("utf-8")
    except (UnicodeError, binascii.Error) as error:
        raise _malformed("Basic credentials are base64 of UTF-8") from error
    login, colon, password = decoded.partition(":")
    if not colon:
        raise _malformed("Basic credentials have a colon between login and password")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in decoded):
        raise _malformed("Basic credentials have no control characters")
    if not login or not password:
        raise AuthenticationError(_REFUSED)
    return PasswordCredential(login=login, password=password)


def _malformed(why: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, f"the Authorization header cannot be read: {why}")
