"""The story: its steps, in order."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from mft.demo import proving, reading, sending

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mft.demo.scene import Scene

STEPS: Sequence[tuple[str, Callable[[Scene], None]]] = (
    ("A support bundle, with secrets in it that nobody meant to send", sending.make_bundle),
    ("The customer lists its cases and uploads, by sftp and by curl", sending.send),
    ("An upload is cut midway, and resumed", sending.cut_and_resume),
    ("What the scrubber removed", sending.show_report),
    ("An engineer in the US reads the scrubbed bundle from the US copy", reading.read_elsewhere),
    ("A case that must stay in the EU does not exist in the US", reading.refuse_elsewhere),
    ("What cannot be looked into is held back", reading.quarantine),
    ("The engineer answers", reading.answer),
    ("The case system closes a case; an open session loses it", proving.close_case),
    ("No planted text lies on any disk of the server", proving.search_disks),
    ("The audit holds, and tampering shows", proving.verify_audit),
)


def tell(scene: Scene) -> None:
    """Play every step; failures are kept by the narrator."""
    for number, (title, play) in enumerate(STEPS, 1):
        scene.narrator.step(number, title, functools.partial(play, scene))
