"""Files over SFTP, HTTPS and FTPS, in and out, by our server and its peers in turn."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bench import clients
from bench.apache import Apache
from bench.house import CASE, CUSTOMER, ENGINEER, SECRET, House, HouseError
from bench.nginx import Nginx
from bench.processes import await_rest, await_size, tree, tree_seconds
from bench.rounds import Comparison, Sample
from bench.sshd import OpenSsh, PeerError
from bench.vsftpd import Vsftpd

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from bench.room import Room

OURS = "mft"
UPLOADS = "to-support"
NAME = "sent.log"
CIPHERS = {"aes256-gcm": clients.GCM, "what both agree on": None}
INTAKE_SECONDS = 1800.0
TOGETHER = 8
"""Clients that transfer at the same time, each an eighth of the file."""
PART, WARM = "part.log", "first.log"
Report = dict[str, Any]
Peer = TypeVar("Peer", OpenSsh, Nginx, Vsftpd, Apache)


@dataclass(slots=True)
class Transfers:
    """All comparisons of one run."""

    room: Room
    rounds: int
    kinds: frozenset[str]
    say: Callable[[str], None]
    comparisons: dict[str, Comparison] = field(default_factory=dict)
    notes: Report = field(default_factory=dict)
    nginx: Nginx | None = None
    apache: Apache | None = None
    openssh: OpenSsh | None = None
    vsftpd: Vsftpd | None = None
    _part: Path = field(init=False)
    """An eighth of the file, for several clients at a time."""
    _part_intake: Report = field(init=False)

    def run(self) -> None:
        """Measure downloads, then uploads."""
        with contextlib.ExitStack() as stack:
            if "sftp" in self.kinds:
                self.openssh = self._open(stack, "openssh", lambda: OpenSsh(self.room))
            with self._house() as house:
                self.notes["start_seconds"] = house.start_seconds
                certificate, key = self._keep_certificate(house)
                if "https" in self.kinds:
                    self.nginx = self._open(stack, "nginx", lambda: Nginx(self.room, certificate, key))
                if "ftps" in self.kinds:
                    self.vsftpd = self._open(stack, "vsftpd", lambda: Vsftpd(self.room, certificate, key))
                if "webdav" in self.kinds:
                    self.apache = self._open(stack, "apache", lambda: Apache(self.room, certificate, key))
                self.notes["intake"] = self._deposit(house, self.room.source, NAME)
                if "sftp" in self.kinds:
                    self._part = self._make_part()
                    self._part_intake = self._deposit(house, self._part, PART)
                for turn in range(self.rounds):
                    self.say(f"downloads, round {turn + 1} of {self.rounds}")
                    self._download(house, check=turn == 0)
                    if "sftp" in self.kinds:
                        self._download_together(house, check=turn == 0)
                    if "ftps" in self.kinds:
                        self._download_by_ftps(house, check=turn == 0)
            for turn in range(self.rounds):
                self.say(f"uploads, round {turn + 1} of {self.rounds}")
                self._upload_all()

    def _upload_all(self) -> None:
        for number in range(len(self._ciphers())):
            self._upload_by_sftp(number)
        if "sftp" in self.kinds:
            self._upload_together()
        others = {"https": self._upload_by_https, "ftps": self._upload_by_ftps, "webdav": self._upload_by_webdav}
        for kind, upload in others.items():
            if kind in self.kinds:
                upload()

    # -- what is measured ------------------------------------------------------------------------------------------

    def _download(self, house: House, *, check: bool) -> None:
        received = self.room.path / "received"
        size = house_size = int(self.notes["intake"]["scrubbed_bytes"])
        for label, cipher in self._ciphers():
            comparison = self._comparison(f"SFTP down, {label}", house_size)
            if self.openssh is not None:
                batch = f"get {self.room.source} {received}\n"
                self._sftp(comparison, self.openssh, self.openssh.login, batch, cipher)
                received.unlink()
            batch = f"get /Bench/{CASE}/{UPLOADS}/{NAME} {received}\n"
            self._sftp(comparison, house, ENGINEER, batch, cipher)
            self._check_received(received, check=check)
        if "webdav" in self.kinds:
            self._download_by_webdav(house, received, check=check)
        if "https" not in self.kinds:
            return
        comparison = self._comparison("HTTPS down", size)
        if self.nginx is not None:
            url = f"https://127.0.0.1:{self.nginx.port}/{NAME}"
            (self.nginx.files / NAME).unlink(missing_ok=True)
            os.link(self.room.source, self.nginx.files / NAME)
            self._curl(comparison, self.nginx, ["--output", received, url], ["--range", "0-0", url])
            received.unlink()
        root = f"https://127.0.0.1:{house.port('https')}"
        login: list[str | Path] = ["--user", f"{ENGINEER}:{SECRET}"]
        url = f"{root}/files/Bench/{CASE}/{UPLOADS}/{NAME}"
        self._curl(comparison, house, [*login, "--output", received, url], [*login, "--range", "0-0", url])
        self._check_received(received, check=check)

    def _download_by_ftps(self, house: House, *, check: bool) -> None:
        received = self.room.path / "received"
        comparison = self._comparison("FTPS down", int(self.notes["intake"]["scrubbed_bytes"]))
        if self.vsftpd is not None:
            (self.vsftpd.files / NAME).unlink(missing_ok=True)
            os.link(self.room.source, self.vsftpd.files / NAME)
            root = f"ftp://127.0.0.1:{self.vsftpd.port}"
            self._ftps(comparison, self.vsftpd, ["--output", received, f"{root}/{NAME}"], ["--list-only", f"{root}/"])
            received.unlink()
        root = f"ftp://127.0.0.1:{house.port('ftps')}"
        login: list[str | Path] = ["--user", f"{ENGINEER}:{SECRET}"]
        path = f"{root}/Bench/{CASE}/{UPLOADS}/"
        self._ftps(comparison, house, [*login, "--output", received, path + NAME], [*login, "--list-only", path])
        self._check_received(received, check=check)

    def _download_by_webdav(self, house: House, received: Path, *, check: bool) -> None:
        comparison = self._comparison("WebDAV down", int(self.notes["intake"]["scrubbed_bytes"]))
        if self.apache is not None:
            url = f"https://127.0.0.1:{self.apache.port}/{NAME}"
            (self.apache.files / NAME).unlink(missing_ok=True)
            os.link(self.room.source, self.apache.files / NAME)
            (self.apache.files / NAME).chmod(0o644)
            self._curl(comparison, self.apache, ["--output", received, url], ["--range", "0-0", url])
            received.unlink()
        root = f"https://127.0.0.1:{house.port('https')}"
        login: list[str | Path] = ["--user", f"{ENGINEER}:{SECRET}"]
        url = f"{root}/dav/Bench/{CASE}/{UPLOADS}/{NAME}"
        self._curl(comparison, house, [*login, "--output", received, url], [*login, "--range", "0-0", url])
        self._check_received(received, check=check)

    # One upload to a server just started: else the scrubbing of the last one would run beside the next.

    def _upload_by_sftp(self, number: int) -> None:
        label, cipher = self._ciphers()[number]
        comparison = self._comparison(f"SFTP up, {label}", self.room.size)
        if self.openssh is not None:
            target = self.openssh.directory / "sent"
            self._sftp(comparison, self.openssh, self.openssh.login, f"put {self.room.source} {target}\n", cipher)
            target.unlink()
        with self._house() as house:
            self._sftp(comparison, house, CUSTOMER, f"put {self.room.source} /{CASE}/{UPLOADS}/{NAME}\n", cipher)

    def _sample(self) -> Path:
        sample = self.room.path / WARM
        if not sample.exists():
            with self.room.source.open("rb") as source:
                sample.write_bytes(source.read(1 << 20))
        return sample

    def _make_part(self) -> Path:
        part = self.room.path / PART
        with self.room.source.open("rb") as source, part.open("wb") as target:
            left = self.room.size // TOGETHER
            while left and (piece := source.read(min(left, 1 << 20))):
                target.write(piece)
                left -= len(piece)
        return part

    def _download_together(self, house: House, *, check: bool) -> None:
        received = [self.room.path / f"received{number}" for number in range(TOGETHER)]
        size = int(self._part_intake["scrubbed_bytes"]) * TOGETHER
        comparison = self._comparison(f"SFTP down, {TOGETHER} clients together", size)
        if self.openssh is not None:
            batches = [f"get {self._part} {each}\n" for each in received]
            self._sftp_together(comparison, self.openssh, self.openssh.login, batches)
            for each in received:
                each.unlink()
        batches = [f"get /Bench/{CASE}/{UPLOADS}/{PART} {each}\n" for each in received]
        self._sftp_together(comparison, house, ENGINEER, batches)
        for each in received:
            self._check_received(each, check=check, intake=self._part_intake)

    def _upload_together(self) -> None:
        comparison = self._comparison(f"SFTP up, {TOGETHER} clients together", self._part.stat().st_size * TOGETHER)
        if self.openssh is not None:
            targets = [self.openssh.directory / f"sent{number}" for number in range(TOGETHER)]
            batches = [f"put {self._part} {target}\n" for target in targets]
            self._sftp_together(comparison, self.openssh, self.openssh.login, batches)
            for target in targets:
                target.unlink()
        with self._house() as house:
            batches = [f"put {self._part} /{CASE}/{UPLOADS}/{number}-{NAME}\n" for number in range(TOGETHER)]
            self._sftp_together(comparison, house, CUSTOMER, batches)

    def _upload_by_https(self) -> None:
        comparison = self._comparison("HTTPS up", self.room.size)
        if self.nginx is not None and self.nginx.takes_files:
            root = f"https://127.0.0.1:{self.nginx.port}"
            (self.nginx.files / "probe").write_bytes(b"x")
            command: list[str | Path] = ["--upload-file", self.room.source, f"{root}/sent"]
            self._curl(comparison, self.nginx, command, ["--output", "/dev/null", f"{root}/probe"])
            (self.nginx.files / "sent").unlink()
        elif self.nginx is not None:
            comparison.absent["nginx"] = "this nginx was built without its WebDAV module"
        login: list[str | Path] = ["--user", f"{CUSTOMER}:{SECRET}", "--output", "/dev/null"]
        with self._house() as house:
            root = f"https://127.0.0.1:{house.port('https')}"
            command = [*login, "--upload-file", self.room.source, f"{root}/cases/{CASE}/{NAME}"]
            self._curl(comparison, house, command, [*login, f"{root}/files/"])

    def _upload_by_ftps(self) -> None:
        comparison = self._comparison("FTPS up", self.room.size)
        if self.vsftpd is not None:
            root = f"ftp://127.0.0.1:{self.vsftpd.port}"
            self._ftps(
                comparison,
                self.vsftpd,
                ["--upload-file", self.room.source, f"{root}/sent"],
                ["--list-only", f"{root}/"],
            )
            (self.vsftpd.files / "sent").unlink()
        login: list[str | Path] = ["--user", f"{CUSTOMER}:{SECRET}"]
        with self._house() as house:
            path = f"ftp://127.0.0.1:{house.port('ftps')}/{CASE}/{UPLOADS}/"
            command = [*login, "--upload-file", self.room.source, path + NAME]
            self._ftps(comparison, house, command, [*login, "--list-only", path])

    def _upload_by_webdav(self) -> None:
        comparison = self._comparison("WebDAV up", self.room.size)
        if self.apache is not None:
            root = f"https://127.0.0.1:{self.apache.port}"
            command: list[str | Path] = ["--upload-file", self.room.source, f"{root}/sent"]
            (self.apache.files / "probe").write_bytes(b"x")
            self._curl(comparison, self.apache, command, ["--output", "/dev/null", f"{root}/probe"])
            (self.apache.files / "sent").unlink()
        login: list[str | Path] = ["--user", f"{CUSTOMER}:{SECRET}", "--output", "/dev/null"]
        with self._house() as house:
            root = f"https://127.0.0.1:{house.port('https')}"
            command = [*login, "--upload-file", self.room.source, f"{root}/dav/{CASE}/{UPLOADS}/{NAME}"]
            self._curl(comparison, house, command, [*login, f"{root}/dav/"])

    def _ciphers(self) -> list[tuple[str, str | None]]:
        return list(CIPHERS.items()) if "sftp" in self.kinds else []

    def _sftp(
        self, comparison: Comparison, server: House | OpenSsh, login: str, batch: str, cipher: str | None
    ) -> None:
        port = server.port("sftp") if isinstance(server, House) else server.port

        def session(commands: str) -> float:
            return clients.sftp(port, login, self.room.key, commands, cipher=cipher)

        self._measure(comparison, server, lambda: session("pwd\n"), lambda: session(batch))

    def _sftp_together(
        self, comparison: Comparison, server: House | OpenSsh, login: str, batches: Sequence[str]
    ) -> None:
        """Run a client for each of *batches* at the same time."""
        port = server.port("sftp") if isinstance(server, House) else server.port

        def sessions(each: Sequence[str]) -> float:
            begun = time.perf_counter()
            with ThreadPoolExecutor(len(each)) as pool:
                for _ in pool.map(
                    lambda batch: clients.sftp(port, login, self.room.key, batch, cipher=clients.GCM), each
                ):
                    pass
            return time.perf_counter() - begun

        self._measure(comparison, server, lambda: sessions(["pwd\n"] * len(batches)), lambda: sessions(batches))

    def _curl(
        self, comparison: Comparison, server: House | Nginx | Apache, command: list[str | Path], probe: list[str | Path]
    ) -> None:
        self._measure(
            comparison,
            server,
            lambda: clients.curl("--output", "/dev/null", *probe),
            lambda: clients.curl(*command),
        )

    def _ftps(
        self, comparison: Comparison, server: House | Vsftpd, command: list[str | Path], probe: list[str | Path]
    ) -> None:
        self._measure(
            comparison,
            server,
            lambda: clients.curl("--ssl-reqd", "--output", "/dev/null", *probe),
            lambda: clients.curl("--ssl-reqd", *command),
        )

    def _measure(
        self,
        comparison: Comparison,
        server: House | OpenSsh | Nginx | Vsftpd | Apache,
        probe: Callable[[], float],
        transfer: Callable[[], float],
    ) -> None:
        probe()
        setup = probe()
        count = len(tree(server.pid))
        self.room.warm()
        roles = server.roles() if isinstance(server, House) else {}
        before, each_before = tree_seconds(server.pid), {name: tree_seconds(pid) for name, pid in roles.items()}
        seconds = transfer()
        if not isinstance(server, House):  # ours forks nothing for a session, and goes on with scrubbing at once
            await_size(server.pid, count)
        used = tree_seconds(server.pid) - before
        by_role = {name: round(tree_seconds(pid) - each_before[name], 2) for name, pid in roles.items()}
        name = OURS if isinstance(server, House) else server.name
        comparison.add(name, Sample(seconds=seconds, setup=setup, processor=used, by_role=by_role))

    # -- what it needs ---------------------------------------------------------------------------------------------

    def _comparison(self, title: str, size: int) -> Comparison:
        return self.comparisons.setdefault(title, Comparison(title=title, size=size))

    def _open(self, stack: contextlib.ExitStack, name: str, make: Callable[[], Peer]) -> Peer | None:
        try:
            return stack.enter_context(make())
        except PeerError as error:
            self.notes.setdefault("absent", {})[name] = str(error)
            return None

    @contextlib.contextmanager
    def _house(self) -> Iterator[House]:
        house = House(self.room.path / "house", self.room.public_key)
        try:
            with house:
                # The first session and the first upload pay for what later ones find done, statements of SQL above all;
                # they also show that all roles run.
                for login in (CUSTOMER, ENGINEER):
                    clients.sftp(house.port("sftp"), login, self.room.key, "pwd\n", cipher=None)
                self._deposit(house, self._sample(), WARM)
                await_rest(house.pid)
                yield house
        except clients.ClientError as error:
            raise HouseError(f"{error}; its log ends: {house.last_words()}") from error
        finally:
            house.remove()

    def _keep_certificate(self, house: House) -> tuple[Path, Path]:
        kept = self.room.make("certificate")
        for name in ("tls.crt", "tls.key"):
            shutil.copyfile(house.directory / "data" / "credentials" / name, kept / name)
        return kept / "tls.crt", kept / "tls.key"

    def _deposit(self, house: House, source: Path, name: str) -> Report:
        """Send *source*, which downloads then read as *name*, and wait until it is scrubbed and stored."""
        if name == NAME:
            self.say("sending the file that is read, and scrubbing it")
        batch = f"put {source} /{CASE}/{UPLOADS}/{name}\n"
        clients.sftp(house.port("sftp"), CUSTOMER, self.room.key, batch, cipher=clients.GCM)
        before, begun = tree_seconds(house.pid), time.monotonic()
        url = f"https://127.0.0.1:{house.port('https')}/files/{CASE}/.meta/{name}.status.json"
        status: Report = {}
        while "finished_at" not in status:
            if time.monotonic() - begun > INTAKE_SECONDS:
                raise HouseError(f"the deposit was not done after {INTAKE_SECONDS} s: {status}")
            time.sleep(0.2)
            answer = clients.timed(["curl", "-sSfk", "--user", f"{CUSTOMER}:{SECRET}", url])[1]
            status = json.loads(answer)
        seconds = time.monotonic() - begun
        if "scrubbed" not in status:
            raise HouseError(f"the deposit was not stored: {status}")
        if status["sent"]["sha256"] != self._digest(source):
            raise HouseError("what landed is not what was sent")
        return {
            "seconds": seconds,
            "mb_per_second": source.stat().st_size / seconds / 1e6,
            "processor_seconds": tree_seconds(house.pid) - before,
            "state": status["state"],
            "scrubbed_bytes": status["scrubbed"]["size"],
            "scrubbed_sha256": status["scrubbed"]["sha256"],
        }

    def _check_received(self, received: Path, *, check: bool, intake: Report | None = None) -> None:
        wanted = self.notes["intake"] if intake is None else intake
        if received.stat().st_size != wanted["scrubbed_bytes"] or (
            check and self._digest(received) != wanted["scrubbed_sha256"]
        ):
            raise HouseError("what was received is not what was stored")
        received.unlink()

    @staticmethod
    def _digest(path: Path) -> str:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
