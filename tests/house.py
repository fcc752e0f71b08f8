"""A whole house for tests: a case system, a real `mft serve` with its processes, and the real clients that drive it."""

from __future__ import annotations

import base64
import contextlib
import datetime as dt
import hashlib
import json
import os
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any

import paramiko

from mft.audit import verify_trail
from mft.casesystem import CaseSystem, running_case_system
from mft.catalog.database import open_engine
from mft.config import load_config
from mft.credentials.load import load_credentials
from mft.signers import head_checker
from tests.casebook import LOGINS, PASSWORD, key_pair, records, write_configuration
from tests.contracts.head import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mft.audit import Verdict

MFT = [sys.executable, "-m", "mft"]
START_SECONDS = 60.0


class HouseError(AssertionError):
    """The house did not do what every test takes for granted; the end of its log is shown."""


class House:
    """An installation, its files, and its clients."""

    def __init__(self, directory: Path, system: CaseSystem, url: str, secret: bytes, overrides: dict[str, Any]) -> None:
        self.directory = directory
        self.system = system
        self.config = write_configuration(directory, url, secret, overrides)
        self.data = directory / "data"
        self.log = directory / "house.log"
        self.endpoints: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None
        self.ready = 200
        """What /readyz answers once it has started."""
        self.temporary = directory / "tmp"
        self.temporary.mkdir(exist_ok=True)
        self.key = directory / "id_ed25519"
        if not self.key.exists():
            key_pair().write_private_key(self.key)
            self.key.chmod(0o600)

    # -- the server ----------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start `mft serve` and wait until it answers; again where a killed one has not let go of the data yet."""
        limit = time.monotonic() + START_SECONDS
        while not self._try_start(limit):
            if time.monotonic() > limit:
                raise HouseError(f"the house does not start:\n{self.last_words()}")
            time.sleep(0.1)

    def _try_start(self, limit: float) -> bool:
        endpoints = self.data / "run" / "endpoints.json"
        endpoints.unlink(missing_ok=True)
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*MFT, "serve", "--config", str(self.config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=environment,
                cwd=Path(__file__).parents[1],
            )
        while time.monotonic() < limit:
            if self.process.poll() is not None:
                return False
            with contextlib.suppress(OSError, ValueError):
                self.endpoints = json.loads(endpoints.read_text())
                if self._is_ready():
                    return True
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        return False

    def _is_ready(self) -> bool:
        port = self.endpoints["operations"]["port"]
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
                return answer.status == self.ready
        except urllib.error.HTTPError as error:
            with error:
                return error.code == self.ready

    def stop(self) -> int:
        """End it by SIGTERM; return its exit status."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise HouseError(f"the house does not stop:\n{self.last_words()}") from None

    def kill(self) -> None:
        """Kill the supervisor with -9, and with it everything."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def last_words(self, lines: int = 60) -> str:
        """Return the end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def processes(self) -> dict[int, str]:
        """Return the processes below the supervisor by id, with the names that `ps` shows."""
        assert self.process is not None
        return _descendants(self.process.pid)

    # -- where it is ---------------------------------------------------------------------------------------------------

    def port(self, protocol: str, region: str = "eu") -> int:
        """Return the port of a listener."""
        return next(
            each["port"]
            for each in self.endpoints["listeners"]
            if (each["protocol"], each["region"]) == (protocol, region)
        )

    def url(self, path: str = "", region: str = "eu") -> str:
        """Return an address of the HTTPS head."""
        return f"https://127.0.0.1:{self.port('https', region)}{path}"

    # -- OpenSSH -------------------------------------------------------------------------------------------------------

    def sftp_command(self, login: str, region: str = "eu", *options: str) -> list[str]:
        """Return the command that runs OpenSSH's `sftp` on a batch from its standard input."""
        settings = {
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
            "GlobalKnownHostsFile": "/dev/null",
            "LogLevel": "ERROR",
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
        }
        words = [word for name, value in settings.items() for word in ("-o", f"{name}={value}")]
        port = str(self.port("sftp", region))
        return ["sftp", "-F", "/dev/null", *words, *options, "-P", port, "-b", "-", f"{login}@127.0.0.1"]

    def sftp(self, login: str, *lines: str, region: str = "eu") -> subprocess.CompletedProcess[str]:
        """Run OpenSSH's `sftp` on a batch; a line that begins with `-` may fail."""
        return subprocess.run(
            self.sftp_command(login, region),
            input="\n".join(lines) + "\n",
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )

    # -- curl ----------------------------------------------------------------------------------------------------------

    def curl_command(
        self, login: str, path: str, *arguments: str, region: str = "eu", password: str = PASSWORD
    ) -> list[str]:
        """Return a `curl` command that trusts the house's own certificate and shows the status at the end."""
        trust = ["--cacert", self.endpoints["certificate"]]
        port = self.port("https", region)
        return [
            "curl", "-sS", *trust, "--resolve", f"localhost:{port}:127.0.0.1", "--max-time", "80",
            "-w", "\n%{http_code}", "-u", f"{login}:{password}", *arguments, f"https://localhost:{port}{path}",
        ]  # fmt: skip

    def curl(self, login: str, path: str, *arguments: str, **options: Any) -> tuple[int, bytes]:
        """Run `curl`; return the status, 0 where there was no answer, and the body."""
        done = subprocess.run(
            self.curl_command(login, path, *arguments, **options), capture_output=True, timeout=90, check=False
        )
        body, _, status = done.stdout.rpartition(b"\n")
        return int(status), body

    # -- requests of our own -------------------------------------------------------------------------------------------

    def wire(self, region: str = "eu") -> ssl.SSLSocket:
        """Open a TLS connection to the HTTPS head, for what no polite client sends."""
        context = ssl.create_default_context(cafile=self.endpoints["certificate"])
        context.check_hostname = False
        raw = socket.create_connection(("127.0.0.1", self.port("https", region)), timeout=PATIENCE)
        return context.wrap_socket(raw)

    @staticmethod
    def authorization(login: str, password: str = PASSWORD) -> str:
        """Return the header that `curl -u` sends."""
        return "Authorization: Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()

    def paramiko(self, login: str, region: str = "eu") -> paramiko.SFTPClient:
        """Return a paramiko client; the caller closes its transport."""
        connection = socket.create_connection(("127.0.0.1", self.port("sftp", region)), timeout=PATIENCE)
        try:
            transport = paramiko.Transport(connection)
        except BaseException:
            connection.close()
            raise
        try:
            transport.banner_timeout = transport.auth_timeout = PATIENCE
            transport.connect(username=login, pkey=paramiko.Ed25519Key.from_private_key_file(str(self.key)))
            client = paramiko.SFTPClient.from_transport(transport)
            assert client is not None
            client.get_channel().settimeout(60)  # type: ignore[union-attr]
        except BaseException:
            transport.close()
            connection.close()
            raise
        return client

    @contextlib.contextmanager
    def client(self, login: str, region: str = "eu") -> Iterator[paramiko.SFTPClient]:
        """Give a paramiko client for a while."""
        client = self.paramiko(login, region)
        transport = client.get_channel().get_transport()
        try:
            yield client
        finally:
            client.close()
            transport.close()

    # -- what the catalog says -----------------------------------------------------------------------------------------

    def query(self, statement: str, *values: object) -> list[dict[str, Any]]:
        """Read the catalog."""
        connection = sqlite3.connect(f"file:{self.data / 'catalog.db'}?mode=ro", uri=True, timeout=20)
        try:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(statement, values)]
        finally:
            connection.close()

    def events(self, kind: str | None = None, **facts: object) -> list[dict[str, Any]]:
        """Return the audit's events, of one kind or all, that say *facts*; the oldest first."""
        found = [json.loads(row["body"]) for row in self.query("SELECT body FROM audit_event ORDER BY id")]
        return [
            event
            for event in found
            if kind in {None, event["kind"]} and all(event.get(name) == value for name, value in facts.items())
        ]

    def upload(self, upload_id: str) -> dict[str, Any]:
        """Return an upload's row."""
        return self.query("SELECT * FROM upload WHERE id = ?", upload_id)[0]

    def until(self, condition: Callable[[], Any], what: str = "it", seconds: float = 90.0) -> Any:
        """Return what *condition* returns, once that is true; fail with the log if it never is."""
        limit = time.monotonic() + seconds
        while True:
            found = condition()
            if found:
                return found
            if time.monotonic() > limit:
                raise HouseError(f"{what} did not come about:\n{self.last_words()}")
            time.sleep(0.1)

    def verify_audit(self) -> Verdict:
        """Check every chain of the audit, signatures included."""
        credentials = load_credentials(load_config(self.config, {}), now=dt.datetime.now(dt.UTC))
        engine = open_engine(self.data / "catalog.db", read_only=True)
        try:
            with engine.begin() as connection:
                return verify_trail(connection, head_checker(credentials.receipt_key.public_key()))
        finally:
            engine.dispose()

    def settled(self) -> bool:
        """Say whether nothing waits to be scrubbed or copied."""
        waiting = self.query(
            "SELECT count(*) AS n FROM upload WHERE state IN ('landed', 'scrubbing') AND zone != 'unfiled'"
        )[0]["n"]
        copies = self.query("SELECT count(*) AS n FROM replica WHERE state = 'wanted'")[0]["n"]
        return not waiting and not copies


