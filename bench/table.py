"""The results as a person reads them."""

from __future__ import annotations

from typing import Any

from bench.goals import goal_lines
from bench.idle import idle_lines
from bench.links import link_lines
from bench.scrub.table import lines_of as scrub_lines
from bench.small import small_lines
from bench.storage import storage_lines
from bench.wan import wan_lines

COLUMNS = ("server", "MB/s", "best", "ratio", "set-up s", "net MB/s", "net ratio", "CPU s/GiB", "CPU ratio", "runs")
WIDTHS = (10, 8, 8, 7, 9, 9, 10, 10, 10, 5)


def lines_of(report: dict[str, Any]) -> list[str]:  # noqa: C901 - one look at each part
    """Return the lines of a whole report, as `bench.__main__` gathers it."""
    machine = report["machine"]
    lines = [
        "{processor}, {cores} cores, Linux {kernel}, load {load_before:.1f}".format(**machine),
        "{openssh}; {nginx}; {apache}; {openssl}; {curl}".format(**machine),
        "Python {python}, asyncssh {asyncssh}, aiohttp {aiohttp}, cryptography {cryptography}".format(**machine),
        "Medians of interleaved rounds. Ratio: how many times as fast as the peer; net: without the session's set-up.",
        "CPU: of all processes of the server, none of the client's; its ratio is to the peer's: less is better.",
    ]
    for comparison in report.get("transfers", []):
        lines += ["", *_comparison(comparison)]
    for name, reason in report.get("absent", {}).items():
        lines += ["", f"{name} was not measured: {reason}"]
    if "intake" in report:
        intake = report["intake"]
        lines += ["", f"landed to stored, one file: {intake['mb_per_second']:.0f} MB/s ({intake['state']})"]
    if "small" in report:
        lines += ["", *small_lines(report["small"])]
    if "idle" in report:
        lines += ["", *idle_lines(report["idle"])]
    if "listings" in report:
        lines += ["", *_listings(report["listings"])]
    if "scrub" in report:
        lines += ["", *scrub_lines(report["scrub"])]
    if "sealing" in report:
        lines += ["", *_sealing(report["sealing"])]
    if "storage" in report:
        lines += ["", *storage_lines(report["storage"]), *link_lines(report.get("links"))]
    if "wan" in report:
        lines += ["", *wan_lines(report["wan"])]
    if "revocation" in report:
        lines += ["", "From an announcement to its effect in an open session, ms (median, worst; target: below 1000)"]
        lines += [
            f"  {row['effect']:<18} {row['median_ms']:>7.0f} {row['worst_ms']:>7.0f}   ({row['announced']})"
            for row in report["revocation"]
        ]
    goals = goal_lines(report)
    return [*lines, "", *goals] if goals else lines


def _comparison(comparison: dict[str, Any]) -> list[str]:
    lines = [f"{comparison['title']}, {comparison['bytes'] / 2**20:.0f} MiB", _row(COLUMNS)]
    for name, row in comparison["servers"].items():
        best = comparison["bytes"] / row["best_seconds"] / 1e6
        lines.append(
            _row(
                (
                    name,
                    f"{row['mb_per_second']:.0f}",
                    f"{best:.0f}",
                    _ratio(row["ratio"]),
                    f"{row['setup_seconds']:.3f}",
                    f"{row['net_mb_per_second']:.0f}",
                    _ratio(row["net_ratio"]),
                    f"{row['processor_seconds_per_gib']:.2f}",
                    _ratio(row["processor_ratio"]),
                    f"{row['runs']}",
                )
            )
        )
    lines += [f"  {name} was not measured: {reason}" for name, reason in comparison["absent"].items()]
    return lines


def _row(cells: tuple[str, ...]) -> str:
    first, *others = (f"{cell:>{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    return "  " + first.strip().ljust(WIDTHS[0]) + " ".join(others)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def _listings(listings: dict[str, Any]) -> list[str]:
    lines = ["listings over SFTP (ratio: how many times as fast as the peer)"]
    for comparison in listings["folders"]:
        for name, row in comparison["servers"].items():
            lines.append(
                f"  {comparison['title']:<20}{name:<9}{comparison['bytes'] / row['seconds']:>9.0f} entries/s, "
                f"ratio {_ratio(row['ratio'])}, net {_ratio(row['net_ratio'])}, CPU {row['processor_seconds']:.2f} s"
            )
    for name, seconds in listings["logins"].items():
        lines.append(f"  login to first listing, {name}: {seconds * 1000:.1f} ms of the server's processors")
    pages = listings["pages"]
    told = {"rows": "a page of 512 rows (SFTP)", "entries": "a page of 256 entries (HTTPS)"}
    for way, title in told.items():
        page = pages[way]
        lines.append(
            f"  {title} among {pages['few']} files {page['few_seconds'] * 1000:.2f} ms, "
            f"among {pages['many']} files {page['many_seconds'] * 1000:.2f} ms: {page['ratio']:.2f} times as long"
        )
    return [*lines, *(f"  {name} was not measured: {reason}" for name, reason in listings["absent"].items())]


def _sealing(sealing: dict[str, Any]) -> list[str]:
    peer = sealing.get("openssl_mb_per_second")
    against = "openssl was not measured" if peer is None else f"openssl speed {peer:.0f} MB/s"
    lines = [f"sealing, one thread, segments of {sealing['segment_bytes'] // 1024} KiB ({against})"]
    for word in ("seal", "open"):
        ratio = _ratio(sealing.get(f"{word}_ratio"))
        lines.append(f"  {word:<8}{sealing[f'{word}_mb_per_second']:>6.0f} MB/s, ratio {ratio}")
    return lines
