"""The engine's own promises: the report, consistency, bounded memory, named failures."""

from __future__ import annotations

import hashlib
import io
import ipaddress
import json
import subprocess
import sys

import pytest

from scrubber.engine import scrub
from scrubber.errors import ScratchError, SourceError
from scrubber.model import MAX_FINDINGS, Obstacle, ScrubReport
from scrubber.pseudonym import Pseudonymizer
from scrubber.report import summarize

SECRET = b"password=geheim123 from 10.20.30.40 by anna.berg@kunde.de card 4111 1111 1111 1111\n"
PLANTED = ["geheim123", "10.20.30.40", "anna.berg", "4111"]


def test_report_and_summary_hold_no_matched_text(scrubbed):
    """Neither the report, nor its text form, nor any repr shows what was found."""
    _, report = scrubbed(SECRET, "mail-anna.berg@kunde.de.txt")
    for shown in (json.dumps(report.to_dict()), repr(report), summarize(report), repr(report.findings)):
        assert not any(planted in shown for planted in PLANTED)


def test_report_tells_digests_sizes_and_places(scrubbed):
    """A report holds digests and sizes of both sides, and each place in the output."""
    out, report = scrubbed(SECRET * 3)
    assert report.sha256_in == hashlib.sha256(SECRET * 3).hexdigest()
    assert report.sha256_out == hashlib.sha256(out).hexdigest()
    assert (report.bytes_in, report.bytes_out, report.bytes_scanned) == (len(SECRET) * 3, len(out), len(SECRET) * 3)
    assert report.counts == {"card": 3, "email": 3, "ipv4": 3, "password.assignment": 3}
    assert len({f.fingerprint for f in report.findings}) == 4
    first = report.findings[0]
    assert out[first.offset : first.offset + first.length].startswith(b"[password:")


def test_report_survives_json(scrubbed):
    """A report comes back from JSON as it was."""
    _, report = scrubbed(SECRET + b"\x00\xff" * 40)
    report = ScrubReport.from_dict(report.to_dict() | {"obstacles": [Obstacle(member="x", reason="y").to_dict()]})
    assert ScrubReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report
    assert not report.scannable


def test_findings_are_bounded_and_counted(scrubbed):
    """Beyond ten thousand places only the number is kept."""
    _, report = scrubbed(b"from 10.20.30.40 to 10.20.30.41\n" * 6000)
    assert len(report.findings) == MAX_FINDINGS
    assert report.findings_omitted == 2000
    assert report.total == 12_000
    assert "more places" in summarize(report)


def test_clean_upload_is_said_to_be_clean(scrubbed):
    """Nothing found and everything seen is clean; so is an empty file."""
    assert scrubbed(b"nothing to see\n")[1].clean
    out, report = scrubbed(b"")
    assert (out, report.clean, report.members) == (b"", True, 1)
    assert "nothing was replaced" in summarize(report)


def test_same_value_gets_the_same_pseudonym_everywhere(scrubbed, pseudonyms):
    """One key gives one pseudonym for one value, in any upload; another key gives another."""
    one, two = scrubbed(SECRET)[0], scrubbed(b"x\n" + SECRET)[0]
    assert two == b"x\n" + one
    other = io.BytesIO()

    class Once:
        size = len(SECRET)

        def read(self, offset, n):
            return SECRET[offset : offset + n]

    scrub(Once(), other.write, pseudonyms=Pseudonymizer(b"another" * 5), name="x")
    assert other.getvalue() != one


def test_subnets_stay_subnets(pseudonyms):
    """Addresses of one subnet share a subnet afterwards, in 240.0.0.0/4; private ones have a part of their own."""
    images = {text: ipaddress.IPv4Address(pseudonyms.ipv4(text.encode()).decode()) for text in ADDRESSES}
    assert all(image in ipaddress.IPv4Network("240.0.0.0/4") for image in images.values())
    assert all(
        (image in ipaddress.IPv4Network("248.0.0.0/5")) == ipaddress.IPv4Address(text).is_private
        for text, image in images.items()
    )
    for a in ADDRESSES:
        for b in ADDRESSES:
            shared = (int(ipaddress.IPv4Address(a)) ^ int(ipaddress.IPv4Address(b))).bit_length()
            if shared <= 16:
                assert (int(images[a]) ^ int(images[b])).bit_length() == shared
    assert len(set(images.values())) == len(images)


ADDRESSES = [
    "10.1.2.3",
    "10.1.2.4",
    "10.1.3.4",
    "10.1.200.4",
    "192.168.1.1",
    "192.168.1.255",
    "172.16.5.1",
    "84.17.3.1",
    "84.17.3.129",
    "84.17.99.1",
    "9.9.9.9",
]


