"""Scrub one upload: the whole of the room behind one function."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO

from scrubber.crew import Crew
from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.excerpt import ExcerptReader
from scrubber.foresight import Foresight, Outlook, settings_of
from scrubber.learner import Learner
from scrubber.learning import learn_growing, learn_source
from scrubber.members import Parcel, serve_members
from scrubber.model import ENGINE_VERSION, Options, ScrubReport, Source
from scrubber.obstacle import ObstacleError
from scrubber.profile import PROFILES
from scrubber.pseudonym import Pseudonymizer
from scrubber.replay import Replay
from scrubber.rules import load_rules
from scrubber.secondlook import SecondLook, sure_rules
from scrubber.segments import Begin, GoOn, SegmentScrubber
from scrubber.stream import HashedSource
from scrubber.walk import Walk, memory_scratch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scrubber.crew import Tell, Work
    from scrubber.excerpt import Excerpt
    from scrubber.rules import RuleSet

_DEFAULT = Options()


class _Sink:
    """Count and hash what goes out."""

    def __init__(self, sink: Callable[[bytes], object]) -> None:
        self._sink = sink
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> None:
        """Give *data* on, unless it is empty."""
        if data:
            self.hash.update(data)
            self.size += len(data)
            self._sink(data)


def prepare() -> None:
    """Load and compile the rules, so that processes forked afterwards need not (a third of a second each)."""
    pseudonyms = Pseudonymizer(bytes(32))
    Learner(pseudonyms.dictionary)
    for profile in PROFILES.values():
        rules = load_rules().of(profile.categories)
        Detector(rules, pseudonyms)
        SecondLook(rules, pseudonyms, lambda _member, _rule: None)
        Detector(sure_rules(rules), pseudonyms)
        scrub(_Rehearsal(), lambda _piece: None, pseudonyms=pseudonyms, name="a.log", options=Options(profile=profile))


class _Rehearsal:
    """A text of a few lines: what is made ready when the first file is scrubbed is ready then."""

    _TEXT = b"2026-01-01T00:00:00Z host=web01 user=ann from 192.0.2.1: password=example ann@mail.example\n" * 4
    size = len(_TEXT)

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        return self._TEXT[offset : offset + length]


def scrub_name(name: str, pseudonyms: Pseudonymizer, options: Options = _DEFAULT) -> str:
    """Return a file's name as others than its sender may see it; most names come back as they are."""
    return scrub_names([name], pseudonyms, options)[0]


class Ready:
    """The rules made ready under one key for names and files one after the other, anew only where names were learned.

    For one thread.
    """

    def __init__(self, pseudonyms: Pseudonymizer) -> None:
        """Make them ready for *pseudonyms*."""
        self.pseudonyms = pseudonyms
        self._made: tuple[tuple[object, ...], Detector] | None = None

    def detector(self, options: Options) -> Detector:
        """Give what looks for the rules of *options*, and for all names that were learned by now."""
        if options.known:  # of one file alone
            return Detector(_rules(options), self.pseudonyms, terms=options.terms, known=options.known)
        names = self.pseudonyms.dictionary
        made_for = (options.profile, options.terms, len(names), names.overruled)
        if self._made is None or self._made[0] != made_for:
            self._made = made_for, Detector(_rules(options), self.pseudonyms, terms=options.terms)
        return self._made[1]


def scrub_names(
    names: Sequence[str], pseudonyms: Pseudonymizer, options: Options = _DEFAULT, *, ready: Ready | None = None
) -> list[str]:
    """Do what `scrub_name` does for each of *names*, with the rules made ready once; *ready* is of *pseudonyms*."""
    walk = Walk((ready or Ready(pseudonyms)).detector(options), options, 0, memory_scratch)
    raw = [name.encode("utf-8", "surrogateescape") for name in names]
    return [walk.scrub_name(name, "").decode("utf-8", "replace") for name in raw]


