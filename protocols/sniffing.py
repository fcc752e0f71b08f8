"""Which protocol a client speaks that connects to a port of two: SSH and TLS tell by their first bytes.

A TLS client speaks first, with a record of handshake (RFC 8446, section 5.1). An SSH client may begin with `SSH-`, or
wait for the server to do so (RFC 4253, section 4.2): who is silent for a while is one of those.
"""

from __future__ import annotations

import asyncio
import socket

SILENCE_SECONDS = 2.0
"""For how long a client may be silent before it is taken for one of SSH."""
_SSH = b"SSH-"


async def speaks_ssh(client: socket.socket, *, silence: float = SILENCE_SECONDS) -> bool:
    """Say whether *client*, which does not block, speaks SSH. What it has sent is left to be read."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(client, came.set)
    try:
        await asyncio.wait_for(came.wait(), silence)
        first = client.recv(len(_SSH), socket.MSG_PEEK)
    except TimeoutError:
        return True
    except OSError:  # it is gone; whoever is to serve it will see
        return False
    finally:
        loop.remove_reader(client)
    return bool(first) and _SSH.startswith(first)
