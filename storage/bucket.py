"""A store in a bucket: S3-compatible, Google Cloud Storage or Azure, all through obstore.

An object is there whole or not at all, because each of these services publishes it so: by one PUT, or by completing a
multipart upload. What was put counts once the service has said so *and* tells the right size. Where its answer is lost
the object is looked for: what lies there under a name that nobody else uses, as long as what was sent, is ours.

Names are never reused and the catalog says who won, so nothing rests on conditional writes: several S3 servers ignore
them. They are made all the same, where the object goes in one piece.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import logging
import threading
import time
from typing import TYPE_CHECKING

from storage.errors import (
    ObjectExistsError,
    ObjectNotFoundError,
    StorageError,
    StoreRefusedError,
    StoreUnavailableError,
)
from storage.memory import MemoryReader
from storage.multipart import MultipartObject, abort_parts
from storage.parts import Parts
from storage.probe import PROBES
from storage.readahead import ReadAhead
from storage.store import StoredObject, check_name, check_prefix, is_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from storage.connection import Connection
    from storage.s3requests import S3Requests
    from storage.store import Chunk, ObjectReader

_log = logging.getLogger(__name__)
_WHOLE_BYTES = 128 * 1024
"""Up to here an object is read whole when it is opened: slots are, and stay as they were when they are replaced."""
_PARALLEL = 3
"""Parts under way at once."""
_ATTEMPTS = 3
"""For one range, beside what obstore repeats itself: it does not where an answer breaks off."""
_PAUSE_SECONDS = 0.2
_SEEN_SECONDS = 60.0
"""How long it is believed that the bucket is there."""
_BODIES = "bodies/"
"""What begins so may be long, and is locked; slots never are, they must change and go."""
_ORDER = "-./0123456789_abcdefghijklmnopqrstuvwxyz"
"""The characters of names, in the order of their bytes."""


class BucketStore:
    """An `ObjectStore` below a prefix of one bucket."""

    def __init__(
        self,
        connection: Connection,
        *,
        part_bytes: int,
        conditional: bool = True,
        requests: S3Requests | None = None,
        lock_mode: str | None = None,
        lock_seconds: float = 0.0,
    ) -> None:
        """Keep objects in the bucket of *connection*.

        Args:
            connection: the way there.
            part_bytes: of a multipart upload; what is shorter goes in one piece.
            conditional: whether one piece is put on the condition that the name is free.
            requests: what obstore does not do, over S3: versions, locks, leftovers. Without it there are none of them.
            lock_mode: `governance` or `compliance`; bodies are then locked for *lock_seconds*.
            lock_seconds: see there.
        """
        self._connection = connection
        self._part_bytes = part_bytes
        self._conditional = conditional
        self._requests = requests
        self._lock_mode = lock_mode
        self._lock_seconds = lock_seconds
        self._lock = threading.Lock()
        self._versioned: bool | None = None
        self._seen = float("-inf")

    @property
    def place(self) -> str:
        """The bucket in words, without a secret."""
        return self._connection.place

    def put(self, name: str, chunks: Iterable[Chunk], *, replace: bool = False) -> StoredObject:
        """Store the concatenation of *chunks*, whole or not at all, and return when the service has it.

        Two puts of one name at once, both longer than a part, are not told apart: the later one stays. Nobody does that
        (see `EncryptedStore`).
        """
        check_name(name)
        if not replace and self._size(name) is not None:
            raise ObjectExistsError(f"{name} is stored already")
        parts = Parts(chunks, self._part_bytes)
        first = next(parts, b"")
        version = self._put_whole(name, first, replace=replace) if parts.ended else self._put_parts(name, first, parts)
        self._settle(name, version, parts.size)
        if replace and self._keeps_versions() and self._requests is not None:
            self._requests.delete_versions(name, keep=version, spare_latest=version is None)
        return StoredObject(name=name, size=parts.size)

    def resume(self, name: str) -> MultipartObject | None:
        """Return what there is of a copy that was cut short, over S3; see `storage.partial`."""
        if self._requests is None:
            return None
        if self._size(check_name(name)) is not None:
            raise ObjectExistsError(f"{name} is stored already")
        return MultipartObject(
            self._requests,
            name,
            part_bytes=self._part_bytes,
            whole=lambda data: self.put(name, [data]),
            settle=lambda version, size: self._settle(name, version, size),
        )

    def open(self, name: str) -> ObjectReader:
        """Open an object for reading."""
        size = self.stat(name).size
        if size > _WHOLE_BYTES:
            return ReadAhead(lambda offset, length: self._fetch(name, offset, length), size)
        return MemoryReader(self._whole(name, size))

    def stat(self, name: str) -> StoredObject:
        """Describe an object."""
        size = self._size(check_name(name))
        if size is None:
            raise ObjectNotFoundError(f"{name} is not stored in {self.place}")
        return StoredObject(name=name, size=size)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects whose names begin with *prefix*, in order, a page of the service in memory at a time."""
        import obstore  # noqa: PLC0415  see `storage.buckets`

        directory, _, rest = check_prefix(prefix).rpartition("/")
        self._check_bucket()  # a listing that fails does not say why
        with self._connection.errors("listing") as client:
            pages = obstore.list(client, directory or None, offset=_before(prefix) if rest else None)
            for row in itertools.chain.from_iterable(pages):
                name = row["path"]
                if name.startswith(prefix):
                    if is_name(name):
                        yield StoredObject(name=name, size=row["size"])
                elif name > prefix:
                    return

    def delete(self, name: str) -> None:
        """Delete an object and all of its versions; deleting what is not there does nothing.

        Raises:
            ObjectLockedError: the bucket keeps it until a day that the error names.
        """
        import obstore  # noqa: PLC0415  see `storage.buckets`

        check_name(name)
        if self._requests is not None and name.startswith(_BODIES):
            abort_parts(self._requests, name)
        if self._requests is not None and self._keeps_versions():
            self._requests.delete_versions(name)
            return
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with self._connection.errors("deleting", name) as client:
                    obstore.delete(client, name)
            except ObjectNotFoundError:
                self._check_bucket()
            except StoreRefusedError:
                raise
            except StoreUnavailableError:  # obstore repeats no deletion whose connection broke; to repeat it is safe
                if attempt == _ATTEMPTS:
                    raise
                time.sleep(_PAUSE_SECONDS * attempt)
                continue
            return

    def reap(self, older_than_seconds: float) -> int:
        """Abort multipart uploads, and delete probes, that were left so many seconds ago; say how many.

        Where the credentials are the machine's own, and on GCS, the bucket needs a lifecycle rule for the former; Azure
        forgets its blocks after a week by itself.
        """
        import obstore  # noqa: PLC0415  see `storage.buckets`

        before = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=older_than_seconds)
        self._check_bucket()
        with self._connection.errors("listing") as client:
            probes = list(itertools.chain.from_iterable(obstore.list(client, PROBES.rstrip("/"))))
        old = [row["path"] for row in probes if row["last_modified"] <= before and is_name(row["path"])]
        for name in old:
            self.delete(name)
        return len(old) + (self._requests.abort_uploads(before) if self._requests is not None else 0)

    def check(self) -> None:
        """Ask whether the bucket is set as its use here needs it.

        Raises:
            StoreRefusedError: object lock is wanted and not on; or everything is locked by default, slots too.
        """
        if self._lock_mode is not None and self._requests is None:
            raise StoreRefusedError(f"{self.place}: object lock needs access_key_id and its secret")
        if self._requests is None:
            return
        rule = self._requests.lock_rule()
        if rule == "default":
            raise StoreRefusedError(
                f"{self.place} locks every object by default, and slots must change and go: take the default retention "
                "off the bucket (bodies are locked one by one)"
            )
        if self._lock_mode is not None and rule is None:
            raise StoreRefusedError(f"{self.place} was made without object lock: make a bucket with it, or turn it off")

    def _put_whole(self, name: str, data: bytes, *, replace: bool) -> str | None:
        import obstore  # noqa: PLC0415  see `storage.buckets`

        client = self._connection.client
        mode = "create" if self._conditional and not replace else "overwrite"
        try:
            return obstore.put(client, name, data, mode=mode, use_multipart=False)["version"]  # type: ignore[arg-type]  # a str of its Literal
        except Exception as error:
            meant = self._meaning(error, name)
            if meant is None:
                raise
            # A repeated request can meet its own first try, whose answer was lost.
            if not self._holds(name, data):
                raise meant from None
            _log.warning("store_answer_lost place=%s object=%s", self.place, name)
            return None

    def _put_parts(self, name: str, first: bytes, parts: Parts) -> str | None:
        import obstore  # noqa: PLC0415  see `storage.buckets`

        client = self._connection.client
        try:
            return obstore.put(
                client,
                name,
                itertools.chain((first,), parts),
                use_multipart=True,
                chunk_size=self._part_bytes,
                max_concurrency=_PARALLEL,
            )["version"]
        except BaseException as error:
            if parts.failure is not None:
                raise parts.failure from None
            meant = self._meaning(error, name)
            if meant is None:
                raise
            if not (parts.ended and self._has_size(name, parts.size)):
                raise meant from None
            _log.warning("store_answer_lost place=%s object=%s", self.place, name)
            return None

    def _meaning(self, error: BaseException, name: str) -> StorageError | None:
        from obstore.exceptions import AlreadyExistsError, PreconditionError  # noqa: PLC0415  see `storage.buckets`

        if isinstance(error, AlreadyExistsError | PreconditionError):
            return ObjectExistsError(f"{name} is stored already")
        if isinstance(error, FileNotFoundError):  # no such bucket, or no such upload: one that was aborted meanwhile
            return StoreUnavailableError(f"{self.place} did not find where to store {name}")
        return self._connection.meaning(error, "storing", name)

    def _holds(self, name: str, data: bytes) -> bool:
        with contextlib.suppress(StorageError):
            return self._has_size(name, len(data)) and self._whole(name, len(data)) == data
        return False

    def _has_size(self, name: str, size: int) -> bool:
        with contextlib.suppress(StorageError):
            return self._size(name) == size
        return False

    def _settle(self, name: str, version: str | None, size: int) -> StoredObject:
        """Lock what was put, where it is to be locked, and look whether it is what the service says it is."""
        self._retain(name, version)
        self._check_size(name, size)
        return StoredObject(name=name, size=size)

    def _check_size(self, name: str, size: int) -> None:
        found = self._size(name)
        if found == size:
            return
        with contextlib.suppress(StorageError):
            self.delete(name)
        there = "nothing" if found is None else f"{found} bytes"
        raise StoreUnavailableError(f"{self.place} took {size} bytes of {name} and holds {there}")

    def _retain(self, name: str, version: str | None) -> None:
        if self._lock_mode is None or self._requests is None or not name.startswith(_BODIES):
            return
        until = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self._lock_seconds)
        try:
            self._requests.retain(name, version, self._lock_mode, until)
        except StorageError:
            with contextlib.suppress(StorageError):
                self.delete(name)
            raise

    def _keeps_versions(self) -> bool:
        """Say whether the bucket keeps versions: then a deletion must take each of them."""
        if self._requests is None:
            return False
        if self._versioned is None:
            self._versioned = self._requests.is_versioned()
        return self._versioned

    def _size(self, name: str) -> int | None:
        import obstore  # noqa: PLC0415  see `storage.buckets`

        try:
            with self._connection.errors("describing", name) as client:
                return obstore.head(client, name)["size"]
        except ObjectNotFoundError:
            self._check_bucket()
            return None

    def _whole(self, name: str, size: int) -> bytes:
        """Return an object that had *size* bytes a moment ago; it may have been replaced since."""
        import obstore  # noqa: PLC0415  see `storage.buckets`

        problem: StoreUnavailableError | None = None
        for attempt in range(_ATTEMPTS):
            if attempt:
                time.sleep(_PAUSE_SECONDS * attempt)
                size = self.stat(name).size
            try:
                with self._connection.errors("reading", name) as client:
                    data = bytes(obstore.get(client, name).bytes())
            except StoreRefusedError:
                raise
            except StoreUnavailableError as error:
                problem = error
                continue
            # What says its own length may say it wrongly: an answer that was cut short on the way.
            if len(data) == size:
                return data
            problem = StoreUnavailableError(f"{self.place} gave {len(data)} bytes of {name}, which has {size}")
        raise problem or StoreUnavailableError(f"{self.place} failed at reading {name}")

    def _fetch(self, name: str, offset: int, length: int) -> bytes:
        """Return exactly the *length* bytes at *offset*, going on where an answer breaks off."""
        import obstore  # noqa: PLC0415  see `storage.buckets`

        got: list[bytes] = []
        start, end = offset, offset + length
        problem: StoreUnavailableError | None = None
        failures = 0
        while start < end:
            if failures:
                time.sleep(_PAUSE_SECONDS * failures)
            try:
                with self._connection.errors("reading", name) as client:
                    data = bytes(obstore.get_range(client, name, start=start, end=end))[: end - start]
            except StoreRefusedError:
                raise
            except StoreUnavailableError as error:
                problem, data = error, b""
            if len(data) < end - start:
                failures += 1
                if failures == _ATTEMPTS:
                    raise problem or StoreUnavailableError(f"{self.place} broke off {name} at byte {start + len(data)}")
            if data:
                got.append(data)
                start += len(data)
        return got[0] if len(got) == 1 else b"".join(got)

    def _check_bucket(self) -> None:
        """Make sure that what is not there is not there because its bucket is gone.

        Raises:
            StoreRefusedError: the bucket is not there.
        """
        import obstore  # noqa: PLC0415  see `storage.buckets`

        if time.monotonic() < self._seen + _SEEN_SECONDS:
            return
        if self._requests is not None:
            if not self._requests.exists():
                raise StoreRefusedError(f"{self.place} is not there: make it, or correct its name")
        else:
            with self._connection.errors("looking for it") as client:
                next(iter(obstore.list(client, PROBES.rstrip("/"))), None)
        self._seen = time.monotonic()


def _before(prefix: str) -> str | None:
    """Return what sorts before every name that begins with *prefix* and behind every other that is less; None: nothing.

    Listings begin behind a name, and that name need not exist.
    """
    place = _ORDER.index(prefix[-1])
    if not place:
        return None
    head = prefix[:-1] + _ORDER[place - 1]
    return head + _ORDER[-1] * (255 - len(head)) if head[-1] not in "-." else None
