"""What a field's name says of its value: a key, a column, an element or an attribute that holds personal data."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from scrubber.checks import called_card
from scrubber.contacts import EXTENSION, country_digits, is_phone_pseudonym
from scrubber.hostnames import is_public_domain, words
from scrubber.logins import is_login, is_odd, is_ordinary
from scrubber.pseudonym import DOMAIN_PSEUDONYM, WORD_PSEUDONYM
from scrubber.vocabulary import is_vocabulary
from scrubber.words import load_words

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrubber.pseudonym import Pseudonymizer

_IBAN_PSEUDONYM = re.compile(rb"[A-Za-z]{2}00[0-9A-Za-z \-]{9,36}")
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[^\W\d_A-Z]+|[A-Z]+|[0-9]+")
_DROPPED = frozenset(
    ("number", "no", "nr", "num", "nbr", "nummer", "value", "text", "txt", "field", "str", "string", "hash")
)
_LISTS = (
    "name",
    "maybe_name",
    "street",
    "maybe_street",
    "house",
    "city",
    "zip",
    "birth",
    "national",
    "passport",
    "licence",
    "plate",
    "device",
    "geo",
    "account",
    "phone",
    "card",
)

_NAME = re.compile(
    r"[^\W\d_](?:[^\W\d_]|[ '\u2019.,\-/+]|%20|\\u00[0-9a-f]{2}){1,62}(?:[^\W\d_]|\.|\))?", re.IGNORECASE
)
_CASELESS = re.compile(r"(?:[^\W\d_]|[\u0300-\u0eff\u3005])+")
"""Letters, and the marks that some scripts put on them."""
_BETWEEN_CASELESS = re.compile(r"[ \u3000\u30fb\u00b7,]+")
_WORD = re.compile(r"[^\W\d_]{2,}")
_BETWEEN_NAMES = re.compile(r"[ ,+]+|(?:(?<=\bvan)|(?<=\bvon)|(?<=\bder)|(?<=\bden)|(?<=\bde))-(?=\w)")
_DATE = re.compile(
    rb"(?:1[89]|20)[0-9]{2}[-/.][0-9]{1,2}[-/.][0-9]{1,2}(?:[T ][0-9:.]{5,12}Z?(?:[+\-][0-9:]{4,6})?)?|"
    rb"[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ][0-9]{2,4}|(?:1[89]|20)[0-9]{6}|"
    rb"[0-9]{1,2}[-/. ]{1,2}[A-Za-z]{3,9}\.?[-/. ,]{1,2}[0-9]{2,4}|[A-Za-z]{3,9}\.? [0-9]{1,2},? [0-9]{4}"
)
_NUMBER = re.compile(rb"(?=(?:[^0-9]*[0-9]){2})[0-9A-Za-z](?:[0-9A-Za-z]|[ .\-/](?=[0-9A-Za-z])){3,34}")
_PASSPORT = re.compile(rb"(?![0X]{3})(?!.*(.)\1{5})(?:(?=[A-Z]*[0-9])[A-Z0-9]{7,9}|[CFGHJKLMNPRTVWXYZ]{9})")
"""Letters and digits; letters alone where they are those of a German passport, which has no vowels."""
_SERIAL = re.compile(rb"(?=[^0-9]*[0-9])[0-9A-Za-z](?:[0-9A-Za-z]|[ .\-/](?=[0-9A-Za-z])){3,60}")
_NO_ADDRESS = re.compile(rb"\A:|[@`|=]")
_CARD_LENGTHS = range(18, 21)
_CERTIFICATE_SERIAL = re.compile(
    rb"[0-9]{18,}|[0-9A-Fa-f]{24,}|0[xX][0-9A-Fa-f]{6,}|"
    rb"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:[0-2][0-9]|3[01])[0-9]{2}"  # a zone's serial number, as DNS has it
)
_GEO = re.compile(rb"-?[0-9]{1,3}\.[0-9]{2,12}(?:[,; ]{1,2}-?[0-9]{1,3}\.[0-9]{2,12})?")
_PHONE = re.compile(rb"(?P<number>\(?\+?[0-9][0-9 ()./\-]{4,22}[0-9])" + EXTENSION)
_CARD = re.compile(rb"[0-9](?:[ \-]?[0-9]){11,18}")
_ZIP = re.compile(rb"(?=[^0-9]*[0-9])[0-9A-Za-z](?:[0-9A-Za-z]|[ \-](?=[0-9A-Za-z])){2,11}")
_SIZE = re.compile(rb"[0-9]{1,6} ?[kKmMgGtT][iI]?[bB]?")
"""A number of bytes, as what packs files has it: Size To Zip = 100k."""
_CLASS = re.compile(rb"[a-z][a-z0-9_]+(?:\.[a-z][a-z0-9_]*){1,8}\.[A-Z]\w*")
"""A class with its packages before it: oracle.jdbc.OracleDriver, under "driver-name"."""
_PLATE = re.compile(
    rb"(?=[^0-9]*[0-9])[0-9A-Za-z\x80-\xf4](?:[0-9A-Za-z\x80-\xf4]|[ \-:](?=[0-9A-Za-z\x80-\xf4])){2,20}"
)
_ADDRESS = re.compile(rb"[^{}<>$\[\]=|\\\x00-\x1f]{3,120}")
_HOUSE = re.compile(rb"[1-9][0-9]{0,4}(?: ?[A-Za-z])?(?: ?[-/] ?[0-9]{1,5}[A-Za-z]?){0,2}")
"""The number of a house, and of a flat in it."""
_HOST = re.compile(rb"(?=[^.]*[a-z])[a-z0-9](?:[a-z0-9\-_]{0,62})(?:\.[a-z0-9][a-z0-9\-]{0,62}){0,8}")
_PLACEHOLDER = re.compile(
    rb"[$%{<\[*]|(?:null|none|n/a|undefined|optional|supplied|locality)\Z",
    re.IGNORECASE,
)
"""What stands where a value could, in openssl.cnf too: localityName = Locality Name (eg, city), = optional."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """What a name promises: the rule's kind, and whether the value must prove it."""

    kind: str
    proven: bool = False


