"""What is asked of the kernel for a TCP connection over a long way: BBR, and buffers that hold what is under way.

One stream in loss: CUBIC halves at each lost packet and needs minutes to come back, BBR follows the bandwidth that it
measures. Buffers of 4 MiB, the usual limit, hold 320 Mbit/s at 100 ms. Where the kernel does not let us, nothing
changes; `docs/sysctl.d/90-mft.conf` has what an operator may allow.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from pathlib import Path
from typing import Final

BBR: Final = b"bbr"
LONG_WAY: Final = 0.02
"""Seconds of a round trip from which on larger buffers are asked for."""
LARGE_BUFFER: Final = 16 * 1024 * 1024
ENOUGH_BUFFER: Final = 16 * 1024 * 1024
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
"""socket(7); for CAP_NET_ADMIN alone."""
_TCPI_RTT: Final = 68
"""Where in `struct tcp_info` (linux/tcp.h) the smoothed round trip stands, in microseconds."""
_SYSCTL: Final = Path("/proc/sys/net")


def prefer_bbr(sock: socket.socket) -> bool:
    """Have *sock* send by BBR; say whether it does."""
    if not hasattr(socket, "TCP_CONGESTION"):
        return False
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, BBR)
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16).rstrip(b"\0") == BBR
    except OSError:
        return False


def round_trip(sock: socket.socket) -> float | None:
    """Return the round trip that the kernel has measured, in seconds; None where it does not say."""
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCPI_RTT + 4)
    except (OSError, AttributeError):
        return None
    if len(info) < _TCPI_RTT + 4:
        return None
    microseconds: int = struct.unpack_from("=I", info, _TCPI_RTT)[0]
    return microseconds / 1e6 if microseconds else None


def widen_buffers(sock: socket.socket) -> bool:
    """Ask for large buffers where the way is long; say whether that was done.

    A buffer that is set no longer grows by itself, so one is set only where it may be larger than it would grow.
    """
    way = round_trip(sock)
    if way is None or way < LONG_WAY:
        return False
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_SNDBUFFORCE, LARGE_BUFFER)
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, LARGE_BUFFER)
    except OSError:
        pass
    else:
        return True
    widened = False
    for option, limit, grown in (
        (socket.SO_SNDBUF, "core/wmem_max", "ipv4/tcp_wmem"),
        (socket.SO_RCVBUF, "core/rmem_max", "ipv4/tcp_rmem"),
    ):
        if _last_number(limit) > _last_number(grown):
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, option, LARGE_BUFFER)
                widened = True
    return widened


def tune(sock: socket.socket) -> None:
    """Do both."""
    prefer_bbr(sock)
    widen_buffers(sock)


def shortcomings() -> list[str]:
    """Say what of this machine's settings slows transfers over long ways, a sentence for each; empty: nothing."""
    found = []
    available = _text("ipv4/tcp_available_congestion_control").split()
    if available and "bbr" not in available:
        found.append("BBR is not there (modprobe tcp_bbr): lost packets slow every download down")
    for name, what in (("ipv4/tcp_wmem", "downloads"), ("ipv4/tcp_rmem", "uploads")):
        most = _last_number(name)
        if most and most < ENOUGH_BUFFER:
            found.append(
                f"net.{name.replace('/', '.')} ends at {most} bytes: over 100 ms one connection's {what} reach"
                f" {most * 8 / 0.1 / 1e6:.0f} Mbit/s at most"
            )
    return found


def _text(name: str) -> str:
    try:
        return (_SYSCTL / name).read_text()
    except OSError:
        return ""


def _last_number(name: str) -> int:
    words = _text(name).split()
    return int(words[-1]) if words and words[-1].isdigit() else 0
