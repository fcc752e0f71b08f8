"""The buffers of one thread: what comes in, what was opened of it, what goes out.

One set for all connections of a loop, so that ten thousand idle sessions cost nothing: between being filled and being
used up nothing else runs on that thread.
"""

from __future__ import annotations

import threading

READ_BYTES = 512 * 1024
"""Bytes read from a socket at once."""


class _Room(threading.local):
    sealed = memoryview(b"")
    plain = memoryview(b"")
    outward = memoryview(b"")


_ROOM = _Room()


def inward(least: int) -> memoryview:
    """Return the buffer for what comes in, of *least* bytes or more; what lies in it stays there."""
    if len(_ROOM.sealed) < least:
        grown = memoryview(bytearray(least + READ_BYTES))
        grown[: len(_ROOM.sealed)] = _ROOM.sealed
        _ROOM.sealed = grown
    return _ROOM.sealed


def opened(least: int) -> memoryview:
    """Return the buffer for what was opened, of *least* bytes or more; what lies in it stays there."""
    if len(_ROOM.plain) < least:
        grown = memoryview(bytearray(least + READ_BYTES))
        grown[: len(_ROOM.plain)] = _ROOM.plain
        _ROOM.plain = grown
    return _ROOM.plain


def outward(least: int) -> memoryview:
    """Return the buffer for what goes out, of *least* bytes or more."""
    if len(_ROOM.outward) < least:
        _ROOM.outward = memoryview(bytearray(least))
    return _ROOM.outward


def give_outward_away() -> None:
    """Let a transport that has not sent it all keep the buffer: the next packets go into another one.

    asyncio copies what it could not send at once up to Python 3.11, and keeps the memory itself from 3.12 on.
    """
    _ROOM.outward = memoryview(b"")
