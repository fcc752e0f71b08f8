"""What a child does that reads ahead: it learns an upload's names, and looks for the rest, while it still comes in.

It holds the upload's key, with which it reads the landing log as far as that goes, the case's pseudonym key, under
which it seals what it learned, and the key of its notes; the log, a pipe on which it is told where the file ended, a
file without a name for its notes, a pipe for its answer. It writes nothing else, and all of it is dropped wherever what
it read has changed since.
"""

from __future__ import annotations

import io
import json
import os
import select
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mft.scrubbing.answer import write_answer
from mft.scrubbing.sealednames import SEALED_LIMIT, open_names, seal_names
from scrubber.dictionary import Dictionary
from scrubber.engine import foresee, learn_ahead
from scrubber.errors import UnforeseenError
from scrubber.foresight import StoppedError
from scrubber.model import Limits, Options
from scrubber.profile import find_profile
from scrubber.pseudonym import Pseudonymizer
from scrubber.terms import Terms
from storage.errors import OutOfSpaceError, RewrittenError, RolledBackError
from storage.frames import FrameWriter
from storage.landing import LandingFollower
from storage.scratch import SealedScratch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mft.scrubbing.child import Errand

LOOK_SECONDS = 0.25
"""How often it looks whether more has come."""
_SCRATCH_MEMORY = 16 * 2**20
WORTH_READING = 256 * 1024
"""Bytes that it waits for, unless the file has ended."""
_CPU_SHARE = 0.75
"""How much of its processor time it takes for notes at most: learning is to come to its end."""


class AbandonedError(Exception):
    """Whoever sent this child has let go of it."""


