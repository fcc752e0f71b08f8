"""Load rules as data: what to look for, where it begins, what confirms it, and examples either way.

A rule has `anchors` (short expressions with a literal in them, for the one scan), `shapes` (expressions without one,
for the other; see `shapes.py`), or both, and either a `pattern` that must match where an anchor began
(group `value` is what goes, else all of it) with an optional `check`, or the name of a `finder`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NamedTuple

from scrubber.anchor import Anchor
from scrubber.checks import CHECKS
from scrubber.errors import RuleError
from scrubber.fields import Field, is_kind, is_surname
from scrubber.finder import REACH, Found, remembered
from scrubber.finders import FINDERS
from scrubber.gate import Strength, is_secret
from scrubber.givennames import is_given
from scrubber.logins import is_login, is_ordinary
from scrubber.model import Rule
from scrubber.programs import make_program
from scrubber.pseudonym import TAG, Pseudonymizer
from scrubber.rulefiles import load_files, rules_version
from scrubber.spelled import SPELLED, spellings
from scrubber.tokens import expand_row
from scrubber.vocabulary import is_unspoken, is_unworded

if TYPE_CHECKING:
    from collections.abc import Callable
    from collections.abc import Set as AbstractSet

    from scrubber.finder import Finder
    from scrubber.profile import Category
    from scrubber.programs import Program

_FIELDS = frozenset(
    (
        "id",
        "category",
        "kind",
        "description",
        "anchors",
        "shapes",
        "caseless",
        "back",
        "pattern",
        "check",
        "finder",
        "block",
        "priority",
        "replace",
        "examples",
        "counter_examples",
    )
)


class Written(NamedTuple):
    """An expression as a program, and the group that is its value."""

    program: Program
    group: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CompiledRule:
    """A rule ready to run. Rules sort by id, so that equal candidates win in a fixed order."""

    rule: Rule
    kind: str
    anchors: tuple[Anchor, ...]
    priority: int
    expression: bytes
    """What `pattern` is compiled from; empty where there is a finder, or nothing to confirm."""
    flags: int
    check: str | None
    finder: str | None
    block: bool
    back: int
    replace: str

    def __lt__(self, other: CompiledRule) -> bool:
        """Order by id."""
        return self.rule.id < other.rule.id

    def program(self) -> Written | None:
        """Give what the compiled part confirms a candidate by, None where only `build` does."""
        if self.finder is not None or self.block or self.back or not self.expression:
            return None
        program = make_program(self.expression, self.flags)
        if program is None:
            return None
        return Written(program, _compiled(self.expression, self.flags).groupindex.get("value", 0))

    def image(self, pseudonyms: Pseudonymizer) -> Callable[[bytes], bytes]:
        """Give what makes the pseudonym of a matched text, nothing where it is none of the rule's."""
        return _checked_image(self, pseudonyms)

    def build(self, pseudonyms: Pseudonymizer) -> Finder:
        """Build what confirms a candidate, under one key. The expression is compiled now: most never are.

        Raises:
            RuleError: the expression does not compile.
        """
        if self.finder is not None:
            return FINDERS[self.finder](pseudonyms)
        if not self.expression:
            raise RuleError(f"rule {self.rule.id} has neither a pattern nor a finder")
        try:
            pattern = _compiled(self.expression, self.flags)
        except re.error as error:
            raise RuleError(f"rule {self.rule.id}: {error}") from error
        return _pattern_finder(self, pattern, pseudonyms)


@lru_cache(maxsize=1024)
def _compiled(expression: bytes, flags: int) -> re.Pattern[bytes]:
    """Compile once in a process; the cache of `re` is too small for all."""
    return re.compile(expression, flags)


REPLACEMENTS = (
    *("tag", "national", "ssn", "sid", "date", "word", "host"),
    *("iban", "ipv4", "person", "phone", "station", "wildcard", "commas", "reverse", "nibbles"),
)


def _image(rule: CompiledRule, pseudonyms: Pseudonymizer) -> Callable[[bytes], bytes]:
    """Give what makes the pseudonym of a matched text, as the rule's `replace` says."""
    simple = {
        "ssn": pseudonyms.ssn,
        "sid": pseudonyms.sid,
        "date": pseudonyms.date,
        "host": pseudonyms.host,
    } | spellings(pseudonyms)
    keyed = {"tag": pseudonyms.tag, "national": pseudonyms.national, "word": pseudonyms.word}
    return simple.get(rule.replace) or partial(keyed[rule.replace], rule.kind)


_FULL_NAME = Field(kind="name", proven=True)
_CHECKS: dict[str, Callable[[bytes], bool]] = {
    "unspoken": is_unspoken,
    "unworded": is_unworded,
    "literal": lambda text: is_secret(text, Strength.STRONG, quoted=True, prose=False),
    **CHECKS,
    **SPELLED,
    "login": lambda text: is_login(text.lower()),
    "person": lambda text: (
        is_kind(_FULL_NAME, text) and not all(len(word) <= 2 or is_ordinary(word) for word in text.lower().split())
    ),
    "surname": is_surname,
    "given": is_given,
}
_LINE_END = re.compile(rb"\r?\n")

_BEYOND = 1024
"""Bytes from an anchor on in which a rule that looks back must end: it searches them all where it finds nothing."""


def _pattern_finder(rule: CompiledRule, pattern: re.Pattern[bytes], pseudonyms: Pseudonymizer) -> Finder:
    group: str | int = "value" if "value" in pattern.groupindex else 0
    back, match_at, search = rule.back, pattern.match, pattern.finditer
    image = remembered(_checked_image(rule, pseudonyms))

    def find(buf: bytes, start: int, _end: int) -> Found | None:
        if back:
            matches = search(buf, max(0, start - back), start + _BEYOND)
            match = next((match for match in matches if match.end() > start), None)  # not one before the anchor
        else:
            match = match_at(buf, start, start + REACH)
        if match is None:
            return None
        text = match[group]
        made = image(text)
        if not made:
            return None
        begin, end = match.span(group)
        return begin, end, text, made

    return find


