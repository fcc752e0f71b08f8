"""How a case's uploads are scrubbed: which profile and whose terms. Rules, and what follows from them. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mft.casematch import CaseMatch

if TYPE_CHECKING:
    from collections.abc import Mapping

Scope = Literal["case", "customer"]
"""Whose the pseudonyms are: the same value has the same one in all of a case, or of a customer in a region."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TreatmentRule(CaseMatch):
    """One rule; what is None is not looked at, or is as where no rule fits. The first that fits decides."""

    profile: str | None = None
    terms: str | None = None
    scope: Scope | None = None
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
    scope: Scope = "case"
    rule: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatments:
    """The rules of an installation, in order, and what holds where none speaks."""

    profile: str = "support"
    terms: str | None = None
    scope: Scope = "case"
    rules: tuple[TreatmentRule, ...] = ()
    known_terms: Mapping[str, OwnTerms]
    """By the paths that rules name."""

    def of(self, *, customer: str, case: str, kind: str | None, classification: str | None) -> Treatment:
        """Say how uploads of a case are scrubbed."""
        for number, rule in enumerate(self.rules):
            if rule.fits(customer=customer, case=case, kind=kind, classification=classification):
                return self._treatment(rule, f"scrub.rules[{number}]")
        return self._treatment(TreatmentRule(), "scrub (no rule fits)")

    def _treatment(self, rule: TreatmentRule, name: str) -> Treatment:
        terms = rule.terms or self.terms
        return Treatment(
            profile=rule.profile or self.profile,
            terms=self.known_terms[terms] if terms is not None else NO_TERMS,
            scope=rule.scope or self.scope,
            rule=name,
            reason=rule.reason,
        )
