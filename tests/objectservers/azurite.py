"""The emulator of Azure's blobs, which is an npm package."""

from __future__ import annotations

import base64
import contextlib
import email.utils
import hashlib
import hmac
import os
import shutil
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING

from tests.objectservers.process import await_http, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The emulator's own, printed in Microsoft's documentation; it opens nothing else."""
HOME = Path(__file__).parents[2] / ".venv" / "azurite"
"""Where .ci/azurite installs it."""


def azurite_command() -> list[str] | None:
    """Return how to start it; None where it is not installed."""
    script = HOME / "node_modules/azurite/dist/src/blob/main.js"
    node = shutil.which("node") or shutil.which("nodejs")
    if node and script.is_file():
        return [node, str(script)]
    program = shutil.which("azurite-blob")
    return [program] if program else None


@contextlib.contextmanager
def running_azurite(directory: Path, command: list[str]) -> Iterator[str]:
    """Yield the URL of its account."""
    port, log = free_port(), directory / "azurite.log"
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent"]
    more = ["--skipApiVersionCheck", "--disableTelemetry"]
    with running([*command, *options, *more], log, {"HOME": os.fspath(directory)}) as process:
        await_http(port, process, log)
        yield f"http://127.0.0.1:{port}/{ACCOUNT}"


def make_container(url: str, name: str) -> None:
    """Make a container (Microsoft's documentation, "Authorize with Shared Key")."""
    date = email.utils.formatdate(usegmt=True)
    lines = f"x-ms-date:{date}\nx-ms-version:2021-08-06\n"
    text = "PUT" + "\n" * 12 + lines + f"/{ACCOUNT}/{ACCOUNT}/{name}\nrestype:container"
    signature = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    request = urllib.request.Request(
        f"{url}/{name}?restype=container",
        method="PUT",
        headers={
            "x-ms-date": date,
            "x-ms-version": "2021-08-06",
            "Authorization": f"SharedKey {ACCOUNT}:{signature}",
        },
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 201
