"""Finders for what a single expression cannot tell: each looks around one anchor and gives spans and their replacements."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache

from scrubber import checks
from scrubber.assignment import values
from scrubber.gate import Strength, is_secret
from scrubber.pseudonym import EMAIL_PSEUDONYM, IPV6_PSEUDONYMS, TAG, Pseudonymizer

CACHED = 65_536
"""Pseudonyms remembered for each finder: some 10 MB at most."""

Found = tuple[int, int, bytes, bytes]
"""Start, end, canonical value (for the fingerprint), replacement."""

Finder = Callable[[bytes, int], Iterable[Found]]

_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rb"(?:" + _OCTET + rb"\.){3}" + _OCTET + rb"(?![0-9])")
_THEN = rb"[\"']?(?:</?\w*>)?[ \t]*[:=]?[ \t]*[\"'<>(v]*\Z"
_PRODUCT_WORD_BEFORE = re.compile(
    rb"\b(?:driver|kernel|package|pkg|update|upgrade|assembly|schema|sdk|engine|definitions?|patch|baseline|toolset|runtime|oid|product)"
    + _THEN,
    re.IGNORECASE,
)
_VERSION_BEFORE = re.compile(
    rb"(?:vers(?:ion|\.)?s?|ver|release|rel|rev|revision|firmware|fw|build|bios)(?:[_ ](?:id|no|nr|number))?"
    + _THEN
    + rb"|"
    rb"(?:\A|[^A-Za-z0-9])[vV]\Z|[a-z]_\Z",
    re.IGNORECASE,
)
_NO_HOST = (b"0.", b"127.", b"169.254.169.254", *(b"%d." % first for first in range(224, 256)))
_PRIVATE = (b"10.", b"192.168.", b"169.254.", *(b"172.%d." % second for second in range(16, 32)))
_VERSION_ENDS = tuple(
    b"""version versions vers vers. ver release rel rev revision firmware fw build bios id no nr number driver kernel package pkg update upgrade
    assembly schema sdk engine definition definitions patch baseline toolset runtime oid product""".split()
)
_VERSION_AFTER = re.compile(
    rb"[+~_](?=[0-9A-Za-z])|-(?!"
    + _OCTET
    + rb"\.)[0-9A-Za-z]|\.(?:el|fc|rpm|deb|tar|tgz|zip|jar|dll|so|x86|noarch|amd64|exe|msi|gz)|[A-Za-z]"
)
_PORT_AFTER = re.compile(rb"\.([0-9]{1,5})(?:(?= >|:? |:$|:\n| <)|(?=\s))")
_PRODUCT_BEFORE = re.compile(rb"[A-Za-z][A-Za-z0-9_\-]*/\Z")
_HEX_GROUP = rb"[0-9A-Fa-f]{1,4}"
_IPV6 = re.compile(rb"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{0,4})")
_LOCAL_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-"
_LOCAL = re.compile(rb"(?:[A-Za-z0-9_]|[\xc3-\xd9][\x80-\xbf])(?:[A-Za-z0-9._%+\-']|[\xc3-\xd9][\x80-\xbf]){0,63}\Z")
_DOMAIN = re.compile(
    rb"(?:@|%40)((?:[A-Za-z0-9](?:[A-Za-z0-9\-_]{0,61}[A-Za-z0-9])?\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9\-]{2,59}))(?![A-Za-z0-9])",
    re.IGNORECASE,
)
_NOT_TLD = frozenset(
    b"""png jpg jpeg gif svg webp ico css js mjs ts tsx jsx json xml yaml yml html htm txt log md py pyc rb go rs java class jar so dll exe
    service socket target mount automount timer slice scope device swap path conf cfg gz zip tar tgz bz2 xz rpm deb pdf""".split()
)
_PROTOCOL_NAMES = (b"openssh.com", b"libssh.org", b"lysator.liu.se", b"ssh.com", b"putty.projects.tartarus.org")
_MAC = re.compile(rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}|(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}")
_PHONE = re.compile(
    rb"\+(?P<digits>[1-9][0-9]{0,2}(?:[ \-./]?\(0?[0-9]{1,4}\)|[ \-./]?[0-9]{1,5}){1,6})(?![0-9A-Za-z])"
)
_PHONE_US = re.compile(
    rb"(?:\([2-9][0-9]{2}\) ?|[2-9][0-9]{2}[-. ])[2-9][0-9]{2}[-. ][0-9]{4}(?![0-9A-Za-z\-:]|\.[0-9])"
)
_PHONE_KEYED = re.compile(
    rb"(?:phone|mobile|telephone|telefon|telefono|t(?:e|\xc3\xa9)l(?:e|\xc3\xa9)phone|handy|cell|fax|tel|msisdn|whatsapp|sms)(?:[ _\-]?(?:no|number|nr|nummer|num|1|2))?\.?"
    rb"\\{0,3}[\"']?(?:[ \t]{0,8}[:=>][ \t]{0,8}|[ \t])(?:\\{0,3}[\"'])?(?P<value>[(+]?[0-9][0-9 ()./\-]{5,22}[0-9])(?![0-9A-Za-z])",
    re.IGNORECASE,
)
# ITU-T E.164 assigned country codes; one and two digits first, all others have three.
_COUNTRY = re.compile(
    rb"1|7|20|27|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-69][0-9]|3[578][0-9]|42[0-9]|5[09][0-9]|67[0-9]|68[0-9]|69[0-2]|"
    rb"80[08]|85[0-9]|87[0-9]|88[0-8]|96[0-8]|97[0-79]|99[2-8]"
)
_COOKIE = re.compile(
    rb"(?P<set>set-)?cookie2?(?:\\{0,3}[\"'])?[ \t]{0,8}[:=][ \t]{0,8}(?:\\{0,3}[\"'])?(?P<pairs>[^\r\n\"']{3,8192})",
    re.IGNORECASE,
)
_PAIR = re.compile(rb"(?P<name>[\w.!#$%&*+\-^`|~@\[\]]{1,128})=(?P<value>[^;\s,\\]{1,4096})")
_COOKIE_ATTRIBUTES = frozenset(
    (b"path", b"domain", b"expires", b"max-age", b"samesite", b"version", b"priority", b"comment", b"port")
)
_COOKIE_PLAIN = re.compile(
    rb"[A-Za-z]{1,12}|[a-z]{2}[-_][A-Za-z]{2}|[0-9]{1,6}|true|false|\[.*\]|(?:[\w]+/)+[\w]+", re.IGNORECASE
)


def find_ipv4(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IPv4 addresses that are addresses: not versions, OIDs, netmasks, loopback, multicast."""
    image = lru_cache(maxsize=CACHED)(pseudonyms.ipv4)
    keep: tuple[Found, ...] = ()

    def find(buf: bytes, start: int) -> tuple[Found, ...]:
        match = _IPV4.match(buf, start)
        if match is None:
            return keep
        text = match[0]
        end = match.end()
        if _is_address(buf, start, end, text):
            return ((start, end, text, image(text)),)
        return keep

    return find


