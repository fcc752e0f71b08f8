"""Which cases a rule of the configuration speaks of: the same four questions wherever rules are by case. Pure."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseMatch:
    """What a case must be like; what is None is not looked at. Each may be a glob, letter case counts."""

    customer: str | None = None
    case: str | None = None
    kind: str | None = None
    classification: str | None = None

    def fits(self, *, customer: str, case: str, kind: str | None, classification: str | None) -> bool:
        """Say whether the rule speaks of that case."""
        return all(
            wanted is None or (value is not None and fnmatch.fnmatchcase(value, wanted))
            for wanted, value in (
                (self.customer, customer),
                (self.case, case),
                (self.kind, kind),
                (self.classification, classification),
            )
        )
