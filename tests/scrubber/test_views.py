"""Text in another notation or encoding is read as it was meant, and comes back in the same notation."""

from __future__ import annotations

import base64
import gzip
import html
import json
import quopri
import urllib.parse

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.detector import Detector
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

DETECTOR = Detector(load_rules(), Pseudonymizer(b"k" * 32))
TEXT = (
    "server: db1\nuser: anna.berg@kunde-nord.de\npassword: hunter2-geheim\nfrom 10.20.30.40 port 22\n"
    "10.20.30.41 again, token=Zm9vYmFyQmF6MTIz\nafter\n"
)
PLANTED = (b"anna.berg", b"kunde-nord", b"hunter2", b"10.20.30.40", b"10.20.30.41", b"Zm9vYmFyQmF6")
LONG = TEXT * 4


def run(data: bytes, cut: int = 1 << 30, *, block: int = 1 << 20) -> tuple[bytes, list[str]]:
    hits: list[str] = []
    scrubber = TextScrubber(DETECTOR, lambda noted: hits.extend(note[0].rule.id for note in noted), block=block)
    out = b"".join(scrubber.feed(data[at : at + cut]) for at in range(0, len(data), cut)) + scrubber.finish()
    return out, hits


EXPECTED = run(TEXT.encode())[0].decode()


def wrapped(text: str, line_break: bytes) -> bytes:
    return base64.encodebytes(text.encode()).rstrip().replace(b"\n", line_break)


def hexadecimal(text: str) -> bytes:
    return text.encode().hex().encode()


def from_mime(data: bytes) -> str:
    return base64.b64decode(data.replace(b"\\n", b"")).decode()


def numbered(text: str) -> bytes:
    return "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in text).encode()


NOTATIONS = {
    "json": (lambda t: json.dumps(t).encode(), json.loads),
    "json in json": (lambda t: json.dumps(json.dumps(t)).encode(), lambda d: json.loads(json.loads(d))),
    "json thrice": (
        lambda t: json.dumps(json.dumps(json.dumps(t))).encode(),
        lambda d: json.loads(json.loads(json.loads(d))),
    ),
    "numbered": (lambda t: b'"' + numbered(t) + b'"', json.loads),
    "percent": (lambda t: urllib.parse.quote(t, safe="").encode(), lambda d: urllib.parse.unquote(d.decode())),
    "percent twice": (
        lambda t: urllib.parse.quote(urllib.parse.quote(t, safe=""), safe="").encode(),
        lambda d: urllib.parse.unquote(urllib.parse.unquote(d.decode())),
    ),
    "entities": (
        lambda t: html.escape(t).replace("\n", "&#10;").replace("@", "&#64;").replace("=", "&#x3d;").encode(),
        lambda d: html.unescape(d.decode()),
    ),
    "syslog": (lambda t: t.encode().replace(b"\n", b"#012"), lambda d: d.replace(b"#012", b"\n").decode()),
    "quoted-printable": (
        lambda t: quopri.encodestring(t.replace(": ", "=").encode()),
        lambda d: quopri.decodestring(d).decode().replace("=", ": ").replace("token: ", "token="),
    ),
    "colours": (
        lambda t: t.replace("=", "\x1b[0m=\x1b[36m").encode(),
        lambda d: d.decode().replace("\x1b[0m=\x1b[36m", "="),
    ),
    "base64": (lambda t: base64.b64encode(t.encode()), lambda d: base64.b64decode(d, validate=True).decode()),
    "base64 twice": (
        lambda t: base64.b64encode(base64.b64encode(t.encode())),
        lambda d: base64.b64decode(base64.b64decode(d)).decode(),
    ),
    "base64 for URLs": (
        lambda t: base64.urlsafe_b64encode(t.encode()),
        lambda d: base64.urlsafe_b64decode(d).decode(),
    ),
    "base64 without padding": (
        lambda t: base64.b64encode(t.encode()).rstrip(b"="),
        lambda d: base64.b64decode(d + b"=" * (-len(d) % 4), validate=True).decode(),
    ),
    "base64 in lines": (lambda t: wrapped(t, b"\n"), from_mime),
    "base64 in lines of DOS": (lambda t: wrapped(t, b"\r\n"), from_mime),
    "base64 in lines, indented": (lambda t: wrapped(t, b"\n    "), from_mime),
    "base64 in lines within JSON": (lambda t: wrapped(t, b"\\n"), from_mime),
    "base64 of UTF-16": (
        lambda t: base64.b64encode(t.encode("utf-16-le")),
        lambda d: base64.b64decode(d).decode("utf-16-le"),
    ),
    "hex": (hexadecimal, lambda d: bytes.fromhex(d.decode()).decode()),
    "HEX": (lambda t: hexadecimal(t).upper(), lambda d: bytes.fromhex(d.decode()).decode()),
    "json in base64": (
        lambda t: base64.b64encode(json.dumps({"m": t}).encode()),
        lambda d: json.loads(base64.b64decode(d))["m"],
    ),
}


