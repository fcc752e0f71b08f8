"""Find personal data that a key names: `"firstName": "…"`, `<street>…</street>`; and names beside addresses of mail."""

from __future__ import annotations

import base64
import binascii
import quopri
import re
from typing import TYPE_CHECKING

from scrubber.escapes import unescaped
from scrubber.fields import Field, field_of, field_of_words, images, is_kind, is_surname
from scrubber.finder import remembered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrubber.finder import Finder, Found
    from scrubber.pseudonym import Pseudonymizer

_RFC_NUMBER = re.compile(rb"[:`'\"\s]{0,4}[0-9]{1,5}\b")
_OCTET_BEFORE = re.compile(rb"[:-][0-9A-Fa-f]{2}[:-]")
_KEY_CHARS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_KEY_END = re.compile(rb"[A-Za-z0-9_.\-\x80-\xff]{0,40}?(?=[\s\"'\\:=>]|&quot;|%3[AaDd])")
_SEPARATOR = re.compile(
    rb"(?P<close>\\{0,3}[\"'`]|&quot;|%22)?\]?[ \t]{0,20}"
    rb"(?P<op>::(?= ?[A-Za-z0-9+/]{4})|=>|:=|[:=](?![:=])|%3[AaDd])[ \t]{0,24}"
)
_ELEMENT = re.compile(rb"(?:[ \t][^<>\n]{0,120})?>\s{0,20}(?P<value>[^<>\n]{1,200}?)\s{0,20}</")
_OPEN = re.compile(rb"\\{0,3}[\"'`]|&quot;|%22")
_WRAPPED = re.compile(rb"(?:new )?(?:ISODate|Date|Timestamp|DateTime)\((?=[\"'])")
"""What a date is made by, in the shell of MongoDB and in JavaScript."""
_BASE64 = re.compile(rb"[A-Za-z0-9+/]{4,400}={0,2}")
_REST = re.compile(rb"[^\r\n]{1,240}")
_INLINE_END = re.compile(rb"[,;&|\t\r\n\"'<>(){}\[\]]|\\[nrt]|  |[ ,;][\w.\-]{1,40}[=:]|\Z")
_FORM_END = re.compile(rb"[\s&,;|\"'<>(){}\[\]\\]|\Z")

