"""Learned names: where a host's labels begin, and in what else they stand."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber.detector import Detector
from scrubber.dictionary import Dictionary
from scrubber.lexicon import _labels_start
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

_LABELS = re.compile(rb"(?:[A-Za-z0-9_](?:[A-Za-z0-9_\-]{0,62})?\.)+\Z")


@given(st.text(alphabet="a1_-. /@", max_size=40), st.integers(0, 300))
def test_labels_begin_where_an_expression_says(text, more):
    """Walking back from dot to dot finds what the grammar of host names finds from the left."""
    buf = b"x" * more + text.encode() + b"."
    window = buf[-200:]
    match = _LABELS.search(window)
    expected = len(buf) - len(window) + match.start() if match else len(buf)
    assert _labels_start(buf, len(buf)) == expected


def scrubbed(kind, name, text):
    """Scrub *text* where *name* was learned; give it, and what the same key makes of whole names."""
    dictionary = Dictionary()
    dictionary.learn(kind, name)
    pseudonyms = Pseudonymizer(b"k" * 32, dictionary)
    scrubber = TextScrubber(Detector(load_rules(), pseudonyms), lambda _: None)
    return scrubber.feed(text) + scrubber.finish(), pseudonyms


@pytest.mark.parametrize(("kind", "name"), [("host", b"zeus7"), ("realm", b"kundenord"), ("domain", b"kundenord.de")])
@pytest.mark.parametrize("full", [b"zeus7.lager.kundenord.de", b"ZEUS7.KUNDENORD.DE"])
def test_of_a_full_name_nothing_stays(kind, name, full):
    """Whichever part of it was learned, a host's full name gets the one pseudonym that it has everywhere."""
    made, pseudonyms = scrubbed(kind, name, b"ping " + full + b", twice: " + full + b".\n")
    image = pseudonyms.host(full)
    assert made == b"ping " + image + b", twice: " + image + b".\n"


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("realm", b"kundenord", b"at com.kundenord.app.Main.run(Main.java:7)"),
        ("realm", b"kundenord", b"cmp=de.kundenord.sendung/.Start"),
        ("host", b"sendung", b"cmp=de.kundenord.sendung/.Start"),
        ("user", b"sendung", b"client, org.kundenord.sendung, lat"),
        ("realm", b"kundenord", b"logging.level.com.kundenord.claims=DEBUG"),
        ("realm", b"kundenord", b"log4j.logger.Com.KundeNord=INFO"),
    ],
)
def test_a_package_keeps_its_name(kind, name, text):
    """What begins as a domain ends is no host's name: a stack trace stays as it is."""
    assert scrubbed(kind, name, text)[0] == text


def test_a_word_below_a_country_s_host_goes():
    """A name that begins with two letters and ends as domains do is a host's."""
    made, pseudonyms = scrubbed("realm", b"kundenord", b"GET de.kundenord.com/x")
    assert made == b"GET " + pseudonyms.host(b"de.kundenord.com") + b"/x"


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        ("host", b"zeus7", b"zeus7.log"),
        ("host", b"zeus7", b"tail zeus7.2026.log.gz"),
        ("realm", b"kundenord", b"kundenord.timeout=30"),
        ("realm", b"kundenord", b"x.kundenord.retries: 7"),
    ],
)
def test_a_file_keeps_the_rest_of_its_name(kind, name, text):
    """Only the learned label goes where it stands in what is no host's name."""
    made, pseudonyms = scrubbed(kind, name, text)
    assert made == text.replace(name, pseudonyms.word("host", name))


def test_domain_goes_from_distinguished_names():
    """A domain's components agree with its name, and the attributes stay as they were written (RFC 2247)."""
    made, pseudonyms = scrubbed("domain", b"kundenord.de", b'suffix "dc=lager,dc=kundenord,dc=de" DC=kundenord,DC=de\n')
    first, second = pseudonyms.host(b"kundenord.de").split(b".")
    assert made == b'suffix "dc=lager,dc=%s,dc=%s" DC=%s,DC=%s\n' % (first, second, first, second)


@pytest.mark.parametrize(
    ("kind", "name", "full"),
    [
        ("realm", b"kundenord", b"zeus7.lager.kundenord-gruppe.de"),
        ("realm", b"kundenord", b"KUNDENORD-gruppe.de"),
        ("host", b"zeus7", b"zeus7-mgmt.lager.kundenord-gruppe.de"),
    ],
)
def test_of_a_full_name_in_which_a_label_only_begins_with_it_nothing_stays(kind, name, full):
    """`kundenord` is `kundenord-gruppe.de` in short: the name becomes what it is where its domain is known."""
    out, pseudonyms = scrubbed(kind, name, b"on " + full + b" now")
    assert out == b"on " + pseudonyms.host(full) + b" now"


@pytest.mark.parametrize("text", [b"the kundenord-gruppe is", b"kundenord-tools.github.io", b"kundenord-1.2.rpm"])
def test_a_word_with_a_hyphen_and_others_names_keep_their_rest(text):
    """What is no host's full name, or somebody's public one, is replaced by the word alone."""
    out, _ = scrubbed("realm", b"kundenord", text)
    assert out.endswith(text.partition(b"-")[2])
    assert b"kundenord" not in out


@pytest.mark.parametrize(
    "around",
    [
        "\u201c{}\u201d",
        "\u00ab{}\u00bb",
        "\u201e{}\u201c",
        "{}\u2026",
        "\u2013{}\u2013",
        "\u00a0{}\u00a0",
        "\u7528\u6237{}\u767b\u5f55",
        "\uff1a{}\uff0c",
        "{}\u3055\u3093",
        "\U0001f600{}\U0001f600",
    ],
)
def test_a_sign_beyond_ascii_ends_a_word(around):
    """Quotes, dashes and letters of Chinese, Japanese and Korean go on with no name."""
    made, pseudonyms = scrubbed("user", b"mrossi", f"x {around.format('mrossi')} y\n".encode())
    assert made.decode() == f"x {around.format(pseudonyms.word('user', b'mrossi').decode())} y\n"


@pytest.mark.parametrize("word", ["ämrossi", "mrossiä", "mrossi\u00ba", "mrossi\u00adx"])
def test_a_letter_beyond_ascii_goes_on_with_a_word(word):
    """A name within a longer word stays."""
    assert scrubbed("user", b"mrossi", f"x {word} y\n".encode())[0].decode() == f"x {word} y\n"
