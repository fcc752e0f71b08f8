"""Case numbers in the names of files: which ones a name could mean, by the forms that an installation's numbers have.

A name is cut at its separators, and every run of pieces that has the form of a number counts: whoever gets two of them
must not choose. What is found is not yet a case, let alone one of the sender's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from casemap.checkdigit import RULES
from casemap.names import parsed_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from casemap.identifier import CaseNumber

DEFAULT_SEPARATORS = "_-. "
DEFAULT_PATTERNS = ("[A-Z][A-Z0-9]{1,15}-[0-9]{1,12}", "(?:CS|INC|SR|TS)[0-9]{6,12}")
"""The forms of Jira (`ACME-17`), and of those who write letters before a long number (`CS0012345`, `TS000599999`)."""
DEFAULT_UNSURE = ("[A-Z]-[0-9]{1,12}",)
"""One letter (`C-100`): other names begin like that, too (`A-1.log`)."""
DEFAULT_LEADING = ("[0-9]{5,12}",)
"""Digits alone, at the beginning of a name (`02436811_sosreport.tgz`): dates and times look like that, too."""
MAX_PATTERN = 500
_MAX_CUTS = 40
"""Pieces of a name that are looked at; a case's number stands near its beginning or is all of a short name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseGrammar:
    """One form of case numbers."""

    pattern: re.Pattern[str]
    """Of the whole number, or with a group `number` that holds it."""
    check: str = "none"
    """The rule of its check digit, of `casemap.checkdigit.RULES`."""
    ignore_case: bool = False
    """Whether it may be written in lower case; the number is in upper case then."""
    anywhere: bool = True
    """Whether it may stand behind the beginning of a name."""
    sure: bool = True
    """Whether a name that begins with such a number means that case or none; else it may well mean something else."""

    def number(self, text: str) -> CaseNumber | None:
        """Return the case number that *text* is, as a whole; None if it is none of this form."""
        found = self.pattern.fullmatch(text)
        if found is None:
            return None
        written = found["number"] if "number" in self.pattern.groupindex else found[0]
        number = parsed_number(written.upper() if self.ignore_case else written) if written else None
        return number if number is not None and RULES[self.check](number) else None


def parse_grammar(
    pattern: str, *, check: str = "none", ignore_case: bool = False, anywhere: bool = True, sure: bool = True
) -> CaseGrammar:
    """Make a grammar of its pattern, a regular expression of Python's `re`.

    Raises:
        ValueError: it is none, is too long, matches nothing, or *check* is no rule; with a reason that may be shown.
    """
    if check not in RULES:
        raise ValueError(f"there is no check {check!r}; there are {', '.join(RULES)}")
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a pattern has at most {MAX_PATTERN} characters")
    try:
        compiled = re.compile(pattern, re.ASCII | (re.IGNORECASE if ignore_case else 0))
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no regular expression: {error}") from error
    if compiled.fullmatch("") is not None:
        raise ValueError("it matches a name without any number")
    return CaseGrammar(pattern=compiled, check=check, ignore_case=ignore_case, anywhere=anywhere, sure=sure)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumbersInName:
    """The case numbers that a name could mean, each once."""

    first: tuple[CaseNumber, ...] = ()
    """At its beginning, of a form that is sure."""
    later: tuple[CaseNumber, ...] = ()
    """Further on, or of a form that is not."""

    @property
    def every(self) -> tuple[CaseNumber, ...]:
        """All of them."""
        return (*self.first, *(number for number in self.later if number not in self.first))


def numbers_in(name: str, grammars: Sequence[CaseGrammar], *, separators: str = DEFAULT_SEPARATORS) -> NumbersInName:
    """Return what *name* could mean: a number stands between separators or the name's ends."""
    cuts = [-1, *islice((at for at, character in enumerate(name) if character in separators), _MAX_CUTS), len(name)]
    first: dict[CaseNumber, None] = {}
    later: dict[CaseNumber, None] = {}
    for begin, piece in _runs(name, cuts):
        for grammar in grammars:
            if begin and not grammar.anywhere:
                continue
            number = grammar.number(piece)
            if number is not None:
                (later if begin or not grammar.sure else first)[number] = None
    return NumbersInName(first=tuple(first), later=tuple(later))


def _runs(name: str, cuts: list[int]) -> Iterator[tuple[int, str]]:
    """Yield every part of *name* from one cut to a later one that could be a number, and where it begins."""
    for index, cut in enumerate(cuts):
        for end in cuts[index + 1 :]:
            piece = name[cut + 1 : end]
            if len(piece) > 64:  # no number is longer: `casemap.identifier.check_case_number`
                break
            if piece:
                yield cut + 1, piece


DEFAULT_GRAMMARS = (
    *(parse_grammar(pattern) for pattern in DEFAULT_PATTERNS),
    *(parse_grammar(pattern, sure=False) for pattern in DEFAULT_UNSURE),
    *(parse_grammar(pattern, sure=False, anywhere=False) for pattern in DEFAULT_LEADING),
)
