"""What `mft scrub` says of its work: a file for machines, a few lines for people."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import typer

from mft.cli.output import whole_file
from mft.cli.scrubfile import is_dash

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mft.cli.scrubfolder import FolderResult
    from scrubber.model import ScrubReport

_SHOWN = 20


def write_report(path: Path, reports: Mapping[str, ScrubReport], folder: FolderResult | None = None) -> None:
    """Write *reports*, by the files' names, to *path*: as SARIF if it ends in .sarif, else as JSON.

    Raises:
        OSError: it cannot be written.
    """
    document = _sarif(reports, folder) if path.suffix.lower() == ".sarif" else _json(reports, folder)
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    if is_dash(path):
        typer.echo(text, nl=False)
        return
    with whole_file(path) as file:
        file.write(text.encode("utf-8", "surrogateescape"))


def _json(reports: Mapping[str, ScrubReport], folder: FolderResult | None) -> dict[str, Any]:
    if folder is None:
        return next(iter(reports.values())).to_dict()
    return {
        "counts": dict(_counts(reports)),
        "quarantined": folder.quarantined,
        "left_out": [{"path": each.path, "reason": each.reason} for each in folder.left_out],
        "files": [{"path": name} | report.to_dict() for name, report in reports.items()],
    }


def _sarif(reports: Mapping[str, ScrubReport], folder: FolderResult | None) -> dict[str, Any]:
    from scrubber.sarif import to_sarif  # noqa: PLC0415  keeps `mft --help` quick

    document = to_sarif(list(reports.values()))
    if folder is not None:
        invocation = document["runs"][0]["invocations"][0]
        invocation["executionSuccessful"] = not folder.quarantined
        for each in folder.failed:
            text = {"text": f"{each.path}: {each.reason}"}
            invocation["toolExecutionNotifications"].append(
                {"descriptor": {"id": "quarantined", "index": 0}, "level": "error", "message": text}
            )
    return document


def _counts(reports: Mapping[str, ScrubReport]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for report in reports.values():
        if report.scannable:
            counts.update(report.counts)
    return counts


def folder_summary(folder: FolderResult) -> str:
    """Give a few lines of text about a folder."""
    from scrubber.report import count_lines  # noqa: PLC0415  keeps `mft --help` quick

    reports = {name: each.report for name, each in folder.results.items()}
    written = [report for report in reports.values() if report.scannable]
    size, made = sum(each.bytes_in for each in reports.values()), sum(each.bytes_out for each in written)
    lines = [
        f"{len(reports) + len(folder.failed):,} files, {size:,} bytes in; {len(written):,} files, {made:,} bytes out",
        *count_lines(_counts(reports)),
    ]
    unseen = [f"{name}: {each.reason}" for name, report in reports.items() for each in report.unseen]
    lines += _list("passed on without having been looked into:", unseen)
    held = [f"{each['path']}: {each['reason']}\n    {each['advice']}".rstrip() for each in folder.quarantined]
    lines += _list("held back, because it could not be looked into:", held)
    lines += _list("left out:", [f"{each.path}: {each.reason}" for each in folder.left_out])
    if written:
        first = written[0]
        lines.append(f"profile {first.profile}, key {first.key}, rules {first.rules}, engine {first.engine}")
    return "\n".join(lines) + "\n"


def _list(title: str, entries: list[str]) -> list[str]:
    if not entries:
        return []
    more = [f"  and {len(entries) - _SHOWN:,} more"] if len(entries) > _SHOWN else []
    return [title, *(f"  {entry}" for entry in entries[:_SHOWN]), *more]
