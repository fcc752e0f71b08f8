"""Tell by a given name that words with capitals are somebody's name, where nothing else says so."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from scrubber.hostnames import words
from scrubber.logins import is_ordinary
from scrubber.vocabulary import is_vocabulary

_LOGIN = re.compile(
    rb"(?P<first>[a-z]{2,13})(?P<mark>[._])(?P<last>[a-z]{2,20})[0-9]{0,4}|(?P<whole>[a-z]{5,24})[0-9]{0,4}"
)
_ENDS = re.compile(
    rb"[a-z]{2,}(?:sson|dottir|escu|opoulos|enko|wicz|wski|wska|czyk|ovic|evic|shvili|oglu|inen|strom|qvist|quist|gaard|mann)"
)
"""How names of families end in one language or another, and hardly any other word."""
_LEAST = 5
"""Letters of a login that is put together of an initial and a name, which must be more."""
_FOLDED = str.maketrans(
    {"ł": "l", "ø": "o", "đ": "d", "\u0131": "i", "æ": "ae", "ß": "ss", "ð": "d", "þ": "th", "œ": "oe"}
)


def _folded(word: str) -> bytes:
    """Give *word* in small letters without accents, as the list has it."""
    plain = unicodedata.normalize("NFD", word.lower().translate(_FOLDED))
    return "".join(c for c in plain if not unicodedata.combining(c)).encode()


@lru_cache(maxsize=8192)
def is_given(name: bytes) -> bool:
    """Say whether *name*, one word as it was written, is a given name: Anna, José, Anna-Lena."""
    text = name.decode("utf-8", "replace")
    return text[:1].isupper() and not text.isupper() and _folded(text.partition("-")[0]) in words("given_names")


@lru_cache(maxsize=8192)
def is_whole_name(text: bytes) -> bool:
    """Say whether *text*, words with capitals, is a given name and a family's: Anna Berg, Ana María de la Cruz."""
    last, comma, first = text.partition(b", ")
    parts = [*first.split(), *last.split()] if comma else text.split()
    return 2 <= len(parts) <= 5 and is_given(parts[0]) and _is_surname(parts[-1])


def is_plain_name(text: bytes) -> bool:
    """Say whether *text*, two words with capitals, is a given name and a family's that both are known: Anna Berg."""
    first, _, last = text.partition(b" ")
    return is_given(first) and _is_family(_folded(last.decode("utf-8", "replace")))


def is_capital_name(text: bytes) -> bool:
    """Say whether *text*, two words in capitals, is a name, the family's in front or behind: NOVOTNY ANNA."""
    both = {_folded(word) for word in text.decode("ascii", "replace").split()}
    return bool(both & words("given_names")) and not any(map(is_ordinary, both))


def _is_surname(name: bytes) -> bool:
    """Say whether *name* can be a family's: no word of manuals or programs, but for those that families have."""
    text = name.decode("utf-8", "replace")
    word = _folded(text)
    if len(word) < 2 or not text[:1].isupper() or (text.isupper() and len(text) < 4):
        return False
    if word in words("word_surnames"):
        return True
    known = words("no_persons") | words("no_names") | words("file_suffixes")
    return word not in known and not is_ordinary(word) and not is_vocabulary(name)


@lru_cache(maxsize=8192)
def is_formed(login: bytes) -> bool:
    """Say whether *login* is formed of a person's name, as most are: mrossi, anna.berg, annaberg, lrossi7."""
    match = _LOGIN.fullmatch(login.lower())
    if match is None or login.startswith(b"lib") or is_vocabulary(login) or is_ordinary(login.lower()):
        return False
    given = words("given_names")
    if match["mark"]:
        first, last = match["first"], match["last"]
        if last in given and _is_family(first):
            return True
        return first in given and len(last) > 1 and (_is_family(last) or not (is_vocabulary(last) or is_ordinary(last)))
    whole = match["whole"]
    if (_is_family(whole[1:]) and len(whole) > _LEAST) or (_is_family(whole[2:]) and len(whole) > 2 * _LEAST):
        return True
    return any(whole[:at] in given and _is_family(whole[at:]) for at in range(3, len(whole) - 3))


def _is_family(word: bytes) -> bool:
    """Say whether *word*, folded, is a family's name that is known, or ends as such names do."""
    return word in words("surnames") or _ENDS.fullmatch(word) is not None
