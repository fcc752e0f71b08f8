"""Registers, forms and messages of many countries: what their own words and places say is somebody's."""

from __future__ import annotations

import pytest

from scrubber.detector import Detector
from scrubber.fields import column_of
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.tables import Columns
from scrubber.text import TextScrubber


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Születési dátum", "birth"),
        ("Syntymäaika", "birth"),
        ("Ημερομηνία γέννησης", "birth"),
        ("Дата на раждане", "birth"),
        ("Cím", "street"),
        ("\N{GREEK CAPITAL LETTER TAU}.\N{GREEK CAPITAL LETTER KAPPA}.", "zip"),
        ("Пощенски код", "zip"),
        ("İl", "city"),
        ("Localidade", "city"),
        ("ЕГН", "national"),
        ("first_nm", "name"),
        ("Apelido", "name"),
        ("phone_nbr", "phone"),
    ],
)
def test_column_of_another_language_is_known(name: str, kind: str):
    """A column's name says what it holds in the languages of Europe, with and without its accents."""
    field = column_of(name.encode())
    assert field is not None
    assert field.kind == kind


@pytest.mark.parametrize("name", ["By", "Status", "Müllmenge", "cim", "Cimarron", "il"])
def test_column_of_something_else_is_not(name: str):
    """Words that mean a person's only beside others are nobody's by themselves."""
    assert column_of(name.encode()) is None


def test_first_and_last_behind_an_underscore_are_names():
    """Columns that end with first and last hold the halves of names; one of them alone holds nobody's."""
    assert [field.kind for field in Columns([b"policyholder_first", b"policyholder_last"]).fields if field] == [
        "name"
    ] * 2
    assert Columns([b"page_first", b"page_size"]).fields == [None, None]


def test_table_with_a_line_drawn_below_its_names_is_read():
    """SAP's lists have a line of hyphens between the names of the columns and the rows."""
    text = (
        b"|KUNNR     |NAME1         |NAMEV     |STRAS        |ORT01    |\n"
        + b"-" * 60
        + b"\n|4711      |Zwartjes      |Hidde     |Lange Gang 3 |Ommen    |\n"
    )
    scrubber = TextScrubber(Detector(load_rules(), Pseudonymizer(bytes(32))), lambda _: None)
    out = scrubber.feed(text) + scrubber.finish()
    assert not any(word in out for word in (b"Zwartjes", b"Hidde", b"Lange Gang", b"Ommen"))
    assert b"4711" in out
