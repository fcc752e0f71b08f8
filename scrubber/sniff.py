"""Tell what bytes are by what stands in them, never by a name."""

from __future__ import annotations

import re
import zlib
from enum import Enum

HEAD = 64 << 10


class Kind(Enum):
    """What a member is, for the walker."""

    EMPTY = "empty"
    TEXT = "text"
    UTF16_LE = "utf-16-le"
    UTF16_BE = "utf-16-be"
    GZIP = "gzip"
    BZIP2 = "bzip2"
    XZ = "xz"
    TAR = "tar"
    ZIP = "zip"
    BINARY = "binary"  # known and not compressed: looked into without changing any length
    OPAQUE = "opaque"


_CLOSED: tuple[tuple[bytes, int, str], ...] = (
    (b"7z\xbc\xaf\x27\x1c", 0, "7-Zip archives cannot be looked into yet; send it as .zip or .tar.gz"),
    (b"Rar!\x1a\x07", 0, "RAR archives cannot be looked into; send it as .zip or .tar.gz"),
    (b"\x28\xb5\x2f\xfd", 0, "Zstandard files cannot be looked into yet; send it as .gz"),
    (b"\x04\x22\x4d\x18", 0, "LZ4 files cannot be looked into; send it as .gz"),
    (b"\x1f\x9d", 0, "compress (.Z) files cannot be looked into; send it as .gz"),
    (b"LZIP", 0, "lzip files cannot be looked into; send it as .gz"),
    (b"\x89LZO", 0, "lzop files cannot be looked into; send it as .gz"),
    (b"\xff\x06\x00\x00sNaPpY", 0, "Snappy files cannot be looked into; send it as .gz"),
    (b"MSCF", 0, "cabinet files cannot be looked into; send it as .zip"),
    (b"!<arch>\n", 0, "ar archives and Debian packages cannot be looked into"),
    (b"\xed\xab\xee\xdb", 0, "RPM packages cannot be looked into"),
    (b"hsqs", 0, "file system images cannot be looked into"),
    (b"070701", 0, "cpio archives cannot be looked into; send it as .tar.gz"),
    (b"070702", 0, "cpio archives cannot be looked into; send it as .tar.gz"),
    (b"LUKS\xba\xbe", 0, "this is an encrypted volume (LUKS)"),
    (b"-FVE-FS-", 3, "this is an encrypted volume (BitLocker)"),
    (b"\xfe\xed\xfe\xed", 0, "this is a Java key store"),
    (b"\xce\xce\xce\xce", 0, "this is a Java key store (JCEKS)"),
    (b"age-encryption.org/", 0, "this is encrypted (age)"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", 0, "this is encrypted (age)"),
    (b"-----BEGIN PGP MESSAGE-----", 0, "this is encrypted (PGP)"),
    (b"Salted__", 0, "this is encrypted (OpenSSL)"),
    (b"\x03\xd9\xa2\x9a", 0, "this is a KeePass key store"),
    (b"$ANSIBLE_VAULT;", 0, "this is encrypted (Ansible Vault)"),
    (b"\x89PNG\r\n\x1a\n", 0, "pictures cannot be looked into"),
    (b"\xff\xd8\xff", 0, "pictures cannot be looked into"),
    (b"GIF87a", 0, "pictures cannot be looked into"),
    (b"GIF89a", 0, "pictures cannot be looked into"),
    (b"II*\x00", 0, "pictures cannot be looked into"),
    (b"MM\x00*", 0, "pictures cannot be looked into"),
    (b"%PDF-", 0, "PDF files cannot be looked into; send the text"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", 0, "old Office files cannot be looked into; save it as text"),
    (b"\xd4\xc3\xb2\xa1", 0, "packet captures cannot be looked into yet; send the text that tcpdump or tshark prints"),
    (b"\xa1\xb2\xc3\xd4", 0, "packet captures cannot be looked into yet; send the text that tcpdump or tshark prints"),
    (b"\x4d\x3c\xb2\xa1", 0, "packet captures cannot be looked into yet; send the text that tcpdump or tshark prints"),
    (b"\xa1\xb2\x3c\x4d", 0, "packet captures cannot be looked into yet; send the text that tcpdump or tshark prints"),
    (b"\x0a\x0d\x0d\x0a", 0, "packet captures cannot be looked into yet; send the text that tcpdump or tshark prints"),
    (b"conectix", 0, "disk images cannot be looked into"),
    (b"KDMV", 0, "disk images cannot be looked into"),
    (b"QFI\xfb", 0, "disk images cannot be looked into"),
    (b"ID3", 0, "sound and video cannot be looked into"),
    (b"OggS", 0, "sound and video cannot be looked into"),
    (b"ftyp", 4, "sound and video cannot be looked into"),
    (b"WEBP", 8, "pictures cannot be looked into"),
    (b"wOF2", 0, "fonts cannot be looked into"),
)
_OPEN = (b"SQLite format 3\0", b"\x7fELF", b"JAVA PROFILE 1.0", b"ElfFile\0", b"regf")
_P12 = re.compile(rb"\x30(?:\x82..|\x83...|\x84....|\x80|\x81.|[\x10-\x7f])\x02\x01\x03\x30", re.DOTALL)
_DER_KEY = re.compile(
    rb"\x30(?:\x82..|\x81.|[\x20-\x7f])\x02\x01[\x00\x01](?:\x30[\x05-\x20]\x06|\x02\x82|\x02\x81|\x04[\x20-\x42])",
    re.DOTALL,
)
_PGP_BINARY = re.compile(
    rb"(?:[\x84\x85\x8c]..?\x03|\xc1[\x40-\xff]..?[\x03\x06]|[\x94\x95]..\x04|\xc5..?[\x04\x06])", re.DOTALL
)

_TEXT_CONTROLS = bytes(c for c in range(32) if c not in b"\t\n\r\x08\x0b\x0c\x1b\0") + b"\x7f"
_PRINTABLE_16 = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]\x00){4,}")
_PRINTABLE_16_BE = re.compile(rb"(?:\x00[\x09\x0a\x0d\x20-\x7e]){4,}")


