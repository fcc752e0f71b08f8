"""Tell what bytes are by what stands in them, never by a name."""

from __future__ import annotations

import re
import zlib
from enum import Enum

from scrubber.closed import UNKNOWN, Closed, closed, closed_binary, closed_pgp
from scrubber.ebcdic import tell_ebcdic

HEAD = 64 << 10


class Kind(Enum):
    """What a member is, for the walker."""

    EMPTY = "empty"
    TEXT = "text"
    UTF16_LE = "utf-16-le"
    UTF16_BE = "utf-16-be"
    UTF32_LE = "utf-32-le"
    UTF32_BE = "utf-32-be"
    EBCDIC = "ebcdic"
    EBCDIC_LF = "ebcdic-lf"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    LZMA = "lzma"
    ZSTD = "zstd"
    TAR = "tar"
    CPIO = "cpio"
    AR = "ar"
    ZIP = "zip"
    SEVEN_ZIP = "7z"
    SQLITE = "sqlite"
    SQLITE_LOG = "sqlite-log"
    EVENT_LOG = "evtx"
    HIVE = "hive"
    JOURNAL = "journal"
    PCAP = "pcap"
    PCAPNG = "pcapng"
    PNG = "png"
    JPEG = "jpeg"
    GIF = "gif"
    WEBP = "webp"
    BMP = "bmp"
    ICON = "icon"
    FONT = "font"
    PUBLIC = "public"  # certificates and public keys in binary
    BINARY = "binary"  # not compressed as a whole: looked into without changing any length
    DUMP = "dump"  # a format that is known to be scannable, whatever its entropy in places
    OPAQUE = "opaque"


