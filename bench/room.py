"""The directory in memory in which everything is measured, with the file that is sent and the key that logs in."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

from bench.text import sparse_log

PIECE = 1 << 20


class Room:
    """A directory that is gone afterwards."""

    def __init__(self, where: Path, size: int) -> None:
        """Make it below *where*, with a file of *size* bytes of a plain log."""
        self.path = Path(tempfile.mkdtemp(prefix="mft-bench-", dir=where))
        self.size = size
        self.source = self.path / "source.log"
        self.key = self.path / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bench", "-f", self.key], check=True)
        self.public_key = self.key.with_suffix(".pub").read_text().strip()
        piece = sparse_log(PIECE)
        with self.source.open("wb") as file:
            for start in range(0, size, PIECE):
                file.write(piece[: size - start])

    def make(self, name: str) -> Path:
        """Make a directory in it."""
        path = self.path / name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def warm(self) -> None:
        """Have the system hold memory for one more copy of the file.

        A virtual machine gives free memory back to its host, and touching it again then costs three times as much as
        writing to it. Whoever is measured shortly after another found it at hand, and whoever is started first did not.
        """
        spare = self.path / "spare"
        piece = bytes(PIECE)
        with spare.open("wb", buffering=0) as file:
            for _ in range(0, self.size + self.size // 8, PIECE):
                file.write(piece)
        spare.unlink()

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove it."""
        shutil.rmtree(self.path, ignore_errors=True)
