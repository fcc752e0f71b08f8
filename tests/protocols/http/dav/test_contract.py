"""The cases of every head, driven through WebDAV."""

from __future__ import annotations

import base64
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

import pytest

from tests.contracts.head import PASSWORD, REPORT, HeadCases, HeadError
from tests.protocols.http.house import Answer, Wire, head, running
from tests.protocols.memory import MemoryTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.protocols.http.house import House


class DavClient:
    """One login over one connection."""

    def __init__(self, wire: Wire, login: str, password: str) -> None:
        self._wire = wire
        self._authorization = "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """Ask, and raise what is no success; a missing parent is a thing that is missing."""
        try:
            answer = self._wire.ask(method, "/dav" + quote(path), headers, body, authorization=self._authorization)
        except (EOFError, OSError) as error:
            raise HeadError("denied", "disconnected") from error
        if answer.status >= 400:
            kinds = {404: "missing", 409: "missing", 401: "denied", 403: "denied"}
            raise HeadError(kinds.get(answer.status, "refused"), answer.json["detail"] if answer.body else "")
        return answer

    def put(self, path: str, content: bytes) -> None:
        self.ask("PUT", path, body=content)

    def get(self, path: str) -> bytes:
        return self.ask("GET", path).body

    def names(self, path: str) -> list[str]:
        text = self.ask("PROPFIND", path, {"Depth": "1"}).body.decode()
        own, *hrefs = re.findall(r"<D:response><D:href>([^<]*)</D:href>", text)
        assert all(href.startswith(own) for href in hrefs)
        return sorted(unquote(href[len(own) :].rstrip("/")) for href in hrefs)

    def size(self, path: str) -> int:
        text = self.ask("PROPFIND", path, {"Depth": "0"}).body.decode()
        return int(re.findall(r"<D:getcontentlength>(\d+)</D:getcontentlength>", text)[0])

    def mkdir(self, path: str) -> None:
        self.ask("MKCOL", path)

    def rename(self, source: str, target: str) -> None:
        self.ask("MOVE", source, {"Destination": "https://localhost/dav" + quote(target)})

    def remove(self, path: str) -> None:
        self.ask("DELETE", path)

    def cut(self, path: str, content: bytes) -> None:
        start = head("PUT", "/dav" + quote(path), authorization=self._authorization, length=len(content) + 100)
        self._wire.send(start + content)
        self._wire.goodbye()

    def resume(self, path: str, content: bytes) -> None:
        raise NotImplementedError


class DavHead:
    """A running head and the clients that it was asked for."""

    def __init__(self, house: House, clients: ExitStack) -> None:
        self.tree = house.tree
        self.accounts = house.authenticator
        self._house = house
        self._clients = clients

    def client(self, login: str = "alice", password: str = PASSWORD) -> DavClient:
        client = DavClient(self._clients.enter_context(self._house.wire()), login, password)
        client.ask("PROPFIND", "/", {"Depth": "0"})
        return client


class TestDav(HeadCases):
    """WebDAV has no parts of files: a broken upload is sent again, or resumed below `/files`."""

    lacks = frozenset({"resume"})

    @pytest.fixture
    def head(self, certificate: tuple[Path, Path]) -> Iterator[DavHead]:
        tree = MemoryTree("/in", "/out")
        tree.add("/out/report.txt", REPORT)
        tree.read_only.add(("out",))
        with running(certificate, tree=tree) as house, ExitStack() as clients:
            house.authenticator.passwords |= {"alice": PASSWORD, "bob": PASSWORD}
            yield DavHead(house, clients)
