"""The finders that a rule can name, for what a single expression cannot tell."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from scrubber.accounts import find_card, find_iban
from scrubber.addresses import find_ipv4, find_ipv6, find_mac
from scrubber.assignment import ValueReader
from scrubber.chpasswd import find_chpasswd
from scrubber.cluster import find_cluster_secret
from scrubber.contacts import find_email, find_listed_phones, find_phone
from scrubber.finder import remembered
from scrubber.gate import Strength, is_secret
from scrubber.messages import find_message
from scrubber.nationals import find_national
from scrubber.paired import find_paired
from scrubber.persons import find_author, find_cell, find_mailbox, find_person, find_titled, find_vcard
from scrubber.pseudonym import TAG, Pseudonymizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.finder import Finder, Found

_LINE_END = re.compile(rb"\r?\n")
_COOKIE = re.compile(
    rb"(?:set-)?cookie2?(?:\\{0,3}[\"'])?"
    rb"(?:[ \t]{0,8}[:=][ \t]{0,8}|\s{0,8},\s{0,40}\\{0,3}[\"']value\\{0,3}[\"']\s{0,8}:\s{0,8})(?:\\{0,3}[\"'])?"
    rb"(?P<pairs>[^\r\n\"']{3,4096})",
    re.IGNORECASE,
)
_FLOW = re.compile(rb"0x[0-9A-Fa-f]+(?:/-1)?, ?[a-z]")
"""The number of a flow in a switch's table (OpenFlow), with what else is told of it: cookie=0x0, duration=8.5s."""
_PAIR = re.compile(rb"(?P<name>[\w.!#$%&*+\-^`|~@\[\]]{1,128})=(?P<value>[^;\s,\\]{1,2048})")
_ATTRIBUTES = frozenset(
    (b"path", b"domain", b"expires", b"max-age", b"samesite", b"version", b"priority", b"comment", b"port")
)
_PLAIN = re.compile(
    rb"[A-Za-z]{1,12}|[a-z]{2}[-_][A-Za-z]{2}|[0-9]{1,6}|true|false|\[.*\]|(?:[\w]+/)+[\w]+", re.IGNORECASE
)


def find_assignment(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of secrets named by their key."""
    values = ValueReader().values
    image = remembered(lambda text: pseudonyms.tag("password", text))

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        found: list[Found] = []
        for begin, end, wrap in values(buf, start):
            text = buf[begin:end]
            made = wrap + image(text) + wrap if wrap else image(text)
            if b"\n" in text:  # the count of lines never changes
                made += b"".join(_LINE_END.findall(text))
            found.append((begin, end, text, made))
        return found or None

    return find


def find_cookie(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of cookie values in headers (RFC 6265); attributes and plain settings stay."""

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        header = None if buf[start - 1 : start].isalnum() else _COOKIE.match(buf, start)
        if header is None or _FLOW.match(header["pairs"]):
            return None
        found = []
        begin, end = header.span("pairs")
        another = buf.find(b"ookie:", begin, end)  # the next header has its own anchor
        for pair in _PAIR.finditer(buf, begin, end if another < 0 else another):
            value = pair["value"]
            if pair["name"].lower() in _ATTRIBUTES or _PLAIN.fullmatch(value) or TAG.search(value):
                continue
            if is_secret(value, Strength.STRONG, quoted=True, prose=False):
                found.append((*pair.span("value"), value, pseudonyms.tag("cookie", value)))
        return found or None

    return find


_LISTED = re.compile(rb"\"cookies\"\s{0,8}:\s{0,8}\[")
_ITEM = re.compile(rb"\s{0,80}\{(?:[^{}\"]|\"(?:[^\"\\]|\\.){0,8000}\"){1,200}\}\s{0,80},?")
_VALUE = re.compile(rb"\"value\"\s{0,8}:\s{0,8}\"(?P<value>(?:[^\"\\]|\\.){1,8000})\"")


def find_listed_cookies(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of cookies in a list of JSON's, as HAR 1.2 has it; plain settings stay."""

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        head = _LISTED.match(buf, start)
        found: list[Found] = []
        item = _ITEM.match(buf, head.end()) if head else None
        while item is not None:
            pair = _VALUE.search(buf, item.start(), item.end())
            value = pair["value"] if pair is not None else b""
            good = value and not _PLAIN.fullmatch(value) and not TAG.search(value)
            if pair is not None and good and is_secret(value, Strength.STRONG, quoted=True, prose=False):
                found.append((*pair.span("value"), value, pseudonyms.tag("cookie", value)))
            item = _ITEM.match(buf, item.end())
        return found or None

    return find


FINDERS: dict[str, Callable[[Pseudonymizer], Finder]] = {
    "message": find_message,
    "paired": find_paired,
    "phones": find_listed_phones,
    "author": find_author,
    "assignment": find_assignment,
    "card": find_card,
    "cell": find_cell,
    "chpasswd": find_chpasswd,
    "cluster-secret": find_cluster_secret,
    "cookie": find_cookie,
    "cookies-listed": find_listed_cookies,
    "email": find_email,
    "iban": find_iban,
    "ipv4": find_ipv4,
    "ipv6": find_ipv6,
    "mac": find_mac,
    "mailbox": find_mailbox,
    "national": find_national,
    "person": find_person,
    "titled": find_titled,
    "vcard": find_vcard,
    "phone": find_phone,
}
