"""The cases of every head, driven through FTPS by Python's own client."""

from __future__ import annotations

import ftplib
import io
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.contracts.head import PASSWORD, HeadCases, HeadError
from tests.protocols.ftp.rig import House, ImplicitFtp, client_context, failed, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class FtpClient:
    """One login over one control connection."""

    def __init__(self, house: House, login: str, password: str) -> None:
        kind = ImplicitFtp if house.implicit else ftplib.FTP_TLS
        self.ftp = kind(context=client_context(), timeout=20)
        try:
            self.ftp.connect("127.0.0.1", house.port)
            if not house.implicit:
                self.ftp.auth()
            self.ftp.sendcmd(f"USER {login}")
            self.ftp.sendcmd(f"PASS {password}")
            self.ftp.prot_p()
        except ftplib.all_errors as error:
            self.ftp.close()
            raise failed(error) from error

    def put(self, path: str, content: bytes) -> None:
        self._do(lambda: self.ftp.storbinary(f"STOR {path}", io.BytesIO(content)))

    def get(self, path: str) -> bytes:
        received: list[bytes] = []
        self._do(lambda: self.ftp.retrbinary(f"RETR {path}", received.append))
        return b"".join(received)

    def names(self, path: str) -> list[str]:
        return self._do(lambda: [name for name, _ in self.ftp.mlsd(path)])

    def size(self, path: str) -> int:
        return self._do(lambda: self.ftp.size(path))

    def mkdir(self, path: str) -> None:
        self._do(lambda: self.ftp.mkd(path))

    def rename(self, source: str, target: str) -> None:
        self._do(lambda: self.ftp.rename(source, target))

    def remove(self, path: str) -> None:
        self._do(lambda: self.ftp.delete(path))

    def cut(self, path: str, content: bytes) -> None:
        self.ftp.voidcmd("TYPE I")
        data = self.ftp.transfercmd(f"STOR {path}")
        data.sendall(content)
        data.close()
        self.ftp.close()

    def resume(self, path: str, content: bytes) -> None:
        at = self.size(path)
        assert 0 < at < len(content)
        self._do(lambda: self.ftp.storbinary(f"STOR {path}", io.BytesIO(content[at:]), rest=at))

    @staticmethod
    def _do(call):
        try:
            return call()
        except ValueError as error:  # ftplib itself sends no line's end within a command
            raise HeadError("refused", str(error)) from error
        except ftplib.all_errors as error:
            raise failed(error) from error


class FtpHead:
    """A running head and the clients that it was asked for."""

    def __init__(self, house: House, clients: ExitStack) -> None:
        self.tree = house.tree
        self.accounts = house.accounts
        self._house = house
        self._clients = clients

    def client(self, login: str = "alice", password: str = PASSWORD) -> FtpClient:
        client = FtpClient(self._house, login, password)
        self._clients.callback(client.ftp.close)
        return client


class TestExplicit(HeadCases):
    """TLS begins with AUTH TLS."""

    implicit = False

    @pytest.fixture
    def head(self, certificate: tuple[Path, Path]) -> Iterator[FtpHead]:
        with running(certificate, implicit=self.implicit) as house, ExitStack() as clients:
            yield FtpHead(house, clients)


class TestImplicit(TestExplicit):
    """TLS begins with the connection."""

    implicit = True
