"""What a scrub child does: one file in, sealed, one object out, sealed, and a report.

It holds the key of the file that it reads, of the object that it writes, and the case's pseudonym key, with which it
opens the case's dictionary; file descriptors of the landing log, of a pipe for ciphertext and of a pipe for its result;
nothing else. Plaintext exists in its memory alone: what does not fit lies in sealed scratch.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mft.scrubbing.answer import write_answer
from mft.scrubbing.cage import Cage
from mft.scrubbing.sealednames import SEALED_LIMIT, open_names, seal_names
from mft.scrubbing.sealedpassword import open_password
from mft.shortage import SPACE, shortage_of
from scrubber.engine import Ready, learn, replay_of, scrub, scrub_names
from scrubber.model import Limits, Options
from scrubber.profile import find_profile
from scrubber.pseudonym import Pseudonymizer
from scrubber.reversal import SEALED_FOR, RecordingPseudonymizer, ReverseMap
from scrubber.rules import known_rules
from scrubber.terms import Terms
from storage.body import BodyReader, BodyWriter
from storage.durable import pread_all
from storage.frames import FrameReader
from storage.landing import LandingReader
from storage.recipient import seal_to
from storage.scratch import SealedScratch
from storage.store import ObjectKey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrubber.model import ScrubReport
    from scrubber.replay import Replay

PIECE = 256 * 1024
SCRATCH_MEMORY = 16 * 2**20
"""Scratch kept in memory before it is sealed into a temporary file, for each archive member that is being re-packed."""


_BYTES = ("pseudonym_key", "dictionary", "learned", "landing_key", "stored_key", "data_key", "recipient", "notes_key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Errand:
    """One file to scrub, or only names to make presentable (no landing log)."""

    names: tuple[str, ...]
    """The path below the zone's root; the last is the file's own name."""
    pseudonym_key: bytes
    cage: Cage
    limits: dict[str, int]
    dictionary: bytes = field(default=b"", repr=False)
    """What the case's uploads have taught, sealed; empty: nothing yet."""
    scratch: str
    """Directory for sealed scratch files, which are unlinked as soon as they are made."""
    landing_id: str = ""
    landing_key: bytes = b""
    records: int = 0
    size: int = 0
    stored: str = ""
    """In place of a landing log, a stored object of that key is read: its body, sealed as it lies."""
    stored_key: bytes = field(default=b"", repr=False)
    """The data key of that object; `size` is then how long the sealed body is."""
    object_key: str = ""
    data_key: bytes = b""
    outbound: bool = False
    """Only look: the bytes that come out are those that went in."""
    profile: str = "support"
    deny: tuple[str, ...] = field(default=(), repr=False)
    allow: tuple[str, ...] = field(default=(), repr=False)
    """The customer's own words, that always go and that always stay."""
    as_it_is: bool = False
    """Not even look: it is released from quarantine."""
    again: bool = False
    """A first run left secrets where nothing told them: find them once more, then replace them everywhere."""
    ahead: bool = False
    """Only read the file while it still comes in (see `ahead`); what is known of it are landing id and key."""
    learned: bytes = field(default=b"", repr=False)
    """What such a child has learned from this file, sealed; empty: nobody has read it yet."""
    notes_key: bytes = field(default=b"", repr=False)
    """The key of what such a child notes of what is to be replaced, in a file of its own; empty: there is none."""
    notes_end: int = 0
    """Where the last of the notes stands in it."""
    recipient: bytes = b""
    """The customer's public key to which what pseudonyms stand for is sealed; empty: nobody's."""
    passwords: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    """What the sender gave to open archives: for each its key and itself, sealed, in base64."""
    relay: dict[str, Any] = field(default_factory=dict)
    """Nothing of the above: the file is only shown to another scanner, and this says how (see `relay`)."""
    batch: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    """Several small files instead of one: what each has of its own (see `batch`)."""

    @property
    def has_file(self) -> bool:
        """Whether there is a file to read, and not only names."""
        return bool(self.landing_id or self.stored)

    @property
    def teaches(self) -> bool:
        """Whether what is learned from the file is kept for the case: what engineers send speaks of others."""
        return self.has_file and not self.outbound and not self.as_it_is

    def to_json(self) -> bytes:
        """Write it for the way through a socket."""
        plain: dict[str, Any] = {each.name: getattr(self, each.name) for each in fields(self)}
        for name in _BYTES:
            plain[name] = base64.b64encode(plain[name]).decode("ascii")
        plain["cage"] = {each.name: getattr(self.cage, each.name) for each in fields(self.cage)}
        return json.dumps(plain).encode()

    @classmethod
    def from_json(cls, text: bytes) -> Errand:
        """Read what `to_json` wrote."""
        plain = json.loads(text)
        for name in _BYTES:
            plain[name] = base64.b64decode(plain[name])
        plain["cage"] = Cage(**plain["cage"])
        for name in ("names", "deny", "allow"):
            plain[name] = tuple(plain[name])
        plain["passwords"] = tuple((key, sealed) for key, sealed in plain["passwords"])
        plain["batch"] = tuple(plain["batch"])
        return cls(**plain)


