"""The cases of every head, driven through HTTPS."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from tests.contracts.head import PASSWORD, REPORT, HeadCases, HeadError
from tests.protocols.http.house import Answer, Wire, head, running
from tests.protocols.memory import MemoryTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.protocols.http.house import House


class HttpClient:
    """One login over one connection."""

    def __init__(self, wire: Wire, login: str, password: str) -> None:
        self._wire = wire
        self._authorization = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask, and raise what is no success."""
        try:
            answer = self._wire.ask(method, "/files" + quote(path), headers, body, authorization=self._authorization)
        except (EOFError, OSError) as error:
            raise HeadError("denied", "disconnected") from error
        if answer.status >= 400:
            detail = answer.json["detail"] if answer.body else ""
            raise HeadError({404: "missing", 401: "denied", 403: "denied"}.get(answer.status, "refused"), detail)
        return answer

    def put(self, path: str, content: bytes) -> None:
        self.ask("PUT", path, body=content)

    def get(self, path: str) -> bytes:
        return self.ask("GET", path).body

    def names(self, path: str) -> list[str]:
        return [row["name"] for row in self.ask("GET", path).json["entries"]]

    def size(self, path: str) -> int:
        return int(self.ask("HEAD", path).headers["content-length"])

    def cut(self, path: str, content: bytes) -> None:
        start = head("PUT", "/files" + quote(path), authorization=self._authorization, length=len(content) + 100)
        self._wire.send(start + content)
        self._wire.goodbye()

    def resume(self, path: str, content: bytes) -> None:
        offset = int(self.ask("HEAD", path).headers["upload-offset"])
        part = {"Content-Range": f"bytes {offset}-{len(content) - 1}/{len(content)}"}
        self.ask("PUT", path, part, content[offset:])


class HttpHead:
    """A running head and the clients that it was asked for."""

    def __init__(self, house: House, clients: ExitStack) -> None:
        self.tree = house.tree
        self.accounts = house.authenticator
        self._house = house
        self._clients = clients

    def client(self, login: str = "alice", password: str = PASSWORD) -> HttpClient:
        client = HttpClient(self._clients.enter_context(self._house.wire()), login, password)
        client.ask("GET", "/")
        return client


class TestHttps(HeadCases):
    """HTTPS has no directories to make, and nothing to rename or remove yet."""

    lacks = frozenset({"mkdir", "rename", "remove"})

    @pytest.fixture
    def head(self, certificate: tuple[Path, Path]) -> Iterator[HttpHead]:
        tree = MemoryTree("/in", "/out")
        tree.add("/out/report.txt", REPORT)
        tree.read_only.add(("out",))
        with running(certificate, tree=tree) as house, ExitStack() as clients:
            house.authenticator.passwords |= {"alice": PASSWORD, "bob": PASSWORD}
            yield HttpHead(house, clients)
