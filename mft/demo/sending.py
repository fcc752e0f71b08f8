"""The customer's part of the story: a bundle is made, sent, cut off, and what was removed from it is told."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING, Any

from mft.demo import bundle
from mft.demo.cast import BOOT, CASES, make_key
from mft.demo.narration import expect
from mft.demo.programs import run_program
from mft.demo.scene import await_it, read_json, size_of

if TYPE_CHECKING:
    from mft.demo.scene import Scene

_KBITS = 12_000
"""Slow enough that the file is under way for some seconds."""
_CUT_AFTER_BYTES = 1_500_000
_TRANSFERRED = re.compile(r'^mft_transferred_bytes_total\{direction="in",protocol="sftp"\} ([0-9.e+]+)$', re.MULTILINE)


def make_bundle(scene: Scene) -> None:
    """Make what the customer sends."""
    directory, say = scene.ground.customer, scene.narrator
    key = directory / "web-07.key"
    make_key(key, "-t", "rsa", "-b", "2048", "-m", "PEM", "-C", "")
    scene.planted = bundle.make_material(directory, key.read_text(encoding="ascii"))
    listed = run_program("tar", "tzf", bundle.BUNDLE, at=directory).output.splitlines()
    say.typed(f"tar tzf {bundle.BUNDLE}")
    say.told(f"{len(listed)} files: {'  '.join(name.removeprefix('web-07/') for name in listed)}")
    kinds = list(scene.marks)
    say.told(f"planted: {', '.join(kinds[:7])},")
    say.told(f"         {', '.join(kinds[7:])}")
    say.proved(f"{len(kinds)} secrets, made up on the spot, in the bundle and in two logs")


def send(scene: Scene) -> None:
    """List the cases, and upload by both protocols."""
    alice, clients, say = scene.cast.customer, scene.clients, scene.narrator
    target = f"/{BOOT.folder}/to-support"
    ran = clients.sftp(alice, "eu", "ls -1", f'put {bundle.PLAIN_LOG} "{target}"', at=scene.ground.customer)
    say.typed(
        f"sftp {alice.login}@eu     (with a key)   > ls -1   > put {bundle.PLAIN_LOG} '/{BOOT.number} …/to-support'"
    )
    expect(ran.code == 0, f"sftp failed: {ran.said}")
    say.told("  ".join(ran.output.splitlines()))
    own = sorted(case.folder for case in CASES if case.customer == alice.customer)
    expect(ran.output.splitlines() == own, f"the customer does not see exactly its own cases: {ran.output!r}")

    say.typed(f"curl -T {bundle.BUNDLE} -u {alice.login}:TOKEN https://eu/cases/{BOOT.number}/")
    landed = send_by_curl(scene, bundle.BUNDLE)
    say.told(f"201 Created, receipt {landed['id']}: {landed['kind']}, {landed['size']} bytes")
    final = await_final(scene, bundle.BUNDLE)
    say.told(f"the same receipt a moment later: {final['kind']}, outcome “{final['outcome']}”")
    expect(final["outcome"] == "redact", f"nothing was redacted in it: {final['outcome']}")
    sent = _digest(scene, bundle.BUNDLE)
    expect(final["id"] == landed["id"] and final["sha256"] == sent, "the final receipt is about something else")
    _verify(scene, landed, "landed")
    _verify(scene, final, "final")
    say.proved("the customer sees its own cases only; both receipts verify with the published key, the SHA-256 fits")


def send_by_curl(scene: Scene, name: str) -> dict[str, Any]:
    """Upload one file into the case; return the landed receipt."""
    directory = scene.ground.customer
    path = f"/cases/{BOOT.number}/"
    ran = scene.clients.curl(scene.cast.customer, "eu", path, "-T", name, "-w", "\n%{http_code}", at=directory)
    body, _, status = ran.output.rpartition("\n")
    expect(status == "201", f"curl was answered {status or ran.said}: {body[:200]}")
    landed = read_json(body)
    scene.receipts[name] = str(landed["id"])
    return landed


def await_final(scene: Scene, name: str) -> dict[str, Any]:
    """Return the final receipt of what was sent by curl, once it is there."""

    def look() -> dict[str, Any] | None:
        path = f"/receipts/{scene.receipts[name]}"
        receipt = read_json(scene.clients.curl(scene.cast.customer, "eu", path, at=scene.ground.customer).output)
        return receipt if receipt.get("kind") == "final" else None

    return await_it(look, f"the final receipt of {name}")


def _verify(scene: Scene, receipt: dict[str, Any], kind: str) -> None:
    file = scene.ground.customer / f"receipt-{kind}.json"
    file.write_text(json.dumps(receipt), encoding="utf-8")
    ran = scene.clients.mft("receipt", "verify", str(file), "--key", str(scene.ground.receipt_key))
    expect(ran.code == 0, f"the {kind} receipt does not verify: {ran.said}")


def _digest(scene: Scene, name: str) -> str:
    return hashlib.sha256((scene.ground.customer / name).read_bytes()).hexdigest()


def cut_and_resume(scene: Scene) -> None:
    """Kill an upload midway; resume it in a new session."""
    alice, erin, clients, say = scene.cast.customer, scene.cast.engineer_eu, scene.clients, scene.narrator
    directory, name = scene.ground.customer, bundle.CORE_LOG
    before = _received(scene)
    session = clients.open_sftp(alice, "eu", at=directory, kbits=_KBITS)
    try:
        session.begin(f'put {name} "/{BOOT.number}/to-support/{name}"')
        await_it(lambda: _received(scene) - before >= _CUT_AFTER_BYTES, "the first part of the upload")
    finally:
        session.kill()
    say.typed(f"sftp … > put {name}     ({size_of(directory / name)}; kill -9 of sftp in the middle)")
    status = await_it(lambda: _interrupted(scene, name), "the upload is seen to be interrupted")
    seen = clients.sftp(erin, "eu", f'ls -1 "/Acme Corp/{BOOT.number}/to-support"', at=scene.ground.engineer)
    expect(seen.code == 0 and name not in seen.output, "the engineer sees a part of a file")
    say.told(
        f"state “{status['state']}”, to be resumed at byte {status['resume_at']}; an engineer's ls does not show it"
    )
    ran = clients.sftp(alice, "eu", f'reput {name} "/{BOOT.number}/to-support/{name}"', at=directory)
    say.typed(f"sftp … > reput {name}     (a new session)")
    expect(ran.code == 0, f"reput failed: {ran.said}")
    path = f"/files/{BOOT.number}/.meta/{name}.receipt.json"

    def look() -> dict[str, Any] | None:
        receipt = read_json(clients.curl(alice, "eu", path, at=directory).output)
        return receipt if receipt.get("kind") == "final" else None

    receipt = await_it(look, "the final receipt of the resumed upload")
    expect(receipt["sha256"] == _digest(scene, name), "what was put together is not what was sent")
    expect(0 < status["resume_at"] < receipt["size"], f"it was not resumed midway: at {status['resume_at']}")
    say.proved(
        f"never half published; whole after the resume: SHA-256 {receipt['sha256'][:16]}… as on the sender's disk"
    )


def _received(scene: Scene) -> float:
    ran = scene.clients.curl_plainly(f"{scene.servers.operations_url}/metrics")
    found = _TRANSFERRED.search(ran.output)
    return float(found[1]) if found else 0.0


def _interrupted(scene: Scene, name: str) -> dict[str, Any] | None:
    path = f"/files/{BOOT.number}/.meta/{name}.status.json"
    ran = scene.clients.curl(scene.cast.customer, "eu", path, at=scene.ground.customer)
    status = read_json(ran.output)
    expect("received_at" not in status, "the upload was whole before it could be cut")
    return status if status.get("state") == "interrupted" else None


def show_report(scene: Scene) -> None:
    """Show what was removed."""
    alice, clients, say = scene.cast.customer, scene.clients, scene.narrator
    base = f"/files/{BOOT.number}/.meta/{bundle.BUNDLE}"
    say.typed(f"curl … https://eu{base}.status.json     and  ….report.json")
    status = read_json(clients.curl(alice, "eu", f"{base}.status.json", at=scene.ground.customer).output)
    shown = clients.curl(alice, "eu", f"{base}.report.json", at=scene.ground.customer).output
    report = read_json(shown)
    counts: dict[str, int] = report["counts"]
    say.told(f"state “{status['state']}”: {sum(counts.values())} findings in {report['members']} members")
    rules = [f"{rule} {count}" for rule, count in sorted(counts.items())]
    half = (len(rules) + 1) // 2
    for part in (rules[:half], rules[half:]):
        say.told(", ".join(part))
    leaked = [kind for kind, mark in scene.marks.items() if mark in shown]
    expect(status["state"] == "partly redacted", f"the state is {status['state']}")
    expect(not leaked, f"the report itself shows {', '.join(leaked)}")
    say.proved("every finding has a rule, a place and a keyed fingerprint; the report holds none of the texts")
