"""The scrubber's figures as the table that was asked for: what to reach, what is reached."""

from __future__ import annotations

from typing import Any

MIB = 1 << 20
GROUPS = (
    ("secret", "secrets found", 98.5, 99.8),
    ("direct", "direct personal data", 98.5, 99.7),
    ("indirect", "indirect personal data", 85.0, 96.0),
    ("keep", "innocents that survive", 99.0, 99.8),
)
SPEEDS = {"dense log": (30, 70), "sparse log": (60, 150), "tar.gz of sparse logs": (25, 50)}
PEER_TITLES = (
    "secrets",
    "tokens",
    "passw.",
    "hashes",
    "keys",
    "cookies",
    "direct",
    "indir.",
    "innoc.",
    "words",
    "MB/CPU s",
)
PEER_KINDS = ("secret/token", "secret/password", "secret/hash", "secret/key", "secret/cookie")


def lines_of(report: dict[str, Any]) -> list[str]:
    """Give the lines of what `measure_scrub` gathered."""
    quality, big = report["quality"], report["big_log"]
    lines = [
        f"scrubber, {report['date']}, by `mft scrub SRC DST`: {quality['labels']:,} labels, {report['seeds']} trees",
        f"  {'':<40}{'reached':>10}{'ship':>8}{'aim':>8}",
    ]
    lines += [_row(title, quality["groups"][group], ship, aim) for group, title, ship, aim in GROUPS]
    lines += [
        _row("  private keys", quality["kinds"].get("secret/key"), 100, 100),
        _row("other words untouched", quality["words"], 99.8, 99.97, digits=3),
        _row("structure valid", _share(len(quality["broken"]), quality["structures"]), 100, 100),
        _row(
            "the same at block boundaries",
            _share(report["boundaries"]["different"], report["boundaries"]["cuts"]),
            100,
            100,
        ),
        _row("consistent pseudonyms", _share(quality["inconsistent"], quality["pseudonyms"]), 100, 100),
        _row("to be quarantined, and quarantined", _share(len(quality["let_through"]), quality["refused"]), 100, 100),
        f"  {'harmless, but quarantined':<40}{len(quality['held_back']):>10}{0:>8}{0:>8}",
        f"  {'files that a second run changes':<40}{quality['changed_by_a_second_run']:>10}{0:>8}{0:>8}",
        *_bombs(report["bombs"]),
    ]
    for row in report["speed"]:
        ship, aim = SPEEDS.get(row["title"], ("-", "-"))
        lines.append(
            f"  {row['title'] + ', MB a CPU second':<40}{row['mb_per_processor_second']:>10.1f}{ship:>8}{aim:>8}"
        )
    title = f"memory for a log of {big['bytes'] // MIB:,} MiB, MiB"
    lines.append(f"  {title:<40}{big['memory'] / MIB:>10.0f}{256:>8}{256:>8}")
    lines += ["", *_kinds(quality["kinds"]), "", *_peers(report)]
    return lines


def _share(bad: int, total: int) -> float | None:
    return 100.0 - 100.0 * bad / total if total else None


def _row(title: str, value: float | None, ship: float, aim: float, digits: int = 2) -> str:
    shown = "-" if value is None else f"{value:.{digits}f}"
    return f"  {title:<40}{shown:>10}{ship:>8}{aim:>8}"


def _bombs(rows: list[dict[str, Any]]) -> list[str]:
    slowest = max(rows, key=lambda row: row["processor_seconds"])
    largest = max(rows, key=lambda row: row["memory"])
    return [
        f"  {'slowest of them, CPU seconds':<40}{slowest['processor_seconds']:>10.2f}{2:>8}{2:>8}  {slowest['file']}",
        f"  {'most memory of them, MiB':<40}{largest['memory'] / MIB:>10.0f}{300:>8}{300:>8}  {largest['file']}",
    ]


def _kinds(kinds: dict[str, float | None]) -> list[str]:
    parts = [f"{name} {value:.1f}" for name, value in kinds.items() if value is not None]
    return [
        "  by kind, %: " + ", ".join(parts[:8]),
        *("    " + ", ".join(parts[at : at + 8]) for at in range(8, len(parts), 8)),
    ]


def _peers(report: dict[str, Any]) -> list[str]:
    lines = [
        "  other tools on the text files of seed 1, % (they detect; what they name counts as replaced)",
        f"  {'':<17}" + "".join(f"{title:>9}" for title in PEER_TITLES),
    ]
    for row in report["peers"]:
        cells = [row["groups"]["secret"], *(row["kinds"].get(kind) for kind in PEER_KINDS)]
        cells += [row["groups"]["direct"], row["groups"]["indirect"], row["groups"]["keep"], row["words"]]
        shown = "".join("        -" if cell is None else f"{cell:>9.1f}" for cell in cells)
        lines.append(f"  {row['name']:<17}{shown}{row['mb_per_processor_second']:>9.2f}")
    return lines + [f"  {name}: not measured: {why}" for name, why in report["absent"].items()]
