"""Headers of uploads, whatever is in them: read, or refused with a reason; nothing else."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from protocols.http.digests import parse_digest, parse_upload_checksum, wants_sha256
from protocols.http.draft import filename_of
from protocols.http.status import ProblemError
from protocols.http.trailer import keep_last, parse_trailer
from protocols.http.uploadmetadata import modified_of, name_of, parse_metadata

noise = st.text(st.characters(codec="latin-1"), max_size=200)


@given(text=noise)
def test_metadata_are_read_or_refused(text: str) -> None:
    """And so is what is in them."""
    try:
        metadata = parse_metadata(text)
        name_of(metadata)
        modified_of(metadata)
    except ProblemError as problem:
        assert problem.status == 400  # noqa: PT017 -- either outcome is right


@given(pairs=st.dictionaries(st.from_regex(r"[a-z0-9_\-]{1,9}", fullmatch=True), st.text(max_size=20), max_size=6))
def test_metadata_come_back_as_they_were_sent(pairs: dict[str, str]) -> None:
    """Every key with its value, empty ones too."""
    coded = ",".join(
        f"{key} {base64.b64encode(value.encode('utf-8', 'replace')).decode()}".rstrip() for key, value in pairs.items()
    )
    assert parse_metadata(coded) == {key: value.encode("utf-8", "replace").decode() for key, value in pairs.items()}


@given(text=noise)
def test_checksums_are_read_or_refused(text: str) -> None:
    """In each of the three headers."""
    for parse in (parse_upload_checksum, lambda value: parse_digest("Content-Digest", value)):
        try:
            parse(text)
        except ProblemError as problem:
            assert problem.status == 400  # noqa: PT017 -- either outcome is right
    wants_sha256(text)
    filename_of(text)


@given(data=st.binary(max_size=300), cuts=st.lists(st.integers(1, 50), max_size=5))
def test_trailer_is_found_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    """Behind any body, in any pieces; and nothing is made up where there is none."""
    whole = b"%x\r\n" % len(data) + data + b"\r\n0\r\nUpload-Checksum: sha1 YWJj\r\n\r\n"
    kept, at = b"", 0
    for cut in [*cuts, len(whole)]:
        kept, at = keep_last(kept, whole[at : at + cut]), at + cut
    assert parse_trailer(kept) == {"upload-checksum": "sha1 YWJj"}
    assert parse_trailer(b"%x\r\n" % len(data) + data + b"\r\n0\r\n\r\n") == {}
