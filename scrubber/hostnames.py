"""Take host names apart, and tell a customer's from those of vendors, documentation and software."""

from __future__ import annotations

import re
from functools import lru_cache

from scrubber.words import load_words

_LABEL = re.compile(rb"[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,61}[A-Za-z0-9_])?")
_TLD = re.compile(rb"[A-Za-z]{2,24}|xn--[A-Za-z0-9\-]{2,59}", re.IGNORECASE)


@lru_cache(maxsize=8)
def words(name: str) -> frozenset[bytes]:
    """Give a word list as bytes."""
    return frozenset(word.encode() for word in load_words(name))


@lru_cache(maxsize=8192)
def split_host(name: bytes) -> tuple[list[bytes], bytes]:
    """Split a name in lower case into the labels of hosts and subdomains, and the domain that somebody registered.

    The domain has two labels, three under a country's `co.uk`, one where the last is private (`db1.site.internal`).
    """
    labels = name.split(b".")
    if len(labels) == 1:
        return labels, b""
    count = 2
    if len(labels[-1]) == 2 and labels[-2] in words("second_levels") and len(labels) > 2:
        count = 3
    elif labels[-1] in words("private_suffixes"):
        count = 1
    return labels[:-count], b".".join(labels[-count:])


_NO_NAME = re.compile(rb"[a-z][0-9]\.[0-9]{1,2}\.(?:pl|sh|ps)\Z|\A(?:[0-9]{1,3}\.|x+\.)*x+\Z")
"""A program and its version before a suffix that a country has too: scandeps5.18.pl; what was blackened: 10.xx.xx."""


def is_fqdn(name: bytes) -> bool:
    """Say whether *name* is two labels or more that a resolver would take, the last no file's suffix."""
    labels = name.split(b".")
    return (
        1 < len(labels) <= 10
        and len(name) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and _TLD.fullmatch(labels[-1]) is not None
        and labels[-1].lower() not in words("file_suffixes")
        and _NO_NAME.search(name) is None
    )


def is_public_domain(name: bytes) -> bool:
    """Say whether *name* belongs to a vendor, a project, a mail provider or to documentation, and so to no customer."""
    labels = name.lower().rstrip(b".").split(b".")
    known = words("public_domains")
    return any(b".".join(labels[at:]) in known for at in range(len(labels)))
