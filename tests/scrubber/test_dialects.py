"""A secret goes from every dialect under every kind of key, and nothing beside it; innocent lines stay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scrubber.detector import Detector
from scrubber.gate import Strength, strength
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

HERE = Path(__file__).parent
KEYS = (HERE / "secret_keys.txt").read_text("utf-8").split()
VALUES = [
    "geheim",
    "hunter2",
    "Sommer2024!",
    "changeme",
    "p@$$w0rd",
    "x9$kL2",
    "a#b&c",
    "qwertz",
    "7f3K9sLq2ZpV",
    "Zm9vYmFyYmF6cXV4Zm9v==",
    "0123456789abcdef0123456789abcdef",
    "12345678",
    "pässwört",
    "correct-horse-battery",
    "S3cret/Key+x",
    "abc.def_ghi",
    "Tr0ub4dor&3",
    "%7Bx9Q%7D!a",
]
DIALECTS = {
    "ini": "KEY=VALUE\n",
    "ini-sp": "KEY = VALUE\n",
    "yaml": "app:\n  KEY: VALUE\n  port: 80\n",
    "yaml-dq": 'app:\n  KEY: "VALUE"\n  port: 80\n',
    "yaml-sq": "  KEY: 'VALUE'\n",
    "json": '{"a":1,"KEY":"VALUE","b":2}\n',
    "json-sp": '{\n  "KEY" : "VALUE",\n  "b": true\n}\n',
    "json-esc": '{"msg":"{\\"KEY\\":\\"VALUE\\"}"}\n',
    "json-esc2": '"{\\\\\\"KEY\\\\\\":\\\\\\"VALUE\\\\\\"}"\n',
    "xml-el": "<c>\n  <KEY>VALUE</KEY>\n</c>\n",
    "xml-attr": '<user name="x" KEY="VALUE" role="y"/>\n',
    "xml-add": '<add key="KEY" value="VALUE"/>\n',
    "xml-prop": '<property name="KEY">VALUE</property>\n',
    "xml-prop2": "<property>\n  <name>KEY</name>\n  <value>VALUE</value>\n</property>\n",
    "plist": "<key>KEY</key>\n<string>VALUE</string>\n",
    "export": "export KEY='VALUE'\n",
    "export-dq": 'export KEY="VALUE"\n',
    "env-list": "      - KEY=VALUE\n",
    "docker-e": "docker run -e KEY='VALUE' -p 80:80 img\n",
    "dockerfile": "ENV KEY VALUE\n",
    "k8s": '- name: KEY\n  value: "VALUE"\n',
    "pair": '{"name":"KEY","value":"VALUE"}\n',
    "pair2": '{"value":"VALUE","name":"KEY"}\n',
    "D": 'java -DKEY="VALUE" -jar a.jar\n',
    "php": "define('KEY', 'VALUE');\n",
    "php-arr": "    'KEY' => 'VALUE',\n",
    "py": "{'KEY': 'VALUE', 'x': 1}\n",
    "ruby": ':KEY => "VALUE",\n',
    "go": 'KEY: "VALUE",\n',
    "cs": 'var KEY = "VALUE";\n',
    "js": "const KEY = 'VALUE';\n",
    "cli": "tool run --KEY 'VALUE' --verbose\n",
    "cli-eq": "tool --KEY='VALUE' x\n",
    "cli-json": '["tool", "--KEY", "VALUE", "x"]\n',
    "query": "GET /a?u=x&KEY=VALUE&n=1 HTTP/1.1\n",
    "logkv": "2026-01-02 INFO login user=bob KEY=VALUE host=a\n",
    "logkv-comma": "Config[user=bob, KEY=VALUE, host=a]\n",
    "map": "{user=bob, KEY=VALUE}\n",
    "toml": '[a]\nKEY = "VALUE" # note\n',
    "props-colon": "KEY:VALUE\n",
    "props-comment": "#KEY=VALUE\n",
    "hdr": "> KEY: VALUE\r\n",
    "semi": "Server=db;KEY=VALUE;Encrypt=yes\n",
}
INNOCENTS = (HERE / "innocents.txt").read_text("utf-8").splitlines()


@pytest.fixture(scope="module")
def run(pseudonyms):
    detector = Detector(load_rules().of({"secret"}), pseudonyms)

    def scrub(text: str) -> str:
        scrubber = TextScrubber(detector, lambda _noted: None)
        return (scrubber.feed(text.encode()) + scrubber.finish()).decode()

    return scrub


@pytest.mark.parametrize("template", DIALECTS.values(), ids=DIALECTS)
def test_secret_goes_and_its_surroundings_stay(run, template: str):
    """In this dialect a value goes whole, whatever its key is called, and nothing else does."""
    for place, key in enumerate(KEYS):
        for value in (VALUES[place % len(VALUES)], VALUES[(place * 7 + 3) % len(VALUES)]):
            if "&" in value and template.startswith("GET "):
                continue  # in a URL it would be escaped
            value = value.replace("&", "&amp;") if "<" in template else value  # noqa: PLW2901 - as XML has it
            text = template.replace("KEY", key)
            before, _, after = text.partition("VALUE")
            out = run(before + value + after)
            assert re.fullmatch(re.escape(before) + r"\[[a-z:-]+:[0-9a-f]{8}\]" + re.escape(after), out), (key, value)


def test_innocent_lines_stay(run):
    """Settings, code, prose, logs and identifiers that only speak of secrets come out as they went in."""
    changed = [line for line in INNOCENTS if run(f"first\n{line}\nlast\n") != f"first\n{line}\nlast\n"]
    assert changed == []


@pytest.mark.parametrize(
    ("name", "believed"),
    [
        ("DB_PASSWORD", Strength.STRONG),
        ("spring.datasource.password", Strength.STRONG),
        ("-DkeyStorePassword", Strength.STRONG),
        ("лучший_пароль", Strength.STRONG),
        ("private_token", Strength.STRONG),
        ("stripe_key", Strength.STRONG),
        ("redis_pass", Strength.MEDIUM),
        ("otp", Strength.CODE),
        ("token", Strength.WEAK),
        ("next_page_token", Strength.NONE),
        ("max_tokens", Strength.NONE),
        ("primary_key", Strength.NONE),
        ("password_min_length", Strength.NONE),
        ("token_endpoint", Strength.NONE),
        ("existingSecret", Strength.NONE),
        ("bypass", Strength.NONE),
        ("monkey", Strength.NONE),
        ("secretary", Strength.NONE),
    ],
)
def test_key_is_believed_by_its_words(name: str, believed: Strength):
    """How far a key is believed hangs on the words in its name and on their order."""
    assert strength(name.encode()) is believed


def test_a_key_of_two_words_is_read_once_and_again_in_the_same_buffer():
    """A key that two anchors see is one finding, each time that its buffer is looked at."""
    detector = Detector(load_rules(), Pseudonymizer(bytes(32)))
    buf = b"app_secret_token_password=geheim123\n"
    first = [candidate for candidate in detector.find(buf)[0] if candidate[3] == b"geheim123"]
    again = [candidate for candidate in detector.find(buf)[0] if candidate[3] == b"geheim123"]
    assert first
    assert first == again


@pytest.mark.parametrize("number", ["1", "12", "123", "20261122"])
def test_numbers_within_a_key_do_not_matter(number):
    """A key with a number in it is believed as one with another number."""
    assert strength(f"DB_{number}_PASSWORD".encode()) is Strength.STRONG
    assert strength(f"password_{number}_policy".encode()) is Strength.NONE
    assert strength(f"primary_{number}_key".encode()) is strength(b"primary_7_key")


SEVERAL_LINES = [
    "key: >-\n    ⟦3f9a0c7d2e5b8f1a4c6d9e0b\n    8e1b4f7a0c3d6e9b2f5a8c1d⟧\npool: 5\n",
    'key = """⟦drei\nzeilen9⟧"""\nname = "kept"\n',
    "key = ⟦abc\\\n   def123⟧\nname=kept\n",
    "<key>\n⟦bob\nDornumer7⟧\n</key>\n",
]


@pytest.mark.parametrize("text", SEVERAL_LINES)
def test_secret_of_several_lines_goes_whole(run, text):
    """Of a value that goes on over lines nothing is left, and the lines are as many as before."""
    text = text.replace("key", "password")
    out = run(text.replace("⟦", "").replace("⟧", ""))
    marked, *_ = re.findall("⟦(.*?)⟧", text, re.DOTALL)
    assert not any(line.strip(" \\") in out for line in marked.split("\n"))
    assert out.count("\n") == text.count("\n")
    assert text.rsplit("⟧", 1)[1] in out


@pytest.mark.parametrize("rest", ["JAVA_OPTS=-Xmx2g", "--verbose", "&& make"])
def test_a_line_that_goes_on_with_something_else_ends_the_value(run, rest):
    """A variable, an option or a command below a broken line is not the value's."""
    out = run(f"ENV DB_PASSWORD=kp2pianox72 \\\n    {rest}\n")
    assert "kp2pianox72" not in out
    assert out.endswith(f" \\\n    {rest}\n")


def test_a_value_behind_a_broken_line_and_a_comment_goes(scrubbed):
    """RouterOS breaks a line behind the sign, an answer file has a comment before the value."""
    broken = b"set a encryption-password=\\\n    Sommer2024x name=lager\n"
    assert scrubbed(broken, learning=False)[0].endswith(b"] name=lager\n")
    commented = b"<Password>\n  <!-- as above -->\n  <Value>Sommer2024x</Value>\n</Password>\n"
    out = scrubbed(commented, learning=False)[0]
    assert b"Sommer" not in out
    assert b"<!-- as above -->\n  <Value>[password:" in out