class _Growing:
    """The upload as it grows, up to where it landed. One thread learns from it; another comes behind."""

    def __init__(self, follower: LandingFollower, ending_fd: int) -> None:
        self._follower = follower
        self._ending_fd = ending_fd
        self._told = b""
        self._ended = False
        self._learned = 0
        """Bytes that the learner has done with."""
        self._stopped = False
        self._changed = threading.Condition()

    def read(self, offset: int, length: int) -> bytes:
        """Give up to *length* bytes at *offset*; wait for them; none where the file has landed and ends there.

        Raises:
            AbandonedError: nobody waits for it any more.
            RewrittenError: what was read has changed.
        """
        self._note_learned(offset)
        while not self._ended and self._look() < offset + min(length, WORTH_READING):
            self._wait()
        with self._changed:
            return self._follower.read(offset, length)

    def read_behind(self, offset: int, length: int) -> bytes:
        """Give up to *length* bytes at *offset* of what the learner has done with; wait for them.

        Raises:
            StoppedError: the file has landed, and who scrubs it goes on from here.
        """
        with self._changed:
            while not self._stopped and self._learned <= offset:
                self._changed.wait()
            if self._stopped:
                raise StoppedError
            return self._follower.read(offset, min(length, self._learned - offset))

    def check(self) -> None:
        """Go on, unless it is over.

        Raises:
            StoppedError: it is.
        """
        if self._stopped:
            raise StoppedError

    def finish(self) -> None:
        """Wait until the file has landed, where it was read to the end before that is told."""
        self._note_learned(self._look())
        while not self._ended:
            self._wait()
            self._look()

    def stop(self) -> None:
        """Tell who comes behind that it is over."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _look(self) -> int:
        """Take in what has come; say how much there is without a hole."""
        with self._changed:
            if not self._ended:
                self._follower.look()
            return self._follower.prefix

    def _note_learned(self, offset: int) -> None:
        with self._changed:
            self._learned = max(self._learned, offset)
            self._changed.notify_all()

    def _wait(self) -> None:
        """Wait until more can have come, or the end is told."""
        if not select.select([self._ending_fd], [], [], LOOK_SECONDS)[0]:
            return
        piece = os.read(self._ending_fd, 4096)
        if not piece:
            raise AbandonedError
        self._told += piece
        if self._told.endswith(b"\n"):
            ending = json.loads(self._told)
            with self._changed:
                self._follower.conclude(ending["records"], ending["size"])
            self._ended = True


class _Behind:
    """Notes what scrubbing would change, in a thread that comes behind the learner."""

    def __init__(self, errand: Errand, growing: _Growing, notes_fd: int, learned: Dictionary) -> None:
        self._writer = FrameWriter(
            notes_fd,
            errand.notes_key,
            limit=min(errand.limits.get("scratch", errand.cage.file_size), errand.cage.file_size),
        )
        self._growing = growing
        self._cpu = errand.cage.cpu * _CPU_SHARE
        self._failed = False
        self._foresight = foresee(
            growing.read_behind,
            self._keep,
            pseudonyms=Pseudonymizer(errand.pseudonym_key, open_names(errand.dictionary, errand.pseudonym_key)),
            learned=learned,
            name=errand.names[-1],
            options=_options(errand),
            scratch=_scratch_of(errand),
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def conclude(self) -> dict[str, int]:
        """End it; give how many notes there are, and where what they have in common stands in the file."""
        self._growing.stop()
        self._thread.join()
        if self._failed or not self._foresight.count:
            return {"notes": 0, "notes_end": 0}
        end = self._writer.end
        try:
            self._writer.append(self._foresight.outlook().to_bytes())
        except OutOfSpaceError:
            return {"notes": 0, "notes_end": 0}
        return {"notes": self._foresight.count, "notes_end": end}

    def _run(self) -> None:
        try:
            self._foresight.run()
        except Exception:  # noqa: BLE001 - the border of the thread: whatever fails here, who scrubs will see and say
            self._failed = True

    def _keep(self, note: bytes) -> None:
        self._growing.check()
        if time.process_time() > self._cpu:
            raise StoppedError
        try:
            self._writer.append(note)
        except OutOfSpaceError as error:
            raise StoppedError from error


def run_ahead(errand: Errand, descriptors: Sequence[int]) -> None:
    """Do an errand and write its answer to the result pipe, the last of *descriptors*.

    They are the landing log, the pipe on which `{"records": …, "size": …}` and a line break tell that the upload has
    landed, the file for notes where the errand has a key for them, and the pipe for the answer: `{"learned": COUNT,
    "notes": COUNT, "notes_end": BYTE}` with the names, or `{"dropped": WHY}`.
    """
    names = b""
    try:
        names, document = _learn(errand, descriptors)
    except AbandonedError:
        return
    except (UnforeseenError, RewrittenError, RolledBackError) as error:
        document = {"dropped": _REASONS[type(error)]}
    except MemoryError:
        document = {"error": "memory"}
    except Exception as error:  # noqa: BLE001 - the border of the process; never the error's text, which may hold content
        document = {"error": type(error).__name__}
    with os.fdopen(descriptors[-1], "wb") as pipe:
        pipe.write(write_answer(document, names))


_REASONS: dict[type[Exception], str] = {
    UnforeseenError: "it can only be read once it is whole",
    RewrittenError: "what was read has changed since",
    RolledBackError: "what landed is not what was followed",
}


def _learn(errand: Errand, descriptors: Sequence[int]) -> tuple[bytes, dict[str, Any]]:
    growing = _Growing(LandingFollower(descriptors[0], errand.landing_id, errand.landing_key), descriptors[1])
    learned = Dictionary()
    behind = _Behind(errand, growing, descriptors[2], learned) if errand.notes_key else None
    learn_ahead(
        growing.read, name=errand.names[-1], options=_options(errand), scratch=_scratch_of(errand), dictionary=learned
    )
    growing.finish()
    noted = {"notes": 0, "notes_end": 0} if behind is None else behind.conclude()
    names = seal_names(learned, errand.pseudonym_key)
    if len(names) > SEALED_LIMIT:
        return b"", {"dropped": "it has taught more than can be kept"}
    return names, {"learned": len(learned), **noted}


def _options(errand: Errand) -> Options:
    return Options(
        profile=find_profile(errand.profile),
        limits=Limits(**errand.limits),
        terms=Terms(deny=errand.deny, allow=errand.allow),
    )


def _scratch_of(errand: Errand) -> Callable[[], BinaryIO]:
    return lambda: io.BufferedRandom(SealedScratch(Path(errand.scratch), _SCRATCH_MEMORY))
