"""From the raw target of a request to a virtual path, decoded exactly once.

The router sees a decoded and re-quoted URL; what decides about files is taken from the bytes that the client sent, and
its meaning from `protocols.path` alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

from protocols.errors import InvalidNameError
from protocols.http.status import ProblemError
from protocols.path import ROOT, VirtualPath, parse_path

_ESCAPE = re.compile(rb"%([0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(r"https?://([^/?#]*)", re.IGNORECASE)
_SECRET_PARAMETERS = frozenset({"access_token", "token", "password", "passwd", "secret", "authorization", "auth"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """A place in the URL space where a part of the virtual tree appears."""

    prefix: str
    """As in the URL, without a slash at the end: `/files`."""
    root: VirtualPath = ROOT
    """The directory that appears there; `..` in a URL does not leave it."""
    name_depth: int = 1
    """Parts below `root` that the path of a new file has at least."""

    def url(self, path: VirtualPath) -> str:
        """Return the absolute-path reference of *path*, which lies below `root`."""
        below = path.parts[len(self.root.parts) :]
        return self.prefix + "/" + "/".join(quote(part, safe="") for part in below)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a request is about."""

    mount: Mount
    path: VirtualPath
    directory: bool
    """Whether the URL ends in a slash: the client means a directory."""

    @property
    def depth(self) -> int:
        """How many parts the path has below the mount."""
        return len(self.path.parts) - len(self.mount.root.parts)


def parse_target(raw: str, mount: Mount) -> Target:
    """Make the target of a request for *mount* from the raw request target (RFC 9112, section 3.2).

    Bytes that are no UTF-8 come as surrogates.

    Raises:
        InvalidNameError: an escape is malformed or hides a slash, or a part cannot be a name.
        ProblemError: it holds credentials (400), or the prefix was disguised by escapes (404).
    """
    absolute = _ABSOLUTE.match(raw)
    if absolute is not None and "@" in absolute[1]:
        raise ProblemError(HTTPStatus.BAD_REQUEST, "credentials belong in the Authorization header, not in the URL")
    path, _, query = origin_form(raw).partition("?")
    refuse_secrets(query)
    if path != mount.prefix and not path.startswith(mount.prefix + "/"):
        raise ProblemError(HTTPStatus.NOT_FOUND, "there is nothing at this address")
    below = path[len(mount.prefix) :]
    decoded = b"/".join(_decode(part) for part in below.split("/"))
    parsed = parse_path(decoded)
    return Target(
        mount=mount,
        path=VirtualPath((*mount.root.parts, *parsed.parts)),
        directory=not parsed.parts or decoded.rsplit(b"/", 1)[-1] in {b"", b".", b".."},
    )


def refuse_secrets(query: str) -> None:
    """Refuse a query that carries a credential: URLs end up in logs and histories (RFC 6750, section 5.3).

    Raises:
        ProblemError: 400, naming the parameter.
    """
    for pair in query.split("&"):
        name = _ESCAPE.sub(
            lambda match: bytes([int(match[1], 16)]), pair.partition("=")[0].encode("latin-1", "replace")
        )
        if name.decode("latin-1").lower() in _SECRET_PARAMETERS:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "credentials belong in the Authorization header, not in the URL")


def origin_form(raw: str) -> str:
    """Return path and query of a target; a server must take the absolute form too (RFC 9112, section 3.2.2)."""
    absolute = _ABSOLUTE.match(raw)
    return raw if absolute is None else raw[absolute.end() :] or "/"


def _decode(part: str) -> bytes:
    """Percent-decode one part of a path, once.

    Raises:
        InvalidNameError: a malformed escape, a raw `#`, or an encoded slash, which no name can hold.
    """
    data = part.encode("utf-8", "surrogateescape")
    if data.count(b"%") != len(_ESCAPE.findall(data)):
        raise InvalidNameError("the address holds a '%' that begins no escape; write it as %25")
    if b"#" in data:
        raise InvalidNameError("the address holds a '#'; write it as %23")
    decoded = _ESCAPE.sub(lambda match: bytes([int(match[1], 16)]), data)
    if b"/" in decoded:
        raise InvalidNameError("the address holds an encoded slash (%2F); no name can hold one")
    return decoded
