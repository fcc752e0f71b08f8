"""Where scrub children come from: a small process, forked before any key was loaded, that forks one for each file.

It has one thread and knows nothing, so a child begins with nothing: intake, which has threads, a database and a
channel to the key agent, never forks. A request carries the errand and the child's file descriptors.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import selectors
import signal
import socket
import threading
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mft.scrubbing.ahead import run_ahead
from mft.scrubbing.answer import ANSWER_LIMIT, AnswerError, read_answer
from mft.scrubbing.batch import BATCH_FILES, BATCH_LIMIT, BODY_LIMIT, read_batch, run_batch
from mft.scrubbing.cache import rules_folder
from mft.scrubbing.cage import Cage, confine, forbid_dumps
from mft.scrubbing.child import Errand, ready_for, run_errand, teach
from mft.scrubbing.isolation import shut_in
from mft.scrubbing.relay import run_relay
from mft.shortage import MEMORY, SPACE, shortage_of
from scrubber.cachefolder import keep_in
from scrubber.engine import prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mft.scrubbing.batch import Scrubbed

REQUEST_LIMIT = 64 * 1024
ANSWER_SECONDS = 60.0
"""One that has just come about compiles its rules first, which takes its time on a busy machine."""


class NurseryError(Exception):
    """The nursery does not answer; its supervisor brings it back."""


class ChildFailedError(Exception):
    """A scrub child crashed, ran out of time or memory, or was killed; says which, never with content."""


class ShortageError(Exception):
    """What scrubbing takes is not to be had on this machine now; `lacks` names it (`mft.shortage`)."""

    def __init__(self, lacks: str) -> None:
        """Lack *lacks*."""
        super().__init__(f"the machine lacks what scrubbing takes: {lacks}")
        self.lacks = lacks


def serve_nursery(channel: socket.socket, stopped: Callable[[], bool]) -> None:
    """Fork children on request until *stopped* says so; reap them."""
    keep_in(rules_folder(os.environ))
    prepare()
    gc.collect()
    gc.freeze()  # children share it as long as nobody writes to it
    children: set[int] = set()
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        while not stopped():
            if selector.select(timeout=0.25):
                _serve_one(channel, children)
            _reap(children)
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)


def _serve_one(channel: socket.socket, children: set[int]) -> None:
    message, descriptors, _flags, _address = socket.recv_fds(channel, REQUEST_LIMIT, BATCH_FILES + 8)
    try:
        request = json.loads(message)
        if request["verb"] == "kill":
            if request["pid"] in children:
                os.kill(request["pid"], signal.SIGKILL)
            answer: dict[str, Any] = {"id": request["id"]}
        else:
            answer = {"id": request["id"], **_begin(descriptors, channel, children)}
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    channel.send(json.dumps(answer).encode())


def _begin(descriptors: Sequence[int], channel: socket.socket, children: set[int]) -> dict[str, Any]:
    """Start a child; give its process id, or what is lacking for one."""
    try:
        pid = _fork(descriptors, channel)
    except OSError as error:
        return {"lacks": shortage_of(error) or MEMORY}
    children.add(pid)
    return {"pid": pid}


def _fork(descriptors: Sequence[int], channel: socket.socket) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        channel.close()
        _close_all_but({0, 1, 2, *descriptors})
        with os.fdopen(descriptors[0], "rb") as file:
            errand = Errand.from_json(file.read())
        if errand.relay.get("kind") == "command":
            forbid_dumps()  # it runs a program of the administrator's, which is not ours to limit
        else:
            confine(_cage_of(errand))
            shut_in([Path(errand.scratch)])
        _errand_of(errand)(errand, descriptors[1:])
        status = 0
    except BaseException as error:  # noqa: BLE001 - the border of the process; never the text, which may hold content
        with contextlib.suppress(OSError):
            os.write(2, f"mft: a scrub child failed ({type(error).__name__})\n".encode())
    finally:
        os._exit(status)


def _cage_of(errand: Errand) -> Cage:
    """Say what the child may use: a batch keeps what it writes in memory."""
    cage = errand.cage
    return replace(cage, file_size=min(cage.file_size, BODY_LIMIT)) if errand.batch else cage


def _errand_of(errand: Errand) -> Callable[[Errand, Sequence[int]], None]:
    if errand.relay:
        return run_relay
    if errand.batch:
        return partial(run_batch, run=run_errand, ready_for=ready_for, teach=teach)
    return run_ahead if errand.ahead else run_errand


def _close_all_but(kept: set[int]) -> None:
    low = 0
    for descriptor in [*sorted(kept), os.sysconf("SC_OPEN_MAX")]:
        if low < descriptor:  # an empty range that begins at 0 would close everything
            os.closerange(low, descriptor)
        low = descriptor + 1


def _reap(children: set[int]) -> None:
    while children:
        pid, _status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        children.discard(pid)


def _in_memory(data: bytes) -> int:
    """Give a file of *data* that has no name and lies on no disk: an errand may be larger than a message."""
    descriptor = os.memfd_create("errand", os.MFD_CLOEXEC)
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


class Child:
    """A scrub child at work: its ciphertext as it comes, then its result."""

    def __init__(self, *, nursery: Nursery, pid: int, cipher_fd: int | None, result_fd: int, deadline: float) -> None:
        """Read from the pipes until *deadline* (monotonic seconds)."""
        self._nursery = nursery
        self._pid = pid
        self._cipher_fd = cipher_fd
        self._result_fd = result_fd
        self._deadline = deadline
        self.names = b""
        """After `result`: the case's dictionary, sealed, if the child added to it."""
        self.reverse_map = b""
        """After `result`: what pseudonyms stand for, sealed to the customer."""

    def ciphertext(self) -> Any:  # noqa: ANN401 - an iterator that is handed to a store
        """Yield the sealed body as the child writes it."""
        if self._cipher_fd is None:
            return
        while piece := self._read(self._cipher_fd, 1024 * 1024):
            yield piece

    def result(self) -> dict[str, Any]:
        """Return what the child reported.

        Raises:
            ChildFailedError: it came to no result.
            ShortageError: the disk for its scratch is full.
        """
        answer = self._answer(ANSWER_LIMIT)
        try:
            read = read_answer(answer)
        except AnswerError as error:
            raise ChildFailedError(f"the scrubber failed on this file: {error}") from error
        result, self.names, self.reverse_map = read.document, read.names, read.reverse_map
        if result.get("error") == "space":
            raise ShortageError(SPACE)
        if result.get("error") == "memory":
            raise ChildFailedError("the scrubber needed more memory than it may have for this file")
        if "error" in result:
            raise ChildFailedError(f"the scrubber failed on this file ({_word(result['error'])})")
        return result

    def results(self, files: int) -> list[Scrubbed]:
        """Return what became of each of so many *files* of a batch.

        Raises:
            ChildFailedError: one of them failed, or the child did; nothing of it is to be used.
        """
        try:
            done, self.names = read_batch(self._answer(BATCH_LIMIT), files)
        except AnswerError as error:
            raise ChildFailedError(f"the scrubber failed on these files: {error}") from error
        return done

    def _answer(self, limit: int) -> bytes:
        answer = bytearray()
        while piece := self._read(self._result_fd, 1024 * 1024):
            answer += piece
            if len(answer) > limit:
                raise ChildFailedError("the scrubber answered with more than there can be to say")
        if not answer:
            raise ChildFailedError("the scrubber crashed or went over its limits on this file")
        return bytes(answer)

    @property
    def has_answered(self) -> bool:
        """Whether `result` has something to read: an answer, or the child's end."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._result_fd, selectors.EVENT_READ)
            return bool(selector.select(timeout=0))

    def allow(self, wall: float) -> None:
        """Wait for it *wall* seconds more from now on."""
        self._deadline = time.monotonic() + wall

    def close(self) -> None:
        """End the child, if it is still at work, and let go of its pipes."""
        for descriptor in (self._cipher_fd, self._result_fd):
            if descriptor is not None:
                os.close(descriptor)
        with contextlib.suppress(NurseryError):
            self._nursery.kill(self._pid)

    def _read(self, descriptor: int, limit: int) -> bytes:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            if not selector.select(timeout=max(0.0, self._deadline - time.monotonic())):
                raise ChildFailedError("the scrubber took longer than it may for this file")
        return os.read(descriptor, limit)


def _word(told: object) -> str:
    """Give the name of an error as a child told it, if it could be one."""
    return told if isinstance(told, str) and told.isidentifier() and len(told) <= 60 else "no reason"


class Nursery:
    """Intake's end of the nursery. Safe for many threads."""

    def __init__(self, channel: socket.socket) -> None:
        """Ask over *channel*, this process's end of the pair."""
        self._channel = channel
        self._channel.settimeout(ANSWER_SECONDS)
        self._lock = threading.Lock()
        self._number = 0

    def begin(self, errand: Errand, *, landing_fd: int | None, wall: float, notes_fd: int | None = None) -> Child:
        """Start a child on *errand*; *wall* is how many seconds it may take. *notes_fd*: what one noted before it.

        Raises:
            NurseryError: the nursery does not answer.
        """
        cipher_read, cipher_write = os.pipe() if landing_fd is not None else (None, None)
        return self._start(errand, [landing_fd, notes_fd], cipher=(cipher_read, cipher_write), wall=wall)

    def begin_batch(self, errand: Errand, *, landing_fds: Sequence[int], wall: float) -> Child:
        """Start a child on the files of a batch, whose landing logs are *landing_fds*; its `results` are read.

        Raises:
            NurseryError: the nursery does not answer.
        """
        return self._start(errand, landing_fds, cipher=(None, None), wall=wall)

    def relay(self, errand: Errand, *, landing_fd: int, socket_fd: int | None, wall: float) -> Child:
        """Start a child that shows a file to another scanner, over the connection *socket_fd* or by a command.

        Raises:
            NurseryError: the nursery does not answer.
        """
        return self._start(errand, [landing_fd, socket_fd], cipher=(None, None), wall=wall)

    def follow(self, errand: Errand, *, landing_fd: int, ending_fd: int, notes_fd: int | None) -> Child:
        """Start a child that reads an upload while it comes in, until it is told on the pipe *ending_fd* to end.

        *notes_fd* is the file for its notes, where it is to make some.

        Nothing is to be read of it before `Child.allow`.

        Raises:
            NurseryError: the nursery does not answer.
        """
        return self._start(errand, [landing_fd, ending_fd, notes_fd], cipher=(None, None), wall=0.0)

    def _start(
        self, errand: Errand, descriptors: Sequence[int | None], *, cipher: tuple[int | None, int | None], wall: float
    ) -> Child:
        cipher_read, cipher_write = cipher
        result_read, result_write = os.pipe()
        written = _in_memory(errand.to_json())
        given = [fd for fd in (written, *descriptors, cipher_write, result_write) if fd is not None]
        try:
            answer = self._ask({"verb": "begin"}, given)
        except BaseException:
            for descriptor in (result_read, cipher_read):
                if descriptor is not None:
                    os.close(descriptor)
            raise
        finally:
            for descriptor in (written, result_write, cipher_write):
                if descriptor is not None:
                    os.close(descriptor)
        return Child(
            nursery=self,
            pid=answer["pid"],
            cipher_fd=cipher_read,
            result_fd=result_read,
            deadline=time.monotonic() + wall,
        )

    def kill(self, pid: int) -> None:
        """End a child; one that has ended is left alone."""
        self._ask({"verb": "kill", "pid": pid}, [])

    def _ask(self, request: dict[str, Any], descriptors: list[int]) -> dict[str, Any]:
        with self._lock:
            self._number += 1
            request["id"] = f"{os.getpid()}:{self._number}"
            try:
                socket.send_fds(self._channel, [json.dumps(request).encode()], descriptors)
                while True:
                    answer: dict[str, Any] = json.loads(self._channel.recv(REQUEST_LIMIT))
                    if answer.get("id") == request["id"]:
                        break
            except (OSError, ValueError) as error:
                raise NurseryError("the scrub nursery does not answer") from error
        if "lacks" in answer:
            raise ShortageError(str(answer["lacks"]))
        return answer
