"""Registers, forms and messages of many countries: what their own words and places say is somebody's."""

from __future__ import annotations

import pytest

from scrubber.fields import column_of


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
