"""Ask an ICAP service about a file (RFC 3507): OPTIONS, then RESPMOD or REQMOD with a preview.

204 says that it needs no change. 200 comes with a message in place of ours: one with the very bytes that were sent is
a yes too; any other is a no. What the service made of the file is never used.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from mft.scrubbing.returned import Returned
from mft.scrubbing.verdict import Verdict, clean, failed, found
from mft.scrubbing.wire import WireError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mft.scrubbing.wire import Wire
    from scrubber.model import Source

CHUNK = 256 * 1024
LONGEST_TTL = 3600.0
"""Seconds for which what a service can do is remembered at most."""
_MOST_HEADERS = 200
_FOUND_HEADERS = ("x-infection-found", "x-violations-found", "x-virus-id", "x-blocked", "x-response-info")
_THREAT = re.compile(r"Threat=([^;]+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class IcapOptions:
    """What a service has said that it can do (RFC 3507, section 4.10.2)."""

    preview: int | None
    """Bytes to send before it says whether it wants the rest; None: no preview."""
    ttl: float
    """Seconds for which that may be remembered."""
    tag: str
    """Its state when it said so (ISTag, section 4.7): with another one it is asked anew."""

    def to_dict(self) -> dict[str, object]:
        """Return it for the way through a pipe."""
        return {"preview": self.preview, "ttl": self.ttl, "tag": self.tag}


def parse_options(told: object) -> IcapOptions | None:
    """Read what `IcapOptions.to_dict` wrote; None where it is nothing of that kind."""
    match told:
        case {"preview": int() | None as preview, "ttl": int() | float() as ttl, "tag": str() as tag}:
            return IcapOptions(preview=preview, ttl=min(max(float(ttl), 0.0), LONGEST_TTL), tag=tag[:256])
        case _:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class IcapService:
    """Where and how to ask."""

    host: str
    """With the port, as the Host header has it."""
    service: str
    method: Literal["respmod", "reqmod"] = "respmod"
    preview: int = 4096
    """Most bytes sent before the service says whether it wants the rest; it may ask for fewer."""
    options: IcapOptions | None = None
    """What it said a while ago that it can do; None: it is asked."""

    @property
    def url(self) -> str:
        """The service's address."""
        return f"icap://{self.host}/{self.service.lstrip('/')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def tag(self) -> str:
        """The service's state when it answered; empty: it does not say."""
        return self.headers.get("istag", "")


def ask_icap(wire: Wire, service: IcapService, source: Source) -> Verdict:
    """Send *source* to *service* over *wire*; say what it thinks of it. A failure is a verdict too."""
    return ask_with_options(wire, service, source)[0]


def ask_with_options(wire: Wire, service: IcapService, source: Source) -> tuple[Verdict, IcapOptions | None]:
    """Do as `ask_icap`, and say what of the service's options may be remembered for the next file; None: nothing."""
    try:
        options = service.options or _options(wire, service)
        verdict, tag = _modify(wire, service, source, options.preview)
    except WireError as error:
        return failed(str(error)), None
    return verdict, options if verdict.word != "failed" and tag in {"", options.tag} else None


def _options(wire: Wire, service: IcapService) -> IcapOptions:
    """Ask what the service can do (section 4.10)."""
    wire.write(_head("OPTIONS", service, {"Encapsulated": "null-body=0"}))
    answer = _read_answer(wire)
    if answer.status != 200:
        raise WireError(f"it answers {answer.status} to OPTIONS")
    methods = {each.strip().upper() for each in answer.headers.get("methods", "").split(",")}
    if service.method.upper() not in methods:
        raise WireError(f"it does not offer {service.method.upper()}")
    if "opt-body" in answer.headers.get("encapsulated", ""):
        _skip_chunks(wire)
    wanted, ttl = answer.headers.get("preview", ""), answer.headers.get("options-ttl", "")
    return IcapOptions(
        preview=min(int(wanted), service.preview) if wanted.isdecimal() and len(wanted) < 10 else None,
        ttl=min(float(ttl), LONGEST_TTL) if ttl.isdecimal() and len(ttl) < 10 else 0.0,
        tag=answer.headers.get("istag", ""),
    )


