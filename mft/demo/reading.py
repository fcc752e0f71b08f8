"""The engineers' part of the story: reading in another region, being refused, and answering."""

from __future__ import annotations

import gzip
import tarfile
from typing import TYPE_CHECKING

from mft.demo import bundle
from mft.demo.cast import BOOT, LEDGER
from mft.demo.narration import StepFailedError, expect
from mft.demo.programs import run_program
from mft.demo.scene import await_it, size_of
from mft.demo.sending import await_final, send_by_curl

if TYPE_CHECKING:
    from pathlib import Path

    from mft.demo.scene import Scene

_ACME = "/Acme Corp"


def read_elsewhere(scene: Scene) -> None:
    """Read the scrubbed bundle in the US, from the copy there."""
    uma, say, at = scene.cast.engineer_us, scene.narrator, scene.ground.engineer
    receipt = await_final(scene, bundle.BUNDLE)
    expect(receipt["outcome"] == "redact", f"there is nothing to read: the bundle was {receipt['outcome']}")
    stored = scene.events("upload.stored", upload=receipt["id"])[0]
    copied = await_it(
        lambda: scene.events("copy.verified", object=stored["object"], region="us"), "the copy in the us region"
    )
    folder = f"{_ACME}/{BOOT.folder}/to-support"
    ran = scene.clients.sftp(
        uma, "us", "ls -1", f'ls -1 "{_ACME}"', f'get "{folder}/{bundle.BUNDLE}"', f'get "{folder}/{bundle.PLAIN_LOG}"',
        at=at,
    )  # fmt: skip
    say.typed(f"sftp {uma.login}@us   > ls -1   > ls -1 {_ACME!r}   > get …/{bundle.BUNDLE}")
    expect(ran.code == 0, f"sftp failed: {ran.said}")
    say.told("  ".join(line.removeprefix(f"{_ACME}/") for line in ran.output.splitlines()))
    opened = scene.events("file.opened", login=uma.login, object=stored["object"])
    served = opened[-1]["served_from"] if opened else None
    expect(served == "us", f"it was served from {served}")
    listed = run_program("tar", "tzf", bundle.BUNDLE, at=at)
    expect(listed.code == 0, f"tar does not open it any more: {listed.said}")
    texts = _texts(at / bundle.BUNDLE) | {bundle.PLAIN_LOG: (at / bundle.PLAIN_LOG).read_text(encoding="utf-8")}
    leaked = {f"{kind} in {name}" for name, text in texts.items() for kind, mark in scene.marks.items() if mark in text}
    expect(not leaked, f"secrets are left: {', '.join(sorted(leaked))}")
    line = next((line for line in texts[bundle.PLAIN_LOG].splitlines() if "login with" in line), "")
    say.typed(f"grep 'login with' {bundle.PLAIN_LOG}")
    say.told(line)
    say.proved(
        f"audited as served from {served}, by a copy made in {copied[0]['milliseconds']} ms; tar opens it, "
        f"{len(listed.output.splitlines())} files, none of {len(scene.marks)} secrets in any"
    )


def _texts(path: Path) -> dict[str, str]:
    """Return the text of every member, of packed ones too."""
    texts: dict[str, str] = {}
    with tarfile.open(path) as tar:
        for member in tar.getmembers():
            file = tar.extractfile(member)
            data = b"" if file is None else file.read()
            if member.name.endswith(".gz"):
                data = gzip.decompress(data)
            texts[member.name] = data.decode("utf-8", "replace")
    return texts


