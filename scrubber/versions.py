"""Tell four numbers that are a version, a section's number or part of a package's name from an address.

An address and a version are written alike. What decides is, in this order: a word before the numbers that says which
they are, the signs around them, and how large they are: versions have small numbers, and few addresses do.
"""

from __future__ import annotations

import re

from scrubber.hostnames import words
from scrubber.logins import is_ordinary

# A word before four numbers that makes them a version: these always, those only where the address is not a private one.
_VERSION_WORDS = (
    rb"version(?:e|i|en|ne)?|versi(?:o|\xc3\xb3)n(?:es)?|vers(?:a|\xc3\xa3)o|wersj[aie]|verz[ei]|verzi(?:o|\xc3\xb3)|versies?|"
    rb"release|firmware|revision|(?<![A-Za-z])(?:vers\.?|ver|rel|rev|rv|fw|build|bios)|"
    rb"(?-i:(?<=[a-z])(?:Ver|Rel|Rev|Build))"
)
_PRODUCT_WORDS = (
    rb"driver|kernel|package|pkg|update|upgrade|assembly|schema|sdk|engine|definitions?|patch|baseline|toolset|runtime|"
    rb"oid|sections?|chapter|clause|paragraph|appendix|annex|tables?|figures?|product|glibc|libc|openssl|openjdk|jdk|jre|hotfix|uefi|plugin|"
    rb"onefs|ontap|esxi|vcenter|vsphere|fortios|pan-os|webkit|chromium|firefox|safari|acrobat|"
    rb"db2|weblogic|websphere|hotspot|jvm|hyper-v|vmtools|powershell|idrac|ilo|cimc|ipmi|vrmf|silverlight|"
    rb"onedrive|teams|teamviewer|anydesk|citrix|netscaler|hana|informix|"
    rb"libssl|libcrypto|libcurl|libvirt|libpcap|libpng|libxml|libpq|tag|bootloader|microcode|chart|module|library|installer"
)
_THEN = (
    rb"s?(?:\\{0,3}[\"']|`|\*{1,2})?(?:,? ?[\"']?(?:value|val|content)[\"']?|"
    rb":?(?:</?\w{0,10}>[ \t]{0,2}){1,4})?"
    rb"(?:[ \t]*(?:[:=]{1,2}>?|[-=]>|\||\.{2,})?[ \t]*|[,;]|:?\*{1,2}:? )(?:\\{0,3}[\"'<>(`v])*\Z"
)
_VERSION_BEFORE = re.compile(
    rb"(?:" + _VERSION_WORDS + rb")(?:[_ ](?:id|no|nr|number))?" + _THEN + rb"|(?:\A|[^A-Za-z0-9])[vV]\Z|"
    rb"\b(?:bump|upgrade|downgrade|migrate|tag|patch|roll|pin)[a-z]{0,2} (?:[\w.\-]{1,24} ){0,3}"
    rb"(?:from (?:v?[0-9][\w.\-]{1,24} to )?|to )[\"'v]?\Z|"
    rb"\bupdated? (?:[\w.\-]{1,24} )?to [\"'v]?\Z",
    re.IGNORECASE,
)
_PRODUCT_BEFORE = re.compile(rb"\b(?:" + _PRODUCT_WORDS + rb")" + _THEN, re.IGNORECASE)
# The third field of CEF and LEEF headers, an artifact's coordinates, a container image's tag, a requirement.
_COORDINATES = re.compile(
    rb"(?:CEF:[01]|LEEF:[0-9.]{1,4})\|[^|\n]{0,60}\|[^|\n]{0,60}\|\Z|"
    rb"[a-z][\w\-]*\.[\w.\-]+:[\w.\-]+(?::[a-z][\w\-]*)?:\Z|/[a-z][\w.\-]*:\Z|[A-Za-z0-9\]] ?[=~<>^!]=\Z|[\"'][\^~]\Z"
)
BEFORE_COORDINATES = frozenset((b"|", b":", b"=", b"^", b"~"))
_COORDINATE_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.:/"
WORD_ENDS = tuple(words("before_versions"))
BEFORE_VERSIONS = (*WORD_ENDS, b" to", b" from", b"value")
UPGRADES = (b"pgrad", b"ngrad", b"bump", b"Bump", b"igrat", b"pdate", b"patch")
"""What stands near `to` and `from` where versions follow: upgrade to 10.2.0.5."""
TAILS = frozenset(
    made for word in WORD_ENDS for made in (word[-2:], word[-2:].upper(), word[-2:].title(), word[-2:].swapcase())
)
TAILS_OF_KEYS = TAILS | {made for word in (b"to", b"om", b"ue") for made in (word, word.upper(), word.title())}
_BETWEEN = b" \t\"'<>(v:=V`|,;\\*.-"
"""What may stand between a version's word and the version."""
_BESIDE_V = _BETWEEN.replace(b"v", b"").replace(b"V", b"")
"""The same behind a word that ends with that letter itself: rev: 1.9.0.20."""

