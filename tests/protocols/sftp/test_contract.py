"""The cases of every head, driven by paramiko."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import paramiko
import pytest

from tests.contracts.head import PASSWORD, HeadCases, HeadError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.protocols.sftp.rig import Rig


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise HeadError("missing", str(error)) from error
    except PermissionError as error:
        raise HeadError("denied", str(error)) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise HeadError("refused", str(error)) from error


class ParamikoClient:
    """A `HeadClient` over paramiko."""

    def __init__(self, client: paramiko.SFTPClient) -> None:
        self.client = client

    def put(self, path: str, content: bytes) -> None:
        with _translated(), self.client.open(path, "wb") as file:
            file.write(content)

    def get(self, path: str) -> bytes:
        with _translated(), self.client.open(path, "rb") as file:
            return file.read()

    def names(self, path: str) -> list[str]:
        with _translated():
            return [name for name in self.client.listdir(path) if name not in {".", ".."}]

    def size(self, path: str) -> int:
        with _translated():
            size = self.client.stat(path).st_size
        assert size is not None
        return size

    def mkdir(self, path: str) -> None:
        with _translated():
            self.client.mkdir(path)

    def rename(self, source: str, target: str) -> None:
        with _translated():
            self.client.rename(source, target)

    def remove(self, path: str) -> None:
        with _translated():
            self.client.remove(path)

    def cut(self, path: str, content: bytes) -> None:
        file = self.client.open(path, "wb")
        file.write(content)
        transport = self.client.get_channel().get_transport()
        transport.sock.close()
        transport.close()

    def resume(self, path: str, content: bytes) -> None:
        with _translated(), self.client.open(path, "ab") as file:
            at = file.tell()
            assert 0 < at < len(content)
            file.write(content[at:])


class SftpHead:
    """A `Head` over the rig."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.tree = rig.tree
        self.accounts = rig.accounts
        self.opened: list[paramiko.SFTPClient] = []

    def client(self, login: str = "alice", password: str = PASSWORD) -> ParamikoClient:
        try:
            client = self.rig.paramiko(login, password)
        except paramiko.AuthenticationException as error:
            raise HeadError("denied", str(error)) from error
        self.opened.append(client)
        return ParamikoClient(client)

    def close(self) -> None:
        for client in self.opened:
            transport = client.get_channel().get_transport()
            client.close()
            transport.close()


class TestSftp(HeadCases):
    """SFTP."""

    @pytest.fixture
    def head(self, rig: Rig) -> Iterator[SftpHead]:
        head = SftpHead(rig)
        yield head
        head.close()
