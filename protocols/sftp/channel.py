"""One `sftp` subsystem on the event loop: bytes to packets, packets to a thread, replies back, and an honest end.

An upload becomes a file only while an SSH_FXP_CLOSE is answered. Every way in which a channel can end (end of file,
close, reset, time-out, withdrawal, drain) comes to the one `finally` in `SftpChannel._serve`, which abandons what is
still open.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from typing import TYPE_CHECKING

import asyncssh

from protocols.sftp.commands import parse_command
from protocols.sftp.console import Console
from protocols.sftp.requests import Requests
from protocols.sftp.running import Running
from protocols.sftp.window import GrowingWindow
from protocols.sftp.wire import Assembler, BrokenStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from protocols.aio import Crossing
    from protocols.session import Session
    from protocols.sftp.connection import Connection
    from protocols.sftp.requests import Packet
    from protocols.sftp.settings import SftpObserver, SftpSettings
    from protocols.sftp.turns import Turns
    from protocols.sftp.window import WindowBudget

logger = logging.getLogger("mft.sftp")

_QUEUE_HIGH = 1 << 20
"""Bytes of waiting requests at which the client is held back."""
_WORTH_WAITING = 16 * 1024
"""Bytes of a reply that rather waits for the client's window than goes the long way."""
_QUEUE_PACKETS = 1024
"""Number of waiting requests at which the client is held back: small ones cost time, not room."""


