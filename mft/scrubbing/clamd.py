"""Ask clamd about a file: its INSTREAM command (clamd(8)), length-prefixed pieces and one line of answer."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from mft.scrubbing.verdict import Verdict, clean, failed, found
from mft.scrubbing.wire import WireError

if TYPE_CHECKING:
    from mft.scrubbing.wire import Wire
    from scrubber.model import Source

CHUNK = 256 * 1024


def ask_clamd(wire: Wire, source: Source) -> Verdict:
    """Send *source* over *wire*; say what clamd thinks. A failure, such as a size limit of its, is a verdict too."""
    try:
        wire.write(b"zINSTREAM\0")
        for offset in range(0, source.size, CHUNK):
            data = source.read(offset, CHUNK)
            wire.write(struct.pack(">I", len(data)) + data)
            if wire.answered:  # it has decided, or takes no more
                break
        else:
            wire.write(struct.pack(">I", 0))
        answer = wire.until(b"\0", 8192).decode("latin-1").strip()
    except WireError as error:
        return failed(str(error))
    said = answer.partition(": ")[2] or answer
    if said == "OK":
        return clean()
    if said.endswith(" FOUND"):
        return found(said.removesuffix(" FOUND"))
    return failed(f"it answers {found(said).what}")
