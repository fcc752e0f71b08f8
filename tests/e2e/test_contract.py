"""The cases of every head, over the whole house: SFTP by paramiko, HTTPS and WebDAV by curl, tus on the wire."""

from __future__ import annotations

import base64
import contextlib
import http.client
import itertools
import json
import re
import socket
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlsplit

import paramiko
import pytest

from tests.contracts.head import PASSWORD as OUR_PASSWORD
from tests.contracts.head import REPORT, HeadCases, HeadError, until
from tests.house import PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

QUOTA = 1_600_000
PIECE = {"Content-Type": "application/offset+octet-stream"}
NAMES = {"alice": "ann", "bob": "bob"}
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house in which a case may hold only a little."""
    with running_house(
        tmp_path_factory.mktemp("heads"), limits={"case_quota": QUOTA}, landing={"placeholder": "1s"}
    ) as house:
        yield house


class Tree:
    """What the cases ask of the tree behind the head, answered by what the house publishes and records."""

    def __init__(self, house: House, case: str) -> None:
        self.house = house
        self.case = case
        self._reported = False

    def real(self, path: str) -> str:
        """Return where a path of the cases lies in the house; the report is made when somebody first looks for it."""
        if "/out/" in path and not self._reported:
            self._reported = True
            self.add("/out/report.txt", REPORT)
            self.house.until(lambda: self.content("/out/report.txt"), "the report")
        path = re.sub(r"(^|/)in(?=/|$)", rf"\g<1>{self.case}/to-support", path)
        path = re.sub(r"(^|/)out(?=/|$)", rf"\g<1>{self.case}/from-support", path)
        return f"/{self.case}" if path == "/" else path

    def add(self, path: str, content: bytes) -> None:
        login = "eve" if path.startswith("/out") else "ann"
        with self.house.client(login) as client, client.open(self.real(path), "wb") as file:
            file.write(content)

    def content(self, path: str) -> bytes | None:
        """Return what engineers get once everything has been scrubbed."""
        self.house.until(self.house.settled, "the end of scrubbing")
        with self.house.client("eve") as client:
            try:
                with client.open(self.real(path), "rb") as file:
                    return file.read()
            except FileNotFoundError:
                return None

    def happened(self, kind: str) -> list[dict[str, Any]]:
        uploads = {event["upload"] for event in self.house.events("upload.started", case=self.case, zone="upload")}
        name = {"landed": "upload.landed", "aborted": "upload.interrupted"}[kind]
        return [event for event in self.house.events(name) if event["upload"] in uploads]

    @property
    def quota(self) -> int:
        (row,) = self.house.query(
            "SELECT coalesce(sum(size), 0) AS n FROM upload JOIN case_record c ON c.id = case_id WHERE c.number = ?",
            self.case,
        )
        return QUOTA - int(row["n"])

    @quota.setter
    def quota(self, left: int) -> None:
        with self.house.client("eve") as client, client.open(self.real("/out/filler"), "wb") as file:
            file.write(b"x" * (self.quota - left))


class Accounts:
    """Who logged in, and how that ends."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._before = len(house.events("session.opened"))

    @property
    def opened(self) -> list[dict[str, Any]]:
        return self.house.events("session.opened")[self._before :]

    def revoke(self, login: str) -> None:
        """Withdraw access, and wait for what the configuration promises."""
        self.house.system.change_principal(NAMES[login], {"active": False})
        self.house.until(lambda: not self._alive(NAMES[login]), "the end of every session")

    def _alive(self, login: str) -> bool:
        """Say whether a session is open, or one of a few more can be opened: each worker has a memory of its own."""
        closed = {event["session"] for event in self.house.events("session.closed")}
        if any(event["session"] not in closed for event in self.house.events("session.opened", login=login)):
            return True
        for _ in range(6):
            with contextlib.suppress(paramiko.SSHException), self.house.client(login):
                return True
        return False


