"""A customer's own terms: words that always go, and words that always stay."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from difflib import get_close_matches

import yaml

from scrubber.errors import TermsError

SHORTEST = 3
MOST = 20_000
_KEYS = ("deny", "allow")
_KEY = re.compile(r"[A-Za-z_]{3,12}:(?: *\[.*\])?")
_OF_LIST = re.compile(r"-(?: .+)?|[A-Za-z_]{3,12}:(?: *\[.*\])?")
"""The lines of YAML with lists of words: one whose only key is misspelt is no list of terms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Words and phrases, matched as whole words whatever the case of their letters. Nothing allows a secret."""

    deny: tuple[str, ...] = field(default=(), repr=False)
    """Always replaced: names of projects, sites, machines that no rule can know."""
    allow: tuple[str, ...] = field(default=(), repr=False)
    """Never replaced as personal data: addresses, hosts, domains and words. `*.example.org` allows all below it."""

    def __post_init__(self) -> None:
        """Refuse what could not be meant.

        Raises:
            TermsError: a term is too short or holds a line break, or there are too many.
        """
        for name in _KEYS:
            terms = getattr(self, name)
            if len(terms) > MOST:
                raise TermsError(f"{name} has {len(terms)} terms; {MOST} is the most")
            for number, term in enumerate(terms, 1):
                if len(term.strip()) < SHORTEST or any(ord(c) < 0x20 for c in term):
                    raise TermsError(
                        f"term {number} of {name} is too short or holds a control character; "
                        f"a term is one line of {SHORTEST} characters or more"
                    )

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.deny or self.allow)


class Allowed:
    """What a customer's terms allow, as found values are asked about."""

    def __init__(self, terms: Terms) -> None:
        """Take the terms of `allow`; `*.` at the beginning of one allows all names below it."""
        words = [term.strip().lower().encode() for term in terms.allow]
        self._words = frozenset(word for word in words if not word.startswith(b"*."))
        self._below = tuple(end for word in words if word.startswith(b"*.") for end in (word[1:], b"@" + word[2:]))

    def __contains__(self, value: bytes) -> bool:
        """Say whether *value* is allowed."""
        text = value.lower()
        return text in self._words or (bool(self._below) and text.endswith(self._below))


def parse_terms(text: str) -> Terms:
    """Read terms from a file's text.

    Either YAML with the lists `deny` and `allow`, or plain lines: each is a term to deny, one that begins with `!` is a
    term to allow, and one that begins with `#` is a comment.

    Raises:
        TermsError: the text is neither; says which line or key.
    """
    if _is_yaml(text):
        return _parse_yaml(text)
    lines = [line.strip() for line in text.splitlines()]
    kept = [line for line in lines if line and not line.startswith("#")]
    return Terms(
        deny=tuple(line for line in kept if not line.startswith("!")),
        allow=tuple(line[1:].strip() for line in kept if line.startswith("!")),
    )


def _is_yaml(text: str) -> bool:
    lines = [bare for line in text.splitlines() if (bare := line.split("#")[0].strip())]
    listed = bool(lines) and _KEY.fullmatch(lines[0]) is not None and all(map(_OF_LIST.fullmatch, lines[1:]))
    return listed or any(line.startswith(("deny:", "allow:")) for line in lines)


def _parse_yaml(text: str) -> Terms:
    try:
        plain = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise TermsError(f"the terms are no YAML{f' (line {mark.line + 1})' if mark else ''}") from error
    if not isinstance(plain, dict):
        raise TermsError("terms have two keys, deny and allow, each with a list")
    for name in plain.keys() - set(_KEYS):
        near = get_close_matches(str(name), _KEYS, 1)
        raise TermsError(
            f"no such key: {name!r}{f' (did you mean {near[0]}?)' if near else ''}; "
            "terms have two keys, deny and allow, each with a list"
        )
    lists: dict[str, tuple[str, ...]] = {}
    for name in _KEYS:
        values = plain.get(name) or []
        if not isinstance(values, list) or any(isinstance(value, dict | list) or value is None for value in values):
            raise TermsError(f"{name} is a list of words")
        lists[name] = tuple(str(value) for value in values)
    return Terms(**lists)
