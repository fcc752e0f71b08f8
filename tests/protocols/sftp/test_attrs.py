"""Attributes and the line of `ls -l`."""

from __future__ import annotations

import pytest

from protocols.filesystem import Entry
from protocols.sftp.attrs import encode_attributes, long_name, parse_attributes
from protocols.sftp.wire import Fields, MalformedError, uint32, uint64

NOW = 1_800_000_000.0


def test_parse_attributes_takes_size_and_time_and_reads_over_the_rest() -> None:
    """Owner, permissions and extensions are skipped, whatever stands in them."""
    body = uint32(0x8000000F) + uint64(5) + uint32(1) + uint32(2) + uint32(0o777) + uint32(10) + uint32(20)
    wanted = parse_attributes(Fields(body + uint32(1) + uint32(1) + b"a" + uint32(1) + b"b"))
    assert (wanted.size, wanted.modified) == (5, 20.0)


def test_parse_attributes_with_a_huge_count_of_extensions_is_malformed() -> None:
    """A count that the packet cannot hold ends at the packet's end."""
    with pytest.raises(MalformedError):
        parse_attributes(Fields(uint32(0x80000000) + uint32(0xFFFFFFFF)))


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            Entry(name="a b", is_directory=False, size=12, modified=NOW - 60, writable=True),
            "-rw-r--r--    1 mft      mft                12 Jan 15 07:59 a b",
        ),
        (
            Entry(name="d", is_directory=True, modified=0.0),
            "dr-xr-xr-x    1 mft      mft                 0 Jan  1  1970 d",
        ),
        (
            Entry(name="f", is_directory=False, modified=NOW + 86_400 * 400),
            "-r--r--r--    1 mft      mft                 0 Feb 19  2028 f",
        ),
    ],
    ids=["recent", "old directory", "future"],
)
def test_long_name_shows_no_owner_of_the_machine(entry: Entry, line: str) -> None:
    """The line has the form of `ls -l`, in UTC, and names nobody."""
    assert long_name(entry.name, entry, now=NOW) == line


@pytest.mark.parametrize("modified", [-5.0, 2.0**40])
def test_times_that_version_3_cannot_hold_are_bounded(modified: float) -> None:
    """A time before 1970 or after 2106 does not break a listing."""
    entry = Entry(name="f", is_directory=False, modified=modified)
    assert len(encode_attributes(entry)) == 32
    assert long_name("f", entry, now=NOW).endswith(" f")
