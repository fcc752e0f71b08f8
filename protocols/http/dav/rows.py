"""What is said of one file or folder in a multistatus: live properties from its entry, dead ones as they were set."""

from __future__ import annotations

import email.utils
import functools
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import quote
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from protocols.filesystem import Entry, Lock, SpaceReport
    from protocols.http.dav.documents import Wanted

OPENING = '<?xml version="1.0" encoding="utf-8"?>\n<D:multistatus xmlns:D="DAV:">\n'
CLOSING = "</D:multistatus>\n"
_PLAIN = re.compile(r"[A-Za-z0-9_.~-]*")
_CLARK = re.compile(r"\{([^}]*)\}(.+)", re.DOTALL)
_FOUND, _MISSING = "HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"
_SCOPES = "".join(
    f"<D:lockentry><D:lockscope><D:{scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>"
    for scope in ("exclusive", "shared")
)


@dataclass(slots=True, kw_only=True)
class Subject:
    """What a response is about. Nobody changes one; not frozen, for the sake of long listings (as `Entry`)."""

    href: str
    entry: Entry
    place: str | None = None
    """Its name for locks; None: nothing is locked there."""
    locks: Sequence[Lock] = ()
    """Those that cover it."""
    dead: Mapping[str, str] = field(default_factory=dict)
    space: SpaceReport | None = None


def href_of(base: str, name: str, *, directory: bool) -> str:
    """Return the address of *name* in the directory whose address, with a slash at its end, is *base*."""
    quoted = name if _PLAIN.fullmatch(name) else quote(name, safe="")
    return f"{base}{quoted}/" if directory else base + quoted


def _text(text: str) -> str:
    return escape(text) if "&" in text or "<" in text or ">" in text else text


@functools.lru_cache(maxsize=4096)
def _http_date(seconds: int) -> str:
    return email.utils.formatdate(seconds, usegmt=True)


def _date(seconds: float | None) -> str | None:
    if not seconds or seconds < 0:
        return None
    try:
        return _http_date(int(seconds))
    except (ValueError, OverflowError, OSError):
        return None


@functools.lru_cache(maxsize=4096)
def _iso_date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _created(subject: Subject) -> str | None:
    seconds = subject.entry.created or subject.entry.modified
    if seconds <= 0:
        return None
    try:
        return _iso_date(int(seconds))
    except (ValueError, OverflowError, OSError):
        return None


def lock_discovery(subject: Subject) -> str:
    """Return the locks that cover *subject* (RFC 4918, section 15.8), as the content of that property."""
    return "".join(_active_lock(subject, lock) for lock in subject.locks) if subject.locks else ""


def _active_lock(subject: Subject, lock: Lock) -> str:
    left = max(0, int(lock.expires - time.time()))
    return (
        f"<D:activelock><D:locktype><D:write/></D:locktype>"
        f"<D:lockscope><D:{'exclusive' if lock.exclusive else 'shared'}/></D:lockscope>"
        f"<D:depth>{'infinity' if lock.deep else '0'}</D:depth>{lock.owner}"
        f"<D:timeout>Second-{left}</D:timeout>"
        f"<D:locktoken><D:href>{_text(lock.token)}</D:href></D:locktoken>"
        f"<D:lockroot><D:href>{_text(lock_root(subject, lock.place))}</D:href></D:lockroot></D:activelock>"
    )


def lock_root(subject: Subject, place: str) -> str:
    """Return the address at which whoever asks for *subject* finds the lock's *place*, at or above it."""
    if subject.place is None or place == subject.place:
        return subject.href
    above = subject.place.count("/") - place.count("/")
    parts = subject.href.rstrip("/").split("/")
    return "/".join(parts[: max(1, len(parts) - above)]) + "/"


