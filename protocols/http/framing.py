"""How much of a chunked body is framing: extensions of chunks are read by nobody, and must not be sent without end.

The parser (llhttp) has no limit for them, and tells nobody of them. So what came is compared with what it made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiohttp import StreamReader

PIECE = 32 * 1024
"""Bytes that are parsed at a time: so far the end of one body and the beginning of the next are told apart."""
MOST = 16 * 1024
"""Bytes that may be framing before anything of the body has come, and at any time after that beyond `FOR_EACH`."""
FOR_EACH = 16
"""Bytes of framing that each byte of the body may have: a chunk of one byte has five, and room for an extension."""


class Framing:
    """Counts one connection's bodies, one after the other."""

    def __init__(self) -> None:
        self._body: StreamReader | None = None
        self._excess = 0

    def is_too_much(self, body: StreamReader, came: int, made: int, *, is_held: bool) -> bool:
        """Take in that *made* bytes of *body* were found in *came*, and say whether too much of it was none.

        With *is_held* the parser may still have some of them: then it is told later.
        """
        if body is not self._body:
            self._body, self._excess = body, 0
        self._excess += came - (FOR_EACH + 1) * made
        if is_held:
            return False
        self._excess = max(0, self._excess)
        return self._excess > MOST
