"""Passwords: hashed with Argon2id (RFC 9106), checked few at a time, at one price for logins known and unknown."""

from __future__ import annotations

import base64
import hmac
import logging
import secrets
import threading
import time
import unicodedata
from collections import OrderedDict
from typing import TYPE_CHECKING

from argon2 import PasswordHasher, Type, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHashError

from mft.auth.errors import PasswordRuleError
from protocols.errors import UnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

LOG = logging.getLogger(__name__)
LEAST_LENGTH = 12
"""Shortest new password, in characters."""
MOST_BYTES = 1024
"""Longest password that is looked at, in bytes of UTF-8."""
REMEMBER = 300.0
"""Seconds for which a verified password is remembered."""
PARALLEL = 2
"""Argon2 runs at once in one process; each takes some 64 MiB."""
_PATIENCE = 10.0
_MEMORY_KIB = 262_144
_TIME_COST = 16
_LANES = 16
_REMEMBERED = 10_000


def check_new_password(login: str, password: str) -> None:
    """Refuse a new password that is too short, too long, one character repeated, or the login itself.

    Raises:
        PasswordRuleError: says which; never echoes it.
    """
    if len(password) < LEAST_LENGTH:
        raise PasswordRuleError(f"a password has at least {LEAST_LENGTH} characters")
    if len(_encoded(password)) > MOST_BYTES:
        raise PasswordRuleError(f"a password has at most {MOST_BYTES} bytes")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in password):
        raise PasswordRuleError("a password holds no control characters: most clients cannot send them")
    if len(set(password)) < 4 or password.casefold() == login.casefold():
        raise PasswordRuleError("that password would be guessed at once")


def hash_password(password: str, hasher: PasswordHasher | None = None) -> str:
    """Return the Argon2id hash of *password* in PHC string format."""
    return (hasher or PasswordHasher()).hash(_encoded(password))


class Passwords:
    """Checks passwords for one process."""

    def __init__(
        self,
        *,
        hasher: PasswordHasher | None = None,
        parallel: int = PARALLEL,
        remember: float = REMEMBER,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Run *parallel* checks at once at most; remember good passwords for *remember* seconds of *clock* (0: not)."""
        self._hasher = hasher or PasswordHasher()
        self._turns = threading.BoundedSemaphore(parallel)
        self._memory = _Memory(remember, clock)
        self._nobody = _hash_of_nobody(self._hasher)

    def verify(self, login: str, password: str, hashed: str | None) -> bool:
        """Say whether *password* is the one that *hashed* (PHC string) was made of.

        None, for an unknown login or one without a password, and a hash that cannot be used, cost as much as a wrong
        password.

        Raises:
            UnavailableError: too many checks wait already.
        """
        usable = _usable(hashed)
        offered = _encoded(password)
        if not 0 < len(offered) <= MOST_BYTES:
            usable, offered = None, b"-"
        # The hash is a part of what is remembered: after a change of password the old one is not found again.
        if usable is not None and self._memory.holds(login, offered, usable):
            return True
        if not self._turns.acquire(timeout=_PATIENCE):
            raise UnavailableError("too many logins at once; try again", retry_after=_PATIENCE / 2)
        try:
            if usable is not None and self._memory.holds(login, offered, usable):
                return True  # somebody else of this login had the turn before
            good = self._run(usable or self._nobody, offered) and usable is not None
        finally:
            self._turns.release()
        if good and usable is not None:
            self._memory.keep(login, offered, usable)
        return good

    def forget(self, login: str) -> None:
        """Drop what is remembered of *login*."""
        self._memory.forget(login)

    def _run(self, hashed: str, password: bytes) -> bool:
        try:
            return self._hasher.verify(hashed, password)
        except (Argon2Error, InvalidHashError):
            return False


class _Memory:
    """The passwords that were verified lately, as a keyed hash; the key dies with the process."""

    def __init__(self, seconds: float, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._kept: OrderedDict[bytes, tuple[str, float]] = OrderedDict()

    def holds(self, login: str, password: bytes, hashed: str) -> bool:
        digest = self._digest(login, password, hashed)
        with self._lock:
            found = self._kept.get(digest)
            return found is not None and self._clock() < found[1]

    def keep(self, login: str, password: bytes, hashed: str) -> None:
        if self._seconds <= 0:
            return
        digest = self._digest(login, password, hashed)
        with self._lock:
            self._drop_old()
            self._kept[digest] = (login, self._clock() + self._seconds)
            self._kept.move_to_end(digest)

    def forget(self, login: str) -> None:
        with self._lock:
            for digest in [digest for digest, (whose, _) in self._kept.items() if whose == login]:
                del self._kept[digest]

    def _drop_old(self) -> None:
        while self._kept:
            digest, (_, until) = next(iter(self._kept.items()))
            if until > self._clock() and len(self._kept) < _REMEMBERED:
                return
            del self._kept[digest]

    def _digest(self, login: str, password: bytes, hashed: str) -> bytes:
        parts = (_encoded(login), hashed.encode(), password)
        framed = b"".join(len(part).to_bytes(4) + part for part in parts)
        return hmac.digest(self._key, framed, "sha256")


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _usable(hashed: str | None) -> str | None:
    """Return *hashed* if it is Argon2id within what we are willing to spend on one login."""
    if hashed is None:
        return None
    try:
        found = extract_parameters(hashed)
    except (InvalidHashError, ValueError):
        LOG.warning("password.hash_malformed")
        return None
    modest = (
        found.type is Type.ID
        and found.memory_cost <= _MEMORY_KIB
        and found.time_cost <= _TIME_COST
        and found.parallelism <= _LANES
    )
    if not modest:
        LOG.warning("password.hash_refused")
    return hashed if modest else None


def _hash_of_nobody(hasher: PasswordHasher) -> str:
    """Return a hash of the usual price that no password fits: its result is random, not computed."""
    salt, result = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (hasher.salt_len, 32))
    return f"$argon2id$v=19$m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}${salt}${result}"