def _is_address(buf: bytes, start: int, end: int, text: bytes) -> bool:
    if text.startswith(_NO_HOST):
        return False
    private = text.startswith(_PRIVATE)
    before = buf[start - 1 : start]
    if before == b"." and buf[start - 2 : start - 1].isdigit():
        return False
    if buf[end : end + 1] == b"." and buf[end + 1 : end + 2].isdigit():
        port = _PORT_AFTER.match(buf, end)
        if port is None or int(port[1]) > 65535 or buf[max(0, start - 1) : start] not in (b" ", b""):
            return False
        return (
            private or buf[max(0, start - 3) : start] in (b"IP ", b" > ") or buf[port.end() : port.end() + 2] == b" >"
        )
    after = _VERSION_AFTER.match(buf, end)
    if after is not None and not (private and not after[0].startswith((b".", b"~", b"+"))):
        return False
    if before in (b"", b"\n", b"\t"):
        return True
    context = buf[max(0, start - 40) : start]
    word = context.rstrip(b" \t\"'<>(v:=V").lower()
    if word.endswith(_VERSION_ENDS) or before in b"vV_>":
        if _VERSION_BEFORE.search(context) or (not private and _PRODUCT_WORD_BEFORE.search(context)):
            return False
    if before == b"/" and not private and _PRODUCT_BEFORE.search(context):
        return buf[end : end + 1] == b":" and buf[end + 1 : end + 2].isdigit()
    if before == b"-" and not private and context[-2:-1].isalpha():
        return False
    return not (before.isalnum() and not private)


