"""What a child does that reads ahead: it learns an upload's names while the upload still comes in.

It holds the upload's key, with which it reads the landing log as far as that goes, and the case's pseudonym key, under
which it seals what it learned; the log, a pipe on which it is told where the file ended, a pipe for its answer. It
writes nothing else, and what it learned is dropped wherever what it read has changed since.
"""

from __future__ import annotations

import io
import json
import os
import select
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from mft.scrubbing.answer import write_answer
from mft.scrubbing.sealednames import SEALED_LIMIT, seal_names
from scrubber.engine import learn_ahead
from scrubber.errors import UnforeseenError
from scrubber.model import Limits, Options
from scrubber.profile import find_profile
from storage.errors import RewrittenError, RolledBackError
from storage.landing import LandingFollower
from storage.scratch import SealedScratch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mft.scrubbing.child import Errand

LOOK_SECONDS = 0.25
"""How often it looks whether more has come."""
_SCRATCH_MEMORY = 16 * 2**20
WORTH_READING = 256 * 1024
"""Bytes that it waits for, unless the file has ended."""


class AbandonedError(Exception):
    """Whoever sent this child has let go of it."""


class _Growing:
    """The upload as it grows, up to where it landed."""

    def __init__(self, follower: LandingFollower, ending_fd: int) -> None:
        self._follower = follower
        self._ending_fd = ending_fd
        self._told = b""
        self._ended = False

    def read(self, offset: int, length: int) -> bytes:
        """Give up to *length* bytes at *offset*; wait for them; none where the file has landed and ends there.

        Raises:
            AbandonedError: nobody waits for it any more.
            RewrittenError: what was read has changed.
        """
        while not self._ended and self._follower.prefix < offset + min(length, WORTH_READING):
            self._follower.look()
            if self._follower.prefix < offset + min(length, WORTH_READING):
                self._wait()
        return self._follower.read(offset, length)

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
            self._follower.conclude(ending["records"], ending["size"])
            self._ended = True

    def finish(self) -> None:
        """Wait until the file has landed, where it was read to the end before that is told."""
        while not self._ended:
            self._follower.look()
            self._wait()


def run_ahead(errand: Errand, descriptors: Sequence[int]) -> None:
    """Do an errand and write its answer to the result pipe, the last of *descriptors*.

    They are the landing log, the pipe on which `{"records": …, "size": …}` and a line break tell that the upload has
    landed, and the pipe for the answer: `{"learned": COUNT}` with the names, or `{"dropped": WHY}`.
    """
    names = b""
    try:
        names, document = _learn(errand, descriptors[0], descriptors[1])
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


def _learn(errand: Errand, landing_fd: int, ending_fd: int) -> tuple[bytes, dict[str, Any]]:
    growing = _Growing(LandingFollower(landing_fd, errand.landing_id, errand.landing_key), ending_fd)

    def scratch() -> BinaryIO:
        return io.BufferedRandom(SealedScratch(Path(errand.scratch), _SCRATCH_MEMORY))

    options = Options(profile=find_profile(errand.profile), limits=Limits(**errand.limits))
    learned = learn_ahead(growing.read, name=errand.names[-1], options=options, scratch=scratch)
    growing.finish()
    names = seal_names(learned, errand.pseudonym_key)
    if len(names) > SEALED_LIMIT:
        return b"", {"dropped": "it has taught more than can be kept"}
    return names, {"learned": len(learned)}
