"""Case numbers in the names of files."""

from __future__ import annotations

import pytest

from casemap.checkdigit import RULES
from casemap.grammar import DEFAULT_GRAMMARS, numbers_in, parse_grammar

VALID = [
    ("luhn", "79927398713"),
    ("mod11", "0306406152"),
    ("mod11", "080442957X"),
    ("mod97", "3214282912345698765432161182"),
    ("verhoeff", "2363"),
    ("verhoeff", "123451"),
]


@pytest.mark.parametrize(("rule", "number"), VALID)
def test_check_digit_when_a_digit_is_wrong(rule, number):
    """Each rule takes the number that its literature has for an example, and no neighbour of it."""
    assert RULES[rule](number)
    for at, digit in enumerate(number):
        if digit.isdigit():
            wrong = number[:at] + str((int(digit) + 1) % 10) + number[at + 1 :]
            assert not RULES[rule](wrong)


@pytest.mark.parametrize(
    ("name", "first", "later"),
    [
        ("CASE-1001_logs.tgz", ["CASE-1001"], []),
        ("CASE-1001-logs.tgz", ["CASE-1001"], []),
        ("CASE-1001.logs.tgz", ["CASE-1001"], []),
        ("CASE-1001 logs.tgz", ["CASE-1001"], []),
        ("CASE-1001", ["CASE-1001"], []),
        ("sosreport_CASE-1001.tar.xz", [], ["CASE-1001"]),
        ("TS000599999.mustgather.zip", ["TS000599999"], []),
        ("CASE-1001_CASE-1002.log", ["CASE-1001"], ["CASE-1002"]),
        ("CASE-1001_CASE-1001.log", ["CASE-1001"], ["CASE-1001"]),
        ("CASE-1001x.log", [], []),
        ("xCASE-1001.log", [], []),
        ("case-1001_logs.tgz", [], []),
        ("bundle2.tar.gz", [], []),
        ("CASE-\u0661\u0662.log", [], []),
        ("C-100_logs.tgz", [], ["C-100"]),
        ("logs-C-100.tgz", [], ["C-100"]),
        ("CASE-1001_A-1.log", ["CASE-1001"], ["A-1"]),
        ("", [], []),
    ],
)
def test_numbers_in_a_name(name, first, later):
    """A number stands between separators, at the beginning or further on, and is of a known form as a whole."""
    found = numbers_in(name, DEFAULT_GRAMMARS)
    assert (list(found.first), list(found.later)) == (first, later)


def test_two_grammars_that_read_one_beginning_differently():
    """Whoever could mean two numbers gets both, however greedy a pattern is."""
    forms = (parse_grammar("[A-Z]+-[0-9]+"), parse_grammar("[A-Z]+-[0-9]+-[0-9]+"))
    assert set(numbers_in("ACME-1-2_x.log", forms).first) == {"ACME-1", "ACME-1-2"}
    one = (parse_grammar("[A-Z]+-[0-9]+(?:-[0-9]+)?"),)
    assert set(numbers_in("ACME-1-2_x.log", one).first) == {"ACME-1", "ACME-1-2"}


def test_a_check_digit_that_is_wrong_makes_no_number():
    """Eight digits that are no number of the issuer's are a date, say."""
    forms = (parse_grammar("[0-9]{8}", check="luhn"),)
    assert numbers_in("20261122_logs.tgz", forms).every == ()
    assert numbers_in("79927398_logs.tgz", forms).every == ("79927398",)


def test_a_group_names_the_number_and_lower_case_is_looked_up_in_upper():
    """What stands around the number may be a part of the form."""
    forms = (parse_grammar("(?:sr|case)(?P<number>[a-z]{2}[0-9]{4})", ignore_case=True),)
    assert numbers_in("SRab1234_x", forms).first == ("AB1234",)


def test_a_form_that_stands_at_the_beginning_alone():
    """A grammar can say that a number further on means nothing."""
    forms = (parse_grammar("[0-9]{5}", anywhere=False),)
    assert numbers_in("x_12345.log", forms).every == ()
    assert numbers_in("12345_x.log", forms).every == ("12345",)


def test_what_a_form_matches_must_be_a_case_number_at_all():
    """However wide a pattern is, what it matches is never a path, a device or a name of dots."""
    forms = (parse_grammar(".+"),)
    for name in ("..", ".", "nul", "com1.txt", "a/../1", "x" * 200 + "1", "1\u202etxt"):
        assert not any(set(number) & set("/\u202e") or ".." in number for number in numbers_in(name, forms).every)
        assert "nul" not in numbers_in(name, forms).every


@pytest.mark.parametrize("pattern", ["", "(", "[0-9]*", "a" * 501, "(?P<number>x)?"])
def test_a_pattern_that_is_none(pattern):
    """A pattern that cannot be, or that matches nothing at all, is refused."""
    with pytest.raises(ValueError, match=r"pattern|regular|matches"):
        parse_grammar(pattern)


def test_a_name_of_separators_alone_is_looked_at_quickly():
    """The longest name with the most cuts has a bounded number of runs."""
    assert numbers_in("_-. " * 64, DEFAULT_GRAMMARS).every == ()
    assert numbers_in("A-1_" * 63, DEFAULT_GRAMMARS).every == ("A-1",)
