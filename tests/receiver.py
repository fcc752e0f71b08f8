"""A receiver of webhooks for tests: a real HTTP server that keeps what it is sent and answers as it is told."""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class Receiver:
    """What came, and what is answered next."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.answers: list[int] = []
        """Statuses for the next requests; then *status*."""
        self.status = 204
        self.headers: dict[str, str] = {}
        self.body = b""
        self.url = ""
        self._changed = threading.Condition()

    def take(self, post: Post) -> int:
        with self._changed:
            self.posts.append(post)
            self._changed.notify_all()
            return self.answers.pop(0) if self.answers else self.status

    def wait_for(self, count: int, seconds: float = 60.0) -> list[Post]:
        """Return what came, once that is *count* requests."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.posts) >= count, seconds), f"{len(self.posts)} of {count}"
            return list(self.posts)


@contextlib.contextmanager
def running_receiver() -> Iterator[Receiver]:
    """Run a receiver on a free port of this machine."""
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = receiver.take(Post(path=self.path, headers=dict(self.headers), body=body))
            self.send_response(status)
            for name, value in receiver.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(receiver.body)))
            self.end_headers()
            with contextlib.suppress(ConnectionError):
                self.wfile.write(receiver.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        receiver.url = f"http://127.0.0.1:{server.server_address[1]}/hooks"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
