"""The If header (RFC 4918, section 10.4): read strictly, and put in the form that wsgidav reads without mistakes."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from protocols.http.status import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PART = re.compile(
    r'\s*(?:<(?P<uri>[^<>\s]+)>|(?P<open>\()|(?P<close>\))|\[(?P<etag>(?:W/)?"[^"\s\[\]()<>]*")\]|(?P<no>not)\b)',
    re.IGNORECASE,
)
_NEXT = {
    ("outside", "uri"): "outside",
    ("outside", "open"): "opened",
    ("opened", "uri"): "filled",
    ("opened", "etag"): "filled",
    ("opened", "no"): "negated",
    ("negated", "uri"): "filled",
    ("negated", "etag"): "filled",
    ("filled", "uri"): "filled",
    ("filled", "etag"): "filled",
    ("filled", "no"): "negated",
    ("filled", "close"): "outside",
}
"""From a state, by a part, to the next state; what is not here is malformed."""
MOST_PARTS = 200


def canonical_if(text: str, name_of: Callable[[str], str]) -> str:
    """Return *text* with every part set apart, and each tag replaced by what *name_of* makes of its address.

    Raises:
        ProblemError: 400, it is no such header.
    """
    made: list[str] = []
    state = "outside"
    for count, part in enumerate(_parts(text.strip())):
        kind = str(part.lastgroup)
        following = _NEXT.get((state, kind))
        if following is None or count >= MOST_PARTS:
            raise _malformed()
        if kind == "uri":
            made.append(f"<{name_of(part['uri'])}>" if state == "outside" else f"<{part['uri']}>")
        else:
            made.append({"open": "(", "close": ")", "no": "Not", "etag": f"[{part['etag']}]"}[kind])
        state = following
    if state != "outside" or not made or made[-1] != ")":
        raise _malformed()
    return " ".join(made).replace("( ", "(").replace(" )", ")")


def tokens_of(text: str) -> str:
    """Return an If header that submits what a canonical one does, and sets no condition.

    It is a list for a resource that is none (RFC 4918, section 10.4.1 lets tokens be submitted for any).
    """
    submitted = [part["uri"] for part in _parts(text) if part.lastgroup == "uri" and not part["uri"].startswith("/")]
    return f"</-> ({' '.join(f'<{token}>' for token in submitted)})" if submitted else ""


def _parts(text: str) -> Iterator[re.Match[str]]:
    position = 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            raise _malformed()
        yield part
        position = part.end()


def _malformed() -> ProblemError:
    return ProblemError(
        HTTPStatus.BAD_REQUEST, 'the If header must read (<token> ["etag"]) or <address> (<token> ["etag"]) (RFC 4918)'
    )
