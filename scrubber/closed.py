"""What is closed to the scrubber: beginnings of what is encrypted, holds keys, or is packed as nothing here reads.

Each has the reason for the report, and what its sender can do instead. The beginnings are from the formats' own
specifications and from `file`'s documentation of them.
"""

from __future__ import annotations

import re
import zlib
from typing import NamedTuple


class Closed(NamedTuple):
    """Why something cannot be looked into, and what its sender can do."""

    reason: str
    advice: str


REPACK = "pack it as .tar.gz or .zip and send it again"
DECRYPT = "decrypt it and send the content; the scrubber removes secrets before anyone reads it"
OPEN_ARCHIVE = "send it without a password, or give its password along with it"
LEAVE_OUT = "leave it out: support never needs a private key; what it holds can be listed as text (keytool -list)"
AS_TEXT = "send what it says as text"
WHOLE = "it may have been cut off or altered on its way: make it anew, test it, and send it again"
UNKNOWN = Closed(
    "this is binary data of an unknown kind, compressed or encrypted",
    "send it in a form that can be read, such as text or .tar.gz; if it is encrypted, decrypt it first",
)

_TEXTUAL_DUMP = "open it with the tool that made it, and send the text that the tool prints"

_BEGINNINGS: tuple[tuple[bytes, int, str, str], ...] = (
    (b"Rar!\x1a\x07", 0, "RAR archives cannot be looked into", REPACK),
    (b"\x04\x22\x4d\x18", 0, "LZ4 files cannot be looked into", "unpack it (lz4 -d), or send it as .gz or .zst"),
    (b"\x02\x21\x4c\x18", 0, "LZ4 files cannot be looked into", "unpack it (lz4 -d), or send it as .gz or .zst"),
    (b"\x1f\x9d", 0, "compress (.Z) files cannot be looked into", "unpack it (uncompress), or send it as .gz"),
    (b"\x1f\xa0", 0, "compress (.Z) files cannot be looked into", "unpack it, or send it as .gz"),
    (b"LZIP", 0, "lzip files cannot be looked into", "unpack it (lzip -d), or send it as .gz or .xz"),
    (b"\x89LZO\0\r\n", 0, "lzop files cannot be looked into", "unpack it (lzop -d), or send it as .gz"),
    (b"\xff\x06\x00\x00sNaPpY", 0, "Snappy files cannot be looked into", "unpack it, or send it as .gz"),
    (b"MSCF\0\0\0\0", 0, "cabinet files cannot be looked into", "unpack it (expand, cabextract) and send it as .zip"),
    (b"\xed\xab\xee\xdb", 0, "RPM packages cannot be looked into", "name the package and its version instead"),
    (b"hsqs", 0, "file system images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"sqsh", 0, "file system images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"MSWIM\0\0\0", 0, "file system images cannot be looked into", "send the files that matter as .zip"),
    (b"LUKS\xba\xbe", 0, "this is an encrypted volume (LUKS)", "open the volume and send the files that matter"),
    (b"-FVE-FS-", 3, "this is an encrypted volume (BitLocker)", "unlock the volume and send the files that matter"),
    (b"\xfe\xed\xfe\xed\0\0\0", 0, "this is a Java key store", LEAVE_OUT),
    (b"\xce\xce\xce\xce\0\0\0", 0, "this is a Java key store (JCEKS)", LEAVE_OUT),
    (b"\xe3\x0e\x0c\x0b", 0, "this is a Java key store (BKS)", LEAVE_OUT),
    (b"\x03\xd9\xa2\x9a", 0, "this is a key store (KeePass)", LEAVE_OUT),
    (b"PWS3", 0, "this is a key store (Password Safe)", LEAVE_OUT),
    (b"age-encryption.org/", 0, "this is encrypted (age)", DECRYPT),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", 0, "this is encrypted (age)", DECRYPT),
    (b"-----BEGIN PGP MESSAGE-----", 0, "this is encrypted (PGP)", DECRYPT),
    (b"Salted__", 0, "this is encrypted (OpenSSL)", DECRYPT),
    (b"U2FsdGVkX1", 0, "this is encrypted (OpenSSL)", DECRYPT),
    (b"$ANSIBLE_VAULT;", 0, "this is encrypted (Ansible Vault)", DECRYPT),
    (b"\0GITCRYPT\0", 0, "this is encrypted (git-crypt)", DECRYPT),
    (b"SSH PRIVATE KEY FILE FORMAT 1.1\n", 0, "this is a private key (SSH 1)", LEAVE_OUT),
    (b"II*\x00", 0, "pictures of this kind (TIFF) cannot be looked into", "save it as PNG or JPEG and send that"),
    (b"MM\x00*", 0, "pictures of this kind (TIFF) cannot be looked into", "save it as PNG or JPEG and send that"),
    (b"8BPS", 0, "pictures of this kind (PSD) cannot be looked into", "save it as PNG or JPEG and send that"),
    (b"%PDF-", 0, "PDF files cannot be looked into", "send the text in it (pdftotext), or pictures of the pages"),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        0,
        "old Office files, mails and installers (OLE) cannot be looked into",
        "save it in a newer format (.docx, .xlsx, .eml) or as text",
    ),
    (b"conectix", 0, "disk images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"vhdxfile", 0, "disk images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"KDMV", 0, "disk images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"QFI\xfb", 0, "disk images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"CD001", 0x8001, "disk images cannot be looked into", "send the files that matter as .tar.gz"),
    (b"EMiL", 0, "makedumpfile's flattened dumps cannot be looked into", _TEXTUAL_DUMP),
    (
        b"KDUMP   ",
        0,
        "compressed kernel dumps cannot be looked into",
        "send vmcore-dmesg.txt, or makedumpfile -E's ELF",
    ),
    (
        b"DISKDUMP",
        0,
        "compressed kernel dumps cannot be looked into",
        "send vmcore-dmesg.txt, or makedumpfile -E's ELF",
    ),
    (b"ID3", 0, "sound and video cannot be looked into", "send pictures of the screen"),
    (b"OggS", 0, "sound and video cannot be looked into", "send pictures of the screen"),
    (b"fLaC", 0, "sound and video cannot be looked into", "send pictures of the screen"),
    (b"\x1aE\xdf\xa3", 0, "sound and video cannot be looked into", "send pictures of the screen"),
    *(
        (b"ftyp" + brand, 4, "pictures of this kind (HEIC, AVIF) cannot be looked into", "save it as PNG or JPEG")
        for brand in (b"heic", b"heix", b"hevc", b"mif1", b"msf1", b"avif", b"avis")
    ),
    (b"DICM", 128, "medical pictures (DICOM) cannot be looked into", "save what they show as PNG, without the names"),
    (b"ftyp", 4, "sound and video cannot be looked into", "send pictures of the screen"),
    (b"AVI ", 8, "sound and video cannot be looked into", "send pictures of the screen"),
    (b"PAR1", 0, "Parquet files cannot be looked into", "send it as CSV or JSON"),
    (b"Obj\x01", 0, "Avro files cannot be looked into", "send it as JSON"),
)