def _descendants(root: int) -> dict[int, str]:
    parents: dict[int, list[tuple[int, str]]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                name, _, rest = (entry / "stat").read_text().partition("(")[2].rpartition(")")
                state, parent = rest.split()[:2]
                if state != "Z":
                    parents.setdefault(int(parent), []).append((int(entry.name), name))
    found: dict[int, str] = {}
    waiting = [root]
    while waiting:
        for pid, name in parents.get(waiting.pop(), []):
            found[pid] = name
            waiting.append(pid)
    return found


def close(client: paramiko.SFTPClient, file: paramiko.SFTPFile) -> None:
    """Close a file that was written, and raise what the server says to that: paramiko's own `close` keeps it quiet."""
    file.flush()
    client._request(paramiko.sftp.CMD_CLOSE, file.handle)
    file._closed = True


def digest(content: bytes) -> str:
    """Return the SHA-256 of *content*, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


@contextlib.contextmanager
def running_house(directory: Path, *, ready: bool = True, **overrides: Any) -> Iterator[House]:
    """Run a house in *directory*; *overrides* are laid over its configuration. What fails shows the end of the log.

    Without *ready* it is one that must say of itself that it is not.
    """
    with running_case_system(CaseSystem(records())) as running:
        house = House(directory, running.system, running.url, running.secret, overrides)
        house.ready = 200 if ready else 503
        house.start()
        try:
            yield house
        except BaseException:
            sys.stderr.write(f"--- the end of {house.log}\n{house.last_words()}\n")
            raise
        finally:
            if house.process is not None and house.process.poll() is None:
                house.stop()


__all__ = ["LOGINS", "PASSWORD", "House", "HouseError", "close", "digest", "running_house"]
