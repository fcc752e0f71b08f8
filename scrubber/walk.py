"""What all formats share while one upload is walked: rules, budget, tallies, and where a member goes next."""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO

from scrubber import compressed, tarball, zipball
from scrubber.binary import BinaryScrubber
from scrubber.model import MAX_FINDINGS, Finding, Obstacle, Options, Unseen
from scrubber.obstacle import ObstacleError
from scrubber.secondlook import SecondLook
from scrubber.sniff import HEAD, Kind, binary_within, high_entropy, sniff
from scrubber.stream import CHUNK, HashedSource, ScratchSource, Stream
from scrubber.text import Note, Noted, TextScrubber
from scrubber.watch import Watch

if TYPE_CHECKING:
    from scrubber.detector import Detector

Out = Callable[[bytes], object]


class Walk:
    """One upload's walk. Memory: one text buffer for each level of nesting, and what `scratch` keeps in memory."""

    def __init__(self, detector: Detector, options: Options, size: int, scratch: Callable[[], BinaryIO]) -> None:
        self.detector = detector
        self.profile = options.profile
        self.limits = limits = options.limits
        self.passwords = options.passwords
        self.findings: list[Finding] = []
        self.omitted = 0
        self.counts: Counter[str] = Counter()
        self.obstacles: list[Obstacle] = []
        self.unseen: list[Unseen] = []
        self.watch = Watch()
        self.second_look = SecondLook(detector.rules, detector.pseudonyms, self._still_there)
        self.watch.add(self.second_look)
        self.members = 0
        self.scanned = 0
        self._expanded_left = limits.expanded_for(size)
        self._scratch = scratch
        self._scratch_used = 0

    # --- tallies and budget

    def note_for(self, member: str) -> Note:
        """Give what writes down the findings of *member*."""

        def note(noted: list[Noted]) -> None:
            self.counts.update([rule.rule.id for rule, _, _, _ in noted])
            self.second_look.learn(noted)
            room = max(0, MAX_FINDINGS - len(self.findings))
            self.omitted += max(0, len(noted) - room)
            for rule, offset, length, value in noted[:room]:
                fingerprint = self.detector.pseudonyms.fingerprint(rule.kind, value)
                self.findings.append(
                    Finding(rule=rule.rule.id, member=member, offset=offset, length=length, fingerprint=fingerprint)
                )

        return note

    def _still_there(self, member: str, rule: str) -> None:
        """Hold back what the second look at the output found something in."""
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
        self._expanded_left -= made
        if self._expanded_left < 0:
            raise ObstacleError(member, "it expands to more than the server will unpack", fatal=True)
        if produced > self.limits.ratio_floor and produced > self.limits.max_ratio * max(consumed, 1):
            raise ObstacleError(
                member, f"it expands more than {self.limits.max_ratio} times, as a decompression bomb does", fatal=True
            )

    def new_scratch(self, member: str) -> ScratchSource:
        """Open scratch space; close it after use."""

        def reserve(n: int) -> None:
            self._scratch_used += n
            if self._scratch_used > self.limits.scratch:
                raise ObstacleError(member, "it needs more working space than the server gives", fatal=True)

        return ScratchSource(self._scratch(), reserve)

    # --- members

    def upload(self, source: HashedSource, out: Out, name: str) -> None:
        """Scrub the upload itself; a zip at the top needs no scratch space."""
        stream = source.stream()
        if sniff(stream.peek(HEAD))[0] is Kind.ZIP:
            self.members += 1
            zipball.walk_zip(self, source, out, name, 0)
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
            raise ObstacleError(name, f"it has more than {self.limits.members} members", fatal=True)
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
        kind, reason = sniff(stream.peek(HEAD))
        if kind is Kind.OPAQUE:
            raise ObstacleError(name, reason)
        if kind is Kind.EMPTY:
            return
        if kind is Kind.TEXT:
            self._text(stream, out, TextScrubber(self.detector, self.note_for(name), same_length=same_length), name)
        elif kind is Kind.BINARY:
            self._binary(stream, out, name)
        elif same_length:
            raise ObstacleError(name, "a container within a sparse file cannot be repacked")
        elif kind in (Kind.UTF16_LE, Kind.UTF16_BE):
            self._wide(stream, out, name, kind.value)
        else:
            self._container(stream, out, name, depth, kind)

    def _container(self, stream: Stream, out: Out, name: str, depth: int, kind: Kind) -> None:
        if depth >= self.limits.depth:
            raise ObstacleError(name, f"containers are nested more than {self.limits.depth} deep")
        if kind is Kind.TAR:
            tarball.walk_tar(self, stream, out, path=name, depth=depth)
        elif kind is Kind.ZIP:
            self._zip(stream, out, name, depth)
        else:
            compressed.walk_compressed(self, stream, out, kind, name=name, depth=depth)

    def _zip(self, stream: Stream, out: Out, name: str, depth: int) -> None:
        scratch = self.new_scratch(name)
        try:
            while data := stream.read():
                scratch.write(data)
            zipball.walk_zip(self, scratch, out, name, depth)
        finally:
            scratch.close()

    def _text(self, stream: Stream, out: Out, scrubber: TextScrubber, name: str) -> None:
        out = self.watch.follow(name, out)
        while data := stream.read(CHUNK):
            self.scanned += len(data)
            if binary_within(data):
                raise ObstacleError(name, "binary data of an unknown kind follows the text in it")
            out(scrubber.feed(data))
        out(scrubber.finish())

    def _binary(self, stream: Stream, out: Out, name: str) -> None:
        known = stream.peek(16).startswith((b"SQLite format 3\0", b"\x7fELF", b"JAVA PROFILE", b"regf", b"ElfFile"))
        scrubber = BinaryScrubber(self.detector, self.note_for(name))
        out = self.watch.follow(name, out)
        while data := stream.read(CHUNK):
            self.scanned += len(data)
            if not known and high_entropy(data):
                raise ObstacleError(name, "this is binary data of an unknown kind, compressed or encrypted")
            out(scrubber.feed(data))
        out(scrubber.finish())

    def _wide(self, stream: Stream, out: Out, name: str, encoding: str) -> None:
        """Scrub UTF-16 as UTF-8 and write it back; findings are placed in the UTF-16 output."""
        pending: list[Noted] = []
        scrubber = TextScrubber(self.detector, pending.extend)
        decode = codecs.getincrementaldecoder(encoding)("surrogatepass").decode
        encode = codecs.getincrementalencoder(encoding)("surrogatepass").encode
        narrow = codecs.getincrementaldecoder("utf-8")("surrogatepass").decode
        note = self.note_for(name)
        at8 = at16 = 0
        out = self.watch.follow(name, out, wide=True)

        def widen(text8: bytes, *, final: bool) -> bytes:
            nonlocal at8, at16
            wide, mark = at16, at8
            noted: list[Noted] = []
            for rule, offset, length, value in pending:
                wide += len(text8[mark - at8 : offset - at8].decode("utf-8", "replace")) * 2
                noted.append((rule, wide, length * 2, value))
                mark = offset
            pending.clear()
            if noted:
                note(noted)
            text16 = encode(narrow(text8, final))
            at8 += len(text8)
            at16 += len(text16)
            return text16

        try:
            while data := stream.read(CHUNK):
                self.scanned += len(data)
                out(widen(scrubber.feed(decode(data).encode("utf-8", "surrogatepass")), final=False))
            last = scrubber.feed(decode(b"", True).encode("utf-8", "surrogatepass")) + scrubber.finish()
            out(widen(last, final=True))
        except UnicodeDecodeError as error:
            raise ObstacleError(name, "it begins as UTF-16 text and is not") from error

    # --- names

    def scrub_bytes(self, data: bytes, member: str) -> bytes:
        """Scrub a short text such as a name or a comment."""
        scrubber = TextScrubber(self.detector, self.note_for(member))
        return scrubber.feed(data) + scrubber.finish()

    def scrub_name(self, name: bytes, member: str) -> bytes:
        """Scrub a path: each part by itself, so that no rule reaches over a slash."""
        if not self.detector.lexicon and not re.search(
            rb"[@:=\[]|[0-9]{1,3}\.[0-9]|[A-Za-z0-9_\-]{20}|[0-9]{4}|%40", name
        ):
            return name
        return b"/".join(self.scrub_bytes(part, member).replace(b"/", b"_") for part in name.split(b"/"))

    def owner(self, name: bytes, number: int) -> bytes:
        """Give the pseudonym of a member's owner; system accounts keep their names."""
        if "personal" not in self.profile.categories:
            return name
        if not name or number < 1000 or number >= 65534 or name.startswith(b"user-"):
            return name
        return b"user-" + self.detector.pseudonyms.short("user", name.lower(), 8)


def memory_scratch() -> BinaryIO:
    """Give scratch space in memory."""
    return io.BytesIO()
