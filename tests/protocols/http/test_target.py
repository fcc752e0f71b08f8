"""Targets and preconditions as pure functions, against whatever can be thought of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from protocols.errors import InvalidNameError
from protocols.filesystem import Entry
from protocols.http.auth import parse_authorization
from protocols.http.conditions import not_modified, parse_content_range, parse_ranges
from protocols.http.status import ProblemError
from protocols.http.target import Mount, parse_target
from protocols.path import VirtualPath, check_name

ALIAS = Mount(prefix="/cases", root=VirtualPath(("cases",)), name_depth=2)
targets = st.text(st.sampled_from("/%.2eEfFcC05aé\\\x00 #?\udcff"), max_size=40)


@given(targets)
def test_a_target_is_a_clean_path_below_its_mount_or_refused(below: str) -> None:
    """No target leaves its mount or makes a part that cannot be a name."""
    try:
        target = parse_target("/cases/" + below, ALIAS)
    except (InvalidNameError, ProblemError):
        return
    assert target.path.parts[0] == "cases"
    assert all(part not in {"", ".", ".."} and check_name(part) == part for part in target.path.parts)


@given(st.lists(st.text(min_size=1, max_size=20), max_size=5))
def test_the_url_of_a_path_leads_back_to_it(names: list[str]) -> None:
    """What Location says is where the file is."""
    try:
        path = VirtualPath(("cases",))
        for name in names:
            path = path.child(name)
    except InvalidNameError:
        return
    url = ALIAS.url(path)
    assert url.isascii()
    assert parse_target(url, ALIAS).path == path


@pytest.mark.parametrize(
    ("target", "directory"),
    [
        ("/cases/a", False),
        ("/cases/a/", True),
        ("/cases", True),
        ("/cases/a/..", True),
        ("/cases/a/%2e", True),
        ("/cases//", True),
    ],
)
def test_a_slash_or_dots_at_the_end_mean_a_directory(target: str, directory: bool) -> None:
    """`curl -T` appends a name only after a slash; a server must see the difference."""
    assert parse_target(target, ALIAS).directory is directory


@given(st.text(max_size=60), st.integers(0, 50))
def test_a_range_lies_in_the_file_or_is_refused(text: str, size: int) -> None:
    """Whatever the header holds, what is read lies inside the file."""
    headers = CIMultiDictProxy(CIMultiDict({"Range": "bytes=" + text}))
    try:
        spans = parse_ranges(headers, Entry(name="a", is_directory=False, size=size, etag="x"))
    except ProblemError as problem:
        assert problem.status == 416  # noqa: PT017 -- either outcome is right
        return
    assert spans is None or (spans and all(0 <= span.start < span.end <= size for span in spans))


@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 60))
def test_a_content_range_is_consistent_or_refused(first: int, last: int, total: int) -> None:
    """A part has at least a byte and ends within the whole."""
    try:
        part = parse_content_range(f"bytes {first}-{last}/{total}")
    except ProblemError:
        assert last < first or last >= total
        return
    assert part.length == last - first + 1 > 0
    assert part.final == (last == total - 1)


@given(
    st.lists(
        st.tuples(st.sampled_from(["If-Match", "If-None-Match", "If-Modified-Since"]), st.text(max_size=30)), max_size=4
    )
)
def test_odd_preconditions_never_fail_otherwise_than_412(lines: list[tuple[str, str]]) -> None:
    """Garbage in a condition is a condition that does not hold, never an accident."""
    headers = CIMultiDictProxy(CIMultiDict(lines))
    try:
        not_modified(headers, Entry(name="a", is_directory=False, size=1, modified=1e9, etag="x"))
    except ProblemError as problem:
        assert problem.status == 412  # noqa: PT017 -- either outcome is right


def test_a_long_list_of_tags_is_read_in_linear_time() -> None:
    """A hostile list does not hold the loop: 8 KiB of almost-tags is refused at once."""
    hostile = '"a",' * 2000 + '"'
    assert not not_modified(
        CIMultiDictProxy(CIMultiDict({"If-None-Match": hostile})), Entry(name="a", is_directory=False, etag="x")
    )


@given(st.text(max_size=50))
def test_an_authorization_header_is_a_credential_or_refused(text: str) -> None:
    """No header fails in a way that is not foreseen."""
    from protocols.errors import AuthenticationError

    for value in (text, "Basic " + text, "Bearer " + text):
        try:
            parse_authorization([value])
        except (AuthenticationError, ProblemError):
            continue
