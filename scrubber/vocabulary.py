"""Tell what is nobody's name: words of manuals and programs, and what programmers put together of them."""

from __future__ import annotations

import re
from functools import lru_cache

from scrubber.hostnames import words
from scrubber.logins import is_ordinary

_PARTS = re.compile(rb"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^A-Za-z0-9_.]")
_PLATFORM = re.compile(
    rb"(?:i[3-6]86|x86_64|arm(?:v[0-9]\w*)?|aarch64|powerpc\w*|mips\w*|sparc\w*|s390x?|riscv\w*)-[a-z]"
)
"""How a compiler calls a machine: x86_64-linux-gnu."""
_SHORT = 2
"""Letters of a part that says nothing: x, ip, to."""
_SMALL_WORDS = frozenset(b"am an as at be by do go id if in is it me my no of on or so to up us we".split())
"""Last labels of two letters that stand behind a dot in programs too: self.id, user.is."""


@lru_cache(maxsize=8192)
def is_vocabulary(name: bytes) -> bool:
    """Say whether *name*, as it was written, is such a word, or put together of such: userId, properties.get, user_id.

    What has a digit or a hyphen is none; neither are two words with `_` that end as no variable does: report_user.
    """
    if name.lower() in words("products") or _PLATFORM.match(name):
        return True
    parts = _PARTS.findall(name)
    if not parts or not all(part.isalpha() and (len(part) <= _SHORT or _is_word(part.lower())) for part in parts):
        return False
    if len(parts) == 1:
        return len(name) > _SHORT
    plain = b"." not in name and all(part.islower() for part in parts)
    return not plain or parts[-1] in words("variables")


def is_type(name: bytes) -> bool:
    """Say whether *name* is one that programmers give to a type: ReadableBuffer, SSHKey, BytesOrStr, UserId."""
    parts = _PARTS.findall(name)
    if len(parts) < _SHORT or parts[-1].lower() not in words("types"):
        return False
    return all(part[:1].isupper() and (len(part) <= _SHORT + 2 or _is_word(part.lower())) for part in parts)


def is_unspoken(text: bytes) -> bool:
    """Say whether *text* is no word of a sentence, as stands behind a name of a secret in prose."""
    word = text.rstrip(b".,;:!?)`'").lstrip(b"(`'").lower()
    return word not in words("vocabulary") and not is_ordinary(word)


def is_unworded(text: bytes) -> bool:
    """Say whether *text* is neither a word of a sentence nor a name that programs put together of such: table_v2."""
    name = _COUNTED.sub(b"", text.partition(b"(")[0].rstrip(b".,;:!?)`'"))
    return not name.islower() or not all(map(_is_word, re.findall(rb"[^_\-.]+", name)))


_COUNTED = re.compile(rb"(?:_?v)?(?<![0-9])[0-9]{1,2}\Z")
"""The number behind a word, as variables and versions have one."""


def is_expression(name: bytes) -> bool:
    """Say whether *name*, labels with dots in small letters, is an object's attribute rather than a domain."""
    *labels, last = name.split(b".")
    if len(last) == _SHORT:
        return last in _SMALL_WORDS and all(map(is_composed, labels))
    if last in words("private_suffixes"):
        return all(map(is_composed, labels)) and _is_word(last)
    return last not in words("top_levels")


def is_registered(name: bytes) -> bool:
    """Say whether *name*, labels with dots in small letters, can only be a host's, of whatever words it is made."""
    first, *between, last = name.split(b".")
    return bool(between) and last in words("registries") and (last != b"net" or first not in words("objects"))


def is_composed(label: bytes) -> bool:
    """Say whether *label*, in small letters, is such words with `_` between them, as no host's name is."""
    return all(part in words("objects") or _is_word(part) for part in label.split(b"_") if part)


def _is_word(word: bytes) -> bool:
    """Say whether *word*, in small letters, is one of the lists'."""
    return (
        word in words("vocabulary")
        or word in words("products")
        or is_ordinary(word)
        or word in words("system_users")
        or word in words("no_hosts")
    )
