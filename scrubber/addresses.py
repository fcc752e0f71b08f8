"""Find IPv4, IPv6 and MAC addresses, and tell them from versions, OIDs, netmasks, times and fingerprints."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING

from scrubber.finder import Finder, Found, remembered
from scrubber.networks import IPV6_PSEUDONYMS, MAC_PSEUDONYM
from scrubber.versions import (
    BEFORE_COORDINATES,
    TAILS,
    TAILS_OF_KEYS,
    UPGRADES,
    is_address_in_name,
    is_in_coordinates,
    is_numbered_section,
    is_section,
    is_small,
    is_version,
    is_wide,
    named_before,
)

if TYPE_CHECKING:
    from scrubber.pseudonym import Pseudonymizer

_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = re.compile(rb"(?:" + _OCTET + rb"\.){3}" + _OCTET + rb"(?![0-9])")
_NO_HOST = frozenset((b"0", b"127", *(b"%d" % first for first in range(224, 256))))
"""The first number of what is no host's address: this network, loopback, groups, and the space of our pseudonyms."""
_UNDERSCORE = 0x5F
_HYPHEN = 0x2D
_BEFORE_REST = frozenset(bytes((byte,)) for byte in b"0123456789*; \t\n>")
"""What stands before a dot behind which numbers are the rest of an identifier: 1.3.6.1, *.6.2.6.0."""
_METADATA = b"169.254.169.254"
"""The address at which the clouds tell a machine about itself."""
_INTERNET = b"1.3.6.1"
"""The identifier below which all of SNMP's are (RFC 1155)."""
_OBJECTS = (b"2.5.4.", b"2.5.5.", b"2.5.6.", b"2.5.13.", b"2.5.18.", b"2.5.29.")
"""How identifiers of X.500's attributes, classes, matching rules and of a certificate's extensions begin, and of the
syntaxes of Active Directory: no addresses (ITU-T X.520, X.509)."""
_PRIVATE = (b"10.", b"192.168.", b"169.254.", *(b"172.%d." % second for second in range(16, 32)))

_NEAR = 40
_AFTER_WORDS = b" \t\"'<>(v:=V|.\\"
_BETWEEN_CELLS = b",;"
_BEFORE_WORD = b" \"'("
_BEFORE_CLOSED = b"\n[{"
_BEFORE_CELL = b"\t,;"
_QUOTES = b"\"'"
_ENDS_OPEN = b"+~_-.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BEFORE_EQUALS = _AFTER_WORDS + b"~!^]"
_VERSION_AFTER = re.compile(
    rb"[+~_](?=[0-9A-Za-z])|-(?!" + _OCTET + rb"\.[0-9]{1,3}\.[0-9])[0-9A-Za-z]|[A-Za-z]|"
    rb"\.(?:el|fc|rpm|deb|tar|tgz|zip|jar|dll|so|x86|noarch|amd64|exe|msi|gz|dev[0-9]|post[0-9]|SP[0-9]|"
    rb"(?:Final|RELEASE|GA|SNAPSHOT)\b)"
)
_PACKAGE_BEFORE = re.compile(rb"(?<![\w.])[A-Za-z][\w+.]*-\Z")
_IN_NAMES = frozenset((b".", b"-", b"_", b"+", b"~"))
_PORT_AFTER = re.compile(rb"\.([0-9]{1,5})(?=[\s:<>]|\Z)")
_PATH_BEFORE = re.compile(rb"[A-Za-z][A-Za-z0-9_\-]*/\Z")
_BROWSER_BEFORE = re.compile(
    rb"\b(?:Chrom(?:e|ium)|HeadlessChrome|Firefox|Safari|Version|Edge?|EdgA|OPR|CriOS|Electron|Trident)/\Z"
)
_HIERARCHY = re.compile(rb"(?<![A-Za-z])(?:[A-Z]+_[A-Z_]+|DIRECT)/\Z")
"""How Squid says whom it asked: HIER_DIRECT/84.2.3.4."""
_HOST_BEFORE = re.compile(rb"(?<![\w.\-])(?:[A-Za-z0-9][A-Za-z0-9_\-]*\.){2,8}[a-z]{2,24}/\Z")
"""A host's full name, behind which Java writes its address: app1.site.de/84.2.3.4."""
_MODULE_BEFORE = re.compile(rb"\b(?:java|jdk|javafx|kotlin|kotlinx|scala|spring)\.[\w.]{1,40}@\Z")
"""A module, behind which a stack trace writes its version: java.base@17.0.8.1."""

