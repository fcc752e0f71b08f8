"""Hold an output against the truth: what is left, what was lost, whether it is valid and consistent."""

from __future__ import annotations

import base64
import binascii
import html
import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from tests.scrubber.truth.mark import Label, Piece
from tests.scrubber.truth.packages import metadata_of, open_members
from tests.scrubber.truth.tree import Blob, Node, Package, Page, Refused, Tree

if TYPE_CHECKING:
    from collections.abc import Mapping

_WORD = re.compile(r"\w+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_CONSISTENT = frozenset({"ipv4", "ipv6", "mac", "email", "user", "host", "sid"})
_JOINT_LEFT = re.compile(r"\w*")
_JOINT = re.compile(r"\w*$")
_HOST_JOINT = re.compile(r"(?:\w[\w-]*\.)*\w*$")
_FIRST = re.compile(r"\w")


@dataclass(frozen=True, slots=True, kw_only=True)
class Miss:
    """One value that was left, or lost: where, what, and the line that the output has."""

    group: str
    label: Label
    path: str
    line: str = ""


@dataclass(slots=True)
class Score:
    """Counts over everything scored."""

    total: Counter[tuple[str, str]] = field(default_factory=Counter)
    good: Counter[tuple[str, str]] = field(default_factory=Counter)
    misses: list[Miss] = field(default_factory=list)
    words: int = 0
    words_lost: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    structures: int = 0
    broken: list[tuple[str, str]] = field(default_factory=list)
    pairs: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: int = 0
    let_through: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    files: int = 0
    own: frozenset[str] = frozenset()
    """Words of the labelled names and hosts: whoever replaces them where nobody labelled them does no harm."""

    def share(self, group: str, kind: str | None = None) -> float:
        """Give the per cent of *group* (of one *kind*) that is as it must be."""
        of = [key for key in self.total if key[0] == group and kind in (None, key[1])]
        total = sum(self.total[key] for key in of)
        return 100.0 * sum(self.good[key] for key in of) / total if total else 100.0

    @property
    def words_kept(self) -> float:
        """Give the per cent of other words that are still there."""
        return 100.0 - 100.0 * sum(self.words_lost.values()) / max(1, self.words)

    def inconsistent(self) -> list[tuple[str, str, set[str]]]:
        """Give values that have two pseudonyms, and pseudonyms that stand for two values."""
        found = [(kind, value, made) for (kind, value), made in self.pairs.items() if len(made) > 1]
        back: dict[tuple[str, str], set[str]] = defaultdict(set)
        for (kind, value), made in self.pairs.items():
            for one in made:
                if one != value:
                    back[kind, one].add(value)
        return found + [(kind, one, values) for (kind, one), values in back.items() if len(values) > 1]

    def put(self, label: Label, *, good: bool, path: str, line: str = "") -> None:
        """Count one label."""
        if label.group == "free":
            return
        key = (label.group, label.kind)
        self.total[key] += 1
        if good:
            self.good[key] += 1
        else:
            self.misses.append(Miss(group=label.group, label=label, path=path, line=line))


def score_tree(tree: Tree, outputs: Mapping[str, bytes | None]) -> Score:
    """Score all of *tree*; an output of None was quarantined."""
    score = Score(own=_own_words(tree))
    for path, node in tree.files.items():
        _score(score, path, node, outputs.get(path))
    return score


def _own_words(tree: Tree) -> frozenset[str]:
    pages = [node for node in tree.files.values() if isinstance(node, Page)]
    values = {label.value for page in pages for label in _labels(page.pieces) if label.kind in {"user", "host", "name"}}
    return frozenset(word for value in values for word in _WORD.findall(value.lower()))


def _score(score: Score, path: str, node: Node, data: bytes | None) -> None:
    score.files += 1
    if isinstance(node, Refused):
        score.refused += 1
        if data is not None:
            score.let_through.append(f"{path}: {node.reason}")
        return
    if data is None:
        score.held_back.append(path)
        _all_held_back(score, path, node)
        return
    if isinstance(node, Page):
        _score_page(score, path, node, data)
    elif isinstance(node, Blob):
        _score_blob(score, path, node, data)
    else:
        _score_package(score, path, node, data)


def _all_held_back(score: Score, path: str, node: Node) -> None:
    """What was held back leaks nothing, and gives nobody anything."""
    if isinstance(node, Page):
        for label in _labels(node.pieces):
            score.put(label, good=label.group != "keep", path=path, line="(quarantined)")
    elif isinstance(node, Package):
        for name, member in node.members:
            _all_held_back(score, f"{path}!{name}", member)
    elif isinstance(node, Blob):
        for label in node.labels:
            score.put(label, good=label.group != "keep", path=path, line="(quarantined)")


def _labels(pieces: tuple[Piece, ...]) -> list[Label]:
    found = [piece.label for piece in pieces if piece.label]
    for piece in pieces:
        found += _labels(piece.inner)
    return found


def _score_package(score: Score, path: str, node: Package, data: bytes) -> None:
    score.structures += 1
    try:
        members = open_members(node.form, data)
        about = metadata_of(node.form, data)
    except Exception as error:  # noqa: BLE001  whatever an ordinary tool says, the archive is broken
        score.broken.append((path, f"does not open: {error}"))
        _all_held_back(score, path, node)
        return
    for label in node.labels:
        score.put(label, good=label.value not in about, path=path)
    if len(members) != len(node.members):
        score.broken.append((path, f"{len(node.members)} members became {len(members)}"))
        _all_held_back(score, path, node)
        return
    for (name, member), (_, content) in zip(node.members, members, strict=True):
        _score(score, f"{path}!{name}", member, content)


def _score_blob(score: Score, path: str, node: Blob, data: bytes) -> None:
    score.structures += 1
    if node.same_length and len(data) != len(node.data):
        score.broken.append((path, f"{len(node.data)} bytes became {len(data)}"))
    texts = [data]
    if node.read is not None:
        try:
            texts += node.read(data)
        except Exception as error:  # noqa: BLE001  whatever the reader says, the file is broken
            score.broken.append((path, f"does not open: {error}"))
    for label in node.labels:
        value = label.value.encode()
        there = any(value in text or label.value.encode("utf-16-le") in text for text in texts)
        score.put(label, good=there == (label.group == "keep"), path=path)
    if not node.labels and data != node.data:
        score.broken.append((path, "changed, though nothing is in it"))


def _score_page(score: Score, path: str, page: Page, data: bytes) -> None:
    try:
        text = data.decode(page.encoding)
    except UnicodeError as error:
        score.broken.append((path, f"is no {page.encoding} any more: {error}"))
        text = data.decode(page.encoding, "replace")
    if page.parse is not None:
        score.structures += 1
        try:
            page.parse(text)
        except Exception as error:  # noqa: BLE001  whatever the parser says, the file is broken
            score.broken.append((path, f"does not parse: {str(error)[:160]}"))
    lines = _lines_of(page.pieces)
    out = text.split("\n")
    if len(out) != len(lines):
        score.broken.append((path, f"{len(lines)} lines became {len(out)}"))
        for line in lines:
            for piece in line:
                _score_piece(score, path, piece, text, Counter())
        return
    for line, seen in zip(lines, out, strict=True):
        _score_line(score, path, line, seen)


def _lines_of(pieces: tuple[Piece, ...]) -> list[list[Piece]]:
    lines: list[list[Piece]] = [[]]
    for piece in pieces:
        if piece.label is not None or piece.inner:
            lines[-1].append(piece)
            continue
        first, *more = piece.text.split("\n")
        lines[-1].append(Piece(text=first))
        lines += [[Piece(text=part)] for part in more]
    return lines


def _score_line(score: Score, path: str, line: list[Piece], seen: str) -> None:
    rest = "\n".join(piece.text for piece in line if piece.label is None and not piece.inner)
    own = Counter({piece.label.value: rest.count(piece.label.value) for piece in line if piece.label})
    for piece in line:
        _score_piece(score, path, piece, seen, own)
    _score_words(score, path, line, seen)
    _pair(score, line, seen)


def _score_piece(score: Score, path: str, piece: Piece, seen: str, own: Counter[str]) -> None:
    label = piece.label
    if label is not None:
        if label.group == "keep":
            score.put(label, good=label.value in seen, path=path, line=seen)
        else:
            left = seen.count(label.value) > own[label.value] or _hidden(label.value, seen)
            score.put(label, good=not left, path=path, line=seen)
    elif piece.inner:
        views = "\n".join(decoded_runs(seen))
        for within in piece.inner:
            if within.label is not None:
                gone = within.label.value not in views and within.label.value not in seen
                score.put(within.label, good=gone != (within.label.group == "keep"), path=path, line=seen)


def _hidden(value: str, seen: str) -> bool:
    """Say whether a view of the line still says *value* (only where it could not have said so before by itself)."""
    return len(value) >= 8 and "%" in seen and "%" not in value and value in unquote(seen) and value not in seen


def decoded_runs(text: str) -> list[str]:
    """Give what runs of base64 in *text* say, and what the ones within those say."""
    found = []
    for run in _BASE64.findall(text):
        body = run.rstrip("=")
        if len(body) % 4 == 1:
            continue
        try:
            raw = base64.b64decode(body.replace("-", "+").replace("_", "/") + "=" * (-len(body) % 4))
            plain = raw.decode()
        except (UnicodeDecodeError, binascii.Error):
            continue
        found.append(plain)
    return found


def _score_words(score: Score, path: str, line: list[Piece], seen: str) -> None:
    wanted: Counter[str] = Counter()
    cause = next((piece.label.cause for piece in line if piece.label), "")
    for number, piece in enumerate(line):
        if piece.label is not None or piece.inner:
            continue
        left = number > 0
        right = number < len(line) - 1
        after = line[number + 1].label if right else None
        joint = _HOST_JOINT if after and after.kind == "host" else _JOINT
        begin = _end(_JOINT_LEFT.match(piece.text)) if left else 0
        end = _start(joint.search(piece.text)) if right else len(piece.text)
        wanted.update(found.group() for found in _WORD.finditer(piece.text, begin, max(begin, end)))
    score.words += sum(wanted.values())
    for word, count in (wanted - Counter(_WORD.findall(seen))).items():
        if word.lower() not in score.own:
            score.words_lost[path, word, cause] += count


def _start(found: re.Match[str] | None) -> int:
    return found.start() if found else 0


def _end(found: re.Match[str] | None) -> int:
    return found.end() if found else 0


def _pair(score: Score, line: list[Piece], seen: str) -> None:
    """Note which pseudonym each value got, where the line is otherwise as it was."""
    if not any(piece.label and piece.label.kind in _CONSISTENT for piece in line):
        return
    labelled = [piece for piece in line if piece.label or piece.inner]
    pattern = "".join(_pattern(piece) for piece in line)
    found = re.fullmatch(pattern, seen)
    if found is None or re.search(r"\)(?:\\[.:-]|[.:@/-])*\(", pattern):
        return
    for piece, made in zip(labelled, found.groups(), strict=True):
        label = piece.label
        if label is not None and label.kind in _CONSISTENT and made != label.value and _FIRST.search(made):
            image = made.lower().replace("\\u0040", "@").replace("%40", "@")
            score.pairs[label.kind, _canonical(label)].add(_plain_mac(image) if label.kind == "mac" else image)


def _pattern(piece: Piece) -> str:
    if not piece.label and not piece.inner:
        return re.escape(piece.text)
    if piece.label and piece.label.group == "keep":
        return f"({re.escape(piece.text)})"
    return "(.*?)"


def _canonical(label: Label) -> str:
    value = html.unescape(label.value).lower().replace("\\u0040", "@").replace("%40", "@")
    return _plain_mac(value) if label.kind == "mac" else value


def _plain_mac(value: str) -> str:
    return re.sub("[^0-9a-f]", "", value)