def run_errand(errand: Errand, descriptors: Sequence[int], *, ready: Ready | None = None, taught: bool = False) -> None:
    """Do an errand and write its answer to the result pipe, the last of *descriptors*.

    *ready* is of the errand's key and dictionary, where somebody has opened that already, who is then to seal what is
    learned; *taught* says that it has learned what the file tells (`teach`).
    """
    result_fd = descriptors[-1]
    grown = reverse_map = b""
    seals = ready is None
    try:
        if ready is None:
            ready = ready_for(errand)
        names = ready.pseudonyms.dictionary
        known = names.extent
        reverse = ReverseMap() if errand.recipient and errand.teaches else None
        if reverse is not None:
            ready = Ready(RecordingPseudonymizer(errand.pseudonym_key, names, reverse))
        if errand.has_file:
            result = _scrub_file(errand, ready, descriptors, taught=taught)
        else:
            shown = scrub_names(errand.names, ready.pseudonyms, _options(errand), ready=ready)
            result = _named(errand, shown)
        if seals and errand.teaches and names.extent > known:
            grown = seal_names(names, errand.pseudonym_key)
        if reverse is not None:
            reverse_map = seal_to(errand.recipient, reverse.to_bytes(), context=SEALED_FOR)
    except MemoryError:
        result, grown, reverse_map = {"error": "memory"}, b"", b""
    except Exception as error:  # noqa: BLE001 - the border of the process; never the error's text, which may hold content
        result, grown, reverse_map = {"error": _failure(error)}, b"", b""
    with os.fdopen(result_fd, "wb") as pipe:
        pipe.write(write_answer(result, grown if len(grown) <= SEALED_LIMIT else b"", reverse_map))


def ready_for(errand: Errand) -> Ready:
    """Open the names of an errand's case, and make ready to look for them.

    Raises:
        NamesUnreadableError: they do not open.
    """
    return Ready(Pseudonymizer(errand.pseudonym_key, open_names(errand.dictionary, errand.pseudonym_key)))


def teach(errand: Errand, descriptor: int, ready: Ready) -> str:
    """Have *ready* learn the names that an errand's file tells; return what went wrong, in a word, or nothing.

    *descriptor* is that of its log, which is left open.
    """
    try:
        with contextlib.closing(source_of(errand, os.dup(descriptor))) as source:
            learn(
                source,
                pseudonyms=ready.pseudonyms,
                name=errand.names[-1],
                options=_options(errand),
                scratch=_scratch_of(errand),
            )
    except MemoryError:
        return "memory"
    except Exception as error:  # noqa: BLE001 - the border of the process, as in `run_errand`
        return _failure(error)
    return ""


def _scratch_of(errand: Errand) -> Callable[[], BinaryIO]:
    return lambda: io.BufferedRandom(SealedScratch(Path(errand.scratch), SCRATCH_MEMORY))


def _failure(error: Exception) -> str:
    """Name what *error* is; a full disk by itself: no file is at fault for that."""
    if shortage_of(error) == SPACE:
        return SPACE
    return "memory" if type(error).__module__ == "hyperscan" else type(error).__name__


def _named(errand: Errand, shown: Sequence[str]) -> dict[str, Any]:
    return {"names": list(errand.names), "shown": list(errand.names if errand.outbound else shown)}


def _options(errand: Errand) -> Options:
    return Options(
        profile=find_profile(errand.profile),
        limits=Limits(**errand.limits),
        passwords=tuple(
            dict.fromkeys(
                each
                for key, sealed in errand.passwords
                for each in open_password(base64.b64decode(sealed), base64.b64decode(key))
            )
        ),
        terms=Terms(deny=errand.deny, allow=errand.allow),
    )


