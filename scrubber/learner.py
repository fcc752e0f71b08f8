"""Learn who a bundle's users, hosts and domains are, from where it says so itself.

The places are rulesets/identities.yaml, places.yaml and mentions.yaml.

What is a system's own, a vendor's or an ordinary word is never learned: replaced everywhere, it would take the text's
sense along.
"""

from __future__ import annotations

import re
from array import array
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from scrubber import inventory
from scrubber.anchor import INDEX_MASK, START_SHIFT, Anchor
from scrubber.anchors import AnchorSet, build_scanner
from scrubber.columns import told_by_columns
from scrubber.compiled import load_library
from scrubber.contacts import MEMBER
from scrubber.errors import RuleError
from scrubber.givennames import is_capital_name, is_formed, is_given, is_plain_name, is_whole_name
from scrubber.hostnames import is_fqdn, is_public_domain, split_host, words
from scrubber.informant import Expression, Informant
from scrubber.logins import is_login, is_odd, is_ordinary
from scrubber.pseudonym import DOMAIN_PSEUDONYM
from scrubber.rulefiles import load_files
from scrubber.secretsfile import logins_in, reader_of
from scrubber.vocabulary import is_composed, is_expression, is_registered, is_vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scrubber.dictionary import Dictionary, Kind

BLOCK = 1 << 20
OVERLAP = 8 << 10
_REACH = 4096
_QUICK = 64
"""Bytes from an anchor on by which a text is known again: they hold the name."""
_SEEN = 100_000

_HOST = re.compile(rb"[A-Za-z0-9](?:[A-Za-z0-9\-_]{1,62}[A-Za-z0-9])")
_PERSON_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|['\u2019.-](?=[^\W\d_]))*\.?")
_HOSTS_LINE = re.compile(rb"^[ \t]*(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f:]{2,39})[ \t]+([^#\r\n]+)", re.MULTILINE)
_NUMBERED = re.compile(rb"[a-z][a-z0-9\-]{0,40}[0-9]")
_FIRST_WORD = re.compile(rb"[a-z]*")
_ONE_NAME = re.compile(rb"\s*([A-Za-z0-9][A-Za-z0-9.\-_]{1,252})\s*\Z")
_NAMES_ONLY = re.compile(rb"(?:[A-Za-z_][A-Za-z0-9._\-]*\s+)*[A-Za-z_][A-Za-z0-9._\-]*\s*")
"""What `users` and `whoami` print; a file of that name with anything else is some server's."""
_KNOWN_FILES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?:^|[/_!])hostname(?:_-[fsA]|_--fqdn|\.txt)?$|/etc_hostname$|/nodename$"), "hostname"),
    (re.compile(r"(?:^|[/_!])hosts(?:\.txt|\.orig|\.bak)?$|getent_hosts$"), "hosts"),
    (re.compile(r"(?:^|[/_!])(?:dnsdomainname|domainname|domain|mailname|defaultdomain)(?:\.txt)?$"), "domain"),
    (re.compile(r"(?:^|[/_!])(?:whoami|users|logname)(?:\.txt)?$"), "users"),
)
_NAME_ENDS = r"""(?=["'\s,;:()\[\]<>{}|/\\=&`$]|\.+(?:\s|\Z)|\Z)"""
_NAMED = {
    "host": ("[A-Za-z]", r"(?P<host>[A-Za-z][\w.\-]{1,252}?)" + _NAME_ENDS),
    "user": (
        "[A-Za-z_]",
        r"(?:(?P<realm>[A-Za-z][\w\-]{1,14})\\{1,4})?(?P<user>[A-Za-z_][\w.\-]{1,63}?\$?)"
        r"(?:@(?P<domain>(?:[\w\-]{1,63}\.){1,6}[A-Za-z]{2,24}))?" + _NAME_ENDS,
    ),
}
"""How a name begins and reads that stands behind what a place's `behind` says, by its kind."""

