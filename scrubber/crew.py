"""Processes that help with one upload: forked from the one that scrubs it, so they have its rules and its key already.

What they are given and what they give goes through pipes. They die with their parent, and what fails in one of them
ends the work of all: half of an output is none.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import signal
from multiprocessing.connection import Connection, Pipe, wait
from typing import TYPE_CHECKING, Any

from scrubber.errors import CrewError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

    Tell = Callable[[Any], None]
    Work = Callable[[Any, Tell], None]
    """Takes a message and gives any number of messages back."""

_PR_SET_PDEATHSIG = 1


class _Failed:
    """What a process says when it fails: the name of the error, never its text, which may hold content."""

    def __init__(self, name: str) -> None:
        self.name = name


class Crew:
    """Up to *size* processes that do *work*. They are forked when first needed; `close` ends them."""

    def __init__(self, size: int, prepare: Callable[[], Work]) -> None:
        """*prepare* gives, in each process, what does the work there."""
        self.size = size
        self._prepare = prepare
        self._pids: list[int] = []
        self._channels: list[Connection] = []

    def tell(self, hand: int, message: Any) -> None:  # noqa: ANN401 - anything that can be pickled
        """Give *message* to process number *hand*, which must be waiting for one.

        Raises:
            CrewError: it died.
        """
        if not self._pids:
            self._fork()
        try:
            self._channels[hand].send(message)
        except OSError as error:
            raise CrewError("a process of the scrubber died") from error

    def listen(self) -> list[tuple[int, Any]]:
        """Wait until processes say something; give who and what.

        Raises:
            CrewError: one died or failed.
            MemoryError: one had too little.
        """
        heard: list[tuple[int, Any]] = []
        for channel in wait(self._channels):
            hand = self._channels.index(channel)  # type: ignore[arg-type]  # wait gives what it was given
            try:
                message = self._channels[hand].recv()
            except (OSError, EOFError) as error:
                raise CrewError("a process of the scrubber died") from error
            if isinstance(message, _Failed):
                if message.name == "MemoryError":
                    raise MemoryError
                raise CrewError(f"a process of the scrubber failed ({message.name})")
            heard.append((hand, message))
        return heard

    def in_order(self, messages: Iterator[Any]) -> Generator[Any]:
        """Give each of *messages* to whoever is free, and the one answer to each in the messages' order.

        No more than twice `size` messages are under way. Close it, where it is not exhausted, before anything else.
        """
        asked: dict[int, int] = {}
        try:
            yield from self._in_order(messages, asked)
        except (CrewError, MemoryError):
            asked.clear()
            raise
        finally:
            while asked:
                for heard, _ in self.listen():
                    del asked[heard]

    def _in_order(self, messages: Iterator[Any], asked: dict[int, int]) -> Iterator[Any]:
        free = list(range(self.size))
        answers: dict[int, Any] = {}
        number = given = 0
        for message in messages:
            hand = free.pop()
            asked[hand] = number
            number += 1
            self.tell(hand, message)
            while not free or number - given >= 2 * self.size:
                for heard, answer in self.listen():
                    answers[asked.pop(heard)] = answer
                    free.append(heard)
                while given in answers:
                    yield answers.pop(given)
                    given += 1
        while given < number:
            while given not in answers:
                for heard, answer in self.listen():
                    answers[asked.pop(heard)] = answer
            yield answers.pop(given)
            given += 1

    def close(self) -> None:
        """End the processes, whatever they do; nothing of theirs is lost that was wanted."""
        for channel in self._channels:
            channel.close()
        for pid in self._pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)
        if self._pids:
            gc.unfreeze()
        self._channels.clear()
        self._pids.clear()

    def _fork(self) -> None:
        gc.freeze()  # what is there is shared with the processes as long as nobody writes to it
        for _ in range(self.size):
            ours, theirs = Pipe()
            parent = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._live(theirs, [ours, *self._channels], parent)
            theirs.close()
            self._channels.append(ours)
            self._pids.append(pid)

    def _live(self, channel: Connection, others: list[Connection], parent: int) -> None:
        """Be one of the processes; never return."""
        try:
            die_with_parent(parent)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
            for other in others:
                other.close()
            _work(channel, self._prepare)
        finally:
            os._exit(1)


def _work(channel: Connection, prepare: Callable[[], Work]) -> None:
    try:
        work = prepare()
        while True:
            work(channel.recv(), channel.send)
    except (EOFError, OSError):
        return  # the parent is gone
    except BaseException as error:  # noqa: BLE001 - the border of the process
        channel.send(_Failed(type(error).__name__))


def die_with_parent(parent: int = 0) -> None:
    """Let this process be killed when the one that forked it dies, where the kernel is Linux.

    Where *parent* is given and is not the parent any more, it ends at once.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent and os.getppid() != parent:
        os._exit(1)
