"""`mft keys rotate` as a process that dies in the middle: kill -9 before any of its writes, again and again."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from storage.errors import StorageError
from storage.keys.keyring import Keyring
from tests.casebook import REGIONS
from tests.core import running_core
from tests.mft.test_rotation import keys_in_use

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.core import Core

IN = "/ACME-1/to-support"
FILES = 3
_DYING = """
import os, signal, sys
import mft.cli
left = int(sys.argv.pop(1))

def dying(real):
    def call(*arguments, **keywords):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **keywords)
    return call

for step in ("fsync", "link", "replace", "rename"):
    setattr(os, step, dying(getattr(os, step)))
mft.cli.main()
"""


@pytest.fixture
def core(tmp_path: Path, nursery: object) -> Iterator[Core]:
    """An installation with stored objects, whose keyrings the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    keyrings = {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS}
    with running_core(tmp_path, nursery, regions=keyrings) as made:  # type: ignore[arg-type]  # a Nursery
        for number in range(FILES):
            made.client("ann").put(f"{IN}/{number}.log", b"content %d\n" % number)
        made.work()
        assert made.states() == ["stored"] * FILES
        yield made


def rotate(core: Core, verb: str, steps: int) -> int:
    """Run the command until its step of that number; return how it ended."""
    config = core.data.parent / "config.yaml"
    command = [sys.executable, "-c", _DYING, str(steps), "keys", verb, "eu", "--config", str(config)]
    done = subprocess.run(command, capture_output=True, timeout=300, check=False, cwd=Path(__file__).parents[2])
    assert done.returncode in {0, -signal.SIGKILL}, done.stderr.decode()
    return done.returncode


def test_rotation_that_is_killed_at_its_writes_loses_nothing(core: Core) -> None:
    """Whichever write it died before: the keyring opens, every object opens, and the next run brings it to its end."""
    ring = core.data.parent / "eu.keyring"
    outcomes = []
    for steps in (1, 2, 4, 6, 9):
        outcomes.append(rotate(core, "rotate", steps))
        keyring = Keyring.load(ring, "pass")
        core.keys._wrappers["eu"] = keyring
        assert keys_in_use(core) <= set(keyring.key_ids)
        eve = core.client("eve")
        for number in range(FILES):
            assert eve.get(f"{IN}/{number}.log") == b"content %d\n" % number
    assert outcomes.count(-signal.SIGKILL) >= 3
    assert rotate(core, "rewrap", 0) == 0
    keyring = Keyring.load(ring, "pass")
    core.keys._wrappers["eu"] = keyring
    assert keys_in_use(core) == {keyring.current}
    left = [path for path in core.config.regions["eu"].store.path.rglob(".incoming/*") if path.is_file()]
    assert len(left) <= len(outcomes), "no more than one file a death, which is reaped"
    for number in range(FILES):
        assert core.client("eve").get(f"{IN}/{number}.log") == b"content %d\n" % number
    with pytest.raises(StorageError):
        Keyring.load(ring, "wrong")
