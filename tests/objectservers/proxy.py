"""A proxy before an object store that misbehaves as told: what networks and overloaded services do."""

from __future__ import annotations

import contextlib
import http.client
import http.server
import socket
import struct
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}
SLOW_DOWN = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
FULL = b"<Error><Code>QuotaExceeded</Code></Error>"
"""What Ceph answers, with 403, where a bucket has a quota and it is used up."""


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Orders:
    """What to do wrong, and what came by."""

    wrong: Callable[[Asked], str | float | None] = lambda _asked: None
    """Says of a request: None; a status as text, such as "500"; seconds to wait; or one of the words below.

    reset   no answer, and the request goes nowhere       lost    the service does it, and its answer is lost
    cut     half of the answer, then a reset              short   half of the answer, and lengths that say so
    trim    the service is given half of the body
    """
    translate: Callable[[dict[str, str]], dict[str, str]] = lambda headers: headers
    asked: list[Asked] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def handle_any(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length)
        asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        self.server.orders.asked.append(asked)
        wrong = self.server.orders.wrong(asked)
        if wrong == "reset":
            self._reset()
        elif isinstance(wrong, str) and wrong.isdecimal():
            self._answer(int(wrong), {"content-type": "application/xml"}, FULL if wrong == "403" else SLOW_DOWN)
        else:
            if isinstance(wrong, float):
                time.sleep(wrong)
            self._pass_on(asked, wrong if isinstance(wrong, str) else "")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = handle_any  # noqa: N815  http.server's names

    def _pass_on(self, asked: Asked, wrong: str) -> None:
        upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        try:
            headers = {k: v for k, v in asked.headers.items() if k not in _HOP}
            headers |= {"content-length": str(len(asked.body))} if asked.body or asked.method in {"PUT", "POST"} else {}
            headers = self.server.orders.translate(headers)
            body = asked.body
            if wrong == "trim":  # the store keeps less than it was given, and does not notice
                body = body[: len(body) // 2]
                headers["content-length"] = str(len(body))
                headers = {k: v for k, v in headers.items() if not k.startswith(("content-md5", "x-amz-content"))}
            upstream.request(asked.method, asked.path, body=body or None, headers=headers)
            response = upstream.getresponse()
            data = response.read()
        finally:
            upstream.close()
        if wrong == "lost":
            self._reset()
            return
        found = {k.lower(): v for k, v in response.getheaders() if k.lower() not in _HOP}
        if asked.method == "HEAD":
            found["content-length"] = response.getheader("content-length") or "0"
        if wrong == "short" and response.status in {200, 206} and len(data) > 1:
            data = data[: len(data) // 2]
            if "content-range" in found:
                first = found["content-range"].removeprefix("bytes ").partition("-")[0]
                total = found["content-range"].rpartition("/")[2]
                found["content-range"] = f"bytes {first}-{int(first) + len(data) - 1}/{total}"
        if wrong == "cut":
            self._answer(response.status, found, data, sent=len(data) // 2)
            self._reset()
            return
        self._answer(response.status, found, data, head=asked.method == "HEAD")

    def _answer(
        self, status: int, headers: dict[str, str], data: bytes, *, sent: int | None = None, head: bool = False
    ) -> None:
        self.send_response_only(status)
        for key, value in headers.items():
            self.send_header(key, value)
        if "content-length" not in headers:
            self.send_header("content-length", str(len(data)))
        self.end_headers()
        if not head:
            self.wfile.write(data if sent is None else data[:sent])
        self.wfile.flush()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def finish(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().finish()

    def handle(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            super().handle()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, upstream: str, orders: Orders) -> None:
        parts = urlsplit(upstream)
        self.upstream = (parts.hostname or "", parts.port or 80)
        self.orders = orders
        super().__init__(("127.0.0.1", 0), _Handler)

    def shutdown_request(self, request: object) -> None:
        with contextlib.suppress(OSError):
            super().shutdown_request(request)


@contextlib.contextmanager
def running_proxy(upstream: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[str, Orders]]:
    """Yield the URL of a proxy before *upstream*, and what it is told; with *context* it speaks TLS."""
    orders = Orders()
    server = _Server(upstream, orders)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"{'http' if context is None else 'https'}://127.0.0.1:{server.server_port}", orders
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