def find_ipv6(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IPv6 addresses (RFC 4291); loopback, unspecified, multicast and lone prefixes stay."""

    def find(buf: bytes, start: int) -> Iterator[Found]:
        seg = buf[max(0, start - 40) : start]
        begin = start - (len(seg) - len(seg.rstrip(b"0123456789abcdefABCDEF:")))
        while begin < start and buf[begin : begin + 1] == b":" and buf[begin + 1 : begin + 2] != b":":
            begin += 1
        match = _IPV6.match(buf, begin)
        if match is None or buf[begin - 1 : begin].isalnum() or buf[begin - 1 : begin] in (b"_", b"."):
            return
        text = match[0]
        if buf[match.end() : match.end() + 1].isalnum() or buf[match.end() : match.end() + 1] == b"_":
            return
        if text.endswith(b":") and not text.endswith(b"::"):
            text = text[:-1]
        elif buf[begin + len(text) : begin + len(text) + 1] == b":":
            return
        address = _parse_ipv6(text)
        if address is not None:
            yield begin, begin + len(text), str(address).encode(), pseudonyms.ipv6(text)

    return find


def _parse_ipv6(text: bytes) -> ipaddress.IPv6Address | None:
    groups = [group for group in text.split(b":") if group]
    if b"." in text or (
        len(groups) < 3 and not re.match(rb"(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe80|64):", text, re.IGNORECASE)
    ):
        return None
    if not re.search(rb"[0-9]", text):
        return None
    try:
        address = ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return None
    if int(address) >> 16 == 0 or address.is_multicast or address in IPV6_PSEUDONYMS or int(address) == 0xFE80 << 112:
        return None
    return address


def find_mac(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of MAC addresses (IEEE 802); broadcast, null and multicast groups stay, and so do longer fingerprints."""

    def find(buf: bytes, start: int) -> Iterator[Found]:
        match = _MAC.match(buf, start)
        if match is None:
            return
        end = match.end()
        around = buf[start - 1 : start] + buf[end : end + 1]
        if (
            re.search(rb"[0-9A-Za-z_]", around)
            or buf[start - 1 : start] in (b":", b"-", b".")
            and buf[start - 2 : start - 1].isalnum()
        ):
            return
        if (
            buf[end : end + 1] in (b":", b"-", b".")
            and re.match(rb"[0-9A-Fa-f]{2,4}(?![0-9A-Za-z])", buf[end + 1 : end + 6])
            and buf[end : end + 1] == match[0][2:3]
        ):
            return
        digits = re.sub(rb"[^0-9a-f]", b"", match[0].lower())
        if len(set(digits)) < 2 or digits.startswith((b"01005e", b"3333", b"0180c2", b"02f0", b"00000000")):
            return
        if match[0].count(b"-") == 5 and not re.search(rb"[a-fA-F]", match[0]) and digits.startswith((b"19", b"20")):
            return
        yield start, end, digits, pseudonyms.mac(match[0])

    return find


def find_email(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of e-mail addresses (RFC 5321), from the `@` or `%40` outwards."""
    image = lru_cache(maxsize=CACHED)(pseudonyms.email)

    def find(buf: bytes, start: int) -> Iterator[Found]:
        domain = _DOMAIN.match(buf, start)
        if domain is None:
            return
        window = buf[max(0, start - 128) : start]
        local = _LOCAL.search(window)
        if local is None:
            return
        host = domain[1].lower()
        while host.rpartition(b".")[2] in _NOT_TLD:
            host = host.rpartition(b".")[0]  # anna@kunde.de.txt is an address and a suffix, icon@2x.png is none
        end = domain.start(1) + len(host)
        if b"." not in host or host.endswith(_PROTOCOL_NAMES) or not re.search(rb"\.(?:[a-z]{2,}|xn--[a-z0-9-]+)\Z", host):
            return
        begin = start - len(window) + local.start()
        if buf[start : start + 1] == b"%":
            while buf[begin : begin + 1] == b"%" or re.match(
                rb"(?:%[0-9A-Fa-f]{2}|[0-9A-Fa-f]{2}%)", buf[begin : begin + 3]
            ):
                begin += 3
        elif b"%" in local[0] and re.search(rb"%[0-9A-Fa-f]{2}", local[0]):
            begin = start - len(re.split(rb"%[0-9A-Fa-f]{2}", local[0])[-1])
        while begin < start and buf[begin : begin + 1] in b"'-.+":
            begin += 1
        text = buf[begin:end]
        if text.startswith(b"git@") and buf[end : end + 1] in (b":", b"/"):
            return  # a repository's address
        if begin >= start or EMAIL_PSEUDONYM.fullmatch(text):
            return
        yield begin, end, text.lower(), image(text)

    return find


def find_phone(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of telephone numbers: international (E.164), North American, and any after a key that says so."""

    def find(buf: bytes, start: int) -> Iterator[Found]:
        before = buf[start - 1 : start]
        if (
            before.isalnum()
            or before in (b"_", b".", b"-", b"+", b"=")
            and not (before == b"=" and buf[start : start + 1] == b"+")
        ):
            keyed = None if before.isalpha() or before == b"." else _PHONE_KEYED.match(buf, start)
        else:
            keyed = _PHONE_KEYED.match(buf, start)
        if keyed is not None:
            digits = re.sub(rb"\D", b"", keyed["value"])
            if 7 <= len(digits) <= 15 and not _is_phone_pseudonym(keyed["value"], digits) and len(set(digits)) > 2:
                country = _COUNTRY.match(digits) if keyed["value"][:1] == b"+" else None
                yield *keyed.span("value"), digits, pseudonyms.phone(keyed["value"], country.end() if country else 0)
            return
        if before.isalnum() or before in (b"_", b".", b"-", b"+"):
            return
        match = _PHONE.match(buf, start)
        if match is not None:
            digits = re.sub(rb"\D", b"", match["digits"])
            country = _COUNTRY.match(digits)
            spaced = len(digits) != len(match["digits"])
            if (8 if spaced else 10) <= len(digits) <= 15 and country and not digits[country.end() :].startswith(b"00"):
                yield start, match.end(), digits, pseudonyms.phone(match[0], country.end())
            return
        match = _PHONE_US.match(buf, start)
        if match is not None and buf[start - 2 : start] not in (b"0x", b"##"):
            digits = re.sub(rb"\D", b"", match[0])
            yield start, match.end(), digits, pseudonyms.phone(match[0], 0)

    return find


def _is_phone_pseudonym(text: bytes, digits: bytes) -> bool:
    if text[:1] != b"+":
        return digits.startswith(b"000")
    country = _COUNTRY.match(digits)
    return country is not None and digits[country.end() :].startswith(b"00")


def find_card(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of payment card numbers, plain or in groups."""
    layout = re.compile(
        rb"[0-9]{13,19}(?![0-9])|[0-9]{4}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{1,7}(?![0-9])|3[0-9]{3}([ \-])[0-9]{6}\2[0-9]{4,5}(?![0-9])"
    )

    def find(buf: bytes, start: int) -> Iterator[Found]:
        if re.search(rb"[0-9A-Za-z_]\Z|[0-9][.\-]\Z|[.$]\Z", buf[max(0, start - 2) : start]):
            return
        match = layout.match(buf, start)
        if match is None or re.match(rb"[A-Za-z_]|[.\-][0-9]", buf[match.end() : match.end() + 2]):
            return
        if checks.card(match[0]):
            yield start, match.end(), re.sub(rb"\D", b"", match[0]), pseudonyms.card(match[0])

    return find


def find_iban(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IBANs (ISO 13616), plain or in groups of four."""
    layout = re.compile(rb"[A-Z]{2}[0-9]{2}(?:[ \-]?[A-Z0-9]{4}){2,7}(?:[ \-]?[A-Z0-9]{1,3})?", re.IGNORECASE)

    def find(buf: bytes, start: int) -> Iterator[Found]:
        match = layout.match(buf, start)
        if match is None or buf[start - 1 : start].isalnum():
            return
        size = checks.iban_length(match[0])
        count, end = 0, start
        while end < match.end() and count < size:
            count += buf[end : end + 1].isalnum()
            end += 1
        text = buf[start:end]
        if count == size > 0 and not buf[end : end + 1].isalnum() and checks.iban(text):
            yield start, end, re.sub(rb"[ \-]", b"", text).upper(), pseudonyms.iban(text)

    return find


def find_assignment(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of secrets named by their key."""

    def find(buf: bytes, start: int) -> Iterator[Found]:
        for value in values(buf, start):
            text = buf[value.start : value.end]
            yield value.start, value.end, text, value.wrap + pseudonyms.tag("password", text) + value.wrap

    return find


def find_cookie(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of cookie values in Cookie and Set-Cookie headers (RFC 6265); attributes and plain settings stay."""

    def find(buf: bytes, start: int) -> Iterator[Found]:
        if buf[start - 1 : start].isalnum():
            return
        header = _COOKIE.match(buf, start)
        if header is None:
            return
        for pair in _PAIR.finditer(buf, *header.span("pairs")):
            value = pair["value"]
            if pair["name"].lower() in _COOKIE_ATTRIBUTES or _COOKIE_PLAIN.fullmatch(value) or TAG.search(value):
                continue
            if is_secret(value, Strength.STRONG, quoted=True, prose=False):
                yield *pair.span("value"), value, pseudonyms.tag("cookie", value)

    return find


FINDERS: dict[str, Callable[[Pseudonymizer], Finder]] = {
    "assignment": find_assignment,
    "card": find_card,
    "cookie": find_cookie,
    "email": find_email,
    "iban": find_iban,
    "ipv4": find_ipv4,
    "ipv6": find_ipv6,
    "mac": find_mac,
    "phone": find_phone,
}
