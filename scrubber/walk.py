"""What all formats share while one upload is walked: rules, budget, tallies, and where a member goes next."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, BinaryIO, Protocol

from scrubber import (
    capture,
    certificate,
    compressed,
    database,
    dump,
    journal,
    leaf,
    picture,
    plainball,
    sevenzip,
    tarball,
    zipball,
)
from scrubber.closed import REPACK
from scrubber.hostnames import words
from scrubber.model import MAX_FINDINGS, Finding, Obstacle, Options, Source, Unseen
from scrubber.obstacle import ObstacleError
from scrubber.pseudonym import WORD_PSEUDONYM
from scrubber.replaced import counts_of, places_of
from scrubber.secondlook import SecondLook
from scrubber.sniff import HEAD, Kind, sniff
from scrubber.stream import HashedSource, ScratchSource, Stream
from scrubber.text import Note, TextScrubber
from scrubber.watch import Watch, Watcher

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrubber.candidate import Noted
    from scrubber.crew import Crew
    from scrubber.detector import Detector
    from scrubber.dictionary import Kind as Learned
    from scrubber.replaced import Notes
    from scrubber.tally import Tally

Out = Callable[[bytes], object]


class TextRunner(Protocol):
    """What can scrub a text, or foresee what that would change."""

    def run_text(self, walk: Walk, name: str, pieces: Iterator[bytes], out: Out) -> int:
        """Scrub *pieces* to *out*; give how many bytes were blanked."""
        ...


_PICTURES = (Kind.PNG, Kind.JPEG, Kind.GIF, Kind.WEBP, Kind.BMP, Kind.ICON)
_LEAVES: dict[Kind, Callable[[Walk, Stream, Out, str], None]] = {
    Kind.TEXT: leaf.walk_text,
    Kind.BINARY: leaf.walk_binary,
    Kind.DUMP: partial(leaf.walk_binary, known=True),
    Kind.SQLITE_LOG: database.walk_log,
    Kind.EVENT_LOG: dump.walk_event_log,
    Kind.HIVE: dump.walk_hive,
    Kind.JOURNAL: journal.walk_journal,
    Kind.PCAP: capture.walk_pcap,
    Kind.PCAPNG: capture.walk_pcapng,
    Kind.FONT: picture.walk_font,
    Kind.PUBLIC: certificate.walk_certificate,
    **{kind: partial(leaf.walk_wide, kind=kind) for kind in leaf.WIDE},
    **{kind: partial(leaf.walk_ebcdic, kind=kind) for kind in leaf.EBCDIC},
    **{kind: partial(picture.walk_picture, kind=kind) for kind in _PICTURES},
}
"""What holds no further files."""
_STREAMED: dict[Kind, Callable[[Walk, Stream, Out, str, int], None]] = {
    Kind.TAR: tarball.walk_tar,
    Kind.CPIO: plainball.walk_cpio,
    Kind.AR: plainball.walk_ar,
    **{
        kind: partial(compressed.walk_compressed, kind=kind)
        for kind in (Kind.GZIP, Kind.BZIP2, Kind.XZ, Kind.LZMA, Kind.ZSTD)
    },
}
"""Containers that are read from front to back."""
SEEKING: dict[Kind, Callable[[Walk, Source, Out, str, int], None]] = {
    Kind.ZIP: zipball.walk_zip,
    Kind.SEVEN_ZIP: sevenzip.walk_seven_zip,
    Kind.SQLITE: database.walk_database,
}
"""Containers that need random access to their source."""
CONTAINERS = frozenset({*_STREAMED, Kind.ZIP})
"""What holds further files."""
_THIN = 16
"""Members as large as `ratio_floor`, each expanding too far, that all of an upload may have together."""


def _same_length(kind: Kind) -> Callable[[Walk, Stream, Out, str], None]:
    """Return what scrubs a member of *kind* that must keep its length."""
    if kind is Kind.TEXT:
        return partial(leaf.walk_text, same_length=True)
    if kind in leaf.EBCDIC:
        return partial(leaf.walk_ebcdic, kind=kind, same_length=True)
    return leaf.walk_binary


class Walk:
    """One upload's walk. Memory: one text buffer for each level of nesting, and what `scratch` keeps in memory."""

    def __init__(self, detector: Detector, options: Options, size: int, scratch: Callable[[], BinaryIO]) -> None:
        self.detector = detector
        self.options = options
        self.profile = options.profile
        self.limits = options.limits
        self.passwords = options.passwords
        self.findings: list[Finding] = []
        self.omitted = 0
        self.counts: Counter[str] = Counter()
        self.obstacles: list[Obstacle] = []
        self.unseen: list[Unseen] = []
        self.watch = Watch()
        self.second_look = SecondLook(detector.rules, detector.pseudonyms, self._still_there)
        self.second_look.expect_none_of(options.known)
        self.watch.add(self.second_look)
        self.crew: Crew | None = None
        """Processes that help with what is long."""
        self.foresight: TextRunner | None = None
        """What scrubs texts in place of the usual way."""
        self.gives_away = False
        """Whether they scrub members of archives too."""
        self._most = MAX_FINDINGS
        self._told: Callable[[Notes], object] = self.second_look.learn
        self._foreseen: dict[bytes, tuple[bytes, list[Noted]]] = {}
        self.still_there = 0
        self.members = 0
        self.scanned = 0
        self.expanded = 0
        self.thin = 0  # bytes that came out of next to nothing
        self._size = size
        self._scratch = scratch
        self._scratch_used = 0

    # --- tallies and budget

    def note_for(self, member: str) -> Note:
        """Give what writes down the findings of *member*."""

        def note(noted: Notes) -> None:
            self.counts.update(counts_of(noted))
            self._told(noted)
            room = self.room
            self.omitted += max(0, len(noted) - room)
            if room > 0:
                self.findings += [
                    Finding(rule=rule, member=member, offset=offset, length=length, fingerprint=known)
                    for rule, offset, length, known in places_of(noted, room, self.detector.pseudonyms)
                ]

        return note

    def adder_for(self, member: str) -> Callable[[Tally, int], None]:
        """Give what writes down tallies of *member*, made elsewhere, of output that begins at an offset."""
        rules = {rule.rule.id: rule for rule in self.detector.ranked}

        def add(tally: Tally, base: int) -> None:
            self.counts.update(tally.counts)
            self.second_look.learn([(rules[rule], 0, 0, value) for rule, value in tally.secrets])
            taken = tally.places[: self.room]
            self.omitted += tally.counts.total() - len(taken)
            self.findings += [
                Finding(rule=rule, member=member, offset=base + offset, length=length, fingerprint=fingerprint)
                for rule, offset, length, fingerprint in taken
            ]

        return add

    @property
    def room(self) -> int:
        """Findings that there is room for."""
        return max(0, self._most - len(self.findings))

    def apart(self, watcher: Watcher, told: Callable[[Notes], object], room: int) -> Walk:
        """Give a walk like this that has seen nothing, for one member: *watcher* sees its output.

        *told* is given what is replaced; there is *room* for findings.
        """
        walk = self._anew()
        walk.watch = Watch()
        walk.watch.add(watcher)
        walk._told = told  # noqa: SLF001 - one of ours
        walk._most = room  # noqa: SLF001 - one of ours
        return walk

    def _anew(self) -> Walk:
        return Walk(self.detector, self.options, self._size, self._scratch)

    def allows(self, members: int, expanded: int, thin: int) -> bool:
        """Say whether so much more would stay within the limits of the whole upload."""
        return (
            self.members + members <= self.limits.members
            and self.expanded + expanded <= self.limits.expanded_for(self._size)
            and self.thin + thin <= _THIN * self.limits.ratio_floor
        )

    def terms(self) -> list[tuple[bytes, Learned]]:
        """Give what was learned, where that is what the walk is for."""
        return []

    def take_terms(self, terms: list[tuple[bytes, Learned]]) -> None:
        """Add what another walk has learned."""

    def _still_there(self, member: str, rule: str) -> None:
        """Hold back what the second look at the output found something in."""
        self.still_there += 1
        self.block(
            member,
            f"the second look found that its scrubbed form still holds what rule {rule} looks for",
            "Take the secret out before sending it, or tell support: this is a case for those who write the rules.",
        )

    def block(self, member: str, reason: str, advice: str = "") -> None:
        """Write down that *member* could not be looked into, and what its sender can do."""
        if len(self.obstacles) < MAX_FINDINGS:
            self.obstacles.append(Obstacle(member=member, reason=reason, advice=advice))

    def leave_unseen(self, member: str, reason: str, *, size: int = 0, advice: str = "") -> None:
        """Note that known, harmless content of *member* is passed on without having been looked into.

        Raises:
            ObstacleError: the profile does not let it pass.
        """
        if not self.profile.unseen_passes:
            raise ObstacleError(member, reason, advice=advice)
        if len(self.unseen) < MAX_FINDINGS:
            self.unseen.append(Unseen(member=member, reason=reason, size=size))

    def expand(self, member: str, made: int, *, produced: int, consumed: int) -> None:
        """Count *made* new expanded bytes; *produced* and *consumed* are the totals of this member.

        Raises:
            ObstacleError: fatal; it expands too far.
        """
        self.expanded += made
        limits = self.limits
        if self.expanded > limits.expanded_for(self._size):
            raise ObstacleError(
                member,
                "it expands to more than the server will unpack",
                fatal=True,
                advice="send it in several archives, or without the largest files",
            )
        if produced > limits.max_ratio * max(consumed, 1):
            self.thin += made
        else:
            produced = 0
        if produced > limits.ratio_floor or self.thin > _THIN * limits.ratio_floor:
            raise ObstacleError(
                member,
                f"it expands more than {limits.max_ratio} times, as a decompression bomb does",
                fatal=True,
                advice="leave out what is empty or repeats itself, and send it again",
            )

    def new_scratch(self, member: str) -> ScratchSource:
        """Open scratch space; close it after use."""

        def reserve(n: int) -> None:
            self._scratch_used += n
            if self._scratch_used > self.limits.scratch:
                raise ObstacleError(
                    member,
                    "it needs more working space than the server gives",
                    fatal=True,
                    advice="send it in several archives, or without the largest files",
                )

        return ScratchSource(self._scratch(), reserve)

    # --- members

    def upload(self, source: HashedSource, out: Out, name: str) -> None:
        """Scrub the upload itself; a zip at the top needs no scratch space."""
        stream = source.stream()
        kind, _ = sniff(stream.peek(HEAD))
        if kind in SEEKING:
            self.members += 1
            SEEKING[kind](self, source, out, name, 0)
        else:
            self.member(stream, out, name, 0)

    def reset(self) -> None:
        """Forget what was noted; only names were looked at."""
        self.counts.clear()
        self.findings.clear()

    def member(self, stream: Stream, out: Out, name: str, depth: int, *, same_length: bool = False) -> None:
        """Scrub one member from *stream* to *out*; an obstacle in it is written down and its rest passed over.

        Raises:
            ObstacleError: a fatal one; the walk ends.
        """
        self.members += 1
        if self.members > self.limits.members:
            raise ObstacleError(
                name,
                f"it has more than {self.limits.members} members",
                fatal=True,
                advice="send it in several archives",
            )
        try:
            self._dispatch(stream, out, name, depth, same_length=same_length)
        except ObstacleError as error:
            if error.fatal:
                raise
            self.block(error.member, error.reason, error.advice)
            self._pass_over(stream)

    def _pass_over(self, stream: Stream) -> None:
        """Read the rest of a member that is given up; where that fails too, the reason is already written down."""
        try:
            stream.drain()
        except ObstacleError as error:
            if error.fatal:
                raise

    def _dispatch(self, stream: Stream, out: Out, name: str, depth: int, *, same_length: bool) -> None:
        kind, why = sniff(stream.peek(HEAD))
        if kind is Kind.OPAQUE:
            raise ObstacleError(name, why.reason, advice=why.advice)
        if kind is Kind.EMPTY:
            return
        if same_length:
            _same_length(kind)(self, stream, out, name)
        elif kind in _LEAVES:
            _LEAVES[kind](self, stream, out, name)
        elif kind in _STREAMED:
            self._check_depth(name, depth)
            _STREAMED[kind](self, stream, out, name, depth)
        else:
            self._check_depth(name, depth)
            self._seek(stream, out, name, depth, kind)

    def _check_depth(self, name: str, depth: int) -> None:
        if depth >= self.limits.depth:
            raise ObstacleError(name, f"containers are nested more than {self.limits.depth} deep", advice=REPACK)

    def _seek(self, stream: Stream, out: Out, name: str, depth: int, kind: Kind) -> None:
        scratch = self.new_scratch(name)
        try:
            while data := stream.read():
                scratch.write(data)
            SEEKING[kind](self, scratch, out, name, depth)
        finally:
            scratch.close()

    # --- names

    def scrub_bytes(self, data: bytes, member: str) -> bytes:
        """Scrub a short text such as a name or a comment."""
        scrubber = TextScrubber(self.detector, self.note_for(member))
        return scrubber.feed(data) + scrubber.finish()

    def scrub_name(self, name: bytes, member: str) -> bytes:
        """Scrub a path: each part by itself, so that no rule reaches over a slash."""
        new, noted = self._foreseen.pop(name) if name in self._foreseen else self._scrub_name(name)
        if noted:
            self.note_for(member)(noted)
        return new

    def foresee_name(self, name: bytes) -> bytes:
        """Scrub a path whose turn has not come: nothing is written down until `scrub_name` is asked for it."""
        self._foreseen[name] = self._scrub_name(name)
        return self._foreseen[name][0]

    def _scrub_name(self, name: bytes) -> tuple[bytes, list[Noted]]:
        noted: list[Noted] = []
        if not self.detector.lexicon and not re.search(
            rb"[@:=\[]|[0-9]{1,3}\.[0-9]|[A-Za-z0-9_\-]{20}|[0-9]{4}|%40", name
        ):
            return name, noted

        def scrub(part: bytes) -> bytes:
            scrubber = TextScrubber(self.detector, noted.extend)
            return (scrubber.feed(part) + scrubber.finish()).replace(b"/", b"_")

        return b"/".join(map(scrub, name.split(b"/"))), noted

    def owner(self, name: bytes, number: int) -> bytes:  # noqa: ARG002 - a learning walk looks at it
        """Give the pseudonym of a member's owner; system accounts keep their names."""
        if "personal" not in self.profile.categories:
            return name
        if not name or name.lower() in words("system_users") or WORD_PSEUDONYM.fullmatch(name) or name.isdigit():
            return name
        return b"user-" + self.detector.pseudonyms.short("user", name.lower())


def memory_scratch() -> BinaryIO:
    """Give scratch space in memory."""
    return io.BytesIO()
