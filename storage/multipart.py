"""An object that goes into a bucket of S3 in parts, and goes on after a cut with the parts that the service has.

What is known of it lies with the service alone: which upload of that name is under way, and which of its parts came
whole. Nobody has to remember an id, and what nobody goes on with is reaped like every other leftover.
"""

from __future__ import annotations

import contextlib
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from storage.errors import ObjectTooLargeError, StorageError, StoreUnavailableError
from storage.parts import MOST_PARTS

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

    from storage.s3requests import S3Requests
    from storage.store import Chunk, StoredObject

_PARALLEL = 3
"""Parts under way at once; as many more than one are in memory."""
_MISSING = 404


class MultipartObject:
    """A `PartialObject` in a bucket. For one thread."""

    def __init__(
        self,
        requests: S3Requests,
        name: str,
        *,
        part_bytes: int,
        whole: Callable[[bytes], StoredObject],
        settle: Callable[[str | None, int], StoredObject],
    ) -> None:
        """Find what there is of *name*.

        Args:
            requests: to the bucket.
            name: of the object.
            part_bytes: of each part but the last.
            whole: puts what is shorter than a part.
            settle: called with version and size once the service has put the parts together.

        Raises:
            StoreUnavailableError: the service does not answer.
        """
        self._requests = requests
        self._name = name
        self._part_bytes = part_bytes
        self._whole = whole
        self._settle = settle
        self._pool: ThreadPoolExecutor | None = None
        self._under_way: set[Future[None]] = set()
        self._buffer = bytearray()
        self._parts: dict[int, str] = {}
        """By number the ETag of each that the service has, or will have."""
        self._upload: str | None = None
        self._sent = 0
        self._find()

    @property
    def size(self) -> int:
        """Bytes that the service has, and those that wait for a part to be full."""
        return self._sent + len(self._buffer)

    def append(self, data: Chunk) -> None:
        """Take *data*; what does not fill a part waits in memory, and is gone with a cut."""
        self._buffer += data
        while len(self._buffer) >= self._part_bytes:
            part = bytes(memoryview(self._buffer)[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            self._send(part)

    def restart(self) -> None:
        """Throw away what there is and begin anew."""
        self._stop()
        abort_parts(self._requests, self._name)
        self._buffer.clear()
        self._parts.clear()
        self._upload, self._sent = None, 0

    def finish(self) -> StoredObject:
        """Have the service put the parts together; what is shorter than one goes by itself."""
        try:
            if self._upload is None:
                return self._whole(bytes(self._buffer))
            if self._buffer:
                self._send(bytes(self._buffer))
                self._buffer.clear()
            self._await(0)
            return self._settle(self._complete(), self._sent)
        finally:
            self.close()

    def close(self) -> None:
        """Let go; the parts that came whole stay for the next who goes on."""
        self._stop()

    def _find(self) -> None:
        """Take up the newest upload of that name that a part can follow on."""
        for upload in self._requests.uploads_of(self._name):
            parts = self._list(upload)
            row: list[tuple[str, int]] = []
            for number in range(1, len(parts) + 1):
                if parts.get(number, ("", 0))[1] != self._part_bytes:
                    break
                row.append(parts[number])
            if row:
                self._upload, self._sent = upload, len(row) * self._part_bytes
                self._parts = {number: etag for number, (etag, _) in enumerate(row, 1)}
                return

    def _list(self, upload: str) -> dict[int, tuple[str, int]]:
        """Return ETag and size of the parts that the service has, by number."""
        found: dict[int, tuple[str, int]] = {}
        query = {"uploadId": upload}
        while True:
            answer = self._requests.ask("GET", self._name, query, f"listing parts of {self._name}", allowed={_MISSING})
            if answer.status == _MISSING:
                return {}
            tree = answer.tree
            for each in tree.findall("Part"):
                number, etag, size = (each.findtext(tag) or "" for tag in ("PartNumber", "ETag", "Size"))
                found[int(number)] = (etag, int(size))
            if tree.findtext("IsTruncated") != "true":
                return found
            query |= {"part-number-marker": tree.findtext("NextPartNumberMarker") or ""}

    def _send(self, part: bytes) -> None:
        if len(self._parts) >= MOST_PARTS:
            raise ObjectTooLargeError(
                f"more than {MOST_PARTS} parts of {self._part_bytes} bytes: a larger part_size is needed"
            )
        if self._upload is None:
            doing = f"beginning the parts of {self._name}"
            self._upload = _text(self._requests.ask("POST", self._name, {"uploads": ""}, doing).tree, "UploadId")
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_PARALLEL, thread_name_prefix="parts")
        self._await(_PARALLEL - 1)
        number = len(self._parts) + 1
        self._parts[number] = ""
        self._sent += len(part)
        self._under_way.add(self._pool.submit(self._put, self._upload, number, part))

    def _put(self, upload: str, number: int, part: bytes) -> None:
        query = {"partNumber": str(number), "uploadId": upload}
        answer = self._requests.ask("PUT", self._name, query, f"storing part {number} of {self._name}", body=part)
        etag = answer.headers.get("etag")
        if not etag:
            raise StoreUnavailableError(f"the store took part {number} of {self._name} and named no ETag")
        self._parts[number] = etag

    def _await(self, most: int) -> None:
        """Return when at most so many parts are under way; raise what one of them met."""
        while len(self._under_way) > most:
            done, self._under_way = wait(self._under_way, return_when=FIRST_COMPLETED)
            for each in done:
                each.result()

    def _complete(self) -> str | None:
        rows = "".join(
            f"<Part><PartNumber>{number}</PartNumber><ETag>{escape(etag)}</ETag></Part>"
            for number, etag in sorted(self._parts.items())
        )
        body = (
            f'<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{rows}</CompleteMultipartUpload>'
        )
        query, doing = {"uploadId": self._upload or ""}, f"putting {self._name} together"
        answer = self._requests.ask("POST", self._name, query, doing, body=body.encode(), allowed={_MISSING})
        # A repeated request can meet its own first try, whose answer was lost: `settle` looks what lies there. And the
        # status can be 200 with an error behind it (Amazon's documentation, "CompleteMultipartUpload").
        if answer.status != _MISSING and answer.tree.tag != "CompleteMultipartUploadResult":
            raise StoreUnavailableError(f"the store could not put the parts of {self._name} together")
        return answer.headers.get("x-amz-version-id")

    def _stop(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, cancel_futures=True)
        self._under_way.clear()


def abort_parts(requests: S3Requests, name: str) -> None:
    """Throw away what there is of *name* that was never put together."""
    for upload in requests.uploads_of(name):
        doing = f"aborting the parts of {name}"
        with contextlib.suppress(StorageError):
            requests.ask("DELETE", name, {"uploadId": upload}, doing, allowed={_MISSING})


def _text(tree: Element, tag: str) -> str:
    found = tree.findtext(tag)
    if not found:
        raise StoreUnavailableError(f"the store's answer names no {tag}")
    return found
