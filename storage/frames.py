"""Sealed frames, one behind the other, in a file that two processes share: one writes it, then one reads it.

The file has no name and its key was made for it, so that whatever remains of it is noise. A frame is its length (four
bytes, big-endian) and AES-256-GCM over it; nonce and associated data are its place in the file.
"""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from storage.descriptor import Descriptor
from storage.durable import disk_errors
from storage.errors import AlteredSegmentError, OutOfSpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_FRAME = 256 * 2**20
"""Bytes of one frame."""
_LENGTH, _TAG = 4, 16


def new_frame_file(directory: Path) -> tuple[int, bytes]:
    """Make a file without a name in *directory*; return a descriptor of it, and the key for its frames.

    Raises:
        OutOfSpaceError, StoreUnavailableError: the disk is full or fails.
    """
    with disk_errors("making a temporary file"):
        fd, path = tempfile.mkstemp(prefix=".frames-", dir=directory)
        os.unlink(path)  # noqa: PTH108 - mkstemp gives a string, and its name must be gone at once
    return fd, AESGCM.generate_key(256)


class FrameWriter:
    """Appends frames. One process does so, once: under a key no place is written twice."""

    def __init__(self, fd: int, key: bytes, *, limit: int) -> None:
        """Write to the empty file behind *fd*, which it owns from now on, up to *limit* bytes."""
        self._file = Descriptor(fd)
        self._aead = AESGCM(key)
        self._limit = limit
        self._failed = False
        self.end = 0
        """Where the next frame begins."""

    def append(self, data: bytes) -> None:
        """Append a frame.

        Raises:
            OutOfSpaceError: the limit is reached or the disk is full; nothing can be appended any more.
        """
        if self._failed or len(data) > MAX_FRAME or self.end + len(data) + _LENGTH + _TAG > self._limit:
            self._failed = True
            raise OutOfSpaceError("there is no room for more frames")
        place = self.end.to_bytes(12, "big")
        frame = len(data).to_bytes(_LENGTH, "big") + self._aead.encrypt(place, data, place)
        try:
            with disk_errors("writing temporary data"):
                self._file.pwrite(frame, self.end)
        except BaseException:
            self._failed = True
            raise
        self.end += len(frame)


class FrameReader:
    """Reads frames. For one thread."""

    def __init__(self, fd: int, key: bytes) -> None:
        """Read from the file behind *fd*, which it owns from now on."""
        self._file = Descriptor(fd)
        self._aead = AESGCM(key)

    def frames(self, end: int) -> Iterator[bytes]:
        """Give the frames before byte *end*, in order.

        Raises:
            AlteredSegmentError: one was altered.
        """
        at = 0
        while at < end:
            data = self.read(at)
            at += _LENGTH + len(data) + _TAG
            yield data

    def read(self, at: int) -> bytes:
        """Give the frame at byte *at*.

        Raises:
            AlteredSegmentError: there is none, or it was altered.
        """
        place = at.to_bytes(12, "big")
        with disk_errors("reading temporary data"):
            length = int.from_bytes(self._file.pread(_LENGTH, at), "big")
            if length > MAX_FRAME:
                raise AlteredSegmentError("temporary data were altered")
            sealed = self._file.pread(length + _TAG, at + _LENGTH)
        try:
            return self._aead.decrypt(place, sealed, place)
        except InvalidTag as error:
            raise AlteredSegmentError("temporary data were altered") from error