def scrub(
    source: Source,
    sink: Callable[[bytes], object],
    *,
    pseudonyms: Pseudonymizer,
    name: str,
    options: Options = _DEFAULT,
    scratch: Callable[[], BinaryIO] = memory_scratch,
    progress: Callable[[int], None] | None = None,
    explain: Callable[[Excerpt], None] | None = None,
    learning: bool = True,
    left: list[tuple[bytes, str]] | None = None,
    replay: Replay | None = None,
    jobs: int = 1,
    ready: Ready | None = None,
) -> ScrubReport:
    """Read *source*, give the scrubbed bytes to *sink*, and report what was replaced and what could not be looked into.

    Args:
        source: the upload, with random access.
        sink: is called with each piece of output, in order.
        pseudonyms: the key of the case.
        name: what the report calls the upload; it is scrubbed before it is written there.
        options: profile, limits, passwords of archives.
        scratch: gives a new file-like object each time; it must hold nothing in clear on a disk. In memory by default.
        progress: is called with the number of bytes read so far.
        explain: is called with each replaced place and what stands around it in the output.
        learning: read *source* once before, to learn its users, hosts and domains into the dictionary of *pseudonyms*.
            False where that was done already (`learn`).
        left: is given the secrets that were replaced in one place and left in another, if nothing else is in the way:
            run again with them as `options.known`, and they go everywhere.
        replay: what was noted of *source* while it came in (`replay_of`), made for these *pseudonyms* and *options*.
        jobs: processes for what is long. They are forked from this one, which should have one thread; the outcome is
            the same with any number.
        ready: what was made ready for these *pseudonyms*, where other files or names were scrubbed before.

    Where the report is not `scannable`, what the sink was given must be discarded. Memory: some 32 MiB with the rules,
    and what *scratch* keeps.

    Raises:
        ScrubberError: the source, the scratch space, a rule or a process that helped failed.
    """
    if learning:
        halved = _halves(progress, source.size)
        learn(
            source,
            pseudonyms=pseudonyms,
            name=name,
            options=options,
            scratch=scratch,
            progress=halved[0],
            jobs=jobs,
        )
        progress = halved[1]
    reading = HashedSource(source, progress)
    writing = _Sink(sink)
    rules = _rules(options)
    detector = (ready or Ready(pseudonyms)).detector(options)
    walk = Walk(detector, options, source.size, scratch)
    label = walk.scrub_name(name.encode("utf-8", "surrogateescape"), "").decode("utf-8", "replace")
    walk.reset()
    if explain is not None:
        walk.watch.add(ExcerptReader(walk.findings, explain))
    walk.foresight = replay
    if jobs > 1:
        walk.crew = Crew(jobs, lambda: _hand(walk))
        walk.gives_away = explain is None  # it reads members while they are scrubbed
    try:
        walk.upload(reading, writing.write, label)
    except ObstacleError as error:
        walk.block(error.member, error.reason, error.advice)
    finally:
        if walk.crew is not None:
            walk.crew.close()
    walk.watch.end()
    if left is not None and len(walk.obstacles) == walk.still_there:
        left += sorted(walk.second_look.left.items())
    return ScrubReport(
        engine=ENGINE_VERSION,
        rules=rules.version,
        sha256_in=reading.sha256(),
        sha256_out=writing.hash.hexdigest(),
        bytes_in=source.size,
        bytes_out=writing.size,
        bytes_scanned=walk.scanned,
        members=walk.members,
        counts=dict(sorted(walk.counts.items())),
        findings=tuple(walk.findings),
        findings_omitted=walk.omitted,
        obstacles=tuple(walk.obstacles),
        unseen=tuple(walk.unseen),
        name=label,
        profile=options.profile.name,
        key=pseudonyms.key_id,
    )


def _hand(walk: Walk) -> Work:
    """Give what a process of the crew does: segments of texts, members of archives."""
    segments, members = SegmentScrubber(walk), serve_members(walk)

    def work(message: Begin | GoOn | list[Parcel], tell: Tell) -> None:
        if isinstance(message, list):
            members(message, tell)
        else:
            segments(message, tell)

    return work


