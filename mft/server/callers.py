"""From a live session to a caller of the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mft.api.caller import Caller
from mft.auth.proof import TokenProof
from mft.permissions import CASE_TOKEN, Permission, permissions_of
from mft.server.parts import reader_of

if TYPE_CHECKING:
    from mft.auth.registry import LiveSession
    from mft.auth.tokens import Tokens


def caller_of(live: LiveSession, tokens: Tokens) -> Caller:
    """Say who calls in a session."""
    permissions = permissions_of(live.principal.roles)
    token_id = None
    if isinstance(live.proof, TokenProof):
        token_id = live.proof.token_id
        token = tokens.get(token_id)
        if token is None:
            permissions = frozenset()
        elif token.case is not None:
            permissions = CASE_TOKEN
        elif token.scopes is not None:
            permissions &= {permission for permission in Permission if permission.value in token.scopes}
    return Caller(
        login=live.principal.login,
        roles=live.principal.roles,
        permissions=permissions,
        reader=reader_of(live.principal, live.session.origin, live.narrowing),
        session=live.session.id,
        peer=live.session.origin.peer,
        method=live.proof.method,
        token=token_id,
    )