def sniff(head: bytes) -> tuple[Kind, str]:  # noqa: PLR0911 - a table
    """Give the kind of what begins with *head* (up to `HEAD` bytes), and for `OPAQUE` the reason for the sender."""
    if not head:
        return Kind.EMPTY, ""
    if head[:3] == b"\x1f\x8b\x08":
        return Kind.GZIP, ""
    if head[:3] == b"BZh" and head[4:10] in (b"1AY&SY", b"\x17rE8P\x90"):
        return Kind.BZIP2, ""
    if head[:6] == b"\xfd7zXZ\0":
        return Kind.XZ, ""
    if head[:4] in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08"):
        return Kind.ZIP, ""
    if is_tar_header(head[:512]):
        return Kind.TAR, ""
    for magic, offset, reason in _CLOSED:
        if head.startswith(magic, offset):
            return Kind.OPAQUE, reason
    if head.startswith(_OPEN):
        return Kind.BINARY, ""
    return _by_content(head)


def _by_content(head: bytes) -> tuple[Kind, str]:  # noqa: PLR0911 - a table
    if head[:2] == b"\xff\xfe" or (head[1:8:2] == b"\0\0\0\0" and _share(_PRINTABLE_16, head) > 0.7):
        return Kind.UTF16_LE, ""
    if head[:2] == b"\xfe\xff" or (head[0:8:2] == b"\0\0\0\0" and _share(_PRINTABLE_16_BE, head) > 0.7):
        return Kind.UTF16_BE, ""
    if looks_like_text(head):
        return Kind.TEXT, ""
    if _P12.match(head):
        return Kind.OPAQUE, "this is a key store (PKCS #12)"
    if _DER_KEY.match(head):
        return Kind.OPAQUE, "this is a private key (DER)"
    if _PGP_BINARY.match(head) and high_entropy(head):
        return Kind.OPAQUE, "this is encrypted or a key (PGP)"
    if high_entropy(head):
        return Kind.OPAQUE, "this is binary data of an unknown kind, compressed or encrypted"
    return Kind.BINARY, ""


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
    return high * 3 < size or _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return error.start > len(data) - 4
    return True


def binary_within(block: bytes) -> bool:
    """Say whether some 4 KiB of *block* are compressed or encrypted: a payload behind a text's beginning."""
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
    return len(sample) >= 64 and len(zlib.compress(sample, 1)) > 0.92 * len(sample)


def is_tar_header(block: bytes) -> bool:
    """Say whether *block* is a tar header with a right checksum (POSIX.1-1988 ustar, also older)."""
    if len(block) < 512 or block[0] == 0:
        return False
    field = block[148:156].strip(b" \0")
    if not re.fullmatch(rb"[0-7]{1,7}", field):
        return False
    rest = sum(block[:148]) + 8 * 0x20 + sum(block[156:])
    return int(field, 8) == rest
