"""What an engineer needs stays as it is, and what a customer fears goes, in the dialects of the field.

The rules alone are held to it here: what an identity pass learns from such lines is tested beside it.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

HERE = Path(__file__).parent
SURVIVORS = (HERE / "survivors.txt").read_text("utf-8").splitlines()
SECRETS = (HERE / "secrets.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("line", SURVIVORS)
def test_innocent_line_stays(scrubbed, line: str):
    """A line without a secret comes out as it went in."""
    data = f"first\n{line}\nlast\n".encode()
    assert scrubbed(data, learning=False)[0] == data


@pytest.mark.parametrize("line", SECRETS)
def test_marked_secret_goes_and_the_line_stays(scrubbed, line: str):
    """What is marked goes, what stands around it stays, and a second scrub changes nothing."""
    plain = line.replace("⟦", "").replace("⟧", "")
    out, report = scrubbed(f"first\n{plain}\nlast\n".encode(), learning=False)
    pieces = [re.escape(piece) for piece in re.split("⟦.*?⟧", line)]
    got = re.fullmatch("first\n" + "(.+?)".join(pieces) + "\nlast\n", out.decode())
    assert got is not None
    for marked, replaced in zip(re.findall("⟦(.*?)⟧", line), got.groups(), strict=True):
        assert marked not in replaced
    assert report.total >= 1
    assert scrubbed(out, learning=False)[0] == out


def test_python_source_lines_with_names_only_stay(scrubbed):
    """Source code that handles passwords holds none."""
    data = b"def login(user, password):\n    return check(user, password=password)\n    self.password = password\n"
    assert scrubbed(data, learning=False)[0] == data


CERTIFICATE = (
    b"-----BEGIN CERTIFICATE-----\nMIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n"
    b"RTESMBAGA1UEChMJQmFsdGltb3JlMRMwEQYDVQQLEwpDeWJlclRydXN0MSIwIAYD\n-----END CERTIFICATE-----\n"
)


def test_certificate_and_public_key_stay(scrubbed):
    """Certificates and public keys are public."""
    data = CERTIFICATE + CERTIFICATE.replace(b"CERTIFICATE", b"PUBLIC KEY")
    assert scrubbed(data, learning=False)[0] == data
