"""How a case's uploads are scrubbed: which profile and whose terms. Rules, and what follows from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.casematch import CaseMatch

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentRule(CaseMatch):
    """One rule; what is None is not looked at, or is as where no rule fits. The first that fits decides."""

    profile: str | None = None
    terms: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTerms:
    """A customer's own words: what always goes, and what always stays."""

    deny: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()


NO_TERMS = OwnTerms()


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What holds for one case, and which rule says so."""

    profile: str
    terms: OwnTerms = NO_TERMS
    rule: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatments:
    """The rules of an installation, in order, and what holds where none speaks."""

    profile: str = "support"
    terms: str | None = None
    rules: tuple[TreatmentRule, ...] = ()
    known_terms: Mapping[str, OwnTerms]
    """By the paths that rules name."""

    def of(self, *, customer: str, case: str, kind: str | None, classification: str | None) -> Treatment:
        """Say how uploads of a case are scrubbed."""
        for number, rule in enumerate(self.rules):
            if rule.fits(customer=customer, case=case, kind=kind, classification=classification):
                return self._treatment(
                    rule.profile or self.profile, rule.terms or self.terms, f"scrub.rules[{number}]", rule.reason
                )
        return self._treatment(self.profile, self.terms, "scrub (no rule fits)", "")

    def _treatment(self, profile: str, terms: str | None, rule: str, reason: str) -> Treatment:
        own = self.known_terms[terms] if terms is not None else NO_TERMS
        return Treatment(profile=profile, terms=own, rule=rule, reason=reason)