_ESCAPED = frozenset((b"n", b"r", b"t", b"b", b"f", b"e"))
"""Letters that stand for a control sign behind a backslash."""
_BYTE = re.compile(rb"[0-9a-f]{2}(?![0-9a-z])")
_ESCAPED_BYTE = re.compile(rb"(?=[0-9a-f]?[0-9])[0-9a-f]{2}")
r"""How systemd and udev write a byte behind an x, with more of the name behind it: lvm2-pvscan, LVM2 001."""
_LEAST_LOGIN = 3
_HEARD = "heard "
"""Before a kind that a place tells that may be mistaken."""
_LOGINS = frozenset({"user", "users", "login", "account", "member"})
_DOUBTED = ("user", "users", "login", "account", "member", "host", "name", "zone", "domain", "domains", "full", "shown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A place where identities are told: where it begins, and what its groups hold."""

    id: str
    anchors: tuple[Anchor, ...]
    expression: bytes
    flags: int
    quick: bool
    """Whether it comes again and again with the same text, which is then looked at once."""
    sure: bool
    """Whether it names somebody whatever word stands there; else words of manuals and programs are nobody's name."""
    lines: bool
    """Whether it makes up whole files, line by line: where one is, all of a block are read together."""
    columns: bool
    """Whether it is the head of a table, whose rows are read by what the head says of their cells."""
    examples: tuple[str, ...]
    counter_examples: tuple[str, ...]


@lru_cache(maxsize=1)
def load_origins() -> tuple[Origin, ...]:
    """Load the places that come with the package.

    Raises:
        RuleError: one is written wrongly.
    """
    made = []
    for data in (source for file in load_files().values() for source in file.get("sources", ())):
        try:
            caseless = bool(data.get("caseless", False))
            lines = bool(data.get("lines", False))
            columns = bool(data.get("columns", False))
            behind = [("", each) if isinstance(each, str) else tuple(each) for each in data.get("behind", ())]
            first, name = _NAMED[data["kind"]] if behind else ("", "")
            made.append(
                Origin(
                    id=data["id"],
                    anchors=(
                        *(
                            Anchor(
                                pattern=(head + rest.partition("(?=")[0] + first).encode(),
                                caseless=caseless,
                                head=head.encode(),
                                rule=data["id"],
                            )
                            for head, rest in behind
                        ),
                        *(
                            Anchor(pattern=a.encode(), caseless=caseless, once=lines, rule=data["id"])
                            for a in data.get("anchors", ())
                        ),
                        *(
                            Anchor(
                                pattern=(head + rest).encode(), caseless=caseless, head=head.encode(), rule=data["id"]
                            )
                            for head, rest in data.get("headed", ())
                        ),
                        *(
                            Anchor(
                                pattern=(before + rest).encode(),
                                caseless=caseless,
                                before=before.encode(),
                                rule=data["id"],
                            )
                            for before, rest in data.get("parted", ())
                        ),
                    ),
                    expression=(
                        f"(?:{'|'.join(map(''.join, behind))}){name}"
                        if behind
                        else data.get("pattern", "")
                        if columns
                        else data["pattern"]
                    ).encode(),
                    flags=re.IGNORECASE if caseless else 0,
                    quick=bool(data.get("quick", False)),
                    sure=bool(data.get("sure", False)),
                    lines=lines,
                    columns=columns,
                    examples=tuple(data["examples"]),
                    counter_examples=tuple(data["counter_examples"]),
                )
            )
        except KeyError as error:
            raise RuleError(f"a place where identities are told: {data.get('id', '?')}: {error} is missing") from error
    return tuple(made)


@lru_cache(maxsize=1)
def _anchors() -> tuple[list[Origin], AnchorSet]:
    """Give all anchors, and the place that each belongs to."""
    owners = [(origin, anchor) for origin in load_origins() for anchor in origin.anchors]
    return [origin for origin, _ in owners], AnchorSet([anchor for _, anchor in owners])


@lru_cache(maxsize=256)
def _compiled(expression: bytes, flags: int) -> re.Pattern[bytes]:
    """Compile once in a process, when it is first needed; most never are."""
    return re.compile(expression, flags)


def _place(event: int) -> tuple[int, int]:
    """Give where an event is, and its anchor."""
    return event >> START_SHIFT, event & INDEX_MASK


class _Reader(NamedTuple):
    """What reads at the anchors of one place."""

    origin: Origin
    match: Callable[[bytes, int, int], re.Match[bytes] | None]
    kinds: tuple[str | None, ...]
    """For each group what it tells, if anything."""


class Learner:
    """Reads texts and adds what they tell to a dictionary. One for each thread."""

    def __init__(self, dictionary: Dictionary, *, accelerated: bool = True, compiled: bool = True) -> None:
        """Add to *dictionary*; see `Detector` for *accelerated* and *compiled*."""
        self._dictionary = dictionary
        self._origins, anchors = _anchors()
        self._seen: set[tuple[str, bytes]] = set()
        self._taken: set[tuple[str | None, bytes]] = set()
        self._readers: list[_Reader | None] = [None] * len(self._origins)
        library = load_library() if accelerated and compiled else None
        self._scanner = build_scanner(anchors, accelerated=accelerated, library=library)
        self._informant = Informant(library, self._expression) if library is not None else None
        self._takers: dict[str, Callable[[bytes], object]] = {
            "user": self.take_user,
            "users": self._take_users,
            "login": self.take_user,
            "account": self.take_user,
            "member": self.take_user,
            "host": self.take_host,
            "hosts": self._take_hosts,
            "domain": self.take_domain,
            "domains": self._take_domains,
            "mail": self._take_mail,
            "name": self.take_host,
            "zone": self.take_host,
            "full": self._take_full,
            "shown": self._take_shown,
            "realm": self._take_realm,
            "joined": self._take_joined,
            "person": self.take_person,
            "given": self._take_given,
            "formed": self._take_formed,
            "named": self._take_named,
            "acting": self._take_acting,
            "upper": self._take_upper,
            "uppers": self._take_upper,
            "logins": self.take_user,
            "shownuser": self.take_user,
            "dc": self._take_components,
            "program": self._take_program,
        }
        self._takers |= {_HEARD + kind: self._doubting(kind) for kind in _DOUBTED}

    def member(self, name: str) -> MemberLearner:
        """Begin a member called *name*, with the raw path within its archive."""
        self.learn(b"\n" + name.encode("utf-8", "surrogateescape") + b"\n")
        return MemberLearner(self, name)

    def begin(self, dictionary: Dictionary) -> None:
        """Add to *dictionary* from here on."""
        self._dictionary = dictionary
        self._taken.clear()
        if self._informant is not None:
            self._informant.forget()

    def forget(self) -> None:
        """Forget which lines were seen: from here on the outcome does not depend on what came before."""
        self._seen.clear()
        if self._informant is not None:
            self._informant.forget()

    def learn(self, buf: bytes) -> None:
        """Take what *buf* tells; lines must begin after a line break."""
        if len(self._seen) > _SEEN:
            self._seen.clear()
        if len(self._taken) > _SEEN:
            self._taken.clear()
        lines: dict[str, Origin] = {}
        readers = self._readers
        for event in sorted(self._read(buf), key=_place):  # of what is told as two things the first counts
            reader = readers[event & INDEX_MASK]
            if reader is None:
                reader = readers[event & INDEX_MASK] = self._reader(self._origins[event & INDEX_MASK])
            if reader.origin.lines:
                lines[reader.origin.id] = reader.origin
            else:
                self._learn_at(buf, event >> START_SHIFT, reader)
        for origin in lines.values():
            self._learn_lines(buf, origin)

    def _read(self, buf: bytes) -> list[int]:
        """Take what the compiled part reads; give the events at which the rest is to be read."""
        if self._informant is None:
            return self._scanner.scan(buf)
        events = self._scanner.pack(buf)
        read = self._informant.read(buf, events)
        if read is None:
            return array("Q", events).tolist()
        told, left = read
        for kind, value in told:
            self._takers[kind](value)
        return left

    def _learn_at(self, buf: bytes, start: int, reader: _Reader) -> None:
        """Take what is told at *start*; a value that was taken once is not looked at again."""
        origin = reader.origin
        if origin.columns:
            for column, name in told_by_columns(buf, start):
                self._takers[_HEARD + column](name)
            return
        mark = (origin.id, buf[start : start + _QUICK]) if origin.quick else None
        if mark in self._seen:
            return
        match = reader.match(buf, start, start + _REACH)
        if match is None:
            return
        if mark is not None:
            self._seen.add(mark)
        taken = self._taken
        for told in zip(reader.kinds, match.groups(), strict=True):
            kind, value = told
            if value and told not in taken:
                taken.add(told)
                if kind is not None:
                    self._takers[kind](value)

    def _expression(self, index: int) -> Expression | None:
        """Give what reads at an anchor, nothing where lines are read of which not each begins what is told."""
        reader = self._reader(self._origins[index])
        origin = reader.origin
        if origin.columns or (origin.lines and not origin.expression.startswith(b"\\n")):
            return None
        return Expression(origin.expression, origin.flags, reader.kinds, origin.lines)

    def _doubting(self, kind: str) -> Callable[[bytes], object]:
        """Return what takes a value of *kind*, unless it is a word of manuals and programs."""
        take = self._takers[kind]

        def take_name(value: bytes) -> None:
            name = value.strip(b".*").lower()
            if kind not in _LOGINS and b"." in name:
                doubtful = is_expression(name) or (is_vocabulary(value) and not is_registered(name))
            else:
                doubtful = is_vocabulary(value) or (kind not in _LOGINS and is_composed(name))
            if not doubtful:
                take(value)

        return take_name

    def _reader(self, origin: Origin) -> _Reader:
        pattern = _compiled(origin.expression, origin.flags)
        kinds: list[str | None] = [None] * pattern.groups
        for kind, number in pattern.groupindex.items():
            heard = kind if origin.sure or kind not in _DOUBTED else _HEARD + kind
            kinds[number - 1] = heard if heard in self._takers else None
        return _Reader(origin, pattern.match, tuple(kinds))

    def _learn_lines(self, buf: bytes, origin: Origin) -> None:
        """Take each value once that the lines of *buf* tell."""
        pattern = _compiled(origin.expression, origin.flags)
        (kind,) = pattern.groupindex
        for value in set(pattern.findall(buf)):
            self._takers[kind](value)

    def take(self, terms: Iterable[tuple[bytes, Kind]]) -> None:
        """Add what another learner has learned."""
        for value, kind in terms:
            self._dictionary.learn(kind, value)

    # --- what may be learned

    def take_user(self, value: bytes) -> None:
        """Learn a login, unless it is a system's, an ordinary word or no name at all."""
        name = value.rstrip(b".-").lower()
        if name.endswith(b"$"):
            self.take_host(name[:-1])
            return
        if is_login(name):
            self._dictionary.learn("user", name)

    def take_cell(self, kind: str, value: bytes) -> None:
        """Learn what stands in a column of hosts, of users or of persons, unless it is a word of manuals."""
        if kind == "person":
            self.take_person(value)
        else:
            self._takers[_HEARD + kind](value.rpartition(b"\\")[2])

    def take_host(self, value: bytes) -> None:
        """Learn a host's name and, of a full one, its domain."""
        name = value.rstrip(b".").lower()
        if b"." in name:
            if is_fqdn(name) and not is_public_domain(name) and DOMAIN_PSEUDONYM.fullmatch(name) is None:
                labels, domain = split_host(name)
                self.take_domain(name)
                if labels and domain and len(name.split(b".")) > 2 and not is_vocabulary(labels[0]):
                    self._take_label(labels[0])
            return
        self._take_label(name)

    def _take_label(self, name: bytes) -> None:
        if _HOST.fullmatch(name) is None or is_odd(name) or name in words("no_hosts") or is_ordinary(name):
            return
        if name in words("system_users") or name in words("service_labels"):
            return
        self._dictionary.learn("host", name)

    def _take_shown(self, value: bytes) -> None:
        """Learn a host that a sentence names, unless it is put together of ordinary words: build-number-42."""
        if not all(_is_counted(part) for part in value.lower().split(b"-") if not part.isdigit()):
            self.take_host(value)

    def _take_full(self, value: bytes) -> None:
        """Learn the domain of a full name, and its first label where that is numbered, or says what it is for."""
        self.take_domain(value)
        label = value.split(b".")[0].lower()
        if (
            is_fqdn(value.strip(b".*").lower())
            and (_NUMBERED.search(label) or _is_for_something(label))
            and not is_vocabulary(label)
            and not is_public_domain(value.lower())
        ):
            self._take_label(label)

    def take_domain(self, value: bytes) -> None:
        """Learn a domain of the customer's: what somebody registered, with all below it."""
        name = value.strip(b".*").lower()
        if not is_fqdn(name) or is_public_domain(name) or DOMAIN_PSEUDONYM.fullmatch(name):
            return
        labels, domain = split_host(name)
        if b"." not in domain:  # a private suffix: the label before it is the site
            domain = b".".join((labels[-1], domain))
        self._dictionary.learn("domain", domain)

    def _take_mail(self, value: bytes) -> None:
        if not MEMBER.search(value):
            self.take_domain(value)

    def _take_domains(self, value: bytes) -> None:
        for name in value.split():
            self.take_domain(name.lstrip(b"~"))

    def _take_hosts(self, value: bytes) -> None:
        """Take each of a list, with its port."""
        for name in value.split(b","):
            self._takers[_HEARD + "host"](name.partition(b":")[0].strip())

    def _take_users(self, value: bytes) -> None:
        for name in value.split(b","):
            self.take_user(name)

    def _take_realm(self, value: bytes) -> None:
        name = value.lower()
        if b"." in name:
            self.take_domain(name)
        elif (
            _HOST.fullmatch(name) and not is_odd(name) and name not in words("no_realms") and not self._is_common(name)
        ):
            self._dictionary.learn("realm", name)

    def _take_joined(self, value: bytes) -> None:
        r"""Learn a realm and a login, unless what joins them is a line break written out: POSIX\noperating systems."""
        realm, _, login = value.partition(b"\\")
        rest = login[1:]
        if login[:1] in _ESCAPED and (len(rest) < _LEAST_LOGIN or is_ordinary(rest) or is_vocabulary(rest)):
            return
        if login[:1] == b"x" and (_BYTE.match(rest) or _ESCAPED_BYTE.match(rest)):
            return
        self._takers[_HEARD + "user"](login)
        self._take_realm(realm)

    def _take_components(self, value: bytes) -> None:
        self.take_domain(re.sub(rb", ?dc=", b".", value.lower()))

    def take_person(self, value: bytes) -> None:
        """Learn a person's full name: two to five words, each with a capital, none of a system's."""
        text = value.decode("utf-8", "replace").strip(" \t,\"'")
        last, comma, first = text.partition(", ")
        if comma and "," not in first:
            text = f"{first} {last}"
        parts = text.split()
        if not 2 <= len(parts) <= 5 or len(text) > 64:
            return
        if any(_PERSON_WORD.fullmatch(part) is None for part in parts):
            return
        names = [part for part in parts if part.lower().encode() not in words("particles")]
        if len(names) < 2 or not all(_is_capital(part) for part in names) or all(len(part) < 3 for part in names):
            return
        lower = {part.lower().strip(".").encode() for part in names}
        if lower & (words("no_names") | words("system_users") | words("no_persons")) or lower <= words("ordinary"):
            return
        self._dictionary.learn("person", text.encode())

    def _take_given(self, value: bytes) -> None:
        """Learn a full name that its given name alone shows to be one."""
        name = value.strip()
        if is_whole_name(name):
            self.take_person(name)

    def _take_acting(self, value: bytes) -> None:
        """Learn a login that a sentence seems to name: one of a person's name, or numbered and no word."""
        bare = value.rstrip(b"0123456789")
        numbered = bare != value and bare.isalpha() and not is_vocabulary(bare) and not is_ordinary(bare.lower())
        if numbered or is_formed(value):
            self.take_user(value)

    def _take_named(self, value: bytes) -> None:
        """Learn a full name in running text, of which both parts are known."""
        if is_plain_name(value):
            self.take_person(value)

    def _take_upper(self, value: bytes) -> None:
        """Learn a name in capitals, as mainframes have it."""
        if is_capital_name(value):
            self.take_person(value.title())

    def _take_formed(self, value: bytes) -> None:
        """Learn a login that its form alone shows to be a person's."""
        name = value.rstrip(b".-_")
        if is_formed(name):
            self.take_user(name)

    def _take_program(self, value: bytes) -> None:
        """Learn what an application is called, whole and without what says which part of it: orders-api, orders."""
        name = value.lower()
        first, _, rest = name.partition(b"-")
        for each in (name, first) if rest and all(map(_is_part, rest.split(b"-"))) else (name,):
            if len(each) >= _LEAST_LOGIN and not is_formed(each) and not is_given(each.title()):
                self._dictionary.learn("program", each)

    def _is_common(self, name: bytes) -> bool:
        return is_ordinary(name) or name in words("system_users") or name in words("no_hosts")


_ROLES = frozenset(
    b"db sql srv vm esx esxi vc vcsa dc pbx nas san mx gw fw sw rtr prd prod stg uat tst bck bkp sap ora erp crm ldap "
    b"kvm hv ts fs ws nsx cucm sbc wlc idrac ilo hmc pos rds".split()
)


def _is_for_something(label: bytes) -> bool:
    """Say whether a label tells what a machine is for, beside what is no word: vcsa-rou, and not update-rc."""
    parts = label.split(b"-")
    return len(parts) > 1 and not _ROLES.isdisjoint(parts) and not all(map(_is_counted, parts))


def _is_part(word: bytes) -> bool:
    """Say whether *word* tells which part of an application it is."""
    return word in words("application_parts")


def _is_counted(word: bytes) -> bool:
    """Say whether *word* is an ordinary one, or one with a digit: step, step2; web01 is a host's."""
    return is_ordinary(word) or (word[-1:].isdigit() and is_ordinary(word[:-1]))


def _is_capital(name: str) -> bool:
    """Say whether *name* begins with a capital, behind particles that hyphens tie to it: van-der-Meer."""
    *before, last = name.split("-")
    particles = words("particles")
    return name[0].isupper() or (last[:1].isupper() and all(part.encode() in particles for part in before))


class MemberLearner:
    """Learns from one member: fed in pieces of any size, then finished."""

    def __init__(self, learner: Learner, name: str) -> None:
        """Read for *learner*; some files are known by their name."""
        self._learner = learner
        self._known = next((kind for pattern, kind in _KNOWN_FILES if pattern.search(name)), "")
        self._secrets_of = name if reader_of(name) is not None else ""
        self._kept = b"\n"
        self._whole = b""
        self._told: list[bytes] = []
        self._told_size = 0

    def resume(self, context: bytes) -> None:
        """Go on in the midst of a text, behind *context*."""
        self._kept = context[-OVERLAP:]

    def know(self, data: bytes) -> None:
        """Take the beginning of a text, for what its name or its columns say of it."""
        if self._told_size < inventory.MOST:
            self._told.append(data[: inventory.MOST - self._told_size])
            self._told_size += len(self._told[-1])
        if (self._known or self._secrets_of) and len(self._whole) < BLOCK:
            self._whole += data

    def feed(self, data: bytes) -> None:
        """Take more of the text."""
        self._kept += data
        if len(self._kept) >= BLOCK:
            self._learner.learn(self._kept)
            self._kept = self._kept[-OVERLAP:]

    def finish(self) -> None:
        """Take what is left."""
        if len(self._kept) > 1:
            self._learner.learn(self._kept)

    def conclude(self) -> None:
        """Take what the text's name says of it."""
        for login in logins_in(self._secrets_of, self._whole):
            if not is_ordinary(_FIRST_WORD.match(login.lower())[0]):  # type: ignore[index]  # it matches anything
                self._learner.take_user(login)
        for kind, value in _told_by_name(self._known, self._whole):
            if kind == "host":
                self._learner.take_host(value)
            elif kind == "user":
                self._learner.take_user(value)
            else:
                self._learner.take_domain(value)
        for kind, value in inventory.read_inventory(b"".join(self._told)):
            self._learner.take_cell(kind, value)


def _told_by_name(known: str, text: bytes) -> Iterator[tuple[str, bytes]]:
    if known == "hostname":
        match = _ONE_NAME.match(text)
        if match:
            yield "host", match[1]
    elif known == "domain":
        match = _ONE_NAME.match(text)
        if match:
            yield "domain", match[1]
    elif known == "users" and len(text) < 4096 and _NAMES_ONLY.fullmatch(text):
        for name in text.split():
            yield "user", name
    elif known == "hosts":
        for line in _HOSTS_LINE.finditer(text):
            for name in line[1].split():
                yield "host", name