class SftpChannel(asyncssh.SSHServerSession[bytes]):
    """One channel of a logged-in connection: in it the `sftp` subsystem, or one of a few commands (`commands`)."""

    def __init__(
        self,
        session: Session,
        *,
        connection: Connection,
        crossing: Crossing,
        observer: SftpObserver,
        settings: SftpSettings,
        heard: Callable[[], None],
        budget: WindowBudget,
        turns: Turns,
    ) -> None:
        """Serve *session*; *heard* is called whenever something comes in.

        *budget*, for wider windows, and *turns* are those of all channels of this loop.
        """
        self._session = session
        self._connection = connection
        self._crossing = crossing
        self._heard = heard
        self._requests = Requests(session, observer, max_handles=settings.max_handles, begin=crossing.begin)
        self._assembler = Assembler()
        self._queue: deque[Packet] = deque()
        self._queued = 0
        self._answering = False
        self._resting = False
        """Whether all that came is answered and sent: what comes now may be answered as it comes."""
        self._held: list[bytes] = []
        """Replies of a turn on a thread that go out before anything is answered on the loop: in the requests' order."""
        self._short_of_window = 0
        """Bytes of the reply for which the client's window was too small a moment ago."""
        self._reading_paused = False
        self._writing_paused = False
        self._no_more = False
        self._first_window = 0
        self._lost: str | None = None
        self._broken: BrokenStreamError | None = None
        self._wake = asyncio.Event()
        self._running: Running | None = None
        """The command that was asked for in place of the subsystem."""
        self._console = Console(self)
        self._observer = observer
        self._chan: asyncssh.SSHServerChannel[bytes]
        self._turns = turns
        self._loop = asyncio.get_running_loop()
        self._window = GrowingWindow(
            settings.window,
            most=settings.largest_window,
            budget=budget,
            round_trip=connection.round_trip,
            now=self._loop.time(),
        )
        self.task: asyncio.Task[None] | None = None

    # -- what asyncssh calls -------------------------------------------------------------------------------------------

    def connection_made(self, chan: asyncssh.SSHServerChannel[bytes]) -> None:
        """Keep the channel."""
        self._chan = chan

    def subsystem_requested(self, subsystem: str) -> bool:
        """Allow `sftp` alone; shell and pty stay refused as they are in the superclass."""
        return subsystem == "sftp"

    def exec_requested(self, command: str) -> bool:
        """Allow what `parse_command` knows; nothing is ever executed."""
        wanted = parse_command(command)
        if wanted is None:
            logger.info("command_refused", extra={"session": self._session.id})
            return False
        self._running = Running(
            wanted,
            self._console,
            session=self._session,
            crossing=self._crossing,
            observer=self._observer,
            ended=lambda: self._requests.ended,
        )
        return True

    def session_started(self) -> None:
        """Begin to serve."""
        self._first_window = self._connection.window(self._chan) or 0
        self._connection.listeners.add(self._wake.set)
        self.task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes, datatype: int | None) -> None:
        """Cut what came in into packets and queue them."""
        if datatype is None:
            self.take_view(data)

    def take_view(self, data: bytes | memoryview) -> None:
        """Do the same with data whose memory is used again once this returns."""
        if self._broken is not None:
            return
        self._heard()
        if self._window.took(len(data), self._loop.time()):
            self._connection.widen(self._chan, self._window.size)
        if self._running is not None:
            self._console.feed(data)
            return
        try:
            packets: deque[Packet] = deque(self._assembler.feed(data))
        except BrokenStreamError as error:
            self._broken = error
            self._wake.set()
            return
        if packets and self._resting and not self._queue:
            self._answer_at_once(packets)
        if packets:
            self._queue.extend(bytearray(each) if isinstance(each, memoryview) else each for each in packets)
            self._queued += sum(map(len, packets))
            self._wake.set()
            if not self._reading_paused and self._is_full():
                self._reading_paused = True
                self._chan.pause_reading()

    def eof_received(self) -> bool:
        """Answer what is queued, then end; the other direction stays open for that."""
        self._no_more = True
        self._wake.set()
        self._console.end()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop at once: what was not answered yet was not promised."""
        self.lose(str(exc) if exc else "connection closed")

    def pause_writing(self) -> None:
        """Hold replies back: the client's window is used up."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Go on with replies."""
        self._writing_paused = False
        self._wake.set()

    # -- what the connection calls -------------------------------------------------------------------------------------

    @property
    def _is_running(self) -> bool:
        return self._running is not None and (self.task is None or not self.task.done())

    @property
    def is_busy(self) -> bool:
        """Whether a file is open or a request is not answered yet."""
        return bool(self._queue) or self._answering or self._is_running or self._requests.transfers > 0

    def lose(self, reason: str) -> None:
        """Take no more and abandon what is open, for *reason*."""
        if self._lost is None:
            self._lost = reason
            self._requests.end()
            self._console.end()
            self._wake.set()

    async def close(self) -> None:
        """End the channel and wait until the client has seen it."""
        self._no_more = True
        self._wake.set()
        if self.task is not None:
            await asyncio.wait({self.task})
            await self._chan.wait_closed()

    # -- what a command calls ------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Take no more from the client for now."""
        self._chan.pause_reading()

    def go_on(self) -> None:
        """Take more."""
        self._chan.resume_reading()

    async def put(self, data: bytes) -> None:
        """Send *data*, and return once more may be sent."""
        await self._write([data])
        await self._until(self._can_write)

    def complain(self, data: bytes) -> None:
        """Send *data* as an error's text."""
        if self._lost is None and not self._chan.is_closing():
            self._chan.write_stderr(data)

    # -- serving -------------------------------------------------------------------------------------------------------

    async def _serve(self) -> None:
        status = 0
        try:
            if self._running is None:
                await self._answer_all()
            else:
                status = await self._running.run()
        except BrokenStreamError as error:
            status = 1
            logger.info("broken_stream", extra={"session": self._session.id, "problem": str(error)})
        except Exception:
            status = 1
            logger.exception("channel_failed", extra={"session": self._session.id})
        finally:
            self._window.close()
            self._turns.note(self, busy=False)
            self._connection.listeners.discard(self._wake.set)
            reason = self._session.revoked or self._lost or "the channel ended before the file was closed"
            if self._requests.is_idle:
                self._requests.end()
            else:
                await self._crossing.run(self._requests.abandon, reason)
        # Today's scp takes a missing exit status for a failure.
        self._chan.exit(status)

    async def _answer_all(self) -> None:
        replies: list[bytes] = []
        while not self._requests.ended:
            if not self._queue:
                self._turns.note(self, busy=False)
                await self._write(replies)
                replies = []
                if self._broken is not None:
                    raise self._broken
                if self._no_more:
                    return
                self._resting = True
                await self._until(lambda: bool(self._queue) or self._no_more or self._broken is not None)
                self._resting = False
            if not self._queue:
                continue
            if not self._can_write():
                await self._write(replies)
                replies = []
                await self._until(self._can_write)
                continue
            if self._answer_queue_at_once(replies):
                replies = []
                self._resting = True
                await asyncio.sleep(0)
                self._resting = False
                await self._until(self._can_write)
                continue
            if self._short_of_window:
                await self._write(replies)
                replies = []
                await self._until(lambda: self._has_window(self._short_of_window))
                continue
            replies = await self._turn_after(replies)
            if not self._can_write():
                await self._write(replies)
                replies = []
                await self._until(self._can_write)

    def _answer_queue_at_once(self, held: list[bytes]) -> bool:
        """Answer on the loop, *held* going out first; say whether anything went out.

        Some clients (paramiko, whose `put` does not wait) take replies for lost that come in another order than their
        requests went, though the draft allows it (draft-ietf-secsh-filexfer-02, section 3).
        """
        self._held = held
        some = self._answer_at_once(self._queue)
        self._held = []
        if some:
            self._turns.note(self, busy=bool(self._queue))
            self._note_answered(sum(map(len, self._queue)))
        return some

    def _answer_at_once(self, packets: deque[Packet]) -> bool:
        """Answer on the loop what has nothing to wait for at the front of *packets*; say whether there was any."""
        self._short_of_window = 0
        with self._connection.gathering():
            return self._requests.answer_at_once(packets, self._takes, self._send, most=self._turns.most)

    def _takes(self, size: int) -> bool:
        """Say whether a reply of *size* bytes may be made: the transport takes more, and no window is waited for."""
        if not self._can_write() or self._lost is not None or self._chan.is_closing():
            return False
        if self._held:
            size += sum(map(len, self._held))
        if _WORTH_WAITING <= size <= self._first_window // 2 and not self._has_window(size):
            self._short_of_window = size
            return False
        return True

    def _send(self, pieces: Sequence[bytes | memoryview]) -> None:
        if self._lost is None and not self._chan.is_closing():
            held, self._held = self._held, []
            for reply in held:
                self._connection.send_bulk(self._chan, reply)
            self._connection.send_bulk(self._chan, *pieces)

    async def _turn_after(self, replies: list[bytes]) -> list[bytes]:
        """Answer what waits on a thread, while *replies* of the turn before it are sealed and sent from here."""
        if not replies:
            return await self._turn()
        turn = asyncio.ensure_future(self._turn())
        try:
            await asyncio.sleep(0)
            await self._write(replies)
        finally:  # whatever happens: nothing is abandoned while a thread may still open something
            answered = await turn
        return answered

    async def _turn(self) -> list[bytes]:
        batch, self._queue = self._queue, deque()
        before = self._queued
        self._answering = True
        try:
            replies = await self._crossing.run(self._requests.answer, batch)
        finally:
            self._answering = False
        came = self._queued - before
        self._queue.extendleft(reversed(batch))
        self._note_answered(came + sum(map(len, batch)))
        return replies

    def _note_answered(self, queued: int) -> None:
        """Note that *queued* bytes of requests still wait, and take more where that leaves room."""
        self._queued = queued
        if self._reading_paused and not self._is_full():
            self._reading_paused = False
            self._chan.resume_reading()

    async def _write(self, replies: list[bytes]) -> None:
        if sum(map(len, replies)) <= 1 << 16:
            replies = [b"".join(replies)]
        for reply in replies:
            await self._until_window(len(reply))
            if reply and self._lost is None and not self._chan.is_closing():
                self._connection.send_bulk(self._chan, reply)

    async def _until_window(self, size: int) -> None:
        """Wait until the client's window takes *size* bytes: what it does not take goes the long way.

        Only where its first window was twice as much: some widen it no sooner than when half of it is used.
        """
        if _WORTH_WAITING <= size <= self._first_window // 2 and not self._has_window(size):
            await self._until(lambda: self._has_window(size))

    def _has_window(self, size: int) -> bool:
        """Say whether *size* bytes need not wait for the client's window, as far as the short way is concerned."""
        window = self._connection.window(self._chan)
        return self._lost is not None or window is None or window >= size

    def _is_full(self) -> bool:
        return self._queued > _QUEUE_HIGH or len(self._queue) > _QUEUE_PACKETS

    def _can_write(self) -> bool:
        return self._connection.is_writable and not self._writing_paused

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until *condition* holds or the requests have ended."""
        while not (condition() or self._requests.ended):
            self._wake.clear()
            await self._wake.wait()
