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


class TusClient(HttpClient):
    """The same login, whose uploads go by tus; all else goes as ever."""

    def __init__(self, wire: Wire, login: str, password: str, places: dict[str, str]) -> None:
        super().__init__(wire, login, password)
        self._places = places

    def put(self, path: str, content: bytes) -> None:
        self._make(path, {"Upload-Length": str(len(content))})
        if content:
            self._tus("PATCH", self._places[path], self._piece(0), content)

    def cut(self, path: str, content: bytes) -> None:
        self._make(path, {"Upload-Defer-Length": "1"})
        start = head(
            "PATCH",
            self._places[path],
            {"Tus-Resumable": "1.0.0", **self._piece(0)},
            authorization=self._authorization,
            length=len(content) + 100,
        )
        self._wire.send(start + content)
        self._wire.goodbye()

    def resume(self, path: str, content: bytes) -> None:
        place, answer = self._places[path], None
        while answer is None or answer.status == 409:  # until the server knows that the older connection is gone
            offset = int(self._tus("HEAD", place, {}).headers["upload-offset"])
            headers = {**self._piece(offset), "Upload-Length": str(len(content))}
            answer = self._tus("PATCH", place, headers, content[offset:], also=409)

    def _make(self, path: str, length: dict[str, str]) -> None:
        folder, _, name = path.rpartition("/")
        named = {"Upload-Metadata": f"filename {base64.b64encode(name.encode()).decode()}"}
        answer = self._tus("POST", f"/tus{quote(folder)}/", {**length, **named})
        self._places[path] = answer.headers["location"].removeprefix("https://localhost")

    def _tus(self, method: str, target: str, headers: dict[str, str], body: bytes = b"", also: int = 0) -> Answer:
        answer = self._wire.ask(
            method, target, {"Tus-Resumable": "1.0.0", **headers}, body, authorization=self._authorization
        )
        if answer.status >= 400 and answer.status != also:
            raise HeadError({404: "missing", 401: "denied", 403: "denied"}.get(answer.status, "refused"))
        return answer

    @staticmethod
    def _piece(offset: int) -> dict[str, str]:
        return {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}


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


class TusHead(HttpHead):
    """The same head, for clients of tus."""

    def __init__(self, house: House, clients: ExitStack) -> None:
        super().__init__(house, clients)
        self._places: dict[str, str] = {}

    def client(self, login: str = "alice", password: str = PASSWORD) -> HttpClient:
        client = TusClient(self._clients.enter_context(self._house.wire()), login, password, self._places)
        client.ask("GET", "/")
        return client


class TestTus(TestHttps):
    """The same cases, with uploads by tus."""

    @pytest.fixture
    def head(self, certificate: tuple[Path, Path]) -> Iterator[HttpHead]:
        tree = MemoryTree("/in", "/out")
        tree.add("/out/report.txt", REPORT)
        tree.read_only.add(("out",))
        with running(certificate, tree=tree) as house, ExitStack() as clients:
            house.authenticator.passwords |= {"alice": PASSWORD, "bob": PASSWORD}
            yield TusHead(house, clients)