@pytest.mark.parametrize("name", NOTATIONS)
def test_notation_is_seen_through(name):
    """Every notation gives the same outcome as plain text once it is undone, and a second scrub changes nothing."""
    encode, decode = NOTATIONS[name]
    before, after = b"first x: ", b"\nlast line\n"
    out, hits = run(before + encode(TEXT) + after)
    assert out.startswith(before)
    assert out.endswith(after)
    assert not any(planted in out for planted in PLANTED)
    assert decode(out[len(before) : -len(after)]) == EXPECTED
    assert sorted(hits) == ["email", "ipv4", "ipv4", "password.assignment", "password.assignment"]
    assert run(out) == (out, [])


@pytest.mark.parametrize("name", NOTATIONS)
def test_notation_without_anything_to_find_stays(name):
    """What decodes to nothing sensitive stays byte for byte."""
    data = (
        b"x: " + NOTATIONS[name][0]("nothing to see here: just a line\nand another one, as long as it takes\n") + b"\n"
    )
    assert run(data) == (data, [])


@pytest.mark.parametrize(
    "name", ["json in json", "percent", "entities", "base64", "base64 in lines", "hex", "numbered"]
)
def test_notation_is_seen_through_at_every_cut(name):
    """Where a block ends within encoded text never changes the outcome."""
    filler = b"2026-11-22 DEBUG nothing to see here at all, and nothing there\n" * 1100
    data = filler + NOTATIONS[name][0](LONG) + b"\n" + filler
    whole = run(data)
    for cut in range(65_400, 66_500, 97):
        assert run(data, cut, block=cut) == whole


def test_long_encoded_text_is_scrubbed():
    """A run longer than any look-ahead is waited for to its end."""
    text = "".join(f"line {n} from 10.20.30.{n % 200 + 1} is here\n" for n in range(20_000))
    data = b'{"body":"' + base64.b64encode(text.encode()) + b'","x":1}\n'
    out, hits = run(data, 65_536, block=65_536)
    assert len(hits) == 20_000
    inner = base64.b64decode(json.loads(out)["body"])
    assert b"10.20.30." not in inner
    assert inner.count(b"\n") == 20_000
    assert run(data)[0] == out


@pytest.mark.parametrize("lines", [3, 50_000])
@pytest.mark.parametrize("encode", [base64.b64encode, lambda data: data.hex().encode()], ids=["base64", "hex"])
def test_utf16_that_ends_within_a_character_keeps_its_end(encode, lines):
    """What is encoded and has a byte too many is scrubbed all the same, however long it is, and the byte stays."""
    text = "".join(f"mail from 10.20.30.{n % 200 + 1} is here\n" for n in range(lines))
    out, hits = run(b"x: " + encode(text.encode("utf-16-le") + b" ") + b"\n", 1 << 20, block=1 << 20)
    body = out.removeprefix(b"x: ").removesuffix(b"\n")
    data = base64.b64decode(body) if encode is base64.b64encode else bytes.fromhex(body.decode())
    assert data.endswith("here\n".encode("utf-16-le") + b" ")
    assert b"1\x000\x00.\x002\x000\x00." not in data
    assert len(hits) == lines