_MAILBOX = re.compile(
    rb"(?:\"(?P<quoted>[^\"\r\n<>@:=]{3,60})\"|"
    rb"(?P<bare>(?:[A-Z\xc3-\xc5\xcd-\xd4][\w.'\x80-\xff\-]{0,24},? |"
    rb"(?:von|van|de|der|den|da|di|del|la|le|el|bin|zu|af|av|ter) ){1,5}"
    rb"[A-Z\xc3-\xc5\xcd-\xd4][\w.'\x80-\xff\-]{1,24})|"
    rb"(?P<caseless>(?:(?:[\xd6-\xdf][\x80-\xbf]|[\xe0-\xed][\x80-\xbf]{2}){1,12} ?){1,4}?))"
    rb" ?(?:<|&lt;|\\u003[cC])\Z"
)
_CALLED = re.compile(
    rb"(?:From|To|Cc|Author|By|Ask|Ping|See|Dear|Hi|Hello|Hallo|Liebe|Lieber|Kolleg(?:e|en|in)|Kontakt|Colleague|Contact|"
    rb"Administrator) "
)
"""What no name begins with: a header's, a greeting, a word for somebody one works with."""
_ENCODED_WORD = re.compile(rb"=\?[\w\-]{2,20}\?(?P<how>[qQbB])\?(?P<text>[^?\s]{3,75})\?= ?<\Z")
_NEAR = re.compile(
    rb"mail|phone|personnummer|adress|pesel|passport|\bssn\b|\bnif\b|\bdni\b|aadhaar|geburt|nacim|nascita|naissance|urodz|"
    rb"card_?number|dbtr|cdtr|initgpty|pstladr|\biban|\bcvv|\bpan\b|expiry|@[a-z]|birth|telef|mobil|surname|given_?name|last_?name|street|sam_?account|dob\b",
    re.IGNORECASE,
)
"""What else stands near a name that its key alone does not show to be a person's."""
_PART_KEYS = frozenset((b"nom", b"nombre", b"nome", b"naam", b"namn", b"navn"))
_OTHER_PART = re.compile(
    rb"apellido|prenom|pr\xc3\xa9nom|cognome|sobrenome|voornaam|achternaam|f\xc3\xb6rnamn|fornamn|efternamn|fornavn|etternavn",
    re.IGNORECASE,
)
"""Keys of the other half of a name: beside one, "nombre" and the like are a given or a family name's."""
_ATTRIBUTE_VALUE = re.compile(
    rb"[\"'][^<>\n]{0,200}>\s{0,20}<[\w:]{0,20}(?:AttributeValue|string|[Vv]alue)\b[^<>]{0,120}>\s{0,20}"
    rb"(?P<value>[^<>\n]{1,200}?)\s{0,20}</"
)
"""What an attribute of SAML's holds: <Attribute Name="givenName"><AttributeValue>…"""
_WITH_OTHERS = {
    b"first": ("name", re.compile(rb'"last"\s{0,2}:\s{0,2}"')),
    b"last": ("name", re.compile(rb'"first"\s{0,2}:\s{0,2}"')),
    b"middle": ("name", re.compile(rb'"first"\s{0,2}:\s{0,2}"')),
    b"given": ("name", re.compile(rb'"family"\s{0,2}:\s{0,2}"')),
    b"family": ("name", re.compile(rb'"given"\s{0,2}:\s{0,2}[\["]')),
    b"formatted": ("name", re.compile(rb'"(?:givenName|familyName)"\s{0,2}:\s{0,2}"')),
    b"place": (
        "city",
        re.compile(rb'"(?:zip|zip_?[Cc]ode|post_?[Cc]ode|postal_?[Cc]ode|plz|street\w{0,12})"\s{0,2}:\s{0,2}"'),
    ),
    b"line": ("street", re.compile(rb'"(?:postalCode|postcode|zip|city|town)"\s{0,2}:\s{0,2}"')),
}
_ELEMENTS = {
    name: re.compile(rb"<(?:\w{1,12}:)?" + other + rb">", re.IGNORECASE)
    for name, other in ((b"first", b"last"), (b"last", b"first"), (b"middle", b"last"))
}
"""The same of elements: <First> beside <Last>."""
_PROTOCOL = re.compile(rb"[\"']?[ \t]*[:=][ \t]*[\"']?(?:[A-Z]{2,5}/)?[0-9]\.[0-9]\b")
"""What the header Via holds in HTTP and SIP, where it is no Italian street."""
_LISTED = re.compile(rb'"\s{0,2}:\s{0,2}\[\s{0,40}(?P<items>"[^\[\]{}]{1,600}")\s{0,40}\]')
_ITEM = re.compile(rb'"(?P<value>[^"\n]{1,200})"')
"""A list of JSON's strings: "given": ["Anna", "Maria"]."""
_BOUND = re.compile(rb"\[\"(?P<key>[\w.]{2,60})\",[ ]?\"(?P<value>[^\"\n]{1,240})\"\]")
"""A value bound to a statement of SQL, as Rails logs it: [["city", "Paris"]]."""
_ROLES = frozenset(
    b"assignee reporter requester patient patientin employee mitarbeiter caller requestedfor openedfor signedby".split()
)
"""Keys that hold nobody but persons: a whole name behind one needs nothing else near it."""
_WORDS_BEFORE = re.compile(rb"(?:[A-Za-z\x80-\xff']{2,20} ){1,3}\Z")
_ANY_STREET = Field(kind="street", proven=True)
_BESIDE_STREET = re.compile(rb"<(?:\w{1,12}:)?(?:city|town|zip|post_?code|postal_?code|plz|ort)\b", re.IGNORECASE)
"""An element that shows the one before to be a street, also without a number."""
_FULL_NAME = Field(kind="name", proven=True)
_NAME = Field(kind="name")