def test_ipv6_networks_stay_networks(pseudonyms):
    """Addresses of one /48 and /64 share them afterwards, within 2001:db8::/32, however they were written."""
    first, second, third = (
        ipaddress.IPv6Address(pseudonyms.ipv6(t).decode())
        for t in (b"2a01:4f8:c0c:1::2", b"2a01:4f8:c0c:1::9", b"2a01:4f8:c0c:2::2")
    )
    assert int(first) >> 64 == int(second) >> 64 != int(third) >> 64
    assert int(first) >> 80 == int(third) >> 80
    assert first in ipaddress.IPv6Network("2001:db8::/32")
    assert pseudonyms.ipv6(b"2A01:04F8:0C0C:0001:0:0:0:2") == pseudonyms.ipv6(b"2a01:4f8:c0c:1::2")


def test_formats_of_personal_values_are_kept(pseudonyms):
    """A pseudonym looks like what it stands for and cannot be a real one."""
    assert pseudonyms.mac(b"00-1A-2B-3C-4D-5E").startswith(b"02-F0-")
    assert pseudonyms.mac(b"001a.2b3c.4d5e").startswith(b"02f0.")
    assert pseudonyms.mac(b"00:1a:2b:3c:4d:5e").replace(b":", b"") == pseudonyms.mac(b"001a.2b3c.4d5e").replace(
        b".", b""
    )
    assert pseudonyms.email(b"Anna@Kunde.de") == pseudonyms.email(b"anna@kunde.DE")
    assert pseudonyms.email(b"a@kunde.de").split(b"@")[1] == pseudonyms.email(b"b@kunde.de").split(b"@")[1]
    assert pseudonyms.phone(b"+49 89 1234-567", 2)[:6] == b"+49 00"
    assert pseudonyms.card(b"4111-1111-1111-1111")[4:5] == b"-"
    assert pseudonyms.iban(b"DE89 3704 0044 0532 0130 00")[:5] == b"DE00 "


_MEASURED = """
import tracemalloc
from scrubber.engine import scrub
from scrubber.pseudonym import Pseudonymizer

lines = b"2026-11-22 from 10.20.30.40 password=geheim123\\n" + b"nothing else of interest to be found here\\n" * 1000


class Endless:
    def __init__(self, size):
        self.size = size

    def read(self, offset, n):
        shift = offset % len(lines)
        return (lines * (n // len(lines) + 2))[shift : shift + n]


def run(size):
    report = scrub(Endless(size), lambda _: None, pseudonyms=Pseudonymizer(bytes(32)), name="x")
    return report.bytes_scanned


run(1 << 20)  # rules and words stay
tracemalloc.start()
print(run(24 << 20), tracemalloc.get_traced_memory()[1])
"""


def test_memory_stays_bounded_on_a_long_log():
    """Memory does not grow with the size of a log; in a process where nothing ran before."""
    made = subprocess.run([sys.executable, "-c", _MEASURED], capture_output=True, check=True, text=True)
    scanned, peak = map(int, made.stdout.split())
    assert scanned == 24 << 20
    assert peak < 48 << 20


def test_progress_reaches_the_end(scrubbed):
    """Progress tells the bytes read, in rising order, to the last."""
    seen: list[int] = []
    scrubbed(SECRET * 20_000, progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == len(SECRET) * 20_000


def test_source_that_ends_early_is_an_error(pseudonyms):
    """A source shorter than its size is the caller's failure, not an obstacle."""

    class Short:
        size = 100

        def read(self, offset, n):
            return b"x" * 10 if offset == 0 else b""

    with pytest.raises(SourceError):
        scrub(Short(), lambda _: None, pseudonyms=pseudonyms, name="x")


def test_scratch_that_fails_is_an_error(scrubbed):
    """A full scratch space is the application's failure, not an obstacle."""

    class Full(io.BytesIO):
        def write(self, data):
            raise OSError(28, "full")

    archive = io.BytesIO()
    import tarfile

    with tarfile.open(fileobj=archive, mode="w") as tar:
        info = tarfile.TarInfo("x")
        info.size = 5
        tar.addfile(info, io.BytesIO(b"text\n"))
    with pytest.raises(ScratchError):
        scrubbed(archive.getvalue(), scratch=Full)


def test_short_key_is_refused():
    """A pseudonym key has sixteen bytes or more, and is never shown."""
    with pytest.raises(ValueError, match="16"):
        Pseudonymizer(b"short")
    assert "kkkk" not in repr(Pseudonymizer(b"k" * 32))
