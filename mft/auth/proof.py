"""What a login was accepted on, and whether it would be accepted again."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mft.auth.errors import PublicKeyError
from mft.auth.sshkeys import fingerprint, parse_public_key
from mft.policy import Narrowing

if TYPE_CHECKING:
    import datetime as dt

    from casemap.model import Principal
    from mft.auth.tokens import Tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class PasswordProof:
    """A password that fitted this hash."""

    hashed: str = field(repr=False)

    method = "password"

    def told(self) -> dict[str, object]:
        """Return what the audit is told."""
        return {"method": self.method}

    def fault(self, principal: Principal, _tokens: Tokens, _now: dt.datetime) -> str | None:
        """Say why *principal* would not be let in by it any more."""
        same = principal.password_hash is not None and hmac.compare_digest(principal.password_hash, self.hashed)
        return None if same else "the password was changed"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyProof:
    """An SSH public key, possession of which the head has seen proven or will."""

    blob: bytes = field(repr=False)

    method = "publickey"

    def told(self) -> dict[str, object]:
        """Return what the audit is told."""
        return {"method": self.method, "key": fingerprint(self.blob)}

    def fault(self, principal: Principal, _tokens: Tokens, _now: dt.datetime) -> str | None:
        """Say why *principal* would not be let in by it any more."""
        return None if opens(self.blob, principal.public_keys) else "the key was removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenProof:
    """A token."""

    token_id: str
    narrowing: Narrowing = field(default_factory=Narrowing, compare=False)
    """What the session is narrowed to because of it."""

    method = "token"

    def told(self) -> dict[str, object]:
        """Return what the audit is told."""
        return {"method": self.method, "token": self.token_id}

    def fault(self, _principal: Principal | None, tokens: Tokens, now: dt.datetime) -> str | None:
        """Say why its owner would not be let in by it any more."""
        token = tokens.get(self.token_id)
        if token is None or token.revoked is not None:
            return "the token was revoked"
        return None if token.is_current(now) else "the token has expired"


Proof = PasswordProof | KeyProof | TokenProof


def opens(blob: bytes, lines: tuple[str, ...]) -> bool:
    """Say whether the key *blob* is one of the public key *lines*; what is weak or no key among them opens nothing."""
    for line in lines:
        try:
            if hmac.compare_digest(parse_public_key(line).blob, blob):
                return True
        except PublicKeyError:
            continue
    return False