_IPV6 = re.compile(rb"(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:[0-9]{1,3}\.){3}[0-9]{1,3}|[0-9A-Fa-f]{0,4})")
_IPV6_PORT = re.compile(
    rb"((?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?=[0-9A-Fa-f:]{0,38}::)(?:[0-9A-Fa-f]{0,4}:){2,6}[0-9A-Fa-f]{1,4})"
    rb":[0-9]{2,5}(?![0-9A-Za-z:.])"
)
"""An address with a port behind it and no brackets around it, as Apache logs it; behind `::` it has five digits."""
_IPV6_GROUPS, _OCTET_DIGITS = 8, 2
_TIME_OF_DAY = re.compile(rb"[0-9]{1,4}::[0-2][0-9]:[0-5][0-9]:[0-6][0-9]")
"""The end of a date and the time, as Erlang logs them: 7-Jun-2015::03:42:13."""
_IPV6_CHARS = b"0123456789abcdefABCDEF:"
_IPV6_SURE = re.compile(rb"(?:[23][0-9a-f]{3}|f[cd][0-9a-f]{2}|fe80|64):", re.IGNORECASE)

_MAC = re.compile(
    rb"[0-9A-Fa-f]{2}([:-])(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?!\1[0-9A-Fa-f]{2}(?![0-9A-Za-z]))(?![0-9A-Za-z])|"
    rb"(?:[0-9A-Fa-f]{4}\.){2}[0-9A-Fa-f]{4}(?!\.?[0-9A-Fa-f]{2}|[0-9A-Za-z])"
)
_MAC_CHAIN_BEFORE = re.compile(rb"(?:\A|[^0-9A-Za-z])(?:[0-9A-Fa-f]{2}[:-]|[0-9A-Fa-f]{4}\.)\Z|[0-9A-Za-z]\Z")
_YEAR_BEFORE = re.compile(rb"(?:\A|[^0-9A-Za-z])(?:19|20)[0-9]{2}-\Z")
"""Before the rest of a time, as udev names a disc by when it was made: 2019-08-05-20-00-00-00."""
MAC_GROUPS = (b"01005e", b"3333", b"0180c2", b"01000c", b"010ccd", b"011b19", MAC_PSEUDONYM.encode(), b"00000000")


