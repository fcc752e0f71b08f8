"""A customer's own terms: how a file of them is read, and what is allowed within what is found."""

from __future__ import annotations

import pytest

from scrubber.detector import Detector
from scrubber.errors import TermsError
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.terms import Terms, parse_terms
from scrubber.text import TextScrubber


def scrub(text: bytes, terms: Terms) -> bytes:
    pseudonyms = Pseudonymizer(bytes(32))
    pseudonyms.dictionary.learn("domain", b"nordwind.de")
    scrubber = TextScrubber(Detector(load_rules(), pseudonyms, terms=terms), lambda _: None)
    return scrubber.feed(text) + scrubber.finish()


def test_address_that_is_allowed_keeps_its_domain():
    """What stays, stays whole: the customer's domain goes elsewhere, not within it."""
    terms = Terms(allow=("status@nordwind.de",))
    out = scrub(b"status@nordwind.de, anna@nordwind.de and mail.nordwind.de\n", terms)
    assert out.startswith(b"status@nordwind.de, ")
    assert out.count(b"nordwind") == 1


def test_term_to_deny_goes_within_what_is_allowed():
    """A word that must go goes wherever it stands."""
    out = scrub(b"status@nordwind.de\n", Terms(allow=("status@nordwind.de",), deny=("nordwind",)))
    assert b"nordwind" not in out


@pytest.mark.parametrize("text", ["denyy: [x-ray]\n", "alow:\n  - x-ray\n", "# ours\ndenny:\n- x-ray\n- y-ray\n"])
def test_misspelt_key_is_an_error_that_names_the_nearest(text):
    """YAML whose keys are all misspelt is no list of plain terms."""
    with pytest.raises(TermsError, match=r"no such key.*did you mean"):
        parse_terms(text)


def test_plain_lines_with_colons_are_terms():
    """A line with a colon at its end is a term where the others are plain."""
    assert parse_terms("Codename:\nBluebird\n").deny == ("Codename:", "Bluebird")
