"""A case system to try us with: it keeps the documented contract whole, or breaks it on request.

It stands in for a vendor's own system in tests and in the demo. Its state is in memory; its admin part answers to this
machine alone.
"""

from mft.casesystem.behaviour import Behaviour, Nonsense
from mft.casesystem.command import RunningCaseSystem, main, run_case_system, running_case_system
from mft.casesystem.state import CaseSystem

__all__ = [
    "Behaviour",
    "CaseSystem",
    "Nonsense",
    "RunningCaseSystem",
    "main",
    "run_case_system",
    "running_case_system",
]