_P12 = re.compile(rb"\x30(?:\x82..|\x83...|\x84....|\x80|\x81.|[\x10-\x7f])\x02\x01\x03\x30", re.DOTALL)
_BCFKS = re.compile(
    rb"\x30(?:\x82..|\x83...|\x84....)\x30(?:\x82..|\x83...|\x84....)\x30.\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05\x0d",
    re.DOTALL,
)
_DER_KEY = re.compile(
    rb"\x30(?:\x82..|\x81.|[\x20-\x7f])\x02\x01[\x00\x01](?:\x30[\x05-\x20]\x06|\x02\x82|\x02\x81|\x04[\x20-\x42])",
    re.DOTALL,
)
_ENCRYPTED_DER_KEY = re.compile(
    rb"\x30(?:\x82..|\x81.|[\x20-\x7f])\x30[\x10-\x7f]\x06[\x09\x0a]\x2a\x86\x48\x86\xf7\x0d\x01(?:\x05|\x0c\x01)",
    re.DOTALL,
)
_ENVELOPED = re.compile(
    rb"\x30(?:\x82..|\x83...|\x84....|\x80)\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07[\x03\x06]", re.DOTALL
)
_ENVELOPED_TEXT = re.compile(
    rb"-----BEGIN (?:PKCS7|CMS)-----\s+(?:MI[A-Za-z0-9+/]{3,4}YJKoZIhvcNAQc[DG]|MIAGCSqGSIb3DQEHA6)"
)
_PGP_MESSAGE = re.compile(
    rb"(?:[\x84\x85\x8c]..?\x03|\xc1[\x40-\xff]..?[\x03\x06]|[\x8c\xc3][\x04-\x60][\x04\x05][\x01-\x0d])", re.DOTALL
)
_PGP_SECRET = re.compile(rb"(?:[\x94\x95\x96]..\x04|[\x94\x95]..?[\x04\x06]|\xc5..?[\x04\x06])", re.DOTALL)


def closed(head: bytes) -> Closed | None:
    """Say why what begins with *head* is closed, None where it is not known to be."""
    for magic, offset, reason, advice in _BEGINNINGS:
        if head.startswith(magic, offset):
            return Closed(reason, advice)
    if _ENVELOPED_TEXT.match(head):
        return Closed("this is encrypted (PKCS #7)", DECRYPT)
    return None


def closed_binary(head: bytes) -> Closed | None:  # noqa: PLR0911 - a list of formats
    """Say the same of binary formats whose beginnings are short: text was ruled out before."""
    if _is_broken_seven(head):
        return Closed("this is a 7z archive whose beginning is damaged", WHOLE)
    if _P12.match(head):
        return Closed("this is a key store (PKCS #12)", LEAVE_OUT)
    if _BCFKS.match(head):
        return Closed("this is a key store (BCFKS)", LEAVE_OUT)
    if _DER_KEY.match(head):
        return Closed("this is a private key (DER)", LEAVE_OUT)
    if _ENCRYPTED_DER_KEY.match(head):
        return Closed("this is an encrypted private key (DER)", LEAVE_OUT)
    if _ENVELOPED.match(head):
        return Closed("this is encrypted (PKCS #7)", DECRYPT)
    return None


def closed_pgp(head: bytes) -> Closed | None:
    """Say the same of OpenPGP packets (RFC 9580, section 4.2), for what is of high entropy."""
    if _PGP_SECRET.match(head):
        return Closed("this is a private key (PGP)", LEAVE_OUT)
    if _PGP_MESSAGE.match(head):
        return Closed("this is encrypted (PGP)", DECRYPT)
    return None


def key_database(page: bytes) -> bool:
    """Say whether the schema in an SQLite database's first *page* is that of an NSS key database (key4.db)."""
    return b"nssPrivate" in page


_SEVEN = b"7z\xbc\xaf\x27\x1c"


def _is_broken_seven(head: bytes) -> bool:
    """Say whether *head* was a 7z archive's (7zFormat.txt, "SignatureHeader"): half of the signature, or the right CRC.

    Its streams begin without a mark of their own, so nobody would find them in it but who knows where they stand.
    """
    if len(head) < 32:
        return False
    alike = sum(one == other for one, other in zip(head, _SEVEN, strict=False))
    right = int.from_bytes(head[8:12], "little") == zlib.crc32(head[12:32]) and any(head[12:32])
    return right or alike >= 3 or head.startswith(_SEVEN[:2])
