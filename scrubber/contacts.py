"""Find e-mail addresses and telephone numbers."""

from __future__ import annotations

import re

from scrubber.finder import CACHED, Finder, Found, remembered
from scrubber.pseudonym import EMAIL_PSEUDONYM, Pseudonymizer
from scrubber.words import load_words

_LOCAL = re.compile(rb"(?:[A-Za-z0-9_]|[\xc3-\xd9][\x80-\xbf])(?:[A-Za-z0-9._%+\-']|[\xc3-\xd9][\x80-\xbf]){0,63}\Z")
_LOCAL_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._%+-"
_LOCAL_FIRST = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")
_DOMAIN = re.compile(
    rb"(?:@|%40)((?:[A-Za-z0-9](?:[A-Za-z0-9\-_]{0,61}[A-Za-z0-9])?\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9\-]{2,59}))"
    rb"(?![A-Za-z0-9])",
    re.IGNORECASE,
)
MEMBER = re.compile(rb"\.[A-Za-z]*[a-z][A-Z][A-Za-z]*\Z")
"""A member's name where a top-level domain would stand: Connection@1b2c3d4e.prepareStatement."""
_DOMAIN_RUN = re.compile(rb"(?:@|%40)[A-Za-z0-9.\-_]{4,640}")
"""All that `_DOMAIN` can match, and what it looks at behind."""
_TLD = re.compile(rb"\.(?:[a-z]{2,}|xn--[a-z0-9-]+)\Z")
_NOT_TLD = frozenset(word.encode() for word in load_words("file_suffixes"))
_PROTOCOL_NAMES = (b"openssh.com", b"libssh.org", b"lysator.liu.se", b"ssh.com", b"putty.projects.tartarus.org")
_PERCENT = re.compile(rb"%[0-9A-Fa-f]{2}")

PHONE = (
    rb"\+(?!(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]{1,2})(?:\.|(?![0-9.]))){4})"  # ntpq marks addresses so
    rb"(?P<digits>[1-9][0-9]{0,2}(?:[ \-./]?\(0?[0-9]{1,4}\)|(?: / |[ \-./])?[0-9]{1,5}){1,6})(?![0-9A-Za-z])"
)
"""A number to call behind its country's code."""
_PHONE = re.compile(PHONE)
EXTENSION = rb"(?:,? ?(?:x|ext\.? ?|extension |#)[0-9]{1,6})?"
"""The number of a telephone behind an exchange."""
_BEFORE_EXTENSION = re.compile(rb"[,xe#]", re.IGNORECASE)
TRUNK = b"(0)"
"""What is dialled within a country alone: +49 (0)89 123456. It is none of the number's digits."""
_PHONE_US = re.compile(
    rb"(?:1[-. ])?"
    rb"(?:(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[- ])[2-9][0-9]{2}[-. ]|[2-9][0-9]{2}\.[2-9][0-9]{2}[. ])[0-9]{4}"
    + EXTENSION
    + rb"(?![0-9A-Za-z\-]|:[^ ]|\.[0-9])"
)
_PHONE_KEYED = re.compile(
    rb"(?:phone|mobile?|telephone|telefono?|tel\xc3\xa9fono|m\xc3\xb3vil|telem\xc3\xb3vel|t(?:e|\xc3\xa9)l(?:e|\xc3\xa9)phone|handy|gsm|mobiel|portable|cell|fax|tel|t\xc3\xa9l|port|msisdn|"
    rb"whatsapp|sms)"
    rb"(?:[ _\-]?(?:number|nummer|num|no|nr|1|2|"
    rb"priv(?:at|ate)?|gesch|dienstl(?:ich)?|mobil|home|work|office|fixe|m(?:\xc3\xb3|o)vil|fijo|casa))?"
    rb"\.?\\{0,3}[\"']?(?:[ \t]{0,8}[:=>][ \t]{0,8}|[ \t])(?:\\{0,3}[\"'])?"
    rb"(?P<value>\(?\+?[0-9][0-9 ()./\-]{5,22}[0-9]" + EXTENSION + rb")(?![0-9A-Za-z])",
    re.IGNORECASE,
)
_PHONE_SAID = re.compile(
    rb"(?:[a-z]{4,7} (?:me|us|him|her|them) (?:back )?(?:at|on|under|via)|"
    rb"[a-z\x80-\xff]{2,12}(?: [a-z\x80-\xff]{2,14}){0,5})[ :]{1,3}"
    rb"(?P<value>(?:(?:\(?\+|\(?0|\([0-9]{2,4}\))[0-9 ()/.\-]{6,22}[0-9]|"
    rb"[1-9][0-9]{1,2}(?:[ ./\-]?[0-9]{2,4}){2,4})" + EXTENSION + rb")(?![0-9A-Za-z:])",
    re.IGNORECASE,
)
"""A number to call that a sentence gives: reach me at, erreichbar unter; one that begins as numbers of a country do."""
_OCTETS = re.compile(rb"[1-9][0-9]{0,2}(?:\.(?:0|[1-9][0-9]{0,2})){3}")
# ITU-T E.164 assigned country codes; one and two digits first, all others have three.
_COUNTRY = re.compile(
    rb"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-69][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|67[0-9]|"
    rb"68[0-9]|69[0-2]|80[08]|85[0-9]|87[0-9]|88[0-8]|96[0-8]|97[0-79]|99[2-8]"
)
NOT_DIGITS = bytes(c for c in range(256) if not 0x30 <= c < 0x3A)
_POSITION = re.compile(rb"\+(?:[0-9]{4}-[0-9]{5}|[0-9]{6}-[0-9]{7})")
"""A place on the earth as ISO 6709 writes it: +3553-00519."""
_WITHIN = frozenset((b"_", b".", b"-", b"+"))
_WITHIN_OF_COUNTRY = frozenset((b".", b"+"))
"""What no number stands behind: nor one that begins with its country's code, which may stand in a file's name."""


