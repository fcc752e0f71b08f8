"""Learned names: where a host's labels begin."""

import re

from hypothesis import given
from hypothesis import strategies as st

from scrubber.lexicon import _labels_start

_LABELS = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,62})?\.)+\Z")


@given(st.text(alphabet="a1_-. /@", max_size=40), st.integers(0, 300))
def test_labels_begin_where_an_expression_says(text, more):
    """Walking back from dot to dot finds what the grammar of host names finds from the left."""
    buf = b"x" * more + text.encode() + b"."
    window = buf[-200:]
    match = _LABELS.search(window)
    expected = len(buf) - len(window) + match.start() if match else len(buf)
    assert _labels_start(buf, len(buf)) == expected
