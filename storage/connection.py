"""obstore's client of one bucket, made in the process that uses it, and what its errors mean.

obstore runs on threads that a fork does not take along, and waits for ever on those that are gone. So a client is made
at its first use and for one process; a process that was forked after such a use is told so instead of being hung.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
from typing import TYPE_CHECKING

from storage.errors import ObjectNotFoundError, StorageError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from obstore.store import ObjectStore as Client

_QUERY = re.compile(r"\?\S*")
"""Of a URL in what a library says: tokens may stand in it."""
_CODE = re.compile(r"<Code>([A-Za-z0-9.]{1,64})</Code>")
"""Of the document with which S3 and its like answer what they refuse."""
_SAID = 300
"""Characters of what a library says that are passed on."""

_first_use: list[int] = []
"""The process in which obstore's threads run, once they do."""


class Connection:
    """The way to one bucket. Safe to call from several threads, and to hand down to forked processes unused."""

    def __init__(self, make: Callable[[], Client], place: str) -> None:
        """Call *make* once, when first needed; *place* names the bucket in messages and holds no secret."""
        self._make = make
        self.place = place
        self._client: Client | None = None
        self._lock = threading.Lock()

    @property
    def client(self) -> Client:
        """The client.

        Raises:
            StoreRefusedError: the settings are not such that one could be made.
            StoreUnavailableError: this process was forked from one that had used an object store already.
        """
        if self._client is None or _first_use[0] != os.getpid():
            with self._lock:
                if _first_use and _first_use[0] != os.getpid():
                    raise StoreUnavailableError(f"{self.place}: this process was forked after a store had been used")
                if self._client is None:
                    self._client = self._made()
                    _first_use[:] = [os.getpid()]
        return self._client

    @contextlib.contextmanager
    def errors(self, doing: str, name: str = "") -> Iterator[Client]:
        """Turn obstore's errors of the block, which gets the client, into storage's.

        Args:
            doing: what is done, as in "storing".
            name: the object it is done with; where it is not there, `ObjectNotFoundError` says so.
        """
        client = self.client
        try:
            yield client
        except Exception as error:
            meant = self.meaning(error, doing, name)
            if meant is None:
                raise
            raise meant from None  # what a library says may show a signed URL

    def meaning(self, error: BaseException, doing: str, name: str = "") -> StorageError | None:
        """Return the storage error for one of obstore's while *doing* something; None if it is nobody's here."""
        from obstore.exceptions import (  # noqa: PLC0415  see `storage.buckets`
            BaseError,
            NotSupportedError,
            PermissionDeniedError,
            UnauthenticatedError,
        )

        what = f"{doing} {name}".strip()
        if isinstance(error, FileNotFoundError):
            if name:
                return ObjectNotFoundError(f"{name} is not stored in {self.place}")
            return StoreRefusedError(f"{self.place} is not there: make it, or correct its name ({what})")
        if isinstance(error, PermissionDeniedError | UnauthenticatedError):
            return StoreRefusedError(refusal(self.place, what, str(error)))
        if isinstance(error, NotSupportedError):
            return StoreRefusedError(f"{self.place} cannot do that ({what}): {said(error)}")
        if isinstance(error, BaseError):
            return StoreUnavailableError(f"{self.place} failed at {what}: {said(error)}")
        return None

    def _made(self) -> Client:
        try:
            from obstore.exceptions import BaseError  # noqa: PLC0415  see `storage.buckets`
        except ModuleNotFoundError:
            raise StoreRefusedError(
                f"{self.place} needs the package obstore, which is not installed: pip install 'mft[buckets]'"
            ) from None
        try:
            return self._make()
        except (BaseError, ValueError, TypeError, KeyError) as error:
            # Its text may quote the settings, and they hold a secret.
            raise StoreRefusedError(
                f"{self.place} cannot be opened with these settings ({type(error).__name__}): "
                "check endpoint, credentials and ca_file"
            ) from None


def refusal(place: str, doing: str, answer: str) -> str:
    """Say that a service refuses something, with the code in its *answer* if it gives one: `QuotaExceeded`, say."""
    code = _CODE.search(answer)
    why = "" if code is None else f" ({code[1]})"
    return (
        f"{place} refuses {doing}{why}: check the credentials, this machine's clock, what they may do there, and quotas"
    )


def said(error: BaseException) -> str:
    """Return what a library said, without what may be secret in it: one line, no query of any URL."""
    lines = str(error).splitlines() or [type(error).__name__]
    return _QUERY.sub("", lines[0])[:_SAID]