_SMALL = re.compile(rb"(?!10\.)(?:[1-9]|[1-3][0-9]|4[0-7])(?:\.[1-9]?[0-9]){3}")
_KNOWN_SMALL = frozenset(b"1.1.1.1 1.0.0.1 1.2.3.4 4.2.2.2 4.4.4.4 8.8.8.8 8.8.4.4 9.9.9.9".split())
"""Addresses of well-known resolvers, and the one that examples have."""
_NUMBERS = rb"v?[0-9][\w.\-]{0,16}(?:, v?[0-9][\w.\-]{0,16}){0,2}"
_SAID = re.compile(
    rb"(?:version|firmware|revision|release|build)(?: number)?[\"'`]?,? (?:(?:is|was|be|are|now|has been|(?:but )?got|"
    rb"found|than|before|after|until|since|through|up to|and|or) ){1,2}[\"'`v]?\Z|"
    rb"(?:package|artifact|module|dependency|image|plugin|component|library|requires?)[\"']?[ \t]*[:=]?>?[ \t]*[\"']?"
    rb"[\w.\-/]{2,40}[:@]\Z|"
    rb"(?:version|release)s?:? " + _NUMBERS + rb",? (?:and |or |to |through |until |- )?v?\Z",
    re.IGNORECASE,
)
"""A sentence that says of a small number that it is a version."""

_CHAIN = re.compile(
    rb"(?<![0-9.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})"
    rb"(?: (?:->|=>|\xe2\x86\x92|to|and|or|-) |, (?:and |or )?| \((?:was|from|previously):? )v?\Z"
)
"""Another such number before, and what makes one of both what the other is: 5.2.1.10 (was 5.2.1.9)."""
_HEADED = re.compile(rb"(?:\A|\n)#{1,6} \[?v?\Z")
"""A heading as changelogs have it: ## [5.2.1.10] - 2024-05-01."""
_SECTION_BEFORE = re.compile(rb"(?:\xc2?\xa7|\b(?:sections?|chapters?|clauses?|appendix|annex)) ?\Z", re.IGNORECASE)
_SECTION = re.compile(rb"[0-9]{1,2}(?:\.[0-9]{1,2}){3}")
_LINE_BEFORE = re.compile(rb"(?:\A|\n)(?:[ \t]*(?P<mark>//+|/\*+|\*)?[ \t]*|[ \t]*<[^\n]{0,120}>)\Z")
_HEADING_AFTER = re.compile(
    rb"\.?(?:[ \t]+|\xc2\xa0)(?:[A-Z][A-Za-z]|[a-z]+(?:[ \t]+[a-z]+)+|[a-z]+[ \t]*\.{3})|"
    rb"\.(?:[ \t]+|\xc2\xa0)[a-z]|[ \t]*\.{4}"
)
_NOTHING_AFTER = re.compile(rb"\.?[ \t]*(?:\r?\n|\Z)")
_WORD_BEFORE = re.compile(rb"(?:\A|[\s(\[,;:/*|\-])(?:([A-Za-z]+) )?([A-Za-z][\w+.\-]*?),? \Z")
_DATE_BEFORE = re.compile(rb"(?:19|20)[0-9]{2}-[0-9]{2}-[0-9]{2} \(\Z")
_DECIMALS_BEFORE = re.compile(rb"(?<![0-9.])[0-9]{0,4}\.[0-9]{1,4}(?:[ ,]-?|-)[0-9]{0,4}\.[0-9]{1,4}[ ,]?\Z")
"""Numbers of a drawing's path, where a point alone parts two: 2.83-2.12 3.51.98.32."""
_RELEASE_BEFORE = re.compile(rb"(?<![0-9.])([0-9]{1,2}\.[0-9]{1,2}):\Z")
"""A release before all of its version: V11.5:11.5.6.0."""
_SHORTEST_LIBRARY = 4
_VERSIONS_FOLLOW = words("versions_follow")
_ADDRESSES_FOLLOW = words("addresses_follow")
_NAME_VERSION = re.compile(
    rb"(?:version|release|firmware|(?<![A-Za-z])(?:v|ver|vers|rel|rev|fw|build|r))[_\-.]?\Z", re.IGNORECASE
)
_PACKAGE_AFTER = re.compile(
    rb"~|[_\-.+](?:amd64|x(?:86(?:_64)?|64|32)|i[3-6]86|arm(?:64|hf|el|v[67])?|aarch64|ppc64|s390x|all|any|noarch|setup|"
    rb"install(?:er)?|win(?:32|64|dows)?|linux|darwin|mac(?:os)?|osx|release|snapshot|final|ga|rc[0-9]|beta|alpha|dev[0-9]|"
    rb"post[0-9]|sp[0-9]|hf[0-9]|p[0-9]|py[0-9]|cp[0-9]|src|source|bin|dist|orig|dfsg|git|deb|ds|repack|really|neutral|full|"
    rb"update|patch|windows|el[0-9]|fc[0-9]|rpm|exe|msi|whl|jar|war|ear|dll|so|apk|dmg|pkg|nupkg|egg|gem|crate|cab|msu|"
    rb"vib|iso|ova|bundle|[0-9]{1,3}(?:\.[0-9]|[.\-+~_]?[a-z]))(?![a-z])",
    re.IGNORECASE,
)
_ARCHIVE_AFTER = re.compile(rb"\.(?:tar|tgz|zip|gz|bz2|xz|zst|7z)\b|-[0-9]{1,3}(?![0-9.])")
_PLAIN_TEN = re.compile(rb"10(?:\.[0-9]){3}")


