"""An emulator of S3, as a process of its own."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import boto3

from tests.objectservers.process import await_http, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

ACCESS, SECRET = "test", "test-secret"


@contextlib.contextmanager
def running_moto(directory: Path) -> Iterator[str]:
    """Yield the URL of an emulator that checks no signature."""
    port, log = free_port(), directory / "moto.log"
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with running(command, log) as process:
        await_http(port, process, log)
        yield f"http://127.0.0.1:{port}"


def s3_client(url: str) -> Any:
    """Return somebody else's client of an S3 server."""
    return boto3.client(
        "s3", endpoint_url=url, aws_access_key_id=ACCESS, aws_secret_access_key=SECRET, region_name="us-east-1"
    )
