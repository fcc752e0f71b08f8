"""The records of a landing log, byte by byte.

    log header        8 bytes   6d 66 74 20 6c 61 6e 64 ("mft land")
                      1 byte    version 01
                      7 bytes   00
                     16 bytes   key check
    record            again and again, each:
      kind            1 byte    1 data, 2 truncation
      reserved        3 bytes   00 00 00
      length          4 bytes   of the plaintext; 0 for a truncation
      number          8 bytes   0, 1, 2 … without a gap
      offset          8 bytes   where the data belong in the file, or the new size
      synced          8 bytes   how many records were on the disk for certain when this one was written
      header check   16 bytes   HMAC-SHA256 of the associated data, its first 16 bytes
      nonce          12 bytes   random
      sealed         length + 16 bytes: AES-256-GCM under the upload's key

Numbers are big-endian. Associated data are the log's header, the record's first 32 bytes and the upload's id (UTF-8).
HKDF-SHA256 of the key, without salt, info "mft landing check v1" and the upload's id, gives 48 bytes: the key check
(it keeps a wrong key from being taken for a torn log), and the key of the header checks (they let a replay trust where
records say that they belong without opening all of them). Later records win over earlier ones. Nonces are random
because a torn record's number is used again; the key is of this one upload, so that 96 bits are plenty.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import os
import struct
import threading
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from storage.errors import AlteredRecordError

SEGMENT_BYTES = 256 * 1024
"""Most plaintext bytes that one record holds."""
_MAGIC = b"mft land\x01" + bytes(7)
_CHECK_BYTES = 16
_BLOCK_BYTES = 64
"""Of SHA-256."""
_CHECK_LABEL = b"mft landing check v1"
LOG_HEADER_BYTES = len(_MAGIC) + _CHECK_BYTES
_CLEAR = struct.Struct(">B3xIQQQ")
_NONCE_BYTES = 12
TAG_BYTES = 16
_NONCE_START = _CLEAR.size + _CHECK_BYTES
HEADER_BYTES = _NONCE_START + _NONCE_BYTES
"""Bytes of a record before the sealed ones."""
MAX_RECORD_BYTES = HEADER_BYTES + SEGMENT_BYTES + TAG_BYTES
MAX_RECORDS = (1 << 32) - 1
MAX_OFFSET = 1 << 62
"""Where a file cannot end: beyond any disk, and sums stay below 2**63."""


class Kind(enum.IntEnum):
    """What a record does."""

    DATA = 1
    TRUNCATION = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordHeader:
    """What a record says of itself in clear."""

    kind: Kind
    length: int
    number: int
    offset: int
    synced: int

    @property
    def record_bytes(self) -> int:
        """Bytes of the whole record in the log."""
        return HEADER_BYTES + self.length + TAG_BYTES


def _parse(data: bytes | memoryview) -> RecordHeader | None:
    if len(data) < HEADER_BYTES:
        return None
    kind, length, number, offset, synced = _CLEAR.unpack_from(data)
    if bytes(data[1:4]) != b"\0\0\0" or length > SEGMENT_BYTES or offset + length > MAX_OFFSET:
        return None
    if not (kind == Kind.DATA and length) and not (kind == Kind.TRUNCATION and not length):
        return None
    return RecordHeader(kind=Kind(kind), length=length, number=number, offset=offset, synced=synced)


class _Scratch(threading.local):
    """Where the threads seal, one record each."""

    record = memoryview(b"")


_SCRATCH = _Scratch()


class RecordCipher:
    """Seal and open the records of one upload. May be called from several threads."""

    def __init__(self, upload_id: str, key: bytes) -> None:
        """Use *key*, which is of this upload alone (32 bytes)."""
        bound = upload_id.encode()
        derived = HKDF(SHA256(), length=_CHECK_BYTES + 32, salt=None, info=_CHECK_LABEL + bound).derive(key)
        self.log_header = _MAGIC + derived[:_CHECK_BYTES]
        check_key = derived[_CHECK_BYTES:].ljust(_BLOCK_BYTES, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in check_key))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in check_key))
        self._aead = AESGCM(key)
        self._bound = bound

    def seal(self, header: RecordHeader, plain: bytes | memoryview) -> memoryview:
        """Return the record of *plain*, in memory that the next call on this thread uses again, for any upload."""
        if len(_SCRATCH.record) < header.record_bytes:
            _SCRATCH.record = memoryview(bytearray(MAX_RECORD_BYTES))
        record = _SCRATCH.record[: header.record_bytes]
        _CLEAR.pack_into(record, 0, header.kind, header.length, header.number, header.offset, header.synced)
        nonce = os.urandom(_NONCE_BYTES)
        associated = self._associated(record)
        record[_CLEAR.size : _NONCE_START] = self._check(associated)
        record[_NONCE_START:HEADER_BYTES] = nonce
        self._aead.encrypt_into(nonce, plain, associated, record[HEADER_BYTES:])
        return record

    def parse_header(self, data: bytes | memoryview) -> RecordHeader | None:
        """Return what the header at the start of *data* says; None if it is not a genuine one of this upload."""
        header = _parse(data)
        if header is None:
            return None
        view = memoryview(data)
        check = self._check(self._associated(view))
        return header if hmac.compare_digest(check, view[_CLEAR.size : _NONCE_START]) else None

    def open(self, record: bytes | memoryview) -> bytes:
        """Return the plaintext of one whole record.

        Raises:
            AlteredRecordError: it was altered, or is another upload's.
        """
        view = memoryview(record)
        nonce = bytes(view[_NONCE_START:HEADER_BYTES])
        try:
            return self._aead.decrypt(nonce, view[HEADER_BYTES:], self._associated(view))
        except InvalidTag as error:
            raise AlteredRecordError("a landing record was altered") from error

    def _check(self, associated: bytes) -> bytes:
        """Return the beginning of HMAC-SHA256 (RFC 2104) of *associated*, from the two states that its key leads to.

        `hmac.digest` looks the algorithm up each time, and lets other threads run meanwhile: three times the cost.
        """
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(associated)
        outer.update(inner.digest())
        return outer.digest()[:_CHECK_BYTES]

    def _associated(self, record: memoryview) -> bytes:
        return self.log_header + bytes(record[: _CLEAR.size]) + self._bound