def _scrub_file(errand: Errand, ready: Ready, descriptors: Sequence[int], *, taught: bool) -> dict[str, Any]:
    """Scrub a file; *descriptors*: log or body, notes of a child that read ahead if there are any, two pipes."""
    cipher_fd, pseudonyms = descriptors[-2], ready.pseudonyms
    source, scratch = source_of(errand, descriptors[0]), _scratch_of(errand)
    with os.fdopen(cipher_fd, "wb", buffering=0) as pipe:
        body = BodyWriter(lambda piece: _write_all(pipe.fileno(), piece), errand.data_key, ObjectKey(errand.object_key))
        options, left = _options(errand), list[tuple[bytes, str]]()
        if errand.learned:
            pseudonyms.dictionary.merge(open_names(errand.learned, errand.pseudonym_key))
        elif not errand.as_it_is and not taught:
            learn(source, pseudonyms=pseudonyms, name=errand.names[-1], options=options, scratch=scratch)
        named = _named(errand, scrub_names(errand.names, pseudonyms, options, ready=ready))
        shown = named["shown"][-1]
        if errand.as_it_is:
            return named | _copied(source, body)
        sink = (lambda _piece: None) if errand.outbound else body.write
        replay = _replay(errand, pseudonyms, descriptors[1], options) if errand.notes_key else None
        run = partial(
            scrub,
            source,
            pseudonyms=pseudonyms,
            name=shown,
            scratch=scratch,
            learning=False,
            replay=replay,
            ready=ready,
        )
        if errand.again:
            run(lambda _: None, options=options, left=left)
            options, left = replace(options, known=tuple(left)), []
        report: ScrubReport = run(sink, options=options, left=left)
        if errand.outbound:
            for offset in range(0, source.size, PIECE):
                body.write(source.read(offset, PIECE))
        info = body.close()
    return {
        **named,
        "report": report.to_dict() | ({} if replay is None else {"foreseen": replay.used}),
        "again": bool(left) and not errand.again and not errand.outbound,
        "categories": _by_category(report),
        "body": {"size": info.size, "sha256": info.sha256.hex(), "stored_size": info.stored_size},
    }


def source_of(errand: Errand, descriptor: int) -> LandingReader | BodyReader:
    """Open the file of an errand: what landed, or what is stored.

    Raises:
        TamperedError: it is not what was written.
    """
    if errand.stored:
        body, key = StoredFile(descriptor, errand.size), ObjectKey(errand.stored)
        return BodyReader(body, errand.stored_key, key, stored_size=errand.size)
    return LandingReader.from_fd(
        descriptor, errand.landing_id, errand.landing_key, records=errand.records, size=errand.size
    )


class StoredFile:
    """The sealed body of an object in a file of its own."""

    def __init__(self, descriptor: int, size: int) -> None:
        """Read *size* bytes from *descriptor*."""
        self._descriptor = descriptor
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        """Return up to *length* bytes at *offset*."""
        return pread_all(self._descriptor, length, offset)

    def close(self) -> None:
        """Nothing: the process ends soon."""


def _replay(errand: Errand, pseudonyms: Pseudonymizer, notes_fd: int, options: Options) -> Replay | None:
    """Give what was noted while the file came in, if it can still be used."""
    reader = FrameReader(notes_fd, errand.notes_key)
    notes = reader.frames(errand.notes_end)
    outlook = reader.read(errand.notes_end)
    return replay_of(outlook, notes, pseudonyms=pseudonyms, name=errand.names[-1], options=options)


def _copied(source: LandingReader | BodyReader, body: BodyWriter) -> dict[str, Any]:
    digest = hashlib.sha256()
    for offset in range(0, source.size, PIECE):
        piece = source.read(offset, PIECE)
        digest.update(piece)
        body.write(piece)
    info = body.close()
    sha256 = digest.hexdigest()
    return {
        "report": {
            "released": True,
            "sha256_in": sha256,
            "sha256_out": sha256,
            "bytes_in": source.size,
            "bytes_out": source.size,
            "bytes_scanned": 0,
            "counts": {},
            "findings": [],
            "obstacles": [],
        },
        "categories": {},
        "body": {"size": info.size, "sha256": info.sha256.hex(), "stored_size": info.stored_size},
    }


def _by_category(report: ScrubReport) -> dict[str, int]:
    known = known_rules()
    counts: Counter[str] = Counter()
    for rule, count in report.counts.items():
        counts[known[rule].category if rule in known else "secret"] += count
    return dict(counts)


def _write_all(descriptor: int, piece: bytes | bytearray | memoryview) -> None:
    view = memoryview(piece)
    while view:
        view = view[os.write(descriptor, view) :]