_MAGIC: tuple[tuple[bytes, int, Kind], ...] = (
    (b"\x1f\x8b\x08", 0, Kind.GZIP),
    (b"\xfd7zXZ\0", 0, Kind.XZ),
    (b"\x28\xb5\x2f\xfd", 0, Kind.ZSTD),
    (b"PK\x03\x04", 0, Kind.ZIP),
    (b"PK\x05\x06", 0, Kind.ZIP),
    (b"PK\x07\x08", 0, Kind.ZIP),
    (b"7z\xbc\xaf\x27\x1c", 0, Kind.SEVEN_ZIP),
    (b"070701", 0, Kind.CPIO),
    (b"070702", 0, Kind.CPIO),
    (b"!<arch>\n", 0, Kind.AR),
    (b"SQLite format 3\0", 0, Kind.SQLITE),
    (b"\x37\x7f\x06\x82\x00\x2d\xe2\x18", 0, Kind.SQLITE_LOG),  # write-ahead log
    (b"\x37\x7f\x06\x83\x00\x2d\xe2\x18", 0, Kind.SQLITE_LOG),
    (b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7", 0, Kind.SQLITE_LOG),  # rollback journal
    (b"\xd4\xc3\xb2\xa1", 0, Kind.PCAP),
    (b"\xa1\xb2\xc3\xd4", 0, Kind.PCAP),
    (b"\x4d\x3c\xb2\xa1", 0, Kind.PCAP),
    (b"\xa1\xb2\x3c\x4d", 0, Kind.PCAP),
    (b"\x0a\x0d\x0d\x0a", 0, Kind.PCAPNG),
    (b"\x89PNG\r\n\x1a\n", 0, Kind.PNG),
    (b"\xff\xd8\xff", 0, Kind.JPEG),
    (b"GIF87a", 0, Kind.GIF),
    (b"GIF89a", 0, Kind.GIF),
    (b"WEBPVP8", 8, Kind.WEBP),
    (b"wOFF", 0, Kind.FONT),
    (b"wOF2", 0, Kind.FONT),
    (b"\x7fELF", 0, Kind.DUMP),
    (b"JAVA PROFILE 1.0", 0, Kind.DUMP),  # hprof
    (b"MDMP\x93\xa7", 0, Kind.DUMP),  # Windows minidump
    (b"PAGEDUMP", 0, Kind.DUMP),  # Windows kernel dumps
    (b"PAGEDU64", 0, Kind.DUMP),
    (b"ElfFile\0", 0, Kind.EVENT_LOG),
    (b"regf", 0, Kind.HIVE),
    (b"LPKSHHRH", 0, Kind.JOURNAL),
    (b"\xca\xfe\xba\xbe\0", 0, Kind.DUMP),  # Java class, Mach-O for several processors
    (b"\xcf\xfa\xed\xfe", 0, Kind.DUMP),  # Mach-O
    (b"\xce\xfa\xed\xfe", 0, Kind.DUMP),
    (b"\0asm\1\0\0\0", 0, Kind.DUMP),
    (b"dex\n0", 0, Kind.DUMP),
    (b"FLR\0", 0, Kind.DUMP),  # Java flight recording
    (b"KBXf", 8, Kind.PUBLIC),  # GnuPG's box of public keys
)
_BMP = re.compile(rb"BM....\0\0\0\0....[\x0c\x28\x34\x38\x6c\x7c]\0\0\0", re.DOTALL)
_ICON = re.compile(rb"\0\0[\1\2]\0[\x01-\x40]\0...[\0\1].[\0-\x40]", re.DOTALL)
_FONT = re.compile(rb"(?:\0\x01\0\0|true|OTTO)\0[\x04-\x40].{6}[A-Za-z0-9/ ]{4}", re.DOTALL)  # OpenType, TrueType
_LZMA = re.compile(
    rb"[\x5d\x5e\x6c\x66\x48]\0\0(?:[\x01-\x80]\0|\0[\1-\x08]|\0\0)(?:\xff{8}|.{4}[\0-\xff]\0\0\0)\0", re.DOTALL
)
_PORTABLE = re.compile(rb"MZ.{58}(.{4})", re.DOTALL)
_CERTIFICATE = re.compile(
    rb"\x30(?:\x82..|\x81.|\x83...)(?:"
    rb"\x30(?:\x82..|\x81.|\x83...)(?:\xa0\x03\x02\x01[\0-\2]\x02|\x02\x01[\0\1]\x30)|"  # certificate, request, CRL
    rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02|"  # signed data (PKCS #7)
    rb"\x30[\x0d\x13\x10\x14]\x06[\x07\x09]|"  # public key (SubjectPublicKeyInfo)
    rb"\x02[\x14\x10\x81\x82])",  # parameters of a group
    re.DOTALL,
)
_PGP_PUBLIC = re.compile(rb"(?:\x98.|\x99..|\x9a....|\xc6(?:[\0-\xbf]|[\xc0-\xdf].|\xff....))[\x03\x04\x06]", re.DOTALL)

_PATTERNS = (
    (_BMP, Kind.BMP),
    (_ICON, Kind.ICON),
    (_FONT, Kind.FONT),
    (_LZMA, Kind.LZMA),
    (_CERTIFICATE, Kind.PUBLIC),
    (_PGP_PUBLIC, Kind.PUBLIC),
)

_TEXT_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\x08\x0b\x0c\x1b\0") + b"\x7f"
_PLAIN = bytes(range(32, 127)) + b"\0"
_PRINTABLE_16 = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){4,}")
_PRINTABLE_16_BE = re.compile(rb"(?:\x00[\x09\x0a\x0d\x20-\x7e]){4,}")
_PRINTABLE_32 = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00\x00\x00){4,}")
_PRINTABLE_32_BE = re.compile(rb"(?:\x00\x00\x00[\x09\x0a\x0d\x20-\x7e]){4,}")


def sniff(head: bytes) -> tuple[Kind, Closed]:
    """Give the kind of what begins with *head* (up to `HEAD` bytes), and for `OPAQUE` why, for the sender."""
    if not head:
        return Kind.EMPTY, UNKNOWN
    for magic, offset, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind, UNKNOWN
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return Kind.BZIP2, UNKNOWN
    if is_tar_header(head[:512]):
        return Kind.TAR, UNKNOWN
    if why := closed(head):
        return Kind.OPAQUE, why
    return _by_content(head)


def _by_content(head: bytes) -> tuple[Kind, Closed]:
    kind = _wide(head)
    if kind is None and (page := tell_ebcdic(head)) is not None:
        kind = Kind(page)
    if kind is None and looks_like_text(head):
        kind = Kind.TEXT
    if kind is not None:
        return kind, UNKNOWN
    if why := closed_binary(head):
        return Kind.OPAQUE, why
    kind = _binary(head)
    if kind is not None:
        return kind, UNKNOWN
    if high_entropy(head):
        return Kind.OPAQUE, closed_pgp(head) or UNKNOWN
    return Kind.BINARY, UNKNOWN


