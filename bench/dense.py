"""Logs and tables in which nearly every line holds something, as they come: the same values again and again."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

from bench.text import dense_log

if TYPE_CHECKING:
    from collections.abc import Callable

_AGENTS = (
    "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Mozilla/5.0 (Windows NT 10.0; Win64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.6099.109 Safari/537.36",
    "curl/8.5.0",
)
_FIRST = ("amelie", "bogdan", "chiara", "dilip", "eskil", "farida", "goran", "hanneke", "ines", "joao")
_LAST = ("arnold", "bergmann", "castelli", "dvorak", "eriksen", "fournier", "gupta", "horvat", "ivanov", "jansen")
_PATHS = ("/", "/api/v2/orders", "/static/app.js", "/health", "/login", "/reports/2026/11", "/favicon.ico")


class _Pools:
    """The values of one installation: 2,000 addresses, 500 users, 50 hosts."""

    def __init__(self, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.inner = [
            f"10.{chance.randrange(40)}.{chance.randrange(8)}.{chance.randrange(1, 255)}" for _ in range(1500)
        ]
        self.outer = [
            f"{chance.randrange(11, 99)}.{chance.randrange(256)}.{chance.randrange(256)}.{chance.randrange(1, 255)}"
            for _ in range(500)
        ]
        names = [f"{first}.{last}" for first in _FIRST for last in _LAST]
        self.users = [f"{name}{number}" for name in names for number in range(5)]
        self.mails = [f"{user}@{chance.choice(('kunde', 'lieferant', 'werk'))}-ag.de" for user in self.users]
        self.hosts = [
            f"{role}{number:02}.site.kunde-ag.de" for role in ("web", "db", "app", "mq", "fw") for number in range(10)
        ]
        self.macs = [":".join(f"{chance.randrange(256):02x}" for _ in range(6)) for _ in range(300)]
        self.secrets = [f"{chance.getrandbits(80):020x}" for _ in range(40)]

    def address(self) -> str:
        return self.chance.choice(self.inner if self.chance.random() < 0.8 else self.outer)

    def moment(self) -> str:
        return f"2026-11-{self.chance.randrange(1, 23):02}T{self.clock()}Z"

    def clock(self) -> str:
        chance = self.chance
        return f"{chance.randrange(24):02}:{chance.randrange(60):02}:{chance.randrange(60):02}"


def _mixed(pools: _Pools, number: int) -> str:
    chance = pools.chance
    host = chance.choice(pools.hosts).partition(".")[0]
    head = f"{pools.moment()} {host} gateway[{chance.randrange(300, 9000)}]: "
    return head + chance.choice(
        (
            f"connection from {pools.address()} port {chance.randrange(1024, 65535)} accepted",
            f"session opened for user {chance.choice(pools.users)} by (uid=0)",
            f"mail to {chance.choice(pools.mails)} queued as {chance.getrandbits(40):010X}",
            f"lease {pools.address()} to {chance.choice(pools.macs)} for 86400 s",
            f"GET https://{chance.choice(pools.hosts)}/status from {pools.address()} took {chance.randrange(900)} ms",
            f"buffer pool resized, pages now at {number}",
        )
    )


def _access(pools: _Pools, number: int) -> str:
    chance = pools.chance
    return (
        f"{pools.address()} - {chance.choice(pools.users) if number % 3 == 0 else '-'} "
        f'[22/Nov/2026:{pools.clock()} +0100] "GET {chance.choice(_PATHS)} HTTP/1.1" 200 {chance.randrange(90000)} '
        f'"-" "{chance.choice(_AGENTS)}"'
    )


def _mail(pools: _Pools, _number: int) -> str:
    chance = pools.chance
    mark = f"{chance.getrandbits(44):011X}"
    head = f"Nov 22 {pools.clock()} mq01 postfix/"
    return head + chance.choice(
        (
            f"qmgr[812]: {mark}: from=<{chance.choice(pools.mails)}>, size={chance.randrange(90000)}, nrcpt=1 (active)",
            f"smtp[9{chance.randrange(999)}]: {mark}: to=<{chance.choice(pools.mails)}>, relay=[{pools.address()}]:25",
            f"smtpd[9{chance.randrange(999)}]: connect from {chance.choice(pools.hosts)}[{pools.address()}]",
        )
    )


def _json(pools: _Pools, number: int) -> str:
    chance = pools.chance
    row = {
        "ts": pools.moment(),
        "level": "info",
        "user": chance.choice(pools.users),
        "email": chance.choice(pools.mails),
        "ip": pools.address(),
        "path": chance.choice(_PATHS),
        "status": 200,
        "request_id": f"{chance.getrandbits(64):016x}",
        "duration_ms": number % 977,
    }
    return json.dumps(row)


def _table(pools: _Pools, number: int) -> str:
    if number == 0:
        return "id,first_name,last_name,email,phone,city,ip,plan"
    chance = pools.chance
    first, last = chance.choice(_FIRST).title(), chance.choice(_LAST).title()
    phone = f"+49 30 {chance.randrange(10**6, 10**7)}"
    return f"{number},{first},{last},{chance.choice(pools.mails)},{phone},Berlin,{pools.address()},gold"


def _auth(pools: _Pools, _number: int) -> str:
    chance = pools.chance
    head = f"Nov 22 {pools.clock()} {chance.choice(pools.hosts).partition('.')[0]} sshd[{chance.randrange(99999)}]: "
    port = chance.randrange(1024, 65535)
    return head + chance.choice(
        (
            f"Accepted publickey for {chance.choice(pools.users)} from {pools.address()} port {port} ssh2",
            f"Failed password for {chance.choice(pools.users)} from {pools.address()} port {port} ssh2",
            f"Failed password for invalid user {chance.choice(pools.users)} from {pools.address()} port {port} ssh2",
            f"pam_unix(sshd:session): session closed for user {chance.choice(pools.users)}",
            f"Connection closed by invalid user {chance.choice(pools.users)} {pools.address()} port {port} [preauth]",
        )
    )


def _audit(pools: _Pools, number: int) -> str:
    chance = pools.chance
    return (
        f"time={pools.moment()} type=api seq={number} actor={chance.choice(pools.users)} src={pools.address()} "
        f"mac={chance.choice(pools.macs)} object=/srv/{number % 991} token={chance.choice(pools.secrets)} ok=1"
    )


def _env(pools: _Pools, number: int) -> str:
    chance = pools.chance
    return chance.choice(
        (
            f"DB_{number}_HOST={chance.choice(pools.hosts)}",
            f"DB_{number}_PASSWORD={chance.getrandbits(70):018x}",
            f"SERVICE_{number}_API_KEY='{chance.getrandbits(128):032x}'",
            f"SMTP_FROM_{number}={chance.choice(pools.mails)}",
            f"DATABASE_URL_{number}=postgres://app:{chance.getrandbits(60):015x}@{pools.address()}:5432/app",
            f"CACHE_TTL_{number}={number % 600}",
        )
    )


_ROWS: dict[str, Callable[[_Pools, int], str]] = {
    "dense log, values again": _mixed,
    "access log": _access,
    "mail log": _mail,
    "JSON lines": _json,
    "table of people": _table,
    "log of logins": _auth,
    "key=value audit": _audit,
    "environment files": _env,
}


def dense_kinds(size: int, seed: int = 3) -> dict[str, bytes]:
    """Return *size* bytes of each kind of dense text by its title, the log whose values are all new first."""
    made = {"dense log": dense_log(size)}
    for title, row in _ROWS.items():
        pools, length = _Pools(seed), 0
        lines: list[str] = []
        while length < size:
            lines.append(row(pools, len(lines)))
            length += len(lines[-1]) + 1
        made[title] = ("\n".join(lines) + "\n").encode()[:size]
    return made
