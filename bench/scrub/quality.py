"""What `mft scrub` does with labelled support data, as a user runs it: the rows of quality, limits and memory."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from bench.text import sparse_log
from tests.scrubber.truth.run import KEY, collect, scrub_bytes, scrub_folder, write_tree
from tests.scrubber.truth.score import Score, score_tree
from tests.scrubber.truth.story import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.scrubber.truth.tree import Tree

BLOCK = 1 << 20
MFT = str(Path(sys.executable).with_name("mft"))


@dataclass(slots=True)
class Quality:
    """All that was counted, over all seeds."""

    scores: list[Score] = field(default_factory=list)

    def share(self, group: str, kind: str | None = None) -> float | None:
        """Give the per cent over all seeds; None where there was nothing of it."""
        keys = {key for score in self.scores for key in score.total if key[0] == group and kind in (None, key[1])}
        total = sum(score.total[key] for score in self.scores for key in keys)
        good = sum(score.good[key] for score in self.scores for key in keys)
        return 100.0 * good / total if total else None

    def words(self) -> float:
        """Give the per cent of other words that stay."""
        lost = sum(sum(score.words_lost.values()) for score in self.scores)
        return 100.0 - 100.0 * lost / max(1, sum(score.words for score in self.scores))

    def labels(self) -> int:
        """Count all labels."""
        return sum(sum(score.total.values()) for score in self.scores)

    def to_dict(self) -> dict[str, object]:
        """Give plain JSON values."""
        kinds = sorted({key for score in self.scores for key in score.total})
        return {
            "labels": self.labels(),
            "groups": {group: self.share(group) for group in ("secret", "direct", "indirect", "keep")},
            "kinds": {f"{group}/{kind}": self.share(group, kind) for group, kind in kinds},
            "words": self.words(),
            "structures": sum(score.structures for score in self.scores),
            "broken": [f"{path}: {why[:120]}" for score in self.scores for path, why in score.broken],
            "pseudonyms": sum(len(score.pairs) for score in self.scores),
            "inconsistent": sum(len(score.inconsistent()) for score in self.scores),
            "refused": sum(score.refused for score in self.scores),
            "let_through": [path for score in self.scores for path in score.let_through],
            "held_back": [path for score in self.scores for path in score.held_back],
        }


def measure_quality(seeds: Iterable[int], scratch: Path) -> dict[str, object]:
    """Scrub the tree of each seed with `mft scrub SRC DST`, score it, and scrub what came out once more."""
    quality, again = Quality(), 0
    for seed in seeds:
        tree = tell(seed)
        here = scratch / str(seed)
        write_tree(tree, here / "in")
        scrub_folder(here / "in", here / "out", here / "key")
        quality.scores.append(score_tree(tree, collect(tree, here / "out")))
        scrub_folder(here / "out", here / "twice", here / "key")
        again += _differences(here / "out", here / "twice")
    return quality.to_dict() | {"changed_by_a_second_run": again}


def _differences(first: Path, second: Path) -> int:
    count = 0
    for file in sorted(first.rglob("*")):
        if file.is_file() and file.name != "quarantine.json":
            twin = second / file.relative_to(first)
            count += not twin.is_file() or twin.read_bytes() != file.read_bytes()
    return count


def measure_boundaries(tree: Tree, cuts: int, seed: int = 1) -> dict[str, int]:
    """Lay a page of labelled text over the end of a block at *cuts* places; count where the outcome is another."""
    rng = Random(seed)
    pages = [
        node.data
        for path, node in tree.files.items()
        if path.endswith((".env", "trace.log", "core-sw.cfg", "server.key"))
    ]
    different = 0
    for number in range(cuts):
        page = pages[number % len(pages)]
        alone = scrub_bytes(page, "page.txt")
        fill = (b"nothing here to see at all\n" * (BLOCK // 27 + 1))[: BLOCK - rng.randrange(1, len(page)) - 1] + b"\n"
        both = scrub_bytes(fill + page, "page.txt")
        different += alone is None or both is None or not both.endswith(alone)
    return {"cuts": cuts, "different": different}


def measure_bombs(tree: Tree, scratch: Path) -> list[dict[str, object]]:
    """Give each file that must be quarantined to the command; tell its time and its memory."""
    rows: list[dict[str, object]] = []
    for path, node in tree.files.items():
        if path.startswith("refused/"):
            file = scratch / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(node.data)
            used = run_measured([MFT, "scrub", str(file), str(scratch / "out.bin")], None)
            rows.append({"file": file.name, "refused": not (scratch / "out.bin").exists(), **used})
    return rows


def measure_big_log(size: int, scratch: Path) -> dict[str, object]:
    """Send a log of *size* bytes through `mft scrub - -`; tell the memory that it took."""
    key = scratch / "key"
    key.write_bytes(KEY)
    key.chmod(0o600)
    piece = sparse_log(8 << 20)
    return {"bytes": size, **run_measured([MFT, "scrub", "-", "-", "--key-file", str(key)], (piece, size))}


def run_measured(command: list[str], feed: tuple[bytes, int] | None) -> dict[str, object]:
    """Run *command*; give its exit code, processor seconds and the most memory of it and its children, in bytes."""
    begun = time.perf_counter()
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    if feed and process.stdin:
        piece, left = feed
        try:
            while left > 0:
                process.stdin.write(piece[:left])
                left -= len(piece)
            process.stdin.close()
        except BrokenPipeError:
            pass
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return {
        "exit": process.returncode,
        "seconds": time.perf_counter() - begun,
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "memory": usage.ru_maxrss * 1024,
    }
