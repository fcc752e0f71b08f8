"""Run the scrubber over a tree: by its function, or by the command that a user has."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from scrubber.engine import scrub
from scrubber.pseudonym import Pseudonymizer

if TYPE_CHECKING:
    from tests.scrubber.truth.tree import Tree

KEY = bytes(range(32))


class Bytes:
    """An upload that lies in memory."""

    def __init__(self, data: bytes) -> None:
        """Hold *data*."""
        self._data = data

    @property
    def size(self) -> int:
        """Bytes in all."""
        return len(self._data)

    def read(self, offset: int, n: int) -> bytes:
        """Return up to *n* bytes at *offset*."""
        return self._data[offset : offset + n]


def scrub_bytes(data: bytes, name: str) -> bytes | None:
    """Scrub one file alone; None where it is quarantined."""
    out: list[bytes] = []
    report = scrub(Bytes(data), lambda piece: out.append(bytes(piece)), pseudonyms=Pseudonymizer(KEY), name=name)
    return b"".join(out) if report.scannable else None


def scrub_each(tree: Tree) -> dict[str, bytes | None]:
    """Scrub each file alone: nothing learned in one is known in another."""
    return {path: scrub_bytes(node.data, path.rpartition("/")[2]) for path, node in tree.files.items()}


def write_tree(tree: Tree, folder: Path) -> None:
    """Lay *tree* down under *folder*."""
    for path, node in tree.files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(node.data)


def scrub_folder(source: Path, target: Path, key: Path, *more: str) -> str:
    """Run `mft scrub SRC DST` as a user does; return what it said.

    Raises:
        RuntimeError: it neither scrubbed nor quarantined.
    """
    if not key.exists():
        key.write_bytes(KEY)
        key.chmod(0o600)
    command = [
        str(Path(sys.executable).with_name("mft")),
        "scrub",
        str(source),
        str(target),
        "--key-file",
        str(key),
        *more,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    if not target.exists():
        raise RuntimeError(f"mft scrub gave {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout + done.stderr


def collect(tree: Tree, target: Path) -> dict[str, bytes | None]:
    """Read back what *target* holds of *tree*.

    A file's name may have been scrubbed as well: the files of a folder are matched by order where a name is gone.
    """
    listed = target / "quarantine.json"
    held = json.dumps(json.loads(listed.read_text())) if listed.exists() else ""
    left = {path for path in tree.files if (target / path).is_file()}
    outputs: dict[str, bytes | None] = {path: (target / path).read_bytes() for path in left}
    renamed = sorted(
        str(file.relative_to(target)) for file in target.rglob("*")
        if file.is_file() and str(file.relative_to(target)) not in left and file.name != "quarantine.json"
    )  # fmt: skip
    for path in sorted(set(tree.files) - left):
        twin = next((name for name in renamed if _same_shape(path, name)), None)
        if twin is not None and path not in held:
            renamed.remove(twin)
            outputs[path] = (target / twin).read_bytes()
        else:
            outputs[path] = None
    return outputs


def _same_shape(path: str, other: str) -> bool:
    mine, theirs = path.split("/"), other.split("/")
    return (
        len(mine) == len(theirs)
        and sum(a != b for a, b in zip(mine, theirs, strict=True)) <= 2
        and mine[-1] == theirs[-1]
    )