def refuse_elsewhere(scene: Scene) -> None:
    """Show that a case that must stay in the EU does not exist in the US."""
    alice, erin, uma = scene.cast.customer, scene.cast.engineer_eu, scene.cast.engineer_us
    clients, say, at = scene.clients, scene.narrator, scene.ground.engineer
    path = f"{_ACME}/{LEDGER.number}/to-support"
    sent = clients.sftp(alice, "eu", f'put {bundle.LEDGER_LOG} "/{LEDGER.number}/to-support"', at=scene.ground.customer)
    expect(sent.code == 0, f"the upload failed: {sent.said}")

    def seen_in_eu() -> bool:
        return bundle.LEDGER_LOG in clients.sftp(erin, "eu", f'ls -1 "{path}"', at=at).output

    await_it(seen_in_eu, "the file at the EU's entrance")
    say.typed(f"sftp {erin.login}@eu  > ls {path!r}")
    say.told(bundle.LEDGER_LOG)
    refused = clients.sftp(uma, "us", f'-ls "{path}"', f'-ls "{_ACME}/CASE-9999/to-support"', at=at)
    say.typed(f"sftp {uma.login}@us   > ls {path!r}")
    answers = [line for line in refused.errors.splitlines() if line]
    expect(len(answers) == 2, f"it was not refused: {refused.output + refused.errors}")
    say.told(answers[0])
    same = answers[0] == answers[1].replace("CASE-9999", LEDGER.number)
    expect(same and "not found" in answers[0], f"the answer gives away that the case is there: {answers}")
    denials = scene.events("access.denied", login=uma.login, target=LEDGER.number)
    if not denials:
        raise StepFailedError("the denial is not in the audit")
    expect(not scene.events("copy.verified", case=LEDGER.number), "there is a copy of it")
    say.proved(f"to her it looks like a case that never was; the audit has the denial: “{denials[-1]['why']}”")


def quarantine(scene: Scene) -> None:
    """Show that what cannot be looked into is held back."""
    say = scene.narrator
    send_by_curl(scene, bundle.LOCKED)
    say.typed(f"curl -T {bundle.LOCKED} …     (an encrypted zip)")
    final = await_final(scene, bundle.LOCKED)
    say.told(f"outcome “{final['outcome']}”: {final.get('reason')}")
    expect(final["outcome"] == "quarantined" and final.get("reason"), f"it was not quarantined: {final['outcome']}")
    erin, path = scene.cast.engineer_eu, f"{_ACME}/{BOOT.number}/to-support"
    seen = scene.clients.sftp(erin, "eu", f'ls -1 "{path}"', at=scene.ground.engineer)
    expect(seen.code == 0 and bundle.LOCKED not in seen.output, "engineers see it")
    say.proved("kept sealed, with its reason in the receipt and in .meta; no engineer sees it")


def answer(scene: Scene) -> None:
    """Send something back to the customer."""
    uma, alice, say = scene.cast.engineer_us, scene.cast.customer, scene.narrator
    source = scene.ground.engineer / bundle.ANSWER
    source.write_text("Boot with root=/dev/mapper/vg0-root once, then run update-initramfs.\n", encoding="utf-8")
    put = scene.clients.sftp(
        uma, "us", f'put {bundle.ANSWER} "{_ACME}/{BOOT.number}/from-support"', at=scene.ground.engineer
    )
    say.typed(f"sftp {uma.login}@us   > put {bundle.ANSWER} '…/from-support'")
    expect(put.code == 0, f"the engineer's upload failed: {put.said}")
    folder = f"/{BOOT.folder}/from-support"

    def arrived() -> bool:
        listed = scene.clients.sftp(alice, "eu", f'ls -1 "{folder}"', at=scene.ground.customer)
        return bundle.ANSWER in listed.output

    await_it(arrived, "the answer in the customer's folder")
    got = scene.clients.sftp(alice, "eu", f'get "{folder}/{bundle.ANSWER}"', at=scene.ground.customer)
    say.typed(f"sftp {alice.login}@eu     > get '…/from-support/{bundle.ANSWER}'")
    expect(got.code == 0, f"the customer's download failed: {got.said}")
    target = scene.ground.customer / bundle.ANSWER
    expect(target.read_bytes() == source.read_bytes(), "the answer was altered on its way")
    say.proved(f"the customer has it, {size_of(target)}, not a byte altered")
