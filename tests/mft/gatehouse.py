"""An installation's logins, over a real catalog, for the tests of `mft.auth`."""

from __future__ import annotations

import datetime as dt
import functools
import json
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from argon2 import PasswordHasher
from sqlalchemy import select

from casemap.errors import LookupUnavailableError
from casemap.static import StaticLookup
from mft.audit import AuditTrail
from mft.auth.accounts import Accounts
from mft.auth.authenticator import Authenticator
from mft.auth.authorized import AuthorizedKeys
from mft.auth.ledger import Ledger
from mft.auth.passwords import Passwords
from mft.auth.principals import Principals
from mft.auth.registry import SessionRegistry
from mft.auth.throttle import Throttle
from mft.auth.tokens import Tokens
from mft.catalog.database import Database
from mft.catalog.model import EVENTS
from mft.catalog.schema import upgrade
from mft.config import ThrottleConfig
from protocols.session import Origin
from tests.protocols.memory import MemoryFileSystem, MemoryTree

if TYPE_CHECKING:
    from casemap.model import Principal
    from protocols.session import Credential, Session

KEY = bytes(range(32))
CHEAP = {"time_cost": 1, "memory_cost": 64, "parallelism": 1}
"""Argon2 at a price that tests can pay."""
START = 1_790_000_000.0
PASSWORD = "correct horse battery"
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINh8HWah8lL4djmWHvqXRnqIytg9rg7A2QJBE/YhusA0 alice@laptop"
OTHER_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEdB9fdhzv7fSjMIpVcboDFh1Hy3UjGbnl+Z1xgh9jjz alice@desktop"


class Clock:
    """A clock that moves when a test says so."""

    def __init__(self, start: float = START) -> None:
        self.seconds = start

    def __call__(self) -> float:
        return self.seconds

    def now(self) -> dt.datetime:
        return dt.datetime.fromtimestamp(self.seconds, dt.UTC)


class CountingHasher(PasswordHasher):
    """Argon2 that counts its runs and the most of them at once."""

    def __init__(self) -> None:
        super().__init__(**CHEAP)
        self.runs = 0
        self.most = 0
        self._now = 0
        self._lock = threading.Lock()

    def verify(self, *args, **kwargs):
        with self._lock:
            self.runs += 1
            self._now += 1
            self.most = max(self.most, self._now)
        try:
            return super().verify(*args, **kwargs)
        finally:
            with self._lock:
                self._now -= 1


class CaseSystem:
    """A lookup whose table a test can change, and which it can take down."""

    def __init__(self) -> None:
        self.down = False
        self.replace()

    def replace(self, *principals: dict[str, object]) -> None:
        self._table = StaticLookup(
            {
                "customers": [{"id": "acme", "name": "Acme"}, {"id": "globex", "name": "Globex"}],
                "principals": list(principals),
                "cases": [],
            }
        )

    def principal(self, login: str) -> Principal:
        if self.down:
            raise LookupUnavailableError("no answer", retry_after=7.0)
        return self._table.principal(login)


@functools.cache
def _empty_catalog() -> bytes:
    """Return a catalog of this release without anything in it: migrating one for every test takes too long."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "catalog.db"
        upgrade(path)
        return path.read_bytes()


class Gatehouse:
    """Everything that logging in needs, put together as the application does it."""

    def __init__(self, path: Path, *, total: int = 100, per_login: int = 10, **throttle: float) -> None:
        if not path.exists():
            path.write_bytes(_empty_catalog())
        self.clock = Clock()
        self.ticks = Clock(0.0)
        self.database = Database(path)
        self.audit = AuditTrail(sign=lambda _: "unsigned", host="here")
        self.ledger = Ledger(database=self.database, audit=self.audit, clock=self.clock)
        self.hasher = CountingHasher()
        self.accounts = Accounts(self.ledger, hasher=self.hasher)
        self.keys = AuthorizedKeys(self.ledger)
        self.tokens = Tokens(self.ledger, key=KEY)
        self.passwords = Passwords(hasher=self.hasher, clock=self.ticks)
        self.throttle = Throttle(self.database, ThrottleConfig(**throttle), key=KEY, clock=self.clock)
        self.registry = SessionRegistry(total=total, per_login=per_login)
        self.cases = CaseSystem()
        self.entered: set[tuple[str, str]] = set()
        """Which logins may enter which cases."""
        self.authenticator = Authenticator(
            database=self.database,
            audit=self.audit,
            principals=Principals(self.accounts, self.cases),
            tokens=self.tokens,
            passwords=self.passwords,
            throttle=self.throttle,
            registry=self.registry,
            filesystem_for=lambda principal, _session, _origin, _case: MemoryFileSystem(MemoryTree(), principal.login),
            may_enter=lambda principal, case, _origin: (principal.login, case) in self.entered,
            now=self.clock.now,
        )

    def close(self) -> None:
        self.database.close()

    def log_in(self, credential: Credential, origin: Origin) -> Session:
        return self.authenticator.open(self.authenticator.check(credential, origin), origin)

    def events(self, kind: str | None = None) -> list[dict[str, object]]:
        with self.database.read() as connection:
            bodies = connection.execute(select(EVENTS.c.body).order_by(EVENTS.c.id)).scalars()
            events = [json.loads(body) for body in bodies]
        return [event for event in events if kind is None or event["kind"] == kind]

    def everything_written(self) -> str:
        """Return every text in the audit, for what must not be there."""
        return json.dumps(self.events(), ensure_ascii=False)


def origin(peer: str = "192.0.2.1", region: str = "eu", protocol: str = "sftp") -> Origin:
    return Origin(protocol=protocol, peer=peer, region=region)
