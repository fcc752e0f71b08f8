"""What a relay child does: it shows one file to one other scanner, and says what that one thinks of it.

The one place where plaintext leaves the house. It holds the key of that file, the landing log, and one connected
socket, or leave to run one command; nothing else.
"""

from __future__ import annotations

import os
import select
import subprocess
import time
from typing import TYPE_CHECKING, Any

from mft.scrubbing.answer import write_answer
from mft.scrubbing.clamd import ask_clamd
from mft.scrubbing.icap import IcapOptions, IcapService, ask_with_options, parse_options
from mft.scrubbing.verdict import Verdict, clean, failed, found
from mft.scrubbing.wire import Wire
from storage.landing import LandingReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mft.scrubbing.child import Errand
    from scrubber.model import Source

_PIECE = 256 * 1024
FOUND = 1
"""The exit code of a command that found something; 0 is clean, all others are failures."""


def run_relay(errand: Errand, descriptors: Sequence[int]) -> None:
    """Do an errand and write its verdict, as JSON, to the result pipe, the last of *descriptors*."""
    try:
        verdict, options = _ask(errand, errand.relay, descriptors)
    except Exception as error:  # noqa: BLE001 - the border of the process; never the text, which may hold content
        verdict, options = failed(type(error).__name__), None
    with os.fdopen(descriptors[-1], "wb") as pipe:
        remembered = None if options is None else options.to_dict()
        pipe.write(write_answer({"verdict": verdict.word, "what": verdict.what, "options": remembered}))


def _ask(errand: Errand, relay: dict[str, Any], descriptors: Sequence[int]) -> tuple[Verdict, IcapOptions | None]:
    """Ask; return the verdict, and of an ICAP service what it can do, if that may be remembered."""
    source = LandingReader.from_fd(
        descriptors[0], errand.landing_id, errand.landing_key, records=errand.records, size=errand.size
    )
    if relay["kind"] == "command":
        return ask_command(relay["command"], source, seconds=relay["seconds"]), None
    wire = Wire(descriptors[1], seconds=relay["seconds"])
    if relay["kind"] == "clamd":
        return ask_clamd(wire, source), None
    service = IcapService(
        host=relay["host"],
        service=relay["service"],
        method=relay["method"],
        options=parse_options(relay["options"]),
    )
    return ask_with_options(wire, service, source)


def ask_command(command: Sequence[str], source: Source, *, seconds: float) -> Verdict:
    """Run *command* with *source* on its standard input and an empty environment; its exit code is its verdict.

    It need not read all; what it prints goes nowhere.
    """
    deadline = time.monotonic() + seconds
    quiet = subprocess.DEVNULL
    try:
        process = subprocess.Popen(  # noqa: S603 - the administrator's own command, no shell
            list(command), stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env={}, cwd="/", start_new_session=True
        )
    except OSError as error:
        return failed(f"it cannot be run: {error.strerror}")
    try:
        if not _feed(process, source, deadline):
            return failed("it took longer than it may")
        code = process.wait(timeout=max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return failed("it took longer than it may")
    finally:
        process.kill()
        process.wait()
    if code == 0:
        return clean()
    return found("something") if code == FOUND else failed(f"it ended with exit code {code}")


def _feed(process: subprocess.Popen[bytes], source: Source, deadline: float) -> bool:
    """Write *source* to the command for as long as it reads; say whether it was in time."""
    if process.stdin is None:
        return False
    descriptor = process.stdin.fileno()
    os.set_blocking(descriptor, False)
    try:
        for offset in range(0, source.size, _PIECE):
            view = memoryview(source.read(offset, _PIECE))
            while view:
                if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                    return False
                view = view[os.write(descriptor, view[:65536]) :]
    except BrokenPipeError:
        return True  # it has seen enough
    finally:
        process.stdin.close()
    return True
