"""The signal that a member cannot be looked into. Outside the scrubber it is an `Obstacle` in the report."""

from __future__ import annotations

from scrubber.errors import ScrubberError


class ObstacleError(ScrubberError):
    """*member* cannot be looked into, for *reason*; a fatal one ends the whole walk (a bomb).

    *advice* tells the sender what to do about it, in a sentence.
    """

    def __init__(self, member: str, reason: str, *, fatal: bool = False, advice: str = "") -> None:
        super().__init__(reason)
        self.member = member
        self.reason = reason
        self.fatal = fatal
        self.advice = advice
