"""List what a score missed, by cause: for whoever mends the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.scrubber.truth.score import Miss, Score

ROWS = (
    ("secret", "secrets found"),
    ("direct", "direct personal data"),
    ("indirect", "indirect personal data"),
    ("keep", "innocents that survive"),
)


def summary(score: Score) -> list[str]:
    """Give the figures in a few lines."""
    lines = []
    for group, title in ROWS:
        kinds = sorted(kind for (of, kind) in score.total if of == group)
        parts = ", ".join(f"{kind} {score.good[group, kind]}/{score.total[group, kind]}" for kind in kinds)
        lines.append(f"- {title}: **{score.share(group):.2f} %** ({parts})")
    lines.append(f"- other words untouched: **{score.words_kept:.3f} %** of {score.words}")
    lines.append(f"- structures: {score.structures - len(score.broken)} of {score.structures} valid")
    lines.append(f"- inconsistent pseudonyms: {len(score.inconsistent())} of {len(score.pairs)} values")
    lines.append(
        f"- to be quarantined: {score.refused}, let through: {len(score.let_through)}; harmless but held back: {len(score.held_back)}"
    )
    return lines


def causes(score: Score, examples: int = 3) -> list[str]:
    """Give the misses, the most frequent cause first."""
    found: dict[tuple[str, str, str], list[Miss]] = defaultdict(list)
    for miss in score.misses:
        if miss.line != "(quarantined)":
            found[miss.group, miss.label.kind, miss.label.cause].append(miss)
    lines = []
    for group, title in ROWS:
        of = sorted((key for key in found if key[0] == group), key=lambda key: -len(found[key]))
        lines.append(f"\n## {title}: {sum(len(found[key]) for key in of)} missed")
        for key in of:
            misses = found[key]
            lines.append(
                f"- **{key[1]}** in `{key[2]}`: {len(misses)}{' (encoded)' if misses[0].label.encoded else ''}"
            )
            lines += [
                f"    - {miss.path}: `{miss.label.value[:90]}` in `{_around(miss)}`"
                for miss in _spread(misses, examples)
            ]
    lines.append("\n## other words that were touched")
    words: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for (path, word, cause), count in score.words_lost.items():
        words[path.rpartition("!")[2].rpartition("/")[2], cause][word] += count
    for (name, cause), lost in sorted(words.items(), key=lambda item: -sum(item[1].values())):
        shown = ", ".join(f"`{word}`{f' x{count}' if count > 1 else ''}" for word, count in lost.most_common(14))
        lines.append(f"- {name} ({cause}): {sum(lost.values())}: {shown}")
    lines.append("\n## structure")
    lines += [f"- {path}: {why[:200]}" for path, why in score.broken]
    lines.append("\n## pseudonyms that do not agree")
    lines += [f"- {kind} `{value}`: {sorted(made)[:5]}" for kind, value, made in score.inconsistent()[:40]]
    lines.append("\n## quarantine")
    lines += [f"- let through: {path}" for path in score.let_through] + [
        f"- held back, and harmless: {path}" for path in score.held_back
    ]
    return lines


def _spread(misses: list[Miss], count: int) -> list[Miss]:
    step = max(1, len(misses) // count)
    return misses[::step][:count]


def _around(miss: Miss) -> str:
    at = miss.line.find(miss.label.value)
    if at < 0:
        return miss.line[:160].replace("`", "'")
    return miss.line[max(0, at - 70) : at + len(miss.label.value) + 30].replace("`", "'").replace("\n", " ")
