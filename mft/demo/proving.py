"""The operator's part of the story: a right that ends, disks without plaintext, an audit that holds."""

from __future__ import annotations

import contextlib
import mmap
import sqlite3
import time
from typing import TYPE_CHECKING

from mft.demo.cast import LICENCE
from mft.demo.configuration import BOUND_SECONDS
from mft.demo.narration import StepFailedError, expect
from mft.demo.scene import await_it

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mft.demo.scene import Scene

_BROKEN = 3
"""Exit status of `mft audit verify` where a chain does not hold."""


def close_case(scene: Scene) -> None:
    """Close a case in the case system and see its folder go from a session that is open."""
    alice, say = scene.cast.customer, scene.narrator
    session = scene.clients.open_sftp(alice, "eu", at=scene.ground.customer)
    try:
        say.typed(f"sftp {alice.login}@eu     > ls -1     (and the session stays open)")
        before = session.do("ls -1")
        expect(LICENCE.folder in before, f"the case is not there to begin with: {before}")
        say.told("  ".join(before))
        url = f"{scene.servers.admin_url}/cases/{LICENCE.number}"
        options = ("-X", "PATCH", "-H", "Content-Type: application/json", "-d", '{"state": "closed"}')
        closed = scene.clients.curl_plainly(*options, "-o", "/dev/null", "-w", "%{http_code}", url)
        began = time.monotonic()
        say.typed(f'curl -X PATCH -d \'{{"state": "closed"}}\' http://case-system/admin/cases/{LICENCE.number}')
        expect(closed.output == "200", f"the case system answered {closed.output or closed.said}")

        def gone() -> list[str] | None:
            listed = session.do("ls -1")
            return listed if LICENCE.folder not in listed else None

        after = await_it(gone, "the folder's end", BOUND_SECONDS + 1.0)
        took = time.monotonic() - began
        say.told(f"the same session:   > ls -1   {'  '.join(after)}")
        inside = session.do(f'ls "/{LICENCE.number}/to-support"')
        expect(len(after) == len(before) - 1 and session.is_open, f"more than the folder went: {after}")
        expect(any("not found" in line for line in inside), f"the closed case still opens: {inside}")
        expect(took <= BOUND_SECONDS, f"it took {took:.1f} s; {BOUND_SECONDS} s were promised")
        say.proved(
            f"gone {took:.1f} s after the case was closed (revocation.bound: {BOUND_SECONDS} s); nothing restarted"
        )
    finally:
        session.kill()


def search_disks(scene: Scene) -> None:
    """Search every file of the server for what was planted."""
    planted = scene.planted
    if planted is None:
        raise StepFailedError("nothing was planted: the first step failed")
    wanted = {kind: mark.encode() for kind, mark in planted.marks.items()}
    wanted |= {f"the middle of file {number}": piece for number, piece in enumerate(planted.pieces, 1)}
    _prove_search(scene, wanted)
    files = [path for path in scene.ground.data.rglob("*") if path.is_file() and not path.is_symlink()]
    files.append(scene.ground.log("serve"))
    found = [f"{kind} in {path.relative_to(scene.ground.root)}" for path in files for kind in _find(path, wanted)]
    size = sum(path.stat().st_size for path in files if path.exists())
    scene.narrator.typed(f"grep -rFf planted {scene.ground.shown(scene.ground.data)}")
    expect(not found, f"plaintext on a disk: {'; '.join(found[:4])}")
    scene.narrator.proved(
        f"{len(wanted)} marks, none in {len(files)} files, {size / 1e6:.0f} MB: landing zones, stores, catalog, log"
    )


def _prove_search(scene: Scene, wanted: Mapping[str, bytes]) -> None:
    """See that the search finds something where it must: at the customer's."""
    found = {kind for path in scene.ground.customer.iterdir() if path.is_file() for kind in _find(path, wanted)}
    expect({"password", "the middle of file 1", "the middle of file 2"} <= found, "the search itself finds nothing")


def _find(path: Path, wanted: Mapping[str, bytes]) -> Iterator[str]:
    with contextlib.suppress(FileNotFoundError), path.open("rb") as file:  # the server may have removed it meanwhile
        if path.stat().st_size == 0:
            return
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            yield from (kind for kind, mark in wanted.items() if content.find(mark) >= 0)


def verify_audit(scene: Scene) -> None:
    """Verify the audit, and show that one edited record in a copy of it is found."""
    say, config = scene.narrator, str(scene.ground.configuration)
    held = scene.clients.mft("audit", "verify", "--config", config)
    say.typed("mft audit verify")
    expect(held.code == 0, f"it does not hold: {held.said}")
    say.told(held.output.strip().splitlines()[-1])
    copy = scene.ground.root / "edited.db"
    position = _edited_copy(scene.ground.catalog, copy)
    broken = scene.clients.mft("audit", "verify", "--config", config, str(copy))
    say.typed("mft audit verify edited.db     (a copy with one word changed in one record)")
    expect(broken.code == _BROKEN, f"the edited copy passed: exit {broken.code}, {broken.said}")
    named = [line.strip() for line in broken.output.splitlines() if "edited" in line]
    expect(named and str(position) in named[0], f"the edited record is not named: {broken.output}")
    say.told(named[0])
    say.proved("the chains hold and their heads are signed; an edited record is found and named")


def _edited_copy(catalog: Path, copy: Path) -> int:
    """Copy the catalog and change a record of who read what; return the record's place in its chain."""
    copy.touch(mode=0o600)
    with (
        contextlib.closing(sqlite3.connect(f"{catalog.as_uri()}?mode=ro", uri=True)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
        read = target.execute(
            """SELECT chain, position FROM audit_event WHERE body LIKE '%"served_from":"us"%' LIMIT 1"""
        ).fetchone()
        if read is None:
            raise StepFailedError("the audit holds no record of a reading in the US that could be edited")
        chain, position = read
        target.execute(
            """UPDATE audit_event SET body = replace(body, '"served_from":"us"', '"served_from":"eu"')
            WHERE chain = ? AND position = ?""",
            (chain, position),
        )
        target.commit()
    return int(position)
