"""Tell a story about one customer: each word of it labelled as it is said."""

from __future__ import annotations

import datetime as dt
import textwrap
from typing import TYPE_CHECKING

from tests.scrubber.truth import keys, tokens, values
from tests.scrubber.truth.mark import mark
from tests.scrubber.truth.tree import Tree

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

    from tests.scrubber.truth.world import Host, Person, World

MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Teller:
    """Give labelled values; the clock goes on with each time told."""

    def __init__(self, rng: Random, world: World) -> None:
        """Tell about *world*."""
        self.rng = rng
        self.world = world
        self.tree = Tree()
        self.now = dt.datetime(2026, rng.randint(1, 11), rng.randint(1, 28), 6, 12, 9, tzinfo=dt.UTC)

    # --- people, hosts
    def person(self) -> Person:
        """Choose somebody."""
        return self.rng.choice(self.world.people)

    def host(self) -> Host:
        """Choose a machine."""
        return self.rng.choice(self.world.hosts)

    def user(self, who: Person | None = None) -> str:
        """Say a login."""
        return mark("user", (who or self.person()).login)

    def name(self, who: Person | None = None) -> str:
        """Say a full name."""
        return mark("name", (who or self.person()).name)

    def email(self, who: Person | None = None) -> str:
        """Say an address: mostly the customer's."""
        if who is None and self.rng.random() < 0.3:
            return mark("email", self.rng.choice(self.world.outside))
        return mark("email", (who or self.person()).email)

    def short(self, which: Host | None = None) -> str:
        """Say a host's short name."""
        return mark("host", (which or self.host()).short)

    def fqdn(self, which: Host | None = None) -> str:
        """Say a host's full name."""
        return mark("host", (which or self.host()).fqdn)

    def domain(self) -> str:
        """Say the internal domain."""
        return mark("host", self.world.internal)

    def ip(self, which: Host | None = None) -> str:
        """Say an IPv4 address: inside or out."""
        if which is None and self.rng.random() < 0.4:
            return mark("ipv4", self.rng.choice(self.world.public))
        return mark("ipv4", (which or self.host()).ipv4)

    def ip6(self, which: Host | None = None) -> str:
        """Say an IPv6 address."""
        return mark("ipv6", which.ipv6 if which else self.rng.choice([self.host().ipv6, values.ipv6(self.rng)]))

    def mac(self, which: Host | None = None) -> str:
        """Say a MAC."""
        return mark("mac", which.mac if which else values.mac(self.rng))

    # --- secrets
    def pw(self, *, safe: bool = True) -> str:
        """Say a password."""
        return mark("password", values.password(self.rng, safe=safe))

    def odd_pw(self) -> str:
        """Say a password with punctuation."""
        return mark("password", values.odd_password(self.rng))

    def token(self) -> tuple[str, str]:
        """Say a variable and its token, known by its form."""
        name, value = tokens.distinct_token(self.rng)
        return name, mark("token", value, name)

    def named(self) -> tuple[str, str]:
        """Say a key and its token, known by the key alone."""
        name, value = tokens.named_token(self.rng)
        return name, mark("token", value, f"{name}=")

    def hash(self) -> str:
        """Say a password's hash."""
        return mark("hash", values.crypt_hash(self.rng))

    def jwt(self) -> str:
        """Say a web token."""
        return mark("token", values.jwt(self.rng, str(self.rng.randint(1000, 9999))), "jwt")

    def cookie(self) -> str:
        """Say a session cookie's value."""
        kind = self.rng.randrange(4)
        made = (
            values.like(self.rng, "[A-F0-9]{32}"),
            values.like(self.rng, "[a-z0-9]{26}"),
            "s%3A" + values.like(self.rng, "[A-Za-z0-9_]{32}") + "." + values.like(self.rng, "[A-Za-z0-9]{43}"),
            values.like(self.rng, "[A-Za-z0-9_]{48,90}"),
        )[kind]
        return mark("cookie", made)

    def pem(self, make: object = None, *, indent: str = "", cause: str = "") -> str:
        """Say a private key of lines; each line of its body is labelled."""
        armored = make(self.rng) if callable(make) else keys.pem(self.rng)
        body = set(keys.secret_lines(armored))
        lines = [
            indent + mark("key" if line.strip() in body else "free", line, cause or _title(armored)) if line else line
            for line in armored.splitlines()
        ]
        return "\n".join(lines) + "\n"

    # --- innocents
    def keep(self, value: str, cause: str = "") -> str:
        """Say what must survive."""
        return mark("keep", value, cause)

    def uuid(self) -> str:
        """Say a UUID."""
        return self.keep(values.uuid(self.rng), "uuid")

    def sha(self, name: str = "sha256") -> str:
        """Say a digest."""
        return self.keep(values.digest(self.rng, name), name)

    def trace(self) -> str:
        """Say a trace id."""
        return self.keep(values.hexes(self.rng, 32), "trace")

    def pid(self) -> int:
        """Give a process id."""
        return self.rng.randint(300, 99_999)

    def version(self) -> str:
        """Say a version that looks like an address."""
        return self.keep(".".join(str(self.rng.randint(1, 40)) for _ in range(4)), "version")

    def one(self, options: Sequence[str]) -> str:
        """Choose one."""
        return self.rng.choice(options)

    # --- times
    def tick(self, seconds: float | None = None) -> dt.datetime:
        """Let some time pass."""
        self.now += dt.timedelta(seconds=self.rng.uniform(0.01, 40) if seconds is None else seconds)
        return self.now

    def syslog_time(self) -> str:
        """Say a time of RFC 3164."""
        now = self.tick()
        return f"{MONTHS[now.month - 1]} {now.day:2} {now:%H:%M:%S}"

    def iso(self) -> str:
        """Say a time of RFC 3339."""
        now = self.tick()
        return self.keep(f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond:06}Z", "timestamp")

    def plain_time(self) -> str:
        """Say a time as Java's loggers write it."""
        now = self.tick()
        return self.keep(f"{now:%Y-%m-%d %H:%M:%S},{now.microsecond // 1000:03}", "timestamp")

    def clf_time(self) -> str:
        """Say a time of the common log format."""
        now = self.tick()
        return f"[{now.day:02}/{MONTHS[now.month - 1]}/{now:%Y:%H:%M:%S} +0000]"


def _title(armored: str) -> str:
    first = armored.split("\n", 1)[0]
    return first.strip("- ").removeprefix("BEGIN ").lower()


def block(text: str) -> str:
    """Take the indentation off a literal."""
    return textwrap.dedent(text).lstrip("\n")