def find_ipv4(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IPv4 addresses that are addresses: not versions, OIDs, netmasks, loopback, multicast."""
    image = remembered(lambda text: pseudonyms.ipv4(text) if _is_host(text) else b"")

    def find(buf: bytes, start: int, end: int) -> Found | None:
        start += buf[start] == _UNDERSCORE
        end -= buf[end - 1] == _UNDERSCORE
        text = buf[start:end]
        new = image(text)
        if not new:
            return None
        if not (_stands_alone(buf, start, end, text) or _is_address(buf, start, end, text)):
            return None
        return start, end, text, new

    return find


def _is_host(text: bytes) -> bool:
    if _IPV4.fullmatch(text) is None or text[: text.find(b".")] in _NO_HOST:
        return False
    return text != _INTERNET and not text.startswith((_METADATA, *_OBJECTS))


def _stands_alone(buf: bytes, start: int, end: int, text: bytes) -> bool:
    """Say whether the bytes at both ends alone show an address; most are decided here."""
    if start < 3 or end >= len(buf) or buf[end] in _ENDS_OPEN or is_small(text):
        return False
    before = buf[start - 1]
    if before in _BEFORE_CLOSED:
        return buf[start - 3 : start - 1] != b"# "
    if before in _BEFORE_CELL:
        return buf[start - 3 : start - 1] not in TAILS
    if before in _BEFORE_WORD and buf[start - 2] not in _AFTER_WORDS:
        if before in _QUOTES and buf[start - 2] in _BETWEEN_CELLS:
            word_end = start - 2 - (buf[start - 3] in _QUOTES)
            return buf[word_end - 2 : word_end] not in TAILS
        return buf[start - 3 : start - 1] not in TAILS and not (
            buf[start - 2] in b"om" and any(word in buf[max(0, start - _NEAR) : start] for word in UPGRADES)
        )
    key_end = start - _gap_behind_key(buf, start, before)
    return (
        4 < key_end < start
        and buf[key_end - 1] not in _BEFORE_EQUALS
        and buf[key_end - 2 : key_end] not in TAILS_OF_KEYS
        and buf[end - 4 : end] != b".0.0"
    )


def _gap_behind_key(buf: bytes, start: int, before: int) -> int:
    """Give how many bytes stand between a key and the address at *start*, of the usual signs; 0 where others do."""
    if before == 0x3D:
        return 1
    if before == 0x22:
        gap = buf[start - 6 : start]
        if gap.endswith(b'\\"'):
            return 6 if gap == b'\\": \\"' else 5 if gap[1:] == b'\\":\\"' else 0
        return 4 if gap.endswith(b'": "') else 3 if gap.endswith(b'":"') else 0
    return 2 if before == 0x20 and buf[start - 2] == 0x3A else 0


def _is_address(  # noqa: C901, PLR0911, PLR0912 - a table of refusals
    buf: bytes, start: int, end: int, text: bytes
) -> bool:
    before = buf[start - 1 : start]
    private = text.startswith(_PRIVATE)
    if before == b"." and buf[start - 2 : start - 1] in _BEFORE_REST:
        return False  # the rest of an identifier
    if buf[end : end + 9].lower() == b".in-addr.":
        return False  # turned round
    if buf[end : end + 1] == b"." and buf[end + 1 : end + 2].isdigit():
        return _has_port(buf, start, end, private=private)
    after = _VERSION_AFTER.match(buf, end)
    if before == b"_" or (after is not None and after[0][:1] in _IN_NAMES and not (private and after[0] == b"-")):
        return is_address_in_name(buf, start, end, private=private)
    small = is_small(text)
    if (after is not None and not private) or (small and is_section(buf, start, end)):
        return False
    if is_numbered_section(buf, start, text):
        return False
    if small and (earlier := named_before(buf, start)) is not None:
        begin, stop = earlier
        return _stands_alone(buf, begin, stop, buf[begin:stop]) or _is_address(buf, begin, stop, buf[begin:stop])
    if before in {b"", b"\n"}:
        return True
    context = buf[max(0, start - 48) : start]
    if is_version(context, before, private=private, small=small):
        return False
    if before in BEFORE_COORDINATES and is_in_coordinates(buf, start, before):
        return False
    if not private and buf[end - 4 : end] == b".0.0" and buf[end : end + 1] != b"/" and buf[end : end + 5] != b" 255.":
        return False
    if before == b"." and buf[start - 4 : start - 1] == b".so":
        return False
    if before == b"@" and _MODULE_BEFORE.search(context):
        return False
    if before == b"/" and _BROWSER_BEFORE.search(context):
        return False
    if private:
        return True
    if (
        before == b"/"
        and _PATH_BEFORE.search(context)
        and not _HOST_BEFORE.search(context)
        and not _HIERARCHY.search(context)
    ):  # Chrome/120.0.6099.109, yet node/10.2.3.4:9042
        return is_wide(text) or (buf[end : end + 1] == b":" and buf[end + 1 : end + 2].isdigit())
    if before == b"-" and _PACKAGE_BEFORE.search(context):
        return is_address_in_name(buf, start, end, private=False)
    return not before.isalnum()


def _has_port(buf: bytes, start: int, end: int, *, private: bool) -> bool:
    """Say whether five numbers are an address and a port as tcpdump and BSD's netstat write them."""
    port = _PORT_AFTER.match(buf, end)
    if port is None or int(port[1]) > 65535 or buf[max(0, start - 1) : start] not in {b" ", b""}:
        return False
    return private or buf[max(0, start - 3) : start] in {b"IP ", b" > "} or buf[port.end() : port.end() + 2] == b" >"


def find_ipv6(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of IPv6 addresses (RFC 4291); loopback, unspecified, multicast and lone prefixes stay."""
    image = remembered(pseudonyms.ipv6)

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        begin = _ipv6_start(buf, start + (buf[start] == _UNDERSCORE))
        match = _IPV6.match(buf, begin)
        if match is None:
            return None
        text = match[0]
        named = buf[begin - 1 : begin] in {b"_", b"."}
        after = buf[match.end() : match.end() + 1]
        if (after.isdigit() or after == b":") and (port := _IPV6_PORT.match(buf, begin)):
            text, after = port[1], b" "
        named = named or after == b"_"
        if after.isalnum() or (named and not (_IPV6_SURE.match(text) and text.count(b":") > 2)):
            return None
        if text.endswith(b":") and not text.endswith(b"::"):
            text = text[:-1]
        elif after == b":" and (text.count(b":") != _IPV6_GROUPS - 1 or buf[match.end() + 1 : match.end() + 2] != b" "):
            return None
        if buf[begin - 1 : begin] == b"-" and _TIME_OF_DAY.fullmatch(text):
            return None
        address = _parse_ipv6(text)
        if address is None:
            return None
        return begin, begin + len(text), str(address).encode(), image(text)

    return find


def _ipv6_start(buf: bytes, start: int) -> int:
    """Go back over an address's characters, and forward again over a word's end: `node:2a01::1`."""
    seg = buf[max(0, start - 40) : start]
    begin = start - (len(seg) - len(seg.rstrip(_IPV6_CHARS)))
    while begin < start and buf[begin - 1 : begin].isalnum():
        colon = buf.find(b":", begin, start)
        if colon < 0:
            break
        begin = colon + 1
    while begin < start and buf[begin : begin + 1] == b":" and buf[begin + 1 : begin + 2] != b":":
        begin += 1
    return begin


def _parse_ipv6(text: bytes) -> ipaddress.IPv6Address | None:
    groups = [group for group in text.split(b":") if group]
    if len(groups) == _IPV6_GROUPS and all(len(group) == _OCTET_DIGITS for group in groups):
        return None  # eight bytes of a fingerprint, a signature, a world-wide name
    if b"." in text or not re.search(rb"[0-9]", text) or (len(groups) < 3 and not _IPV6_SURE.match(text)):
        return None
    try:
        address = ipaddress.IPv6Address(text.decode("ascii"))
    except ValueError:
        return None
    if int(address) >> 16 == 0 or address.is_multicast or address in IPV6_PSEUDONYMS or int(address) == 0xFE80 << 112:
        return None
    return address


def find_mac(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of MAC addresses (IEEE 802); broadcast, null and groups stay, longer fingerprints too."""
    image = remembered(lambda text: pseudonyms.mac(text) if _is_station(text) else b"")

    def find(buf: bytes, start: int, end: int) -> Found | None:
        start += buf[start] == _UNDERSCORE
        end -= buf[end - 1] == _UNDERSCORE
        new = image(buf[start:end])
        if (
            new
            and (  # netfilter: to, from, protocol
                buf[max(0, start - 4) : start] == b"MAC=" or buf[max(0, start - 22) : max(0, start - 18)] == b"MAC="
            )
        ):
            return start, end, _digits(buf[start:end]), new
        if buf[start + 4 : start + 5] == b"." and buf[start - 2 : start] in {b"[.", b"[*"}:
            return None  # a weight of Unicode's collation, and no address
        if buf[start + 2] == _HYPHEN and _YEAR_BEFORE.search(buf[max(0, start - 6) : start]):
            return None
        if not new or _MAC.match(buf, start) is None or _MAC_CHAIN_BEFORE.search(buf[max(0, start - 6) : start]):
            return None
        return start, end, _digits(buf[start:end]), new

    return find


def _is_station(text: bytes) -> bool:
    """Say whether *text* is one station's address: not broadcast, not null, not a group, not a time."""
    digits = _digits(text)
    if len(set(digits)) < 2 or digits.startswith(MAC_GROUPS):
        return False
    # a time in a file's name, 20-26-11-22-01-02
    return not (text.count(b"-") == 5 and digits.isdigit() and digits.startswith((b"19", b"20")))


def _digits(text: bytes) -> bytes:
    return text.translate(None, b":-.").lower()