class RealHead:
    """A head of the house, a case of its own, and the clients that are open."""

    def __init__(self, house: House, connect: Callable[[RealHead, str, str], Any]) -> None:
        self.house = house
        case = f"HEAD-{next(_numbers)}"
        house.system.put_case({"number": case, "title": "", "customer": "acme", "state": "open"})
        self.tree = Tree(house, case)
        self.accounts = Accounts(house)
        self.ending = contextlib.ExitStack()
        self.known: dict[str, str] = {}
        """Addresses that a client has been given, for another one of the same login to go on with."""
        self._connect = connect

    def client(self, login: str = "alice", password: str = OUR_PASSWORD) -> Any:
        return self._connect(self, NAMES.get(login, login), PASSWORD if password == OUR_PASSWORD else password)

    def close(self) -> None:
        self.ending.close()
        if not self.house.system.principal("ann").get("active", True):
            self.house.system.change_principal("ann", {"active": True})
            self.house.until(self._may_log_in, "ann's return")

    def _may_log_in(self) -> bool:
        """Say whether every worker lets her in: each has a memory of its own, and which one answers is chance."""
        for _ in range(8):
            try:
                with self.house.client("ann"):
                    pass
            except paramiko.SSHException:
                return False
        return True


@contextlib.contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise HeadError("missing", str(error)) from error
    except PermissionError as error:
        raise HeadError("denied", str(error)) from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        raise HeadError("refused", str(error)) from error


class SftpClient:
    """A `HeadClient` by paramiko."""

    def __init__(self, head: RealHead, login: str, password: str) -> None:
        connection = socket.create_connection(("127.0.0.1", head.house.port("sftp")), timeout=60)
        head.ending.callback(connection.close)
        transport = paramiko.Transport(connection)
        head.ending.callback(transport.close)
        try:
            transport.connect(username=login, password=password)
        except paramiko.AuthenticationException as error:
            raise HeadError("denied", str(error)) from error
        except paramiko.SSHException as error:
            # paramiko itself refuses an empty password's round trip with another class
            raise HeadError("denied", "Authentication failed.") from error
        client = paramiko.SFTPClient.from_transport(transport)
        assert client is not None
        client.get_channel().settimeout(60)  # type: ignore[union-attr]
        self.client, self.transport, self.real, self.case = client, transport, head.tree.real, head.tree.case

    def put(self, path: str, content: bytes) -> None:
        with _translated(), self.client.open(self.real(path), "wb") as file:
            file.write(content)

    def get(self, path: str) -> bytes:
        with _translated(), self.client.open(self.real(path), "rb") as file:
            return file.read()

    def names(self, path: str) -> list[str]:
        with _translated():
            return _as_in_the_cases(self.client.listdir(self.real(path)))

    def size(self, path: str) -> int:
        with _translated():
            size = self.client.stat(self.real(path)).st_size
        assert size is not None
        return size

    def mkdir(self, path: str) -> None:
        with _translated():
            self.client.mkdir(self.real(path))

    def rename(self, source: str, target: str) -> None:
        with _translated():
            self.client.rename(self.real(source), self.real(target))

    def cut(self, path: str, content: bytes) -> None:
        file = self.client.open(self.real(path), "wb")
        file.write(content)
        self.transport.sock.close()
        self.transport.close()

    def resume(self, path: str, content: bytes) -> None:
        with _translated(), self.client.open(self.real(path), "ab") as file:
            at = file.tell()
            assert 0 < at < len(content)
            file.write(content[at:])


def _as_in_the_cases(names: list[str]) -> list[str]:
    known = {"to-support": "in", "from-support": "out"}
    return sorted(known.get(name, name) for name in names if name not in {".", "..", ".meta"})


