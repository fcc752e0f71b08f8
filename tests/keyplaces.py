"""Places for keys that tests use: SoftHSM's tokens, and moto's AWS KMS."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

SOFTHSM = next(
    (
        path
        for path in map(Path, ("/usr/lib/softhsm/libsofthsm2.so", "/usr/lib64/softhsm/libsofthsm.so"))
        if path.exists()
    ),
    None,
)
needs_softhsm = pytest.mark.skipif(
    SOFTHSM is None or shutil.which("softhsm2-util") is None, reason="SoftHSM (the package softhsm2) is not installed"
)
PIN = "5678"
_TOKENS: list[Path] = []


def softhsm_directory() -> Path:
    """Return where this process's SoftHSM keeps its tokens: one directory, as the library reads it once."""
    if not _TOKENS:
        directory = Path(tempfile.mkdtemp(prefix="softhsm-"))
        (directory / "tokens").mkdir()
        (directory / "softhsm.conf").write_text(f"directories.tokendir = {directory}/tokens\nlog.level = ERROR\n")
        os.environ["SOFTHSM2_CONF"] = str(directory / "softhsm.conf")
        _TOKENS.append(directory)
    return _TOKENS[0]


def make_token(label: str) -> None:
    """Make a token of that label."""
    softhsm_directory()
    subprocess.run(
        ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "12345678", "--pin", PIN],
        check=True,
        capture_output=True,
    )


@contextlib.contextmanager
def running_kms() -> Iterator[str]:
    """Serve moto's KMS on a free port of this machine; yield its address."""
    from moto.server import ThreadedMotoServer

    names = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def kms_client(url: str) -> Any:
    """Return a client of that KMS, as its administrator has one."""
    from botocore.session import Session

    return Session().create_client("kms", region_name="eu-central-1", endpoint_url=url)


def ask_kms(url: str, verb: str, **arguments: object) -> Any:
    """Do one thing as its administrator."""
    client = kms_client(url)
    try:
        return getattr(client, verb)(**arguments)
    finally:
        client.close()


def make_kms_key(url: str) -> str:
    """Make a key and return its ARN."""
    return str(ask_kms(url, "create_key", Description="mft")["KeyMetadata"]["Arn"])
