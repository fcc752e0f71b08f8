"""One request by wsgidav's rules: an environment in, a verdict out. Called on a thread; takes no body but small XML."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from aiohttp import hdrs

from protocols.errors import FileSystemError
from protocols.http.dav.conditions import canonical_if, tokens_of
from protocols.http.dav.documents import parse_document
from protocols.http.status import ProblemError
from protocols.http.target import parse_target

if TYPE_CHECKING:
    from collections.abc import Callable

    from multidict import CIMultiDictProxy

    from protocols.http.dav.resources import TreeProvider
    from protocols.http.settings import HttpSettings
    from protocols.http.target import Mount, Target
    from protocols.session import Session

_ADDRESS = re.compile(r"(?:https?:)?//([^/?#]*)", re.IGNORECASE)
_HANDED_ON = ("Overwrite", "Timeout", "Lock-Token")
_UPROOTING = frozenset({"DELETE", "MOVE"})
_DEEP = frozenset({"COPY", "DELETE", "LOCK", "MOVE"})
"""Where Depth means something (RFC 4918, section 10.2), besides PROPFIND: some clients send it always."""
_CONDITIONS = (hdrs.IF_MATCH, hdrs.IF_NONE_MATCH, hdrs.IF_MODIFIED_SINCE, hdrs.IF_UNMODIFIED_SINCE)
_CONDITION_NAMES = frozenset(f"HTTP_{name.upper().replace('-', '_')}" for name in _CONDITIONS)
_WITH_XML = frozenset({"LOCK", "PROPPATCH"})
_DESCRIPTION = re.compile(rb"<D:responsedescription>[^<]*</D:responsedescription>")
"""What wsgidav says in words of a PROPPATCH that fails, objects and addresses included; the status says it all."""
_ALLOWED_THERE = "COPY, DELETE, GET, HEAD, LOCK, MOVE, OPTIONS, PROPFIND, PROPPATCH, PUT, UNLOCK"
"""What 405 says: it is the answer to MKCOL where something lies already."""
_SENT_ON = frozenset({"content-type", "lock-token", "etag"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request, with its body read."""

    method: str
    target: Target
    headers: CIMultiDictProxy[str]
    host: str
    """What the client takes this server for."""
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What is to be answered."""

    status: int
    headers: dict[str, str]
    body: bytes


class _Realm:
    """The one tree that there is, where wsgidav asks which of several an address belongs to."""

    def __init__(self, provider: TreeProvider) -> None:
        self._provider = provider

    def resolve_provider(self, _path: str) -> tuple[str, TreeProvider]:
        return "", self._provider


def apply_rules(
    ask: Ask, session: Session, settings: HttpSettings, *, adopt: Callable[[], None] | None = None
) -> Verdict:
    """Do what *ask* says, or say why not. A PUT is a rehearsal without *adopt*, and else ends in a call of it.

    Raises:
        ProblemError: the rules refuse it.
        FileSystemError: the filesystem refuses it.
    """
    from wsgidav.dav_error import DAVError  # noqa: PLC0415 -- for whoever speaks WebDAV alone: 80 ms at start

    from protocols.http.dav.resources import TreeProvider, quoted_path  # noqa: PLC0415

    if ask.body and ask.method in _WITH_XML:
        parse_document(ask.body)  # wsgidav's parser may be another, and is asked for nothing that this one refuses
    if ask.method in _UPROOTING and not ask.target.path.parts:
        raise ProblemError(HTTPStatus.FORBIDDEN, "the root of the tree stays where it is")
    provider = TreeProvider(
        session.filesystem,
        mount=ask.target.mount,
        login=session.login,
        lock_timeout=settings.dav_lock_timeout,
        adopt=adopt,
    )
    provider.path = ask.target.path
    environ = _environ(ask, provider, quoted_path(ask.target.path))
    if adopt is not None:  # what is there now is the upload itself: its conditions were met when it began
        environ = {name: value for name, value in environ.items() if name not in _CONDITION_NAMES}
        submitted = tokens_of(environ.pop("HTTP_IF", ""))
        environ |= {"HTTP_IF": submitted} if submitted else {}
    environ["wsgidav.app"] = _Realm(provider)
    destination = parse_destination(ask)
    if destination is not None:
        # Quoted once more: wsgidav unquotes before it looks for `?` and `;`, which names may hold.
        environ["HTTP_DESTINATION"] = quote(quoted_path(destination.path))
    try:
        return _ruled(provider, environ)
    except DAVError as error:
        if provider.failure is not None:
            raise provider.failure from None
        if error.err_condition is None:
            raise _problem(error.value, error.context_info) from error
        return _refused(error)


def _ruled(provider: TreeProvider, environ: dict[str, Any]) -> Verdict:
    """Have wsgidav answer; what it made of a failure of the filesystem is made good."""
    from wsgidav.request_server import RequestServer  # noqa: PLC0415

    told: dict[str, Any] = {}

    def start_response(status: str, headers: list[tuple[str, str]], _exc_info: object = None) -> None:
        told["status"], told["headers"] = int(status.split(" ", 1)[0]), headers

    body = b"".join(RequestServer(provider)(environ, start_response))
    if provider.failure is not None:
        raise provider.failure
    headers = {name: value for name, value in told["headers"] if name.lower() in _SENT_ON}
    if "html" in headers.get("Content-Type", ""):  # a page about itself
        if told["status"] >= HTTPStatus.BAD_REQUEST:
            raise _problem(told["status"])
        body = b""
        del headers["Content-Type"]
    body = _DESCRIPTION.sub(b"", body)
    made = provider.made_new and told["status"] == HTTPStatus.NO_CONTENT
    return Verdict(status=HTTPStatus.CREATED if made else told["status"], headers=headers, body=body)


def _refused(error: Any) -> Verdict:  # noqa: ANN401 - wsgidav has no types
    """Return the answer that names the condition which was not met."""
    return Verdict(
        status=error.value,
        headers={hdrs.CONTENT_TYPE: 'application/xml; charset="utf-8"'},
        body=error.err_condition.as_string().encode(),
    )


def _problem(value: int, words: object = None) -> ProblemError:
    status = _status(value)
    headers: dict[str, str] = {hdrs.ALLOW: _ALLOWED_THERE} if status is HTTPStatus.METHOD_NOT_ALLOWED else {}
    return ProblemError(status, str(words or _words(status)), headers=headers)


def _words(status: HTTPStatus) -> str:
    """Return what a client is told where wsgidav says nothing."""
    if status is HTTPStatus.BAD_REQUEST:
        return "the body or a header is not what WebDAV has for this method (RFC 4918)"
    return status.phrase


def _status(value: int) -> HTTPStatus:
    try:
        return HTTPStatus(value)
    except ValueError:
        return HTTPStatus.INTERNAL_SERVER_ERROR


def _environ(ask: Ask, provider: TreeProvider, path: str) -> dict[str, Any]:
    """Return what wsgidav is told of the request."""
    headers = ask.headers
    environ: dict[str, Any] = {
        "REQUEST_METHOD": ask.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "CONTENT_LENGTH": str(len(ask.body)),
        "wsgi.input": io.BytesIO(ask.body),
        "wsgi.url_scheme": "https",
        "HTTP_HOST": ask.host,
        "wsgidav.verbose": 0,
        "wsgidav.config": {},
        "wsgidav.provider": provider,
        "wsgidav.auth.user_name": provider.login,
    }
    for name in (*_HANDED_ON, "Depth") if ask.method in _DEEP else _HANDED_ON:
        if name in headers:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = headers[name].strip()
    for name in _CONDITIONS:
        if name in headers:
            environ[f"HTTP_{name.upper().replace('-', '_')}"] = ", ".join(headers.getall(name)).strip()
    if "If" in headers:
        environ["HTTP_IF"] = canonical_if(" ".join(headers.getall("If")), lambda tag: _name_of(tag, ask, provider))
    return environ


def _name_of(tag: str, ask: Ask, provider: TreeProvider) -> str:
    """Return what wsgidav knows the resource of a tagged list by; a foreign address stays what it is."""
    path = _local(tag, ask.host)
    if path is None:
        return tag
    try:
        target = parse_target(path, ask.target.mount)
    except (FileSystemError, ProblemError):
        return tag
    return provider.ref_url(target.path)


def _local(address: str, host: str) -> str | None:
    """Return the path of an address here; None: it is elsewhere, or no address."""
    found = _ADDRESS.match(address)
    if found is None:
        return address if address.startswith("/") else None
    if _authority(found[1]) != _authority(host):
        return None
    return address[found.end() :] or "/"


def _authority(text: str) -> str:
    return text.lower().removesuffix(":443")


def parse_destination(ask: Ask) -> Target | None:
    """Return where COPY or MOVE goes to; None for every other method.

    Raises:
        ProblemError: 400, there is none; 502, it is on another server or outside of the tree.
        InvalidNameError: its name cannot be one.
    """
    if ask.method not in {"COPY", "MOVE"}:
        return None
    text = ask.headers.get("Destination", "").strip()
    if not text:
        raise ProblemError(HTTPStatus.BAD_REQUEST, f"{ask.method} needs a Destination header")
    path = _local(text, ask.host)
    mount: Mount = ask.target.mount
    if path is None or not (path == mount.prefix or path.startswith(mount.prefix + "/")):
        raise ProblemError(HTTPStatus.BAD_GATEWAY, f"the Destination must be on this server, below {mount.prefix}/")
    return parse_target(path, mount)