class HttpsClient:
    """A `HeadClient` by curl."""

    def __init__(self, head: RealHead, login: str, password: str) -> None:
        self.house, self.tree = head.house, head.tree
        self.login, self.password = login, password
        self._ask("/", "-G")

    def _address(self, path: str) -> str:
        return "/files" + quote(self.tree.real(path), safe="/")

    def _ask(self, path: str, *arguments: str) -> bytes:
        command = self.house.curl_command(
            self.login, self._address(path), "--path-as-is", "-g", *arguments, password=self.password
        )
        done = subprocess.run(command, capture_output=True, timeout=90, check=False)
        body, _, status = done.stdout.rpartition(b"\n")
        match int(status):
            case 200 | 201 | 202 | 204 | 206 | 207:
                return body
            case 401:
                raise HeadError("denied")
            case 403:
                raise HeadError("denied", body.decode())
            case 404:
                raise HeadError("missing", body.decode())
            case other:
                raise HeadError("refused", f"{other} {body!r} {done.stderr!r}")

    def put(self, path: str, content: bytes) -> None:
        local = self.house.directory / "outbox"
        local.write_bytes(content)
        self._ask(path, "-T", str(local))

    def get(self, path: str) -> bytes:
        return self._ask(path)

    def names(self, path: str) -> list[str]:
        listing = json.loads(self._ask(path.rstrip("/") + "/"))
        return _as_in_the_cases([entry["name"] for entry in listing["entries"]])

    def size(self, path: str) -> int:
        head = self._ask(path, "-I").decode().lower()
        return int(re.search(r"^content-length: (\d+)", head, re.MULTILINE)[1])

    def cut(self, path: str, content: bytes) -> None:
        tls = self.house.wire()
        request = f"PUT {self._address(path)} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content) + 1000}\r\n"
        tls.sendall(f"{request}{self.house.authorization(self.login)}\r\n\r\n".encode() + content)
        with socket.socket(fileno=tls.detach()) as raw:  # no close_notify, and no reset that would take back bytes
            raw.settimeout(60)
            raw.shutdown(socket.SHUT_WR)
            while raw.recv(65536):
                pass

    def resume(self, path: str, content: bytes) -> None:
        head = self._ask(path, "-I").decode().lower()
        at = int(re.search(r"^upload-offset: (\d+)", head, re.MULTILINE)[1])
        assert 0 < at < len(content)
        local = self.house.directory / "outbox"
        local.write_bytes(content)
        self._ask(path, "-T", str(local), "-C", str(at))


class WebdavClient(HttpsClient):
    """A `HeadClient` by curl, below `/dav`."""

    def _address(self, path: str) -> str:
        return "/dav" + quote(self.tree.real(path), safe="/")

    def _ask(self, path: str, *arguments: str) -> bytes:
        follow = ("--location",) if "-T" not in arguments else ()  # the address of a folder ends in a slash
        try:
            return super()._ask(path, *arguments, *follow)
        except HeadError as error:
            if "refused: 409" in str(error):  # WebDAV's word for a directory that is missing
                raise HeadError("missing", str(error)) from error
            raise

    def names(self, path: str) -> list[str]:
        own, *hrefs = re.findall(r"<D:href>([^<]*)</D:href>", self._listed(path, 1))
        return _as_in_the_cases([unquote(href[len(own) :].rstrip("/")) for href in hrefs])

    def size(self, path: str) -> int:
        return int(re.findall(r"getcontentlength>(\d+)<", self._listed(path, 0))[0])

    def mkdir(self, path: str) -> None:
        self._ask(path, "-X", "MKCOL")

    def rename(self, source: str, target: str) -> None:
        self._ask(source, "-X", "MOVE", "-H", f"Destination: {self._address(target)}")

    def _listed(self, path: str, depth: int) -> str:
        return self._ask(path, "-X", "PROPFIND", "-H", f"Depth: {depth}").decode()


