"""Policy profiles: what each replaces, and what is recorded of it."""

from __future__ import annotations

import pytest

from scrubber.model import Options, ScrubReport
from scrubber.profile import PROFILES, find_profile
from scrubber.pseudonym import Pseudonymizer

TEXT = b"password=hunter2-tr0ub4dor\nfrom 203.0.113.7 by anna.berg@kunde.de\n"


@pytest.mark.parametrize("name", PROFILES)
def test_report_names_its_profile(scrubbed, name):
    """Whoever reads a report sees under which profile it was made, also when it comes back from JSON."""
    _, report = scrubbed(TEXT, options=Options(profile=find_profile(name)))
    assert report.profile == name
    assert ScrubReport.from_dict(report.to_dict()).profile == name


def test_secrets_only_leaves_personal_data_alone(scrubbed):
    """Under secrets-only the password goes, addresses stay."""
    out, report = scrubbed(TEXT, options=Options(profile=find_profile("secrets-only")))
    assert b"hunter2" not in out
    assert b"203.0.113.7 by anna.berg@kunde.de" in out
    assert set(report.counts) == {"password.assignment"}


def test_strict_and_support_replace_both(scrubbed):
    """Both of them replace secrets and personal data alike."""
    outs = {scrubbed(TEXT, options=Options(profile=find_profile(name)))[0] for name in ("strict", "support")}
    assert len(outs) == 1
    out = outs.pop()
    assert not any(word in out for word in (b"hunter2", b"203.0.113.7", b"anna"))


def test_profile_that_is_not_there_is_refused():
    """A wrong name is answered with the right ones."""
    with pytest.raises(ValueError, match="strict, support, secrets-only"):
        find_profile("lax")


def test_key_id_tells_keys_apart_and_nothing_more(scrubbed, pseudonyms):
    """One key has one id, another key another one, and the key itself is not in it."""
    _, report = scrubbed(b"x")
    assert report.key == pseudonyms.key_id == Pseudonymizer(b"one case's key".ljust(32, b".")).key_id
    assert Pseudonymizer(b"another" * 5).key_id != report.key
