"""Attributes and the line of `ls -l`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from protocols.filesystem import Entry
from protocols.sftp.attrs import Names, encode_attributes, encode_names, parse_attributes
from protocols.sftp.wire import Fields, MalformedError, uint32, uint64

if TYPE_CHECKING:
    from protocols.filesystem import Row

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


def row_of(entry: Entry) -> Row:
    return entry.name, entry.is_directory, entry.size, entry.modified, entry.writable


def parsed(names: Names) -> list[tuple[str, str, bytes]]:
    """Take rows apart: names, long names, and what follows as it is."""
    fields = Fields(names.rows)
    return [
        (fields.string().decode(), fields.string().decode(), uint32(fields.uint32()) + bytes(fields._take(28)))
        for _ in range(names.number)
    ]


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
    assert parsed(encode_names([row_of(entry)], now=NOW, room=4096)) == [(entry.name, line, encode_attributes(entry))]


@pytest.mark.parametrize("modified", [-5.0, 2.0**40])
def test_times_that_version_3_cannot_hold_are_bounded(modified: float) -> None:
    """A time before 1970 or after 2106 does not break a listing."""
    entry = Entry(name="f", is_directory=False, modified=modified)
    assert len(encode_attributes(entry)) == 32
    [(_, line, attributes)] = parsed(encode_names([row_of(entry)], now=NOW, room=4096))
    assert line.endswith(" f")
    assert attributes == encode_attributes(entry)


def test_rows_that_have_no_room_stay_where_they_are() -> None:
    """However long the names are: no packet passes its bound, and no row is lost or comes twice."""
    entries = [Entry(name=f"{n:04}" + "ü" * (n % 125), is_directory=False, size=10**15, modified=n) for n in range(500)]
    rows = iter([row_of(entry) for entry in entries])
    seen: list[str] = []
    full = True
    while full:
        names = encode_names(rows, now=NOW, room=8192)
        assert len(names.rows) <= 8192
        seen += [name for name, _, _ in parsed(names)]
        full = names.is_full
    assert seen == [entry.name for entry in entries]
    assert encode_names(rows, now=NOW, room=8192) == (0, b"", False)


def test_numbers_of_a_database_pass_for_truth() -> None:
    """Rows come straight from a catalog that knows 0 and 1."""
    plain = encode_names([("d", True, 0, 0.0, False), ("f", False, 1, 1.0, True)], now=NOW, room=4096)
    numbers: list[Any] = [("d", 1, 0, 0, 0), ("f", 0, 1, 1, 1)]
    assert encode_names(numbers, now=NOW, room=4096) == plain
