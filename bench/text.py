"""Logs made up for the measurement: one with next to nothing to find in it, one with something in every line."""

from __future__ import annotations

import random

PARTS = ("scheduler", "raid", "net.eth0", "fs.journal", "ntp", "snmp", "cluster.heartbeat", "updater")
EVENTS = (
    "state changed from degraded to optimal after rebuild of group",
    "request finished in slot",
    "buffer pool resized, pages now at",
    "watchdog fed, next deadline in ticks:",
    "retrying after checksum mismatch, attempt",
    "link is up, negotiated speed",
)
USERS = ("amelie", "bogdan", "chiara", "dilip", "eskil")


def sparse_log(size: int, seed: int = 1) -> bytes:
    """Return *size* bytes of log lines with a finding in about one of two thousand."""
    chance = random.Random(seed)
    lines: list[str] = []
    length = 0
    while length < size:
        line = _line(chance)
        if chance.random() < 1 / 2000:
            line += f" user={chance.choice(USERS)}@corp.example"
        lines.append(line)
        length += len(line) + 1
    return ("\n".join(lines) + "\n").encode()[:size]


def dense_log(size: int, seed: int = 2) -> bytes:
    """Return *size* bytes of log lines with a finding or more in each."""
    chance = random.Random(seed)
    lines: list[str] = []
    length = 0
    while length < size:
        line = f"{_line(chance)} {_finding(chance)}"
        lines.append(line)
        length += len(line) + 1
    return ("\n".join(lines) + "\n").encode()[:size]


def _line(chance: random.Random) -> str:
    moment = f"2026-11-{chance.randrange(1, 23):02}T{chance.randrange(24):02}:{chance.randrange(60):02}:00Z"
    part, number = chance.choice(PARTS), chance.randrange(300, 9000)
    return f"{moment} {part}[{number}]: {chance.choice(EVENTS)} {chance.randrange(9999)}"


def _finding(chance: random.Random) -> str:
    address = f"10.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    secret = f"{chance.getrandbits(96):024x}"
    mac = ":".join(f"{chance.randrange(256):02x}" for _ in range(6))
    return chance.choice(
        (
            f"from {address} port {chance.randrange(1024, 65535)}",
            f"mail to {chance.choice(USERS)}.{chance.randrange(99)}@customer.example queued",
            f"password={secret[:14]}",
            f"GET https://{chance.choice(USERS)}:{secret[:10]}@{address}/status",
            f"Authorization: Bearer {secret}{secret}",
            f"lease {address} to {mac}",
        )
    )
