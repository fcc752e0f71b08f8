"""The real clients, run once each: how long it took by the clock, and whether it worked."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

LONGEST = 600.0
GCM = "aes256-gcm@openssh.com"


class ClientError(Exception):
    """A transfer failed; says what the client said."""


def timed(command: Sequence[str | Path], stdin: bytes = b"") -> tuple[float, bytes]:
    """Run *command*; return its seconds by the clock and its output.

    Raises:
        ClientError: it failed.
    """
    begun = time.perf_counter()
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=LONGEST, check=False)
    seconds = time.perf_counter() - begun
    if done.returncode:
        raise ClientError(f"{command[0]}: {done.stderr.decode(errors='replace')[-500:].strip()}")
    return seconds, done.stdout


def sftp(port: int, login: str, key: Path, batch: str, *, cipher: str | None) -> float:
    """Run OpenSSH's `sftp` over *batch*; return its seconds. Without *cipher*, client and server agree on theirs."""
    command: list[str | Path] = ["sftp", "-q", "-F", "none", "-o", "StrictHostKeyChecking=no"]
    command += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes"]
    command += ["-i", key, "-P", str(port)]
    if cipher is not None:
        command += ["-o", f"Ciphers={cipher}"]
    return timed([*command, "-b", "-", f"{login}@127.0.0.1"], batch.encode())[0]


def curl(*arguments: str | Path) -> float:
    """Run `curl`, believing any certificate; return its seconds."""
    return timed(["curl", "--silent", "--show-error", "--fail", "--insecure", "--http1.1", *arguments])[0]
