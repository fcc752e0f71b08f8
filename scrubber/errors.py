"""What the scrubber itself can fail at.

    ScrubberError
    ├── CrewError      a process that helped died or failed: names the kind of failure, never content
    ├── RuleError      a rule is written wrongly: names the rule and what was expected
    ├── TermsError     a customer's list of terms is written wrongly
    ├── ScratchError   the scratch file given by the application failed or is full
    ├── UnforeseenError  what is not whole yet cannot be read from front to back, or would pass a limit
    └── SourceError    the source gave fewer bytes than its size, or could not be read

A file that cannot be looked into is none of these: it is an `Obstacle` in the report.
"""

from __future__ import annotations


class ScrubberError(Exception):
    """Base of everything the scrubber raises."""


class CrewError(ScrubberError):
    """A process that helped with one upload died or failed."""


class RuleError(ScrubberError):
    """A rule is written wrongly."""


class TermsError(ScrubberError, ValueError):
    """A customer's list of terms is written wrongly."""


class ScratchError(ScrubberError):
    """The scratch space given by the application failed."""


class UnforeseenError(ScrubberError):
    """An upload under way cannot be read ahead: it takes all of it, or what has come would pass a limit."""


class SourceError(ScrubberError):
    """The source could not be read, or is shorter than it says."""
