"""On what it was measured."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import subprocess
from pathlib import Path

LIBRARIES = ("asyncssh", "aiohttp", "cryptography")


def describe_machine() -> dict[str, object]:
    """Return the machine, its load and the versions of what is measured."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in LIBRARIES},
        "openssh": _version("ssh", "-V"),
        "nginx": _version("nginx", "-v"),
        "apache": _version("apache2", "-v"),
        "curl": _version("curl", "--version"),
        "openssl": _version("openssl", "version"),
    }


def _processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found.group(1) if found else platform.machine()


def _version(*command: str) -> str | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": path})
    except (OSError, subprocess.CalledProcessError):
        return None
    return (done.stdout or done.stderr).splitlines()[0].split(" (")[0].strip()