def test_private_key_in_a_kubernetes_secret_goes_and_its_field_stays_base64():
    """A key in base64 within base64 is removed, and what is left still decodes."""
    key = b"-----BEGIN PRIVATE " + b"KEY-----\n" + base64.encodebytes(bytes(range(256)) * 4)
    key += b"-----END PRIVATE " + b"KEY-----\n"
    out, hits = run(b"data:\n  tls.key: " + base64.b64encode(key) + b"\n  x: y\n")
    assert hits == ["private-key.pem"]
    value = out.split(b"tls.key: ")[1].split(b"\n")[0]
    assert base64.b64decode(value, validate=True).startswith(b"[private-key:pem:")
    assert out.endswith(b"\n  x: y\n")


@pytest.mark.parametrize(
    "text",
    [
        b"C:\\temp\\nick\\readme.txt C:\\new\\t10.png",
        b"sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        b"/usr/share/doc/libsomething-with-a-long-name/examples/and/more/of/it",
        b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
        b"GET /a%20b/c%3Fd?x=%7B%22a%22%3A1%7D HTTP/1.1",
        b"&lt;b&gt; &quot;quoted&quot; &amp; more &#8212;",
    ],
)
def test_innocent_notation_stays(text):
    """Paths, digests, pictures and ordinary escapes stay."""
    assert run(b"x " + text + b"\n") == (b"x " + text + b"\n", [])


def test_what_looks_like_quoted_printable_hides_nothing():
    """An equals sign before a number is no escape, wherever else one stands."""
    out, hits = run(b"ip=10.20.30.40 size=20 a=3D b=C3 from=10.20.30.41\n")
    assert hits == ["ipv4", "ipv4"]
    assert b"10.20." not in out


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([n for n in NOTATIONS if n != "quoted-printable"]), min_size=1, max_size=4), st.data())
def test_mixed_notations_leave_nothing(names, data):
    """Several notations beside one another on lines of one text hide nothing and do not disturb one another."""
    text = b"".join(b"x: " + NOTATIONS[name][0](TEXT) + b"\n" for name in names)
    out, hits = run(text, data.draw(st.integers(500, 5000)), block=1024)
    assert not any(planted in out for planted in PLANTED)
    assert len(hits) == 5 * len(names)
    assert run(out) == (out, [])


def test_key_under_a_telling_name_is_scrubbed_once():
    """What is left of a key in base64 stays as it is under a name that would make a value a secret."""
    key = b"-----BEGIN PRIVATE " + b"KEY-----\n" + base64.encodebytes(bytes(range(200)))
    key += b"-----END PRIVATE " + b"KEY-----\n"
    once, hits = run(b"client-key-data: " + base64.b64encode(key) + b"\nnext: x\n")
    assert hits == ["private-key.pem"]
    assert run(once) == (once, [])


@pytest.mark.parametrize("packed", ["plain", "url-safe"])
def test_text_packed_before_it_was_encoded_is_scrubbed(packed):
    """Base64 of what gzip packed is opened, scrubbed and packed again; nothing to replace leaves it as it is."""
    encode = base64.b64encode if packed == "plain" else base64.urlsafe_b64encode
    secret, other = b"[db]\nhost=db\npassword=Tundra!frost77\n", b"[db]\nhost=db\nretries=3 of many and then some\n"
    kept = encode(gzip.compress(other, mtime=0))
    out, _ = run(b"state: " + encode(gzip.compress(secret, mtime=0)) + b"\nold: " + kept + b"\n")
    first, second = out.splitlines()
    text = gzip.decompress(base64.b64decode(first.partition(b" ")[2], b"+/" if packed == "plain" else b"-_"))
    assert text.startswith(b"[db]\nhost=db\npassword=[password:")
    assert second == b"old: " + kept
    assert run(out)[0] == out
