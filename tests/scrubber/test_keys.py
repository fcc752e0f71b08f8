"""Private keys of every kind go, however they are written; their lines stay."""

from __future__ import annotations

import base64
import json
import re
from random import Random

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from scrubber.detector import Detector
from scrubber.rules import load_rules
from scrubber.text import TextScrubber

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
WIDE = ec.generate_private_key(ec.SECP521R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()
OPEN, LOCKED = NoEncryption(), BestAvailableEncryption(b"a password")
FORMS = [
    (RSA, PrivateFormat.PKCS8, OPEN),
    (RSA, PrivateFormat.PKCS8, LOCKED),
    (RSA, PrivateFormat.TraditionalOpenSSL, OPEN),
    (RSA, PrivateFormat.TraditionalOpenSSL, LOCKED),
    (EC, PrivateFormat.PKCS8, OPEN),
    (EC, PrivateFormat.TraditionalOpenSSL, OPEN),
    (EC, PrivateFormat.OpenSSH, OPEN),
    (EDWARDS, PrivateFormat.PKCS8, OPEN),
    (EDWARDS, PrivateFormat.OpenSSH, OPEN),
]
PEMS = [key.private_bytes(Encoding.PEM, form, lock).decode() for key, form, lock in FORMS]
BARE = [
    base64.b64encode(key.private_bytes(Encoding.DER, form, lock)).decode()
    for key, form, lock in [*FORMS[:2], FORMS[2], *FORMS[4:6], (WIDE, PrivateFormat.TraditionalOpenSSL, OPEN), FORMS[7]]
] + [
    base64.b64encode(pkcs12.serialize_key_and_certificates(b"x", RSA, None, None, LOCKED)).decode(),
    base64.b64encode(
        bytes.fromhex("feedfeed0000000200000001000000010005") + b"alias" + Random(1).randbytes(900)
    ).decode(),
]
LOG = "Jan  1 00:00:00 host app[1]: "


def each_line(text: str, before: str, after: str = "\n") -> str:
    return "".join(f"{before}{line}{after}" for line in text.splitlines())


DRESSES = {
    "as it is": lambda text: text,
    "indented": lambda text: each_line(text, "    "),
    "json": lambda text: json.dumps({"a": 1, "key": text, "b": 2}),
    "json in json": lambda text: json.dumps({"a": json.dumps({"key": text})}),
    "line ends of Windows": lambda text: text.replace("\n", "\r\n"),
    "log": lambda text: each_line(text, LOG),
    "shell": lambda text: f'KEY="{text}"\nOTHER=1\n',
    "xml": lambda text: f"<a><k>{text}</k></a>\n",
    "diff": lambda text: each_line(text, "+"),
    "environment": lambda text: "A=" + text.replace("\n", "\\n") + "\nB=2\n",
    "quoted": lambda text: each_line(text, "> "),
    "source": lambda text: " + ".join(f'"{line}\\n"' for line in text.splitlines()),
    "html": lambda text: text.replace("\n", "&#10;"),
    "one line": lambda text: text.replace("\n", " "),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 in lines": lambda text: "\n".join(re.findall(".{1,76}", base64.b64encode(text.encode()).decode())),
}


@pytest.fixture(scope="module")
def run(pseudonyms):
    detector = Detector(load_rules().of({"secret"}), pseudonyms)

    def scrub(text: str) -> str:
        scrubber = TextScrubber(detector, lambda _noted: None)
        return (scrubber.feed(text.encode()) + scrubber.finish()).decode()

    return scrub


def left(text: str, out: str) -> list[str]:
    """Give the pieces of keys in *text* that *out* still shows."""
    runs = re.findall(r"[A-Za-z0-9+/]{20,}", text)
    pieces = {run[at : at + 16] for run in runs for at in range(0, len(run) - 15, 8)}
    return [piece for piece in pieces if piece in out]


def check(run, text: str, *, encoded: bool = False) -> None:
    text = f"first line\n{text}\nlast line\n"
    out = run(text)
    assert left(text, out) == []
    assert out.startswith("first line\n")
    assert out.endswith("\nlast line\n")
    if not encoded:  # what was encoded again has lines of its own
        assert out.count("\n") == text.count("\n")


@pytest.mark.parametrize("name", DRESSES)
def test_armoured_key_goes(run, name: str):
    """Nothing of a key in PEM or OpenSSH armour is left, whatever it is wrapped in."""
    for pem in PEMS:
        check(run, DRESSES[name](pem), encoded=name.startswith("base64"))


@pytest.mark.parametrize("name", [name for name in DRESSES if not name.startswith("base64")])
def test_bare_key_goes(run, name: str):
    """Nothing is left of a DER key, a PKCS#12 or a Java key store in base64 without any armour."""
    for text in BARE:
        check(run, DRESSES[name](text))


def test_bare_key_in_lines_goes(run):
    """A bare key that was broken into lines goes with all of its lines."""
    for text in BARE:
        check(run, "\n".join(re.findall(".{1,64}", text)))
