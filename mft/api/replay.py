"""Idempotency-Key: the same request sent again gets the first answer (draft-ietf-httpapi-idempotency-key-header-07).

The key is the client's secret about this request. Kept are keyed hashes of key and request, and the answer sealed under
a key that is derived from the client's: an answer that holds a token can be replayed to whoever has the key, and read
by nobody else.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from mft.api.fault import ApiError
from mft.catalog.model import API_REPLAYS
from mft.credentials.sealing import UnsealError, derive_key, seal, unseal

if TYPE_CHECKING:
    from collections.abc import Callable

    from mft.catalog.database import Database

UNDER_WAY_SECONDS = 60.0
"""After so long a request that never came to an end (its worker died) may be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An answer as it was given."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False)


class Replays:
    """The answers of a day."""

    def __init__(self, *, database: Database, key: bytes, keep: float, clock: Callable[[], float] = time.time) -> None:
        """Keep answers for *keep* seconds, under keys derived from *key*, a secret of the server."""
        self._database = database
        self._key = derive_key(key, b"mft api replay v1")
        self._keep = keep
        self._clock = clock

    def begin(self, login: str, key: str, request: bytes) -> Kept | None:
        """Return the answer that this very request got before; None: it is to be carried out now.

        Raises:
            ApiError: 422, the key belongs to another request; 409, the first one is still under way.
        """
        name, print_ = self._name(login, key), self._print(request)
        now = self._clock()
        with self._database.write() as connection:
            connection.execute(delete(API_REPLAYS).where(API_REPLAYS.c.created_at < now - self._keep))
            row = connection.execute(select(API_REPLAYS).where(API_REPLAYS.c.id == name)).first()
            if row is None:
                connection.execute(insert(API_REPLAYS).values(id=name, fingerprint=print_, created_at=now))
                return None
            if row.fingerprint != print_:
                raise ApiError(
                    HTTPStatus.UNPROCESSABLE_ENTITY,
                    "idempotency-key-reused",
                    "this Idempotency-Key came with another request; give each request a key of its own",
                )
            if row.status is None and row.created_at > now - UNDER_WAY_SECONDS:
                raise ApiError(
                    HTTPStatus.CONFLICT,
                    "request-under-way",
                    "the first request with this Idempotency-Key is still being worked on; ask again in a moment",
                    headers={"Retry-After": "1"},
                )
            if row.status is None:
                again = update(API_REPLAYS).where(API_REPLAYS.c.id == name).values(created_at=now)
                connection.execute(again)
                return None
        return self._open(login, key, row.answer)

    def finish(self, login: str, key: str, kept: Kept) -> None:
        """Keep the answer to a request that was carried out."""
        plain = {
            "status": kept.status,
            "headers": kept.headers,
            "body": base64.b64encode(kept.body).decode("ascii"),
        }
        sealed = seal(self._sealing_key(login, key), json.dumps(plain).encode(), b"answer")
        with self._database.write() as connection:
            connection.execute(
                update(API_REPLAYS)
                .where(API_REPLAYS.c.id == self._name(login, key))
                .values(status=kept.status, answer=sealed)
            )

    def drop(self, login: str, key: str) -> None:
        """Forget a request that came to nothing: it may be made again with the same key."""
        with self._database.write() as connection:
            connection.execute(delete(API_REPLAYS).where(API_REPLAYS.c.id == self._name(login, key)))

    def _open(self, login: str, key: str, sealed: bytes) -> Kept:
        try:
            plain = json.loads(unseal(self._sealing_key(login, key), sealed, b"answer"))
        except UnsealError as error:
            raise ApiError(
                HTTPStatus.CONFLICT, "answer-lost", "the first answer can no longer be read; use a new key"
            ) from error
        return Kept(
            status=plain["status"], headers=plain["headers"], body=base64.b64decode(plain["body"].encode("ascii"))
        )

    def _name(self, login: str, key: str) -> str:
        return derive_key(self._key, b"name", login.encode(), key.encode()).hex()

    def _print(self, request: bytes) -> str:
        return derive_key(self._key, b"request", hashlib.sha256(request).digest()).hex()

    def _sealing_key(self, login: str, key: str) -> bytes:
        return derive_key(self._key, b"answer", login.encode(), key.encode())
