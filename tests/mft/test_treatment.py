"""Which profile and whose words hold for a case: the rules, and the files that the configuration names."""

from __future__ import annotations

import pytest

from mft.config.work import MatchConfig, ScrubConfig, ScrubRuleConfig
from mft.server.intake import scrub_treatments
from mft.treatment import OwnTerms, TreatmentRule, Treatments

CASE = {"customer": "initech", "case": "CASE-1", "kind": "outage", "classification": None}


@pytest.mark.parametrize(
    ("rule", "fits"),
    [
        (TreatmentRule(customer="init*"), True),
        (TreatmentRule(customer="acme"), False),
        (TreatmentRule(kind="outage", case="CASE-*"), True),
        (TreatmentRule(classification="*"), False),
        (TreatmentRule(), True),
    ],
)
def test_first_rule_that_fits_decides(rule, fits):
    """Every pattern that is given must match; a pattern on what a case does not have never does."""
    strict = TreatmentRule(
        customer=rule.customer, case=rule.case, kind=rule.kind, classification=rule.classification, profile="strict"
    )
    later = TreatmentRule(profile="secrets-only")
    treatment = Treatments(rules=(strict, later), known_terms={}).of(**CASE)
    assert treatment.profile == ("strict" if fits else "secrets-only")
    assert treatment.rule == f"scrub.rules[{0 if fits else 1}]"


def test_what_a_rule_leaves_out_is_as_above():
    """Profile and terms above the rules hold where a rule, or no rule, says anything else."""
    own = OwnTerms(deny=("Bluebird",))
    rules = (TreatmentRule(customer="acme", profile="strict"),)
    treatments = Treatments(profile="secrets-only", terms="a.txt", rules=rules, known_terms={"a.txt": own})
    assert treatments.of(**CASE).profile == "secrets-only"
    assert treatments.of(**CASE).terms == own
    acme = treatments.of(**{**CASE, "customer": "acme"})
    assert (acme.profile, acme.terms) == ("strict", own)


def test_files_of_terms_are_read_from_the_configuration(tmp_path):
    """Each file that a rule names is there with its words."""
    path = tmp_path / "terms.txt"
    path.write_text("Bluebird\n!Initech\n")
    config = ScrubConfig(rules=(ScrubRuleConfig(match=MatchConfig(customer="initech"), terms=path),))
    assert scrub_treatments(config).of(**CASE).terms == OwnTerms(deny=("Bluebird",), allow=("Initech",))