def find_person(pseudonyms: Pseudonymizer) -> Finder:  # noqa: C901 - a list of what a key may be
    """Build the finder of values whose key, element or attribute says that they are somebody's."""
    made = {kind: remembered(image) for kind, image in images(pseudonyms).items()}

    def find(buf: bytes, start: int, _end: int) -> Found | list[Found] | None:
        return bound(buf, start) if buf[start] == 0x5B else named(buf, start + (buf[start] in b'"\n<'))

    def named(buf: bytes, start: int) -> Found | list[Found] | None:
        window = buf[max(0, start - 48) : start]
        key_start = start - (len(window) - len(window.rstrip(_KEY_CHARS)))
        right = _KEY_END.match(buf, start)
        if right is None or _OCTET_BEFORE.match(buf, max(0, key_start - 4)):
            return None
        key = buf[key_start : right.end()].strip(b".-")
        alone = key.lower().rstrip(b"123")
        field = _with_others(buf, alone, key_start) if alone in _WITH_OTHERS else field_of(key)
        if key.lower() == b"rfc" and _RFC_NUMBER.match(buf, right.end()):
            field = None  # a document of the IETF's, and no Mexican taxpayer
        if key == b"l" and buf.startswith(b"::", right.end()):
            field = Field(kind="city")  # a place in a directory (RFC 4519), as base64
        told = _of_words(buf, key, key_start)
        field = told or field
        if field is None or (key.lower() == b"via" and _PROTOCOL.match(buf, right.end())):
            return None
        if key.lower() == b"via":  # also a word of English
            field = _ANY_STREET
        listed = _LISTED.match(buf, right.end())
        if listed is not None:
            return list(_items(buf, listed, field, made)) or None
        found = beside(buf, key_start, right.end(), field)
        if (
            found is None
            and key.lower() in _PART_KEYS
            and _OTHER_PART.search(buf, max(0, key_start - 200), key_start + 200)
        ):
            return beside(buf, key_start, right.end(), Field(kind="name"))
        believed = told or not field.proven or key.lower() in _ROLES
        if found is None or believed or _NEAR.search(buf, max(0, key_start - 300), right.end() + 300):
            return found
        return None

    def bound(buf: bytes, start: int) -> Found | None:
        pair = _BOUND.match(buf, start)
        field = field_of(pair["key"]) if pair is not None else None
        return None if pair is None or field is None else _found(buf, *pair.span("value"), field, made)

    def beside(buf: bytes, key_start: int, key_end: int, field: Field) -> Found | None:
        before = buf[key_start - 1 : key_start]
        if before in {b"<", b":"} and (element := _ELEMENT.match(buf, key_end)):
            if field == _ANY_STREET and _BESIDE_STREET.search(buf, element.end(), element.end() + 200):
                field = Field(kind="street")
            return _found(buf, *element.span("value"), field, made)
        if before in {b'"', b"'", b"/"} and (attribute := _ATTRIBUTE_VALUE.match(buf, key_end)):
            return _found(buf, *attribute.span("value"), field, made)
        separator = _SEPARATOR.match(buf, key_end)
        if separator is None or before in {b"$", b"%", b"@"}:
            return None
        return _after(buf, separator, field, made, buf[key_start:key_end].strip(b".-"))

    return find


def _of_words(buf: bytes, key: bytes, start: int) -> Field | None:
    """Say what a key holds by the one or two words before it on its line: `Customer name:`, `Driver's license no:`."""
    if buf[start - 1 : start] != b" ":
        return None
    before = _WORDS_BEFORE.search(buf, max(0, start - 48), start)
    if before is None:
        return None
    words = before[0].replace(b"'s", b"").replace(b"\x27", b"").split()
    for count in range(len(words), 0, -1):
        field = field_of_words(b" ".join([*words[-count:], key]))
        if field is not None:
            return field
    return None


def _with_others(buf: bytes, key: bytes, start: int) -> Field | None:
    """Say what a short key of JSON holds, which only its neighbours show to be a person's: "first" beside "last"."""
    if buf[start - 1 : start] == b"<" and key in _ELEMENTS:
        beside = _ELEMENTS[key].search(buf, max(0, start - 240), start + 240)
        return Field(kind="name") if beside is not None else None
    told = _WITH_OTHERS.get(key)
    if told is None or buf[start - 1 : start] != b'"':
        return None
    kind, others = told
    return Field(kind=kind) if others.search(buf, max(0, start - 240), start + 240) else None


def _items(
    buf: bytes, listed: re.Match[bytes], field: Field, made: dict[str, Callable[[bytes], bytes]]
) -> Iterator[Found]:
    for item in _ITEM.finditer(buf, *listed.span("items")):
        found = _found(buf, *item.span("value"), field, made)
        if found is not None:
            yield found