def _modify(wire: Wire, service: IcapService, source: Source, preview: int | None) -> tuple[Verdict, str]:
    """Show it the file; return what it says, and its state then."""
    headers, encapsulated = _encapsulated(service, source.size)
    fields = {"Allow": "204", "Encapsulated": encapsulated}
    if preview is not None:
        fields["Preview"] = str(preview)
    wire.write(_head(service.method.upper(), service, fields) + headers)
    sent = 0
    if preview is not None:
        first = source.read(0, min(preview, source.size)) if preview and source.size else b""
        sent = len(first)
        whole = sent >= source.size
        wire.write(_chunk(first) + (b"0; ieof\r\n\r\n" if whole else b"0\r\n\r\n"))
        answer = _read_answer(wire)
        if not whole and answer.status != 100:
            return _decided(answer) or _NOT_PASSED, answer.tag
        if whole:
            return _decided(answer) or _returned(wire, answer, source), answer.tag
    while sent < source.size:
        data = source.read(sent, CHUNK)
        sent += len(data)
        wire.write(_chunk(data))
        if wire.answered:  # it says what it thinks, or passes on what it has, before it had all
            answer = _read_answer(wire)
            return _decided(answer) or _returned(wire, answer, source, sent), answer.tag
    wire.write(b"0\r\n\r\n")
    answer = _read_answer(wire)
    return _decided(answer) or _returned(wire, answer, source), answer.tag


_NOT_PASSED = found("something: it would not pass the file on")


def _decided(answer: _Answer) -> Verdict | None:
    """Say what the head of an answer tells; None: what it thinks is in the message that comes with it."""
    if answer.status == 204:
        return clean()
    if answer.status != 200:
        return failed(f"it answers {answer.status}")
    named = next((answer.headers[name] for name in _FOUND_HEADERS if name in answer.headers), None)
    if named is not None:
        threat = _THREAT.search(named)
        return found(threat[1] if threat else named)
    return None if _body_at(answer) is not None else _NOT_PASSED


def _body_at(answer: _Answer) -> int | None:
    """Say how many bytes of HTTP headers come before the body of the message; None: it has no body (section 4.4.1)."""
    parts = dict(part.strip().partition("=")[::2] for part in answer.headers.get("encapsulated", "").split(","))
    at = next((parts[name] for name in ("res-body", "req-body") if name in parts), "")
    return min(int(at), 64 * 1024) if at.isdecimal() and len(at) < 10 else None


def _returned(wire: Wire, answer: _Answer, source: Source, sent: int | None = None) -> Verdict:
    """Hold the message that comes against *source*, while what is missing after *sent* bytes goes out (None: nothing).

    A service that changes nothing passes on what it gets while it still gets it: neither side waits for the other.
    """
    wire.exactly(_body_at(answer) or 0)
    body = Returned(source)
    if sent is not None:
        while sent < source.size and body.same:
            data = source.read(sent, CHUNK)
            sent += len(data)
            wire.write(_chunk(data))
            body.take(wire.held())
        if body.same:
            wire.write(b"0\r\n\r\n")
    while body.same and not body.ended:
        body.take(wire.some())
    return clean() if body.same else found("something: it would pass on another file")


def _head(method: str, service: IcapService, fields: Mapping[str, str]) -> bytes:
    lines = [f"{method} {service.url} ICAP/1.0", f"Host: {service.host}", "User-Agent: mft"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def _encapsulated(service: IcapService, size: int) -> tuple[bytes, str]:
    """Make the HTTP headers that a service expects around a file (section 4.4); they tell nothing of whose it is."""
    request = b"%s http://upload.invalid/file HTTP/1.1\r\nHost: upload.invalid\r\n"
    entity = b"Content-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % size
    if service.method == "reqmod":
        headers = request % b"POST" + entity
        return headers, f"req-hdr=0, req-body={len(headers)}"
    asked, answered = request % b"GET" + b"\r\n", b"HTTP/1.1 200 OK\r\n" + entity
    return asked + answered, f"req-hdr=0, res-hdr={len(asked)}, res-body={len(asked) + len(answered)}"


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data) if data else b""


def _read_answer(wire: Wire) -> _Answer:
    first = wire.line().split(maxsplit=2)
    if len(first) < 2 or not first[0].startswith(b"ICAP/1.") or not first[1].isdigit():
        raise WireError("it does not speak ICAP")
    headers: dict[str, str] = {}
    for _ in range(_MOST_HEADERS):
        line = wire.line()
        if not line:
            return _Answer(status=int(first[1]), headers=headers)
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.strip().lower()] = value.strip()
    raise WireError("its answer has headers without end")


def _skip_chunks(wire: Wire) -> None:
    """Read a chunked body to its end (RFC 9112, section 7.1) for nothing."""
    while True:
        text = wire.line().split(b";")[0].strip()
        try:
            size = int(text, 16)
        except ValueError:
            raise WireError("its answer is cut up wrongly") from None
        if size == 0:
            while wire.line():
                pass
            return
        while size > 0:
            size -= len(wire.exactly(min(size, CHUNK)))
        wire.exactly(2)