@lru_cache(maxsize=1)
def _known() -> dict[str, Field]:
    known: dict[str, Field] = {}
    for name in _LISTS:
        for word in load_words(f"keys_{name}"):
            known.setdefault(word, Field(kind=name.removeprefix("maybe_"), proven=name.startswith("maybe_")))
    return known


_PLAIN = str.maketrans(
    {"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "\u0131": "i", "æ": "ae", "Æ": "AE"}
)


def _plain(text: str) -> str:
    """Take the accents off, as the lists of names are written: imię, código_postal; ß and umlauts stay."""
    kept = {"ä", "ö", "ü", "Ä", "Ö", "Ü"}
    return "".join(
        first if (first := unicodedata.normalize("NFD", c)[:1]).isascii() and c not in kept else c
        for c in unicodedata.normalize("NFC", text).translate(_PLAIN)
    )


_PART_NAMES = frozenset(("nom", "name", "name1", "name2", "nombre", "nome", "naam", "namn", "navn"))


_NORDIC_CODES = frozenset((b"postnr", b"postnr.", b"postnummer"))
"""Beside a column of these, Danish and Norwegian "by" is a town."""


def beside_names(names: list[bytes], fields: list[Field | None]) -> list[Field | None]:
    """Take a column that is called "name" alone for a family's or a given name where another one holds the rest."""
    if b"by" in (plain := [name.lower() for name in names]) and not _NORDIC_CODES.isdisjoint(plain):
        fields = [Field(kind="city") if name == b"by" else field for name, field in zip(plain, fields, strict=True)]
    ends = {name.rpartition(b"_")[2] for name in plain}
    if {b"first", b"last"} <= ends:  # policyholder_first, policyholder_last
        fields = [
            field or (Field(kind="name") if name.rpartition(b"_")[2] in {b"first", b"last"} else None)
            for name, field in zip(plain, fields, strict=True)
        ]
    if not any(field is not None and field.kind == "name" and not field.proven for field in fields):
        return fields
    return [
        Field(kind="name") if name.strip().lower().decode("utf-8", "replace") in _PART_NAMES else field
        for name, field in zip(names, fields, strict=True)
    ]


_UMLAUTS = str.maketrans("äöü", "aou")


def _called(word: str) -> Field | None:
    """Look *word* up as it is, and without its umlauts: születési, syntymäaika."""
    known = _known()
    return known.get(word) or (known.get(word.translate(_UMLAUTS)) if not word.isascii() else None)


@lru_cache(maxsize=16384)
def field_of(name: bytes) -> Field | None:
    """Say what a field called *name* holds; None where that is nobody's business."""
    if len(name) > 80:
        return None
    text = name.decode("utf-8", "replace")
    if not text.isascii():
        text = _plain(text)
    parts = [part.lower() for part in _PARTS.findall(text)]
    if len(parts) > 1 and parts[-1] in _DROPPED and (whole := _called("".join(parts[-3:]))):
        return whole
    while len(parts) > 1 and (parts[-1] in _DROPPED or parts[-1].isdigit()):
        if parts[-1] == "hash":
            return None
        parts.pop()
    for count in (4, 3, 2, 1):
        found = _called("".join(parts[-count:])) if count <= len(parts) else None
        if found is None:
            continue
        if (
            count == 1
            and len(parts) > 1
            and (found.proven or len(parts[-1]) < 3 or (b"-" in name and len(parts[-1]) < 4))
        ):
            return None  # file_name, dn_cn, merge-ort: the words before make it something else
        return found
    return None


_PARTS_OF_A_NAME = (
    "first",
    "last",
    "given",
    "family",
    "middle",
    "maiden",
    "sur",
    "fore",
    "fname",
    "lname",
    "vorname",
    "nachname",
)


@lru_cache(maxsize=4096)
def field_of_words(words: bytes) -> Field | None:
    """Say what a key of several words holds, as forms and letters have it: Customer name, passport number.

    A whole name must look like one; half of one may be any word.
    """
    parts = words.decode("utf-8", "replace").lower().split()
    found = _known().get("".join(parts)) or (
        _known().get("".join(parts[:-1])) if len(parts) > 1 and parts[-1].rstrip(".") in _DROPPED - {"name"} else None
    )
    if found is None or found.kind not in _SPOKEN:
        return None
    if found.kind == "name":
        whole = not parts[0].startswith(_PARTS_OF_A_NAME)
        return None if found.proven else Field(kind="name", proven=whole)
    return None if found.proven else found


_SPOKEN = frozenset(("name", "birth", "national", "passport", "licence"))
"""What a key of several words is believed to say; those of places and devices are known by their last word."""
_COLUMNS = {
    b"cp": Field(kind="zip"),
    b"c.p.": Field(kind="zip"),
    b"nr domu": Field(kind="house"),
    "τ.κ.".encode(): Field(kind="zip"),
    "İl".lower().encode(): Field(kind="city"),
    "cím".encode(): Field(kind="street"),
}
"""What means something else in any other place than above a column."""


def _lowered(name: bytes) -> bytes:
    return name.lower() if name.isascii() else name.decode("utf-8", "replace").lower().encode()


def column_of(name: bytes) -> Field | None:
    """Say what a table's column called *name* holds: what a field of that name does, or logins."""
    found = field_of(name.replace(b" ", b"_")) or _COLUMNS.get(_lowered(name.strip()))
    joined = re.sub(rb"[ _\-]", b"", name).decode("utf-8", "replace").lower()
    if joined in load_words("keys_agent"):
        return Field(kind="agent")
    if found is None and joined in load_words("keys_login"):
        return Field(kind="login")
    if found is None:
        if joined in load_words("keys_host"):
            return Field(kind="host")
        if _PARTS.findall(joined)[:1] and _TELEPHONE.match(name.strip().lower()):
            return Field(kind="phone")
    return found


_TELEPHONE = re.compile(rb"(?:tel|telefon|telefono|telephone|phone|mobile?|handy|fax|cell)\b")


def _decoded(value: bytes) -> str:
    """Read *value* as UTF-8, or as what Windows writes in the West of Europe where it is none."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("cp1252", "replace")


def is_kind(field: Field, value: bytes) -> bool:
    """Say whether *value* can be what *field* promises, and is no placeholder and no pseudonym."""
    if not value or _PLACEHOLDER.match(value):
        return False
    words = value.replace(b",", b" ").replace(b"+", b" ").split()
    if all(WORD_PSEUDONYM.fullmatch(word) for word in words) or _IBAN_PSEUDONYM.fullmatch(value):
        return False
    return _CHECKS[field.kind](value, field.proven)


def is_surname(value: bytes) -> bool:
    """Say whether *value* can be the name behind a form of address: no word of a language, no thing, no pseudonym."""
    lower = {word.lower() for word in _WORD.findall(_decoded(value))} - load_words("particles")
    known = load_words("no_names") | load_words("no_persons") | load_words("ordinary") | load_words("offices")
    return bool(lower) and not lower & known and not WORD_PSEUDONYM.fullmatch(value)


def _is_name(value: bytes, proven: bool) -> bool:  # noqa: FBT001 - one of a table
    text = _decoded(value).replace("\\'", "'").replace("''", "'")  # as SQL writes O'Neil
    if text.lower() == text.upper():
        return _is_caseless_name(text, proven)
    if _NAME.fullmatch(text) is None:
        return False
    is_thing = value.islower() and (b"/" in value or is_vocabulary(value))  # a volume, a type, a column
    if is_thing or _CLASS.fullmatch(value) is not None:
        return False
    words = [word for word in _WORD.findall(text) if not word.startswith("u00")]
    lower = {word.lower() for word in words}
    if not words or lower & load_words("no_names"):
        return False
    if not proven:
        return True
    capital = [word for word in words if word[0].isupper() and not word.isupper()]
    if not capital and all(word.isupper() and len(word) > 2 for word in words) and not lower & load_words("ordinary"):
        capital = words  # as cards and tickets have them
    parts = [part for part in _BETWEEN_NAMES.split(text) if part]
    return (
        2 <= len(parts) <= 4
        and len(capital) >= 2
        and all(part[0].isupper() or part in load_words("particles") for part in parts)
        and not lower & load_words("no_persons")
        and not lower <= load_words("ordinary")
    )


def _is_caseless_name(text: str, proven: bool) -> bool:  # noqa: FBT001 - as of `_is_name`
    """Say the same of a script without capitals: two to four words, or a family's name in front."""
    parts = [part for part in _BETWEEN_CASELESS.split(text) if part]
    if not 1 <= len(parts) <= 4 or not all(_CASELESS.fullmatch(part) for part in parts):
        return False
    return not proven or len(parts) > 1 or (2 <= len(text) <= 5 and text.startswith(_family_names()))


@lru_cache(maxsize=1)
def _family_names() -> tuple[str, ...]:
    return tuple(load_words("east_asian_family_names"))


def _is_street(value: bytes, proven: bool) -> bool:  # noqa: FBT001 - one of a table
    if _ADDRESS.fullmatch(value) is None or b"://" in value or _NO_ADDRESS.search(value) or is_vocabulary(value):
        return False
    letters = sum(1 for c in value if chr(c).isalpha() or c >= 0x80)
    if proven:
        return letters >= 4 and b" " in value and any(0x30 <= c < 0x3A for c in value) and b":" not in value
    return letters >= 3 or value.strip().isalnum()


def _is_city(value: bytes, _proven: bool) -> bool:  # noqa: FBT001 - one of a table
    text = _decoded(value)
    return (
        len(text) <= 60
        and text[0].isalnum()
        and sum(c.isalpha() for c in text) >= 2
        and not set(text) & set("{}<>=|\\:@_")
    )


def _is_date(value: bytes, _proven: bool) -> bool:  # noqa: FBT001 - one of a table
    year = re.search(rb"(?<![0-9])1[0-8][0-9]{2}", value)
    return _DATE.fullmatch(value) is not None and year is None


def _is_number(value: bytes, _proven: bool) -> bool:  # noqa: FBT001 - one of a table
    plain = bytes(c for c in value if chr(c).isalnum())
    return _NUMBER.fullmatch(value) is not None and not _made(plain) and len(set(plain)) > 2


def _is_serial(value: bytes, _proven: bool) -> bool:  # noqa: FBT001 - one of a table
    plain = bytes(c for c in value if chr(c).isalnum())
    if plain.isdigit() and len(plain) in _CARD_LENGTHS and plain.startswith(b"89"):
        return True  # a SIM card's (ITU-T E.118)
    if _CERTIFICATE_SERIAL.fullmatch(plain) or any(map(is_vocabulary, value.split())):
        return False
    return _SERIAL.fullmatch(value) is not None and not _made(plain) and len(set(plain)) > 2


def _is_phone(value: bytes, _proven: bool) -> bool:  # noqa: FBT001 - one of a table
    match = _PHONE.fullmatch(value)
    digits = re.sub(rb"\D", b"", match["number"]) if match is not None else b""
    return 6 <= len(digits) <= 15 and len(set(digits)) > 2 and not is_phone_pseudonym(value)


def _is_host(value: bytes) -> bool:
    name = value.lower().rstrip(b".")
    if _HOST.fullmatch(name) is None or is_odd(name) or name in words("no_hosts") or is_ordinary(name):
        return False
    return not (b"." in name and (is_public_domain(name) or DOMAIN_PSEUDONYM.fullmatch(name)))


def _made(plain: bytes) -> bool:
    return all(c in b"0X" for c in plain[:3].upper())


_CHECKS: dict[str, Callable[[bytes, bool], bool]] = {
    "name": _is_name,
    "street": _is_street,
    "house": lambda value, _: _HOUSE.fullmatch(value) is not None,
    "city": _is_city,
    "zip": lambda value, _: (
        _ZIP.fullmatch(value) is not None and _SIZE.fullmatch(value) is None and not is_vocabulary(value)
    ),
    "birth": _is_date,
    "national": _is_number,
    "passport": lambda value, proven: _PASSPORT.fullmatch(value) is not None or _is_number(value, proven),
    "licence": _is_number,
    "plate": lambda value, _: _PLATE.fullmatch(value) is not None,
    "device": _is_serial,
    "geo": lambda value, _: _GEO.fullmatch(value) is not None,
    "account": _is_number,
    "phone": _is_phone,
    "card": lambda value, _: _CARD.fullmatch(value) is not None and called_card(value),
    "host": lambda value, _: _is_host(value),
    "login": lambda value, _: is_login(value.rpartition(b"\\")[2].lower()),
    "agent": lambda value, _: _is_name(value, True) or is_login(value.rpartition(b"\\")[2].lower()),
}


KINDS = tuple(_CHECKS)
"""What a field may hold."""


def images(pseudonyms: Pseudonymizer) -> dict[str, Callable[[bytes], bytes]]:
    """Give what makes the pseudonym of each kind of field."""

    def number(kind: str) -> Callable[[bytes], bytes]:
        def make(text: bytes) -> bytes:
            plain = bytes(c for c in text if chr(c).isalnum())
            return pseudonyms.national("national", text) if len(plain) >= 8 else pseudonyms.word(kind, text)

        return make

    def login(text: bytes) -> bytes:
        realm, mark, user = text.rpartition(b"\\")
        return (pseudonyms.word("host", realm) if realm else b"") + mark + pseudonyms.word("user", user)

    return {
        "name": pseudonyms.person,
        "street": lambda text: pseudonyms.word("addr", text),
        "house": lambda text: pseudonyms.word("addr", text),
        "city": lambda text: pseudonyms.word("city", text),
        "zip": lambda text: pseudonyms.word("zip", text),
        "birth": pseudonyms.date,
        "national": number("id"),
        "passport": number("passport"),
        "licence": number("licence"),
        "plate": lambda text: pseudonyms.word("plate", text),
        "device": number("serial"),
        "geo": lambda text: pseudonyms.word("geo", text),
        "account": number("account"),
        "phone": lambda text: pseudonyms.phone(text, country_digits(text)),
        "card": pseudonyms.card,
        "host": pseudonyms.host,
        "login": login,
        "agent": lambda text: pseudonyms.person(text) if b" " in text else login(text),
    }