_LIVE: Mapping[str, Callable[[Subject], str | None]] = {
    "{DAV:}resourcetype": lambda subject: "<D:collection/>" if subject.entry.is_directory else "",
    "{DAV:}displayname": lambda subject: _text(subject.entry.name),
    "{DAV:}getcontentlength": lambda subject: None if subject.entry.is_directory else str(subject.entry.size),
    "{DAV:}getcontenttype": lambda subject: None if subject.entry.is_directory else "application/octet-stream",
    "{DAV:}getlastmodified": lambda subject: _date(subject.entry.modified),
    "{DAV:}creationdate": _created,
    "{DAV:}getetag": lambda subject: None if subject.entry.etag is None else f'"{subject.entry.etag}"',
    "{DAV:}supportedlock": lambda subject: None if subject.place is None else _SCOPES,
    "{DAV:}lockdiscovery": lambda subject: None if subject.place is None else lock_discovery(subject),
}
_ON_REQUEST: Mapping[str, Callable[[Subject], str | None]] = {
    "{DAV:}quota-available-bytes": lambda subject: None if subject.space is None else str(subject.space.free),
    "{DAV:}quota-used-bytes": lambda subject: (
        None if subject.space is None else str(max(0, subject.space.total - subject.space.free))
    ),
}
"""RFC 4331, section 4: these are for whoever names them."""
QUOTA = frozenset(_ON_REQUEST)
LOCK_NAMES = frozenset({"{DAV:}supportedlock", "{DAV:}lockdiscovery"})
ROW_NAMES = frozenset(_LIVE) - LOCK_NAMES - {"{DAV:}getetag", "{DAV:}creationdate"}
"""What a plain row of a listing tells."""


def is_live(name: str) -> bool:
    """Say whether *name* is a property that nobody sets."""
    return name in _LIVE or name in _ON_REQUEST or name.startswith("{DAV:}")


@functools.lru_cache(maxsize=1024)
def _tags(name: str) -> tuple[str, str, str]:
    """Return how an element begins, how it ends, and how it stands empty."""
    found = _CLARK.fullmatch(name)
    if found is None:
        return f'<{name} xmlns="">', f"</{name}>", f'<{name} xmlns=""/>'
    space, local = found[1], found[2]
    if space == "DAV:":
        return f"<D:{local}>", f"</D:{local}>", f"<D:{local}/>"
    start = f"x:{local} xmlns:x={quoteattr(space)}"
    return f"<{start}>", f"</x:{local}>", f"<{start}/>"


class Rows:
    """Writes the responses of one multistatus."""

    def __init__(self, wanted: Wanted) -> None:
        """Write what is *wanted*."""
        self._mode = wanted.mode
        names = wanted.names if wanted.mode == "prop" else (*_LIVE, *wanted.names)
        self._parts = [(name, *_tags(name), _LIVE.get(name) or _ON_REQUEST.get(name)) for name in names]
        self._names = frozenset(names)

    def response(self, subject: Subject) -> str:
        """Return the response element of *subject*."""
        found: list[str] = []
        missing: list[str] = []
        bare = self._mode == "propname"
        for name, start, end, empty, value_of in self._parts:
            if value_of is None:
                dead = subject.dead.get(name)
                (missing if dead is None else found).append(empty if dead is None else dead)
                continue
            value = value_of(subject)
            if value is None:
                missing.append(empty)
            else:
                found.append(empty if bare or not value else f"{start}{value}{end}")
        if self._mode != "prop":
            missing.clear()
        if self._mode != "prop" and subject.dead:
            others = (name for name in subject.dead if name not in self._names)
            found += (_tags(name)[2] if bare else subject.dead[name] for name in others)
        return (
            f"<D:response><D:href>{_text(subject.href)}</D:href>"
            f"{_propstat(found, _FOUND) if found or not missing else ''}"
            f"{_propstat(missing, _MISSING) if missing else ''}</D:response>\n"
        )


def _propstat(elements: Sequence[str], status: str) -> str:
    return f"<D:propstat><D:prop>{''.join(elements)}</D:prop><D:status>{status}</D:status></D:propstat>"