def is_small(text: bytes) -> bool:
    """Say whether four numbers are as small as those of versions are; one in a hundred public addresses is."""
    return _SMALL.fullmatch(text) is not None and text not in _KNOWN_SMALL


def is_wide(text: bytes) -> bool:
    """Say whether four numbers are larger than those of versions are; nine in ten public addresses are."""
    first, second, third, last = map(int, text.split(b"."))
    if not second:
        return False
    return first >= 100 or second >= 100 or (third >= 100 and last >= 100) or (first >= 32 and max(third, last) >= 64)


def is_version(context: bytes, before: bytes, *, private: bool, small: bool) -> bool:
    """Say whether the words in *context*, which ends with the sign *before*, make the number behind it a version."""
    if small and _SAID.search(context):
        return True
    if _HEADED.search(context):
        return True
    if before not in {b"v", b"V", b">"} and not any(
        word[-2:] in TAILS_OF_KEYS and word.endswith(BEFORE_VERSIONS)
        for word in (context.rstrip(_BETWEEN).lower(), context.rstrip(_BESIDE_V).lower())
    ):
        return False
    return bool(_VERSION_BEFORE.search(context) or (not private and _PRODUCT_BEFORE.search(context)))


def named_before(buf: bytes, start: int) -> tuple[int, int] | None:
    """Give where the number stands that says what the one at *start* is, if there is one."""
    earlier = _CHAIN.search(buf, max(0, start - 40), start)
    return earlier.span(1) if earlier is not None else None


def is_numbered_section(buf: bytes, start: int, text: bytes) -> bool:
    """Say whether numbers stand behind what only sections stand behind: § 10.3.4.5."""
    return _SECTION.fullmatch(text) is not None and _SECTION_BEFORE.search(buf, max(0, start - 16), start) is not None


def is_section(buf: bytes, start: int, end: int) -> bool:
    """Say whether small numbers stand where a section's, a product's or a drawing's do: Git 1.7.0.7, 7.4.5.1 Keys."""
    context = buf[max(0, start - 160) : start]
    line = _LINE_BEFORE.search(context)
    if line is not None:
        alone = line["mark"] is not None and _NOTHING_AFTER.match(buf, end) is not None
        return alone or _HEADING_AFTER.match(buf, end) is not None
    if _DATE_BEFORE.search(context) or _DECIMALS_BEFORE.search(context) or _goes_on(buf, start, context):
        return True
    before = _WORD_BEFORE.search(context)
    if before is None:
        return False
    earlier, word = (before[1] or b"").lower(), before[2].lower()
    if word in _ADDRESSES_FOLLOW or earlier in _ADDRESSES_FOLLOW:
        return False
    if word in _VERSIONS_FOLLOW:
        return True
    library = word.startswith(b"lib") and len(word) > _SHORTEST_LIBRARY and not is_ordinary(word)
    named = library or (before[2][:1].isupper() and (word in words("technical") or not is_ordinary(word)))
    return named or any(0x30 <= c < 0x3A for c in word) or earlier in _VERSIONS_FOLLOW


def _goes_on(buf: bytes, start: int, context: bytes) -> bool:
    """Say whether numbers go on with those of a release before a colon: V11.5:11.5.6.0."""
    release = _RELEASE_BEFORE.search(context)
    return release is not None and buf.startswith(release[1] + b".", start)


def is_in_coordinates(buf: bytes, start: int, before: bytes) -> bool:
    """Say whether a number at *start* is a field of an event's header, an artifact's coordinates, or a requirement."""
    window = buf[max(0, start - 130) : start]
    if before == b"|":
        return b"EF:" in window and _COORDINATES.search(window) is not None
    near = len(window.rstrip(_COORDINATE_CHARS)) if before == b":" else -3  # what ends with a colon has no blank in it
    return _COORDINATES.search(window[near:]) is not None


def is_address_in_name(buf: bytes, start: int, end: int, *, private: bool) -> bool:
    """Say whether a number within a file's name or an identifier is an address: backup_10.42.3.4.tgz.

    There versions stand as well: without a word that says so, large numbers are addresses and small ones versions.
    """
    text = buf[start:end]
    ten = text.startswith(b"10.")
    if not private and not is_wide(text):
        return False
    if (ten or not private) and _PACKAGE_AFTER.match(buf, end):
        return False
    if _PLAIN_TEN.fullmatch(text) and _ARCHIVE_AFTER.match(buf, end):
        return False
    return _NAME_VERSION.search(buf[max(0, start - 12) : start]) is None