def learn(
    source: Source,
    *,
    pseudonyms: Pseudonymizer,
    name: str,
    options: Options = _DEFAULT,
    scratch: Callable[[], BinaryIO] = memory_scratch,
    progress: Callable[[int], None] | None = None,
    jobs: int = 1,
) -> None:
    """Learn the users, hosts and domains that *source* names, in *jobs* processes, without scrubbing it.

    They are added to the dictionary of *pseudonyms*, and replaced wherever they stand in whatever is scrubbed after.

    Raises:
        ScrubberError: the source or the scratch space failed.
    """
    if "personal" in options.profile.categories:
        learn_source(
            source,
            pseudonyms=pseudonyms,
            rules=_rules(options),
            name=name,
            options=options,
            scratch=scratch,
            progress=progress,
            jobs=jobs,
        )


def learn_ahead(
    read: Callable[[int, int], bytes],
    *,
    name: str,
    options: Options = _DEFAULT,
    scratch: Callable[[], BinaryIO] = memory_scratch,
    dictionary: Dictionary | None = None,
) -> Dictionary:
    """Learn what `learn` would from an upload that is still coming in; return what it told.

    Merged into a case's dictionary (`Dictionary.merge`) that is what `learn` would have added.

    Args:
        read: gives up to so many bytes at an offset; waits until there are some; none at the end.
        name: the upload's, as its sender gave it.
        options: profile, limits.
        scratch: as for `scrub`.
        dictionary: an empty one, to which it is added as it is learned.

    Raises:
        UnforeseenError: nothing can be said before it is whole.
        ScrubberError: the source or the scratch space failed.
    """
    dictionary = Dictionary() if dictionary is None else dictionary
    if "personal" in options.profile.categories:
        learn_growing(read, dictionary=dictionary, rules=_rules(options), name=name, options=options, scratch=scratch)
    return dictionary


def foresee(
    read: Callable[[int, int], bytes],
    keep: Callable[[bytes], None],
    *,
    pseudonyms: Pseudonymizer,
    learned: Dictionary,
    name: str,
    options: Options = _DEFAULT,
    scratch: Callable[[], BinaryIO] = memory_scratch,
) -> Foresight:
    """Make ready to find in an upload that is still coming in what would be replaced; see `Foresight`."""
    return Foresight(
        read,
        keep,
        pseudonyms=pseudonyms,
        learned=learned,
        rules=_rules(options),
        options=options,
        name=name,
        scratch=scratch,
    )


def replay_of(
    outlook: bytes, notes: Iterator[bytes], *, pseudonyms: Pseudonymizer, name: str, options: Options = _DEFAULT
) -> Replay | None:
    """Give what `scrub` can use of what was foreseen, None where other settings or pseudonyms hold by now.

    Args:
        outlook: `Foresight.outlook`, as bytes.
        notes: what was kept, in order.
        pseudonyms: the case's, whose dictionary has taken in what the upload teaches.
        name: the upload's, as `foresee` was told it.
        options: profile, terms.

    Raises:
        ValueError: *outlook* is none.
    """
    seen, names = Outlook.from_bytes(outlook), pseudonyms.dictionary
    if options.known or seen.settings != settings_of(_rules(options), options, name) or names.contradicts(seen.names):
        return None
    return Replay(seen, notes, names)


def _halves(
    progress: Callable[[int], None] | None, size: int
) -> tuple[Callable[[int], None] | None, Callable[[int], None] | None]:
    """Share *progress* between two passes over *size* bytes."""
    if progress is None:
        return None, None
    return (lambda done: progress(done // 2)), (lambda done: progress(size // 2 + (done + 1) // 2))


def _rules(options: Options) -> RuleSet:
    return load_rules().of(options.profile.categories)
