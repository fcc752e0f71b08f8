"""A case's dictionary: what goes in comes out, merging loses nothing, and bytes of a stranger do no harm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber.dictionary import KINDS, MAX_TERMS, Dictionary

NAMES = st.lists(st.tuples(st.sampled_from(KINDS), st.binary(min_size=1, max_size=256)), max_size=20)
SETTLED = st.lists(
    st.tuples(
        st.sampled_from([b"v4", b"phone"]),
        st.binary(min_size=1, max_size=40),
        st.binary(min_size=1, max_size=40).map(bytes.hex).map(str.encode),
    ),
    max_size=20,
)


def made(names=(), settled=()):
    dictionary = Dictionary(settling=True)
    for kind, value in names:
        dictionary.learn(kind, value)
    for slot, value, image in settled:
        if dictionary.settled(slot, value) is None:
            dictionary.settle(slot, value, image)
    return dictionary


@given(NAMES, SETTLED)
def test_what_is_written_is_read_again(names, settled):
    """Names with their kinds, in their order, and who has which pseudonym."""
    before = made(names, settled)
    after = Dictionary.from_bytes(before.to_bytes(), settling=True)
    assert list(after.terms()) == list(before.terms())
    assert after.to_bytes() == before.to_bytes()
    assert not after.contradicts(before)


@given(NAMES, SETTLED, NAMES, SETTLED)
def test_merging_keeps_both_and_the_first_wins(names, settled, more, later):
    """Nothing that the first had is changed; what the second had and nobody contradicts is there."""
    first, second = made(names, settled), made(more, later)
    had, contradicted = first.to_bytes(), first.contradicts(second)
    first.merge(second)
    assert not Dictionary.from_bytes(had, settling=True).contradicts(first)
    assert dict(first.terms()).keys() >= dict(second.terms()).keys()
    assert first.contradicts(second) == contradicted
    assert not first.merge(second)


def test_contradiction_is_one_value_with_two_images_or_one_image_with_two_values():
    """Either of the two; names alone never contradict."""
    one = made([("user", b"jdoe")], [(b"v4", b"a", b"01")])
    assert one.contradicts(made((), [(b"v4", b"a", b"02")]))
    assert one.contradicts(made((), [(b"v4", b"b", b"01")]))
    assert not one.contradicts(made([("host", b"jdoe")], [(b"v6", b"a", b"02"), (b"v4", b"b", b"03")]))


@given(st.binary(max_size=300))
def test_bytes_that_are_no_dictionary_are_refused_or_are_one(data):
    """Any bytes behind the beginning: a ValueError, or a dictionary that can be written again."""
    for bytes_ in (data, Dictionary().to_bytes() + data):
        try:
            read = Dictionary.from_bytes(bytes_, settling=True)
        except ValueError:
            continue
        assert Dictionary.from_bytes(read.to_bytes(), settling=True).to_bytes() == read.to_bytes()


def test_records_without_end_are_refused():
    """More records than a dictionary can have, each of them well formed, are not read to their end."""
    record = b"u" + (1).to_bytes(2, "big") + b"x"
    with pytest.raises(ValueError, match="not so many"):
        Dictionary.from_bytes(Dictionary().to_bytes() + record * (MAX_TERMS * 4))


def test_name_that_is_too_long_is_not_learned():
    """Nothing enters that could not be written and read again."""
    dictionary = Dictionary(settling=True)
    assert not dictionary.learn("host", b"h" * 300)
    assert dictionary.settle(b"v4", b"v" * 100, b"i")
    assert dictionary.settled(b"v4", b"v" * 100) is None
    assert dictionary.extent == 0


def test_login_that_turns_out_to_be_a_program_stays_a_program():
    """It keeps its place, is not learned as a login again, and whoever went by the old state can see that."""
    dictionary = Dictionary()
    assert dictionary.learn("user", b"storefront")
    assert dictionary.learn("host", b"zeus")
    before = dictionary.extent
    assert dictionary.learn("program", b"storefront")
    assert not dictionary.learn("user", b"storefront")
    assert not dictionary.learn("program", b"zeus")
    assert (dictionary.extent, dictionary.overruled) == (before + 1, 1)
    assert list(dictionary.terms()) == [(b"storefront", "program"), (b"zeus", "host")]
    assert list(Dictionary.from_bytes(dictionary.to_bytes()).terms()) == list(dictionary.terms())