def _checked_image(rule: CompiledRule, pseudonyms: Pseudonymizer) -> Callable[[bytes], bytes]:
    """Give what makes the pseudonym of a matched text, nothing where it is none of the rule's."""
    check = _CHECKS[rule.check] if rule.check else None
    image = _image(rule, pseudonyms)

    def make(text: bytes) -> bytes:
        if not text or (check is not None and not check(text)) or text.count(text[:1]) == len(text):
            return b""
        if b"[" in text and TAG.search(text):
            return b""
        made = image(text)
        if b"\n" in text:  # the count of lines never changes
            made += b"".join(_LINE_END.findall(text))
        return made

    return make


def _learned(name: str, kind: str, description: str, priority: int, *, category: Category = "personal") -> CompiledRule:
    return CompiledRule(
        rule=Rule(id=name, category=category, description=description),
        kind=kind,
        anchors=(),
        priority=priority,
        expression=b"",
        flags=0,
        check=None,
        finder=None,
        block=False,
        back=0,
        replace="tag",
    )


LEARNED_RULES = (
    _learned("identity.user", "user", "A user whom the upload, or one before it in the case, itself names.", 10),
    _learned("identity.host", "host", "A host that the upload, or one before it in the case, itself names.", 10),
    _learned("identity.domain", "host", "A domain of the customer, or a host in it.", 12),
    _learned("identity.realm", "host", "A Windows or Kerberos domain of the customer.", 9),
    _learned("identity.person", "person", "A person whose name the upload gives beside a login.", 11),
    _learned("person.column", "person", "Personal data in a column of a table that says so.", 16),
    _learned("password.column", "password", "A secret in a column of a table that says so.", 40, category="secret"),
    _learned("terms.deny", "term", "A word or phrase that the customer wants replaced.", 60),
)
"""What no expression can find: only the case's dictionary, the customer's own terms and the columns of tables."""
KNOWN_RULE = _learned(
    "secret.known",
    "secret",
    "A secret that another place in the upload gives away, here by itself.",
    20,
    category="secret",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All rules, and the version that a report names."""

    rules: tuple[CompiledRule, ...]
    version: str

    def of(self, categories: AbstractSet[Category]) -> RuleSet:
        """Give the rules of *categories* alone, under the same version."""
        return _of(self, frozenset(categories))


@lru_cache(maxsize=16)
def _of(rules: RuleSet, categories: frozenset[Category]) -> RuleSet:
    """Choose once in a process."""
    kept = tuple(rule for rule in rules.rules if rule.rule.category in categories)
    return rules if len(kept) == len(rules.rules) else RuleSet(rules=kept, version=rules.version)


@lru_cache(maxsize=1)
def load_rules() -> RuleSet:
    """Load the rules that come with the package.

    Raises:
        RuleError: a rule is written wrongly.
    """
    files = load_files().values()
    rules = [parse_rule(data) for file in files for data in file.get("rules", ())]
    rules += [parse_rule(expand_row(row)) for file in files for row in file.get("tokens", ())]
    names = [rule.rule.id for rule in rules]
    if len(set(names)) != len(names):
        raise RuleError(f"rule ids are not unique: {sorted(name for name in names if names.count(name) > 1)}")
    return RuleSet(rules=tuple(rules), version=rules_version())


def known_rules() -> dict[str, Rule]:
    """Give every rule that a report can name, by its id."""
    return {rule.rule.id: rule.rule for rule in (*load_rules().rules, *LEARNED_RULES, KNOWN_RULE)}


def parse_rule(data: dict[str, Any]) -> CompiledRule:
    """Make a rule from its YAML form.

    Raises:
        RuleError: a field is unknown or missing. Whether its expression compiles shows when the rule is built.
    """
    name = data.get("id", "?")
    unknown = data.keys() - _FIELDS
    if unknown:
        raise RuleError(f"rule {name}: unknown fields {sorted(unknown)}")
    if data.get("category") not in ("secret", "personal"):
        raise RuleError(f"rule {name}: category is secret or personal")
    if not (data.get("anchors") or data.get("shapes")) or not (data.get("pattern") or data.get("finder")):
        raise RuleError(f"rule {name}: needs anchors or shapes, and a pattern or a finder")
    if data.get("check", "card") not in _CHECKS or data.get("finder", "card") not in FINDERS:
        raise RuleError(f"rule {name}: no such check or finder")
    if data.get("replace", "tag") not in REPLACEMENTS:
        raise RuleError(f"rule {name}: replace is one of {', '.join(REPLACEMENTS)}")
    caseless = bool(data.get("caseless", False))
    return CompiledRule(
        rule=Rule(
            id=name,
            category=data["category"],
            description=data["description"],
            examples=tuple(data.get("examples", ())),
            counter_examples=tuple(data.get("counter_examples", ())),
        ),
        kind=data.get("kind", name.replace(".", ":")),
        anchors=tuple(
            Anchor(pattern=text.encode(), caseless=caseless, shape=shape, rule=name)
            for shape, field in ((False, "anchors"), (True, "shapes"))
            for text in data.get(field, ())
        ),
        priority=int(data.get("priority", 50)),
        expression=data.get("pattern", "").encode(),
        flags=re.IGNORECASE if caseless else 0,
        check=data.get("check"),
        finder=data.get("finder"),
        block=bool(data.get("block", False)),
        back=int(data.get("back", 0)),
        replace=data.get("replace", "tag"),
    )