def _after(
    buf: bytes, separator: re.Match[bytes], field: Field, made: dict[str, Callable[[bytes], bytes]], key: bytes
) -> Found | None:
    start = separator.end()
    op = separator["op"]
    if op == b"::":
        return _encoded(buf, start, field, made)
    wrapped = _WRAPPED.match(buf, start)
    start = wrapped.end() if wrapped else start
    opening = _OPEN.match(buf, start)
    if opening is not None:
        end = buf.find(opening[0], opening.end(), opening.end() + 240)
        return _found(buf, opening.end(), end, field, made) if end > opening.end() else None
    rest = _REST.match(buf, start)
    if rest is None:
        return None
    if separator["close"] or op != b":":
        ends = _FORM_END if op in {b"=", b"%3D", b"%3d"} and not separator["close"] else _INLINE_END
        stop = ends.search(buf, start, rest.end())
        finish = stop.start() if stop else rest.end()
    else:
        stop = _INLINE_END.search(buf, start, rest.end())
        finish = rest.end() if field.kind in {"street", "name"} and _whole_line(buf, start, rest.end()) else 0
        finish = finish or (stop.start() if stop else rest.end())
    if field.proven and op == b"=" and not separator["close"] and (stop := _INLINE_END.search(buf, start, rest.end())):
        finish = max(finish, stop.start())  # a full name has a space within
    text = buf[start:finish].rstrip(b" .")
    if text == key or buf[start + len(text) : start + len(text) + 1] in {b"(", b"["}:
        return None
    found = _found(buf, start, start + len(text), field, made)
    if found and separator["close"] and separator["close"].endswith(b'"') and op == b":":
        return found[0], found[1], found[2], b'"' + found[3] + b'"'
    return found


def _whole_line(buf: bytes, start: int, end: int) -> bool:
    """Say whether all the rest of a line is one value, such as an address with a comma."""
    return re.search(rb"[=<>{}\"\t|;:]|,\w", buf[start:end]) is None


def _encoded(buf: bytes, start: int, field: Field, made: dict[str, Callable[[bytes], bytes]]) -> Found | None:
    """Read LDIF's base64 (RFC 2849) and write it back as such."""
    start += buf[start : start + 1] == b" "
    match = _BASE64.match(buf, start)
    if match is None:
        return None
    try:
        text = base64.b64decode(match[0], validate=True)
    except (ValueError, binascii.Error):
        return None
    if not is_kind(field, text):
        return None
    return start, match.end(), text, base64.b64encode(made[field.kind](text))


def _found(buf: bytes, start: int, end: int, field: Field, made: dict[str, Callable[[bytes], bytes]]) -> Found | None:
    text = buf[start:end]
    lead = len(text) - len(text.lstrip())
    text = text.strip()
    meant = unescaped(text)
    if not is_kind(field, meant):
        return None
    start += lead
    return start, start + len(text), meant, made[field.kind](meant)