_TICKET = b"krbtgt/"
"""Before the realm whose tickets are granted (RFC 4120, section 7.3), known by the identity pass."""


def find_email(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of e-mail addresses (RFC 5321), from the `@` or `%40` outwards."""
    image = remembered(pseudonyms.email)
    hosts = remembered(mail_host)

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        run = _DOMAIN_RUN.match(buf, start)
        if run is None:
            return None
        host = hosts(run[0])
        if not host:
            return None
        begin = _local_start(buf, start)
        if begin >= start:
            return None
        end = start + (1 if buf[start] == 0x40 else 3) + len(host)
        text = buf[begin:end]
        if (text.startswith(b"git@") and buf[end : end + 1] in {b":", b"/"}) or buf.endswith(_TICKET, 0, begin):
            return None  # a repository's address, a realm on both sides
        if host.endswith(b".example") and EMAIL_PSEUDONYM.fullmatch(text):
            return None
        return begin, end, text.lower(), image(text)

    return find


_BUILDERS = tuple(
    b"." + name
    for name in b"redhat.com fedoraproject.org centos.org debian.org ubuntu.com canonical.com suse.de suse.com "
    b"opensuse.org rockylinux.org almalinux.org oracle.com kernel.org freebsd.org".split()
)
"""Whose machines sign what they built, in the kernel's first line: mockbuild@x86-64-03.build.eng.….redhat.com."""


_COUNTRIES = (b".rs", b".md", b".py", b".so")
"""Of Serbia, Moldova, Paraguay and Somalia, also suffixes of files: behind one label they are the countries'."""
_DIRECTORY = b"vsphere.local"
"""The domain of accounts that every vCenter has of its own: its logins are no addresses (rulesets/keys.yaml)."""


def mail_host(run: bytes) -> bytes:
    """Give the host at the beginning of *run*, behind its sign, b"" where there is none.

    In `@kunde.de.txt` it is a host and a suffix, in `@2x.png` a file.
    """
    match = _DOMAIN.match(run)
    if match is None:
        return b""
    if MEMBER.search(match[1]):
        return b""
    domain = match[1].lower()
    while domain.rpartition(b".")[2] in _NOT_TLD and (domain.count(b".") > 1 or domain[-3:] not in _COUNTRIES):
        domain = domain.rpartition(b".")[0]
    if (
        domain.endswith(_PROTOCOL_NAMES)
        or domain == _DIRECTORY
        or (domain.endswith(_BUILDERS) and domain.count(b".") > 2)
    ):
        return b""
    return domain if _TLD.search(domain) else b""


def _local_start(buf: bytes, at: int) -> int:
    """Give where the local part before *at* begins, *at* where there is none."""
    window = buf[max(0, at - 66) : at]
    plain = window[len(window.rstrip(_LOCAL_CHARS)) :]
    if 0 < len(plain) <= 64 and plain[0] in _LOCAL_FIRST and len(plain) < len(window):
        before = window[-len(plain) - 1]
        if before < 0x80 and before != 0x27 and buf[at] == 0x40 and b"%" not in plain:
            return at - len(plain)
    window = buf[max(0, at - 128) : at]
    local = _LOCAL.search(window)
    if local is None:
        return at
    begin = at - len(window) + local.start()
    if b"%" in local[0] and _PERCENT.search(local[0]):  # what was encoded in it is read in its own notation
        begin = at - len(_PERCENT.split(local[0])[-1])
    while begin < at and buf[begin : begin + 1] in {b"'", b"-", b".", b"+"}:
        begin += 1
    return begin


def find_phone(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of telephone numbers: international, North American, and any after a key that says so."""
    made: dict[bytes, tuple[bytes, bytes]] = {}

    def bare(buf: bytes, start: int) -> Found | None:
        match = _PHONE.match(buf, start) or _PHONE_US.match(buf, start)
        if match is None or (match[0][3:4] == b" " and match[0][:1] != b"+" and _in_row(buf, *match.span())):
            return None
        if buf[start - 1 : start] == b"/" and match[0][:1].isdigit() and buf[start - 2 : start - 1].isdigit():
            return None  # times, a status and a size, as HAProxy logs them: 0/0/1/721/661 200 7798
        text = match[0]
        known = made.get(text)
        if known is None:
            if len(made) >= CACHED:
                made.clear()
            known = made[text] = bare_phone(pseudonyms, text)
        return (start, match.end(), *known) if known[0] else None

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        before = buf[start - 1 : start]
        keyed = (
            None
            if before.isalpha() or before == b"."
            else _PHONE_KEYED.match(buf, start) or _PHONE_SAID.match(buf, start)
        )
        if keyed is not None:
            text = keyed["value"]
            digits = _digits(text)
            if (
                7 <= len(_digits(_BEFORE_EXTENSION.split(text)[0])) <= 15
                and _OCTETS.fullmatch(text) is None
                and len(set(digits)) > 2
                and not is_phone_pseudonym(text)
            ):
                return *keyed.span("value"), digits, pseudonyms.phone(text, country_digits(text))
        elif not before.isalnum() and before not in (_WITHIN_OF_COUNTRY if buf[start] == 0x2B else _WITHIN):
            return bare(buf, start)
        return None

    return find


_LIST = re.compile(rb"[A-Za-z_]{5,16}[\"']?:[ \t]{0,8}\r?\n(?P<items>(?:[ \t]{0,16}- [^\r\n]{3,40}(?:\r?\n|\Z)){1,20})")
_LISTED = re.compile(rb"- [\"']?(?P<value>[(0-9][0-9 ()/.\-]{5,22}[0-9])(?=[\"']?[ \t]*(?:\r?\n|\Z))")


def find_listed_phones(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of numbers as a country writes them, in a list of YAML's that its key calls telephones."""

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        listed = _LIST.match(buf, start)
        items = _LISTED.finditer(buf, *listed.span("items")) if listed else ()
        return [
            (*item.span("value"), _digits(item["value"]), pseudonyms.phone(item["value"], 0))
            for item in items
            if 6 <= len(_digits(item["value"])) <= 15 and not is_phone_pseudonym(item["value"])
        ] or None

    return find


def _in_row(buf: bytes, start: int, end: int) -> bool:
    """Say whether numbers stand on either side, each behind a blank: columns of a log."""
    before, after = buf[max(0, start - 2) : start], buf[end : end + 2]
    return (before[-1:] == b" " and before[:1].isdigit()) or (after[:1] == b" " and after[1:].isdigit())


def bare_phone(pseudonyms: Pseudonymizer, text: bytes) -> tuple[bytes, bytes]:
    """Give the digits and the pseudonym of what stands without a key; nothing where it is no number to call."""
    digits = _digits(text)
    if text[:1] != b"+":
        return digits, pseudonyms.phone(text, 0)
    country = _COUNTRY.match(digits)
    if _POSITION.fullmatch(text):
        return b"", b""
    least = 8 if len(digits) + 1 != len(text) else 10  # a sum such as +12345678 is no number to call
    if country and least <= len(digits) <= 15 and not is_phone_pseudonym(text):
        return digits, pseudonyms.phone(text, country.end())
    return b"", b""


def _digits(text: bytes) -> bytes:
    return text.translate(None, NOT_DIGITS)


def country_digits(text: bytes) -> int:
    """Count the digits of the country's code (E.164) that a telephone number begins with; 0 where there is none."""
    country = _COUNTRY.match(_digits(text)) if text.lstrip(b"(")[:1] == b"+" else None
    return country.end() if country else 0


def is_phone_pseudonym(text: bytes) -> bool:
    """Say whether *text* is of the form that `Pseudonymizer.phone` gives."""
    country = country_digits(text)
    return _digits(text.replace(TRUNK, b""))[country:].startswith(b"00" if country else b"000")