class TusClient(HttpsClient):
    """A `HeadClient` that sends by tus 1.0.0, each request on a connection of its own, and reads below `/files`."""

    def __init__(self, head: RealHead, login: str, password: str) -> None:
        super().__init__(head, login, password)
        self._known = head.known

    def put(self, path: str, content: bytes) -> None:
        place = self._made(path, {"Upload-Length": str(len(content))})
        if content:
            self._tus("PATCH", place, {**PIECE, "Upload-Offset": "0"}, content)

    def cut(self, path: str, content: bytes) -> None:
        place = self._known[path] = self._made(path, {"Upload-Defer-Length": "1"})
        with self.house.wire() as tls:
            tls.sendall(self._head("PATCH", place, {**PIECE, "Upload-Offset": "0"}, len(content) + 1000) + content)
            with socket.socket(fileno=tls.detach()) as raw:
                raw.shutdown(socket.SHUT_WR)
                until(lambda: self._offset(place) > 0)

    def resume(self, path: str, content: bytes) -> None:
        place = self._known[path]
        at = self._offset(place)
        assert 0 < at < len(content)
        self._tus("PATCH", place, {**PIECE, "Upload-Offset": str(at), "Upload-Length": str(len(content))}, content[at:])

    def _made(self, path: str, headers: dict[str, str]) -> str:
        """Make an upload; return the path of its address."""
        folder, _, name = self.tree.real(path).rpartition("/")
        described = "filename " + base64.b64encode(name.encode()).decode()
        answer = self._tus("POST", "/tus" + quote(folder) + "/", {**headers, "Upload-Metadata": described})
        return urlsplit(answer["location"]).path

    def _offset(self, place: str) -> int:
        return int(self._tus("HEAD", place, {})["upload-offset"])

    def _head(self, method: str, target: str, headers: dict[str, str], length: int) -> bytes:
        named = {"Host": "localhost", "Tus-Resumable": "1.0.0", "Content-Length": str(length), **headers}
        lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {value}" for name, value in named.items())]
        return "\r\n".join([*lines, self.house.authorization(self.login, self.password), "", ""]).encode()

    def _tus(self, method: str, target: str, headers: dict[str, str], body: bytes = b"") -> dict[str, str]:
        """Ask, and return the headers of the answer."""
        with self.house.wire() as tls:
            tls.sendall(self._head(method, target, headers, len(body)))
            with contextlib.suppress(OSError):  # it has said no already
                tls.sendall(body)
            response = http.client.HTTPResponse(tls, method=method)
            response.begin()
            text = response.read().decode()
        assert response.headers["Tus-Resumable"] == "1.0.0"
        kinds = {401: "denied", 403: "denied", 404: "missing"}
        if response.status >= 400:
            raise HeadError(kinds.get(response.status, "refused"), f"{response.status} {text}")  # type: ignore[arg-type]
        return {name.lower(): value for name, value in response.headers.items()}


class _OverTheHouse(HeadCases):
    """What a tree in memory can be made to do, and a house cannot."""

    test_an_error_nobody_foresaw_tells_the_client_nothing = None


class TestSftp(_OverTheHouse):
    """SFTP. Customers take nothing back that has been received, so there is no remove."""

    lacks = frozenset({"remove"})

    @pytest.fixture
    def head(self, house: House) -> Iterator[RealHead]:
        head = RealHead(house, SftpClient)
        yield head
        head.close()


class TestHttps(_OverTheHouse):
    """HTTPS."""

    lacks = frozenset({"mkdir", "rename", "remove"})

    @pytest.fixture
    def head(self, house: House) -> Iterator[RealHead]:
        head = RealHead(house, HttpsClient)
        yield head
        head.close()


class TestTus(_OverTheHouse):
    """tus. It only sends: what would read alone is the same as by HTTPS, and left to it."""

    lacks = frozenset({"mkdir", "rename", "remove"})
    test_names_lists_a_directory = None
    test_dots_and_slashes_stay_within_the_tree = None
    test_get_of_what_is_not_there_is_missing = None
    test_a_wrong_password_and_an_unknown_login_look_alike = None
    test_withdrawn_access_ends_a_session = None

    @pytest.fixture
    def head(self, house: House) -> Iterator[RealHead]:
        head = RealHead(house, TusClient)
        yield head
        head.close()


class TestWebdav(_OverTheHouse):
    """WebDAV. Customers take nothing back that has been received, and parts of files are taken below `/files`."""

    lacks = frozenset({"remove", "resume"})

    @pytest.fixture
    def head(self, house: House) -> Iterator[RealHead]:
        head = RealHead(house, WebdavClient)
        yield head
        head.close()