def find_mailbox(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of a person's name before an address: `Anna Berg <…>`, `"Berg, Anna" <…>` (RFC 5322)."""
    image = remembered(pseudonyms.person)

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        low = max(0, start - 80)
        window = buf[low : buf.find(b"<", start, start + 4) + 1] if buf[start : start + 4].find(b"<") >= 0 else b""
        match = _MAILBOX.search(window) if window else None
        if match is None:
            word = _ENCODED_WORD.search(window) if window.endswith((b"?= <", b"?=<")) else None
            return _encoded_word(word, low, image) if word else None
        group = str(match.lastgroup)
        text = match[group]
        begin, end = match.span(group)
        if group == "bare" and (cut := _CALLED.match(text)):
            begin += cut.end()
            text = text[cut.end() :]
        field = _FULL_NAME if text[:1] < b"\xd6" else _NAME
        return (low + begin, low + end, text, image(text)) if is_kind(field, text.strip()) else None

    return find


def _encoded_word(word: re.Match[bytes], low: int, image: Callable[[bytes], bytes]) -> Found | None:
    """Read a name that a header encodes (RFC 2047), and write its pseudonym in the same way."""
    text, base = word["text"], word["how"] in b"bB"
    try:
        name = base64.b64decode(text, validate=True) if base else quopri.decodestring(text, header=True)
    except (ValueError, binascii.Error):
        return None
    if not is_kind(_FULL_NAME, name.strip(b'" ')):
        return None
    made = image(name.strip(b'" '))
    begin, end = word.span("text")
    return (
        low + begin,
        low + end,
        text,
        base64.b64encode(made) if base else made.replace(b" ", b"_").replace(b",", b"=2C"),
    )


_AUTHOR = re.compile(
    rb"(?:<[\w:\-]{2,12}:creator>|<?(?:\w{2}:)?lastModifiedBy>|(?:initial-creator|printed-by)>|<Manager>|<Company>|"
    rb"w(?:14|15)?:author=\"|<authors>\s{0,8}<author>|\\[a-z]{6,8} |\n%%For: )"
    rb"(?P<name>[^<>\"{}\\\r\n]{2,80}?)(?=[<\"}\\\r\n])"
)
_PROGRAMS = re.compile(
    rb"(?:open)?pyxl|python-(?:docx|pptx)|Apache POI|LibreOffice\S*|OpenOffice\S*|Microsoft(?: Office)?(?: User)?|"
    rb"Windows User|XlsxWriter|PhpSpreadsheet|PHPWord|docx4j|Aspose\S*|Unknown(?: Creator| Author)?|Administrator|"
    rb"Admin|User|Author|None",
    re.IGNORECASE,
)


def find_author(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of those whom a document's properties name; programs that wrote it stay."""
    image = remembered(pseudonyms.person)
    login = remembered(lambda text: pseudonyms.word("user", text))

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        match = _AUTHOR.match(buf, start)
        if match is None or _PROGRAMS.fullmatch(match["name"].strip()):
            return None
        text = match["name"].strip()
        begin = match.start("name") + match["name"].find(text)
        if is_kind(Field(kind="name"), text):
            return begin, begin + len(text), text, image(text)
        return (begin, begin + len(text), text, login(text)) if is_kind(Field(kind="login"), text) else None

    return find


_TITLED = re.compile(
    rb"[A-Z][a-z\x80-\xff]{1,9}\.? (?:(?:Dr|Prof|Ing|Dipl|Mag|Lic)\.? ?(?:[a-z]{2,4}\.)? ?){0,2}"
    rb"(?P<name>(?:(?:von|van|de|der|den|da|di|del|la|le|el|zu) ){0,2}"
    rb"(?:[A-Z]|\xc3[\x80-\x9e]|\xc5.)[\w\x80-\xff'\-]{2,30}(?: [A-Z][\w\x80-\xff'\-]{2,30})?)(?![\w@.]*@)"
)
_TITLED_SHORTER = re.compile(rb"(?:(?:von|van|de|der|den|da|di|del|la|le|el|zu) ){0,2}[^ ]+")


def find_titled(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of surnames behind Mr., Frau, Mme and the like."""
    image = remembered(pseudonyms.person)

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        match = _TITLED.match(buf, start)
        if match is None:
            return None
        text = match["name"]
        if not is_surname(text) and (shorter := _TITLED_SHORTER.match(text)):
            text = shorter[0]
        begin = match.start("name")
        return (begin, begin + len(text), text, image(text)) if is_surname(text) else None

    return find


_CELL_KEY = re.compile(rb">[\s]{0,8}(?P<key>[A-Za-z\x80-\xff][\w .\-\x80-\xff]{1,40}?)[\s]{0,4}:?[\s]{0,4}\Z")
_CELL_VALUE = re.compile(
    rb"</\w{1,6}>(?:</t[dh]>)?\s{0,20}<\w\w(?:[ ][^<>]{0,120})?>\s{0,20}(?:<\w{1,6}>)?"
    rb"(?P<value>[^<>\n]{1,200}?)\s{0,20}</"
)


def find_cell(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of what stands in a table's cell of HTML behind the cell that names it."""
    made = {kind: remembered(image) for kind, image in images(pseudonyms).items()}

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        key = _CELL_KEY.search(buf[max(0, start - 64) : start])
        field = field_of(key["key"].replace(b" ", b"_")) if key is not None else None
        value = _CELL_VALUE.match(buf, start) if field is not None else None
        return None if value is None or field is None else _found(buf, *value.span("value"), field, made)

    return find


_CARD_LINE = re.compile(
    rb"\n(?:item[0-9]{1,2}\.)?(?P<name>FN|N|ADR|NICKNAME|GEO)"
    rb"(?:;[^:\r\n]{0,120})?:(?P<value>[^\r\n]{2,400})",
    re.IGNORECASE,
)


_PARTS_OF_ADDRESS = {3: "city", 5: "zip"}
"""What stands in an ADR (RFC 6350 section 6.3.1), where it is no street's."""


def find_vcard(pseudonyms: Pseudonymizer) -> Finder:
    """Build the finder of names, addresses and places on a visiting card (vCard, RFC 6350)."""
    made = images(pseudonyms)

    def find(buf: bytes, start: int, _end: int) -> list[Found] | None:
        line = _CARD_LINE.match(buf, start)
        if line is None or b"BEGIN:VCARD" not in buf[max(0, start - 4096) : start].upper():
            return None
        kind = {b"ADR": "street", b"GEO": "geo"}.get(line["name"].upper(), "name")
        found: list[Found] = []
        at = line.start("value")
        for number, part in enumerate(line["value"].split(b";")):
            text = part.strip()
            what = _PARTS_OF_ADDRESS.get(number, kind) if kind == "street" else kind
            if len(text) > 1 and is_kind(Field(kind=what), text):
                begin = at + part.find(text)
                found.append((begin, begin + len(text), text, made[what](text)))
            at += len(part) + 1
        return found or None

    return find
