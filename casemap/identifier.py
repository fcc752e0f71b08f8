"""The forms of the names that come from the case system: logins, numbers, ids, regions.

Each check returns the text in its one form or raises ValueError with a reason that may be shown. They are narrow on
purpose: these names become parts of paths, URLs, log lines and keys.
"""

from __future__ import annotations

import base64
import binascii
import re
import unicodedata
from typing import NewType

Login = NewType("Login", str)
CaseNumber = NewType("CaseNumber", str)
CustomerId = NewType("CustomerId", str)
RegionName = NewType("RegionName", str)

MAX_LOGIN_BYTES = 255
MAX_DISPLAY = 4096
"""Longest title or name of a person or company, in characters."""
MAX_PUBLIC_KEY = 16_384
_UNSEEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp", "Zs"})
_WORD = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?")
_DIGIT = re.compile(r"[0-9]")
_REGION = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,30}[a-z0-9])?")
_KEY_TYPE = re.compile(r"[a-z0-9][a-z0-9@.-]{2,63}")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])(?: *\..*)?", re.IGNORECASE | re.DOTALL)


def is_device_name(name: str) -> bool:
    """Say whether Windows takes *name* for a device (Win32, "Naming Files, Paths, and Namespaces")."""
    return _DEVICE.fullmatch(name) is not None


def check_login(text: str) -> Login:
    """Return a login in NFC: one that HTTP Basic, a URL and a log line can carry.

    Two spellings that differ only in their normal form are one login; `:` cannot stand in Basic credentials (RFC 7617).
    """
    normal = unicodedata.normalize("NFC", text[: MAX_LOGIN_BYTES + 1])
    if not normal:
        raise ValueError("is empty")
    for character in normal:
        if character in "/\\:" or unicodedata.category(character) in _UNSEEN:
            raise ValueError(f"holds U+{ord(character):04X}, which no login may hold")
    if len(text) > MAX_LOGIN_BYTES or len(normal.encode()) > MAX_LOGIN_BYTES:
        raise ValueError(f"is longer than {MAX_LOGIN_BYTES} bytes")
    if not normal.strip("."):
        raise ValueError("is only dots")
    return Login(normal)


def check_case_number(text: str) -> CaseNumber:
    """Return a case number: 1 to 64 of `A-Z a-z 0-9 . _ -` with a digit, a letter or digit at both ends, no `..`."""
    if _DIGIT.search(text, 0, 64) is None:
        raise ValueError("is not a case number: it has no digit")
    return CaseNumber(_check_word(text, "a case number"))


def check_customer_id(text: str) -> CustomerId:
    """Return a customer's id: 1 to 64 of `A-Z a-z 0-9 . _ -`, a letter or digit at both ends, no `..`."""
    return CustomerId(_check_word(text, "a customer id"))


def _check_word(text: str, what: str) -> str:
    if _WORD.fullmatch(text) is None or ".." in text:
        raise ValueError(
            f"is not {what}: 1 to 64 letters, digits, '.', '_' or '-', beginning and ending with a letter or digit"
        )
    if is_device_name(text):
        raise ValueError(f"is not {what}: Windows keeps that name for a device")
    return text


def check_region(text: str) -> RegionName:
    """Return a region's name: 1 to 32 of `a-z 0-9 -`."""
    if _REGION.fullmatch(text) is None:
        raise ValueError("is not a region: 1 to 32 of a-z, 0-9 and '-', beginning and ending with a letter or digit")
    return RegionName(text)


def check_label(text: str) -> str:
    """Return a short word of the case system's own: a kind, a classification, a tag; up to 64 visible characters."""
    if not text or len(text) > 64 or text != text.strip():
        raise ValueError("must be 1 to 64 characters without spaces at the ends")
    if text.isascii() and text.isprintable():
        return text
    if any(unicodedata.category(character) in _UNSEEN - {"Zs"} for character in text):
        raise ValueError("holds a control or invisible character")
    return unicodedata.normalize("NFC", text)


def check_display(text: str) -> str:
    """Return a title or name: any text of up to `MAX_DISPLAY` characters. It is *not* safe as a file name.

    Lone surrogates, which JSON can spell and UTF-8 cannot, become U+FFFD.
    """
    if len(text) > MAX_DISPLAY:
        raise ValueError(f"is longer than {MAX_DISPLAY} characters")
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def check_email(text: str) -> str:
    """Return an e-mail address, as far as anyone can tell without sending to it."""
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain or len(text) > 320:
        raise ValueError("is not an e-mail address")
    if any(unicodedata.category(character) in _UNSEEN for character in text):
        raise ValueError("holds a space, control or invisible character")
    return text


def check_password_hash(text: str) -> str:
    """Return an Argon2id hash in PHC string format."""
    if not text.startswith("$argon2id$") or len(text) > 512 or not text.isascii() or not text.isprintable():
        raise ValueError("is not an Argon2id hash ($argon2id$v=19$m=…,t=…,p=…$salt$hash)")
    return text


def check_public_key(text: str) -> str:
    """Return one OpenSSH public key line without options: type, base64 blob, comment (RFC 4253, section 6.6).

    Options such as `command=` are refused rather than ignored: whoever wrote them relied on them.
    """
    words = text.split(maxsplit=2) if len(text) <= MAX_PUBLIC_KEY else []
    if len(words) < 2 or _KEY_TYPE.fullmatch(words[0]) is None or not text.isprintable():
        raise ValueError("is not an OpenSSH public key line (type, base64, comment)")
    try:
        blob = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise ValueError("is not an OpenSSH public key line: its second word is not base64") from error
    named = blob[4 : 4 + int.from_bytes(blob[:4])]
    if named != words[0].encode():
        raise ValueError("is not an OpenSSH public key line: the key is of another type than it says")
    return " ".join(words)
