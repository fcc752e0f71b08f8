"""How connections come in at a listening socket that several processes share.

Each process takes one, lets its loop go on, and takes the next: of a burst every process gets what it has time for.
`asyncio`'s servers take all that wait, so that whoever wakes first serves a whole burst alone.
"""

from __future__ import annotations

import asyncio
import errno
import logging
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import socket

OUT_OF_FILES: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What `accept` fails with when no descriptor or memory is left: the connection goes on waiting."""
PAUSE: Final = 0.5
"""Seconds to wait before more is accepted, where there is no room or there are no descriptors."""
_log = logging.getLogger(__name__)


async def accept(sock: socket.socket) -> socket.socket:
    """Return the next connection of *sock*, which listens and does not block; neither does what is returned.

    Whoever is cancelled while waiting has taken none. One socket is waited at by one task of a loop.
    """
    while True:
        await _is_called(sock)
        try:
            client, _ = sock.accept()
        except BlockingIOError:
            continue  # another process was quicker
        except OSError as error:  # or one that was gone before it was taken
            if error.errno in OUT_OF_FILES:
                _log.warning("accept_failed", extra={"reason": error.strerror})
                await asyncio.sleep(PAUSE)
            continue
        client.setblocking(False)
        return client


async def _is_called(sock: socket.socket) -> None:
    """Wait until a connection waits at *sock*."""
    loop = asyncio.get_running_loop()
    called: asyncio.Future[None] = loop.create_future()

    def call() -> None:
        if not called.done():
            called.set_result(None)

    loop.add_reader(sock, call)
    try:
        await called
    finally:
        loop.remove_reader(sock)
