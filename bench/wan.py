"""`mft put` and `mft get` over a long way, against one stream of OpenSSH's sftp over the same way.

Two network namespaces, and between them `wan.c`: 100 ms there and back, lost packets, 1 Gbit/s. Both sides have the
same congestion control, and the report names it. Needs root, /dev/net/tun and a compiler.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import json
import os
import shutil
import ssl
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.house import CASE, CUSTOMER, SECRET, House
from bench.processes import end
from bench.sshd import SFTP_SERVERS, PeerError, program

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from bench.room import Room

FAR, NEAR = "mft-far", "mft-near"
FAR_ADDRESS, NEAR_ADDRESS = "10.99.0.1", "10.99.0.2"
DELAY_MS, RATE_MBIT, QUEUE_MS = 50, 1000, 100
LOSSES = (0.1, 1.0)
_SSH_PORT = 2299
_PATIENCE = 240.0


def in_space(space: str, *command: str) -> list[str]:
    """Return a command that runs in a network namespace."""
    return ["ip", "netns", "exec", space, *command]


@contextlib.contextmanager
def long_way(directory: Path, loss: float) -> Iterator[None]:
    """Have the two namespaces joined for a while; *loss* is the share of lost packets, percent.

    Raises:
        PeerError: not here: no root, no tun device, no compiler.
    """
    if os.geteuid() != 0 or not Path("/dev/net/tun").exists():
        raise PeerError("needs root and /dev/net/tun")
    binary = directory / "wan"
    if not binary.exists():
        compiler = program("cc", "gcc")
        subprocess.run(
            [compiler, "-O2", "-pthread", "-o", str(binary), str(Path(__file__).with_name("wan.c"))], check=True
        )
    for space in (FAR, NEAR):
        subprocess.run(["ip", "netns", "add", space], check=True)
    process: subprocess.Popen[str] | None = None
    try:
        numbers = [str(each) for each in (DELAY_MS, loss, RATE_MBIT, QUEUE_MS)]
        process = subprocess.Popen(
            [str(binary), FAR, FAR_ADDRESS, NEAR, NEAR_ADDRESS, *numbers], stdout=subprocess.PIPE, text=True
        )
        if process.stdout is None or process.stdout.readline().strip() != "ready":
            raise PeerError("the way could not be made")
        yield
    finally:
        if process is not None:
            process.kill()
            process.wait()
        for space in (FAR, NEAR):
            subprocess.run(["ip", "netns", "del", space], check=False)


def choose_control() -> str:
    """Have both sides send by BBR where the kernel has it; return what they send by."""
    for space in (FAR, NEAR):
        subprocess.run(
            in_space(space, "sysctl", "-qw", "net.ipv4.tcp_congestion_control=bbr"), check=False, capture_output=True
        )
    told = subprocess.run(
        in_space(NEAR, "sysctl", "-n", "net.ipv4.tcp_congestion_control"), capture_output=True, text=True, check=True
    )
    return told.stdout.strip()


class FarHouse(House):
    """Our server at the far end."""

    def _configure(self, public_key: str) -> None:
        super()._configure(public_key)
        file = self.directory / "mft.yaml"
        config = json.loads(file.read_text())
        for listener in config["listeners"]:
            listener["address"] = FAR_ADDRESS
        file.write_text(json.dumps(config, indent=2))

    @property
    def command(self) -> list[str]:
        """As ever, in its namespace."""
        return in_space(FAR, *super().command)

    def ask(self, room: Path, *words: str, login: str = CUSTOMER) -> float:
        """Run `mft put` or `mft get` at the near end, and return its seconds."""
        pem = Path(self.endpoints["certificate"]).read_text()
        fingerprint = hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()
        environment = {**os.environ, "MFT_PASSWORD": SECRET, "XDG_STATE_HOME": str(room / "state")}
        command, *rest = words
        begun = time.monotonic()
        subprocess.run(
            in_space(
                NEAR, sys.executable, "-m", "mft", command, "-q", "-u", login, "--fingerprint", fingerprint, *rest
            ),
            env=environment,
            check=True,
            timeout=_PATIENCE,
        )
        return time.monotonic() - begun

    @property
    def url(self) -> str:
        """Where it listens."""
        port = next(each["port"] for each in self.endpoints["listeners"] if each["protocol"] == "https")
        return f"https://{FAR_ADDRESS}:{port}"


@contextlib.contextmanager
def far_sshd(room: Room) -> Iterator[Callable[..., float]]:
    """Run OpenSSH at the far end; yield what runs `sftp` at the near end with one line, and returns its seconds."""
    directory = room.make("wan-openssh")
    key, config, log = directory / "host_key", directory / "sshd_config", directory / "log"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    server = next((path for path in SFTP_SERVERS if Path(path).exists()), None)
    if server is None:
        raise PeerError("sftp-server is not installed (package openssh-sftp-server)")
    allowed = directory / "authorized_keys"
    allowed.write_text(room.public_key + "\n")
    lines = (
        f"ListenAddress {FAR_ADDRESS}:{_SSH_PORT}", f"HostKey {key}", f"AuthorizedKeysFile {allowed}",
        "StrictModes no", "UsePAM no", "PidFile none", f"Subsystem sftp {server}", "PermitRootLogin yes",
    )  # fmt: skip
    config.write_text("\n".join(lines) + "\n")
    Path("/run/sshd").mkdir(exist_ok=True)
    with log.open("wb") as file:
        process = subprocess.Popen(
            in_space(FAR, program("sshd", "openssh-server"), "-D", "-e", "-f", str(config)), stdout=file, stderr=file
        )

    def sftp(line: str) -> float:
        options = (
            "-oStrictHostKeyChecking=no", f"-oUserKnownHostsFile={directory / 'known'}", "-oBatchMode=yes",
            "-oLogLevel=ERROR", f"-oIdentityFile={room.key}", "-oIdentitiesOnly=yes", f"-P{_SSH_PORT}", "-b-", "-q",
        )  # fmt: skip
        begun = time.monotonic()
        subprocess.run(
            in_space(NEAR, "sftp", *options, f"{getpass.getuser()}@{FAR_ADDRESS}"),
            input=line + "\n",
            text=True,
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
        return time.monotonic() - begun

    try:
        time.sleep(0.5)
        yield sftp
    finally:
        end(process)


def measure_wan(room: Room, rounds: int, say: Callable[[str], None], *, size: int) -> dict[str, Any]:
    """Return Mbit/s by loss, way and program; of `sftp` a file of an eighth, whose rate does not depend on its size.

    What a session costs is measured by an empty file and taken off for the net figures, of both alike.
    """
    directory = room.make("wan")
    large, small, empty = directory / "large", directory / "small", directory / "empty"
    empty.touch()
    large.write_bytes(os.urandom(size))
    small.write_bytes(large.read_bytes()[: size // 8])
    report: dict[str, Any] = {"round_trip_ms": 2 * DELAY_MS, "rate_mbit": RATE_MBIT, "bytes": size, "rows": []}
    for loss in LOSSES:
        with long_way(directory, loss), far_sshd(room) as sftp:
            report["control"] = choose_control()
            shutil.rmtree(directory / "state", ignore_errors=True)
            with FarHouse(directory / "house", room.public_key) as house:
                seconds = _take_turns(directory, house, sftp, rounds, loss, say)
        for way in ("put", "get"):
            row: dict[str, Any] = {"loss": loss, "way": way, "runs": rounds}
            for who, prefix, amount in (("", "", size), ("sftp_", "sftp ", small.stat().st_size)):
                whole = statistics.median(seconds[f"{prefix}{way}"])
                session = min(seconds[f"{prefix}{way} of nothing"])
                row[f"{who}mbit"] = amount * 8 / 1e6 / whole
                row[f"{who}net_mbit"] = amount * 8 / 1e6 / max(whole - session, 0.01)
                row[f"{who}session"] = session
            row["ratio"] = row["mbit"] / row["sftp_mbit"]
            row["net"] = row["net_mbit"] / row["sftp_net_mbit"]
            report["rows"].append(row)
    return report


def _take_turns(
    directory: Path,
    house: FarHouse,
    sftp: Callable[[str], float],
    rounds: int,
    loss: float,
    say: Callable[[str], None],
) -> dict[str, list[float]]:
    """Have both programs send and fetch in turns; return their seconds."""
    seconds: dict[str, list[float]] = {}

    def note(what: str, passed: float) -> None:
        seconds.setdefault(what, []).append(passed)

    for number in range(rounds):
        say(f"a long way, {loss} % lost, round {number + 1} of {rounds}")
        for kind, ours, theirs in ((" of nothing", "empty", "empty"), ("", "large", "small")):
            name = f"{number}-{ours}.bin"
            source = f"{house.url}/files/{CASE}/to-support/{name}"
            target = f"{house.url}/cases/{CASE}/{name}"
            back = directory / "back"
            note(f"sftp put{kind}", sftp(f"put {directory / theirs} {directory / 'there'}"))
            note(f"put{kind}", house.ask(directory, "put", str(directory / ours), target))
            note(f"sftp get{kind}", sftp(f"get {directory / theirs} {directory / 'here'}"))
            note(f"get{kind}", house.ask(directory, "get", source, str(back)))
            back.unlink()
    return seconds


def wan_lines(report: dict[str, Any]) -> list[str]:
    """Return the lines of the table."""
    head = "{round_trip_ms} ms there and back, {rate_mbit} Mbit/s, {control} on both sides, {size:.0f} MiB; Mbit/s"
    lines = [head.format(**report, size=report["bytes"] / 2**20)]
    lines += [f"  {'lost':>6} {'':<4} {'mft':>7} {'sftp x1':>8} {'ratio':>6} {'mft net':>8} {'sftp net':>9} {'net':>6}"]
    lines += [
        f"  {row['loss']:>4} % {row['way']:<4} {row['mbit']:>7.0f} {row['sftp_mbit']:>8.0f} {row['ratio']:>6.1f}"
        f" {row['net_mbit']:>8.0f} {row['sftp_net_mbit']:>9.0f} {row['net']:>6.1f}"
        for row in report["rows"]
    ]
    return lines