def _wide(head: bytes) -> Kind | None:
    if head[:4] == b"\xff\xfe\0\0" or (head[1:4] == b"\0\0\0" and _share(_PRINTABLE_32, head) > 0.7):
        return Kind.UTF32_LE
    if head[:4] == b"\0\0\xfe\xff" or (head[:3] == b"\0\0\0" and _share(_PRINTABLE_32_BE, head) > 0.7):
        return Kind.UTF32_BE
    if head[:2] == b"\xff\xfe" or (head[1:8:2] == b"\0\0\0\0" and _share(_PRINTABLE_16, head) > 0.7):
        return Kind.UTF16_LE
    if head[:2] == b"\xfe\xff" or (head[0:8:2] == b"\0\0\0\0" and _share(_PRINTABLE_16_BE, head) > 0.7):
        return Kind.UTF16_BE
    return None


def _binary(head: bytes) -> Kind | None:
    for pattern, kind in _PATTERNS:
        if pattern.match(head):
            return kind
    portable = _PORTABLE.match(head)
    if portable and head.startswith(b"PE\0\0", int.from_bytes(portable[1], "little")):
        return Kind.DUMP
    return None


def _share(pattern: re.Pattern[bytes], data: bytes) -> float:
    return sum(len(match[0]) for match in pattern.finditer(data)) / len(data)


def looks_like_text(data: bytes) -> bool:
    """Say whether *data* is text in UTF-8 or a one-byte encoding: few controls, few NULs, few stray high bytes."""
    size = len(data)
    controls = size - len(data.translate(None, _TEXT_CONTROLS))
    nuls = data.count(0)
    if controls * 50 > size or nuls * 20 > size or (size < 256 and nuls + controls > size // 16):
        return False
    if data.isascii():
        return True
    high = size - len(data.translate(None, bytes(range(128, 256))))
    return high * 3 < size or _is_utf8(data) or _is_multibyte(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4
    return True


_SPACED = 32
"""Bytes from which on what has blanks and not one control is text: chance has a control in every tenth byte."""


def _is_multibyte(data: bytes) -> bool:
    """Say whether *data* is valid in one of the East Asian encodings, or in a one-byte one whose letters are high."""
    if _TEXT_CONTROLS and any(c in data for c in _TEXT_CONTROLS):
        return False
    for encoding in ("gb18030", "shift_jis", "euc_jp", "euc_kr", "big5"):
        try:
            data.decode(encoding)
        except UnicodeDecodeError as error:
            if error.start <= len(data) - 4:
                continue
        return True
    letters = len(data) - len(data.translate(None, bytes(range(0xC0, 0x100)) + b"\xa3\xb3\xa8\xb8 \n"))
    if letters * 10 > len(data) * 8:  # Cyrillic, Greek and the like
        return True
    return len(data) >= _SPACED and (data.count(b" ") + data.count(b"\n")) * 25 > len(data)  # the same as DOS had it


def binary_within(block: bytes) -> bool:
    """Say whether some 4 KiB of *block* are compressed or encrypted: a payload behind a text's beginning."""
    if block.isascii():
        return False
    for at in range(0, len(block), 4096):
        window = block[at : at + 4096]
        if len(window) < 256 or window.isascii():
            continue
        controls = len(window) - len(window.translate(None, _TEXT_CONTROLS))
        if controls * 20 > len(window) and high_entropy(window):
            return True
    return False


def high_entropy(data: bytes) -> bool:
    """Say whether *data* hardly shrinks any more, as compressed and encrypted data do."""
    sample = data[:HEAD]
    if len(sample) < 64 or len(zlib.compress(sample, 1)) <= 0.92 * len(sample):
        return False
    return len(sample) >= 512 or len(sample.translate(None, _PLAIN)) > 0.45 * len(sample)


def entropy_within(block: bytes) -> bool:
    """Say whether one of a few places of *block* is of high entropy."""
    step = max(len(block) // 4, 1 << 14)
    return any(high_entropy(block[at : at + (1 << 14)]) for at in range(0, len(block) - 63, step))


def is_tar_header(block: bytes) -> bool:
    """Say whether *block* is a tar header with a right checksum (POSIX.1-1988 ustar, also older)."""
    if len(block) < 512 or block[0] == 0:
        return False
    field = block[148:156].strip(b" \0")
    if not re.fullmatch(rb"[0-7]{1,7}", field):
        return False
    rest = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    return int(field, 8) == rest
