"""Forms as a stream of parts, however they are cut into pieces."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocols.http.multipart import (
    MAX_HEAD,
    MAX_PARTS,
    FormParser,
    MalformedFormError,
    PartBegun,
    PartData,
    PartEnded,
    parse_boundary,
)


def part(
    content: bytes, disposition: str = 'form-data; name="file"; filename="a.log"', boundary: bytes = b"b"
) -> bytes:
    head = f"Content-Disposition: {disposition}\r\nContent-Type: text/plain\r\n\r\n".encode()
    return b"--" + boundary + b"\r\n" + head + content + b"\r\n"


def parsed(pieces: list[bytes], boundary: bytes = b"b") -> tuple[list[tuple[str, str | None, bytes]], bool]:
    """Return the parts of a form, each with its name, file name and content, and whether the form was closed."""
    parser = FormParser(boundary)
    parts: list[tuple[str, str | None, bytes]] = []
    open_part: tuple[str, str | None, bytes] | None = None
    for piece in pieces:
        for event in parser.feed(piece):
            match event:
                case PartBegun(name=name, filename=filename):
                    open_part = (name, filename, b"")
                case PartData(data=data):
                    assert data
                    open_part = (open_part[0], open_part[1], open_part[2] + data)
                case PartEnded():
                    parts.append(open_part)
                    open_part = None
    return parts, parser.closed


def test_a_form_with_a_field_and_a_file():
    """What comes out is what went in, in its order."""
    body = part(b"ACME-1", 'form-data; name="case"') + part(b"content\r\n--") + b"--b--\r\n"
    assert parsed([body]) == ([("case", None, b"ACME-1"), ("file", "a.log", b"content\r\n--")], True)


TRAPS = [
    b"",
    b"\r\n",
    b"--b",
    b"\r\n--",
    b"\r\n--bx",
    b"\r\n--b x",
    b"\r\n-",
    b"\r",
    b"\n--b--",
    b"\r\n--B--",
    b"--b--\r\n",
]


DELIMITER = re.compile(rb"\r\n--b(?:--|[ \t]*\r\n)")


@given(
    contents=st.lists(st.lists(st.sampled_from([*TRAPS, b"x", b"ab" * 20]), max_size=4).map(b"".join), max_size=4),
    cuts=st.lists(st.integers(0, 400), max_size=12),
)
def test_however_it_is_cut(contents, cuts):
    """Pieces of any size, with contents that look like delimiters, give the same parts."""
    # a client chooses a boundary that its contents have not (RFC 2046, section 5.1.1)
    assume(not any(DELIMITER.search(content + b"\r\n") for content in contents))
    body = b"".join(map(part, contents)) + b"--b--\r\n"
    ends = sorted({min(cut, len(body)) for cut in cuts} | {len(body)})
    pieces = [body[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    found, closed = parsed(pieces)
    assert closed
    assert [content for _, _, content in found] == contents


@given(st.binary(max_size=2000), st.integers(1, 50))
def test_whatever_comes_is_a_form_or_is_refused(body, size):
    """Nothing makes the parser fail in another way, and nothing without its end is whole."""
    try:
        _, closed = parsed([body[at : at + size] for at in range(0, len(body), size)])
    except MalformedFormError:
        return
    assert not closed or b"--b--" in body


def test_a_form_that_is_cut_is_never_closed():
    """No prefix of a form passes for the whole."""
    body = part(b"content") + b"--b--"
    for length in range(len(body)):
        assert not parsed([body[:length]])[1]
    assert parsed([body])[1]


def test_what_stands_before_and_behind_the_parts_means_nothing():
    """Preamble and epilogue are passed over."""
    body = b"preamble\r\n" + part(b"content") + b"--b--\r\nepilogue\r\n" + part(b"more")
    assert parsed([body]) == ([("file", "a.log", b"content")], True)


@pytest.mark.parametrize(
    ("disposition", "filename"),
    [
        ('form-data; name="file"; filename="a \\"b\\".log"', 'a "b".log'),
        ('form-data; name="file"; filename="C:\\dir\\a.log"', "C:\\dir\\a.log"),
        ("form-data; name=file; filename=a.log", "a.log"),
        ('form-data; name="file"; filename="größe.log"', "größe.log"),
        ('form-data; name="file"; filename=""', ""),
        ('form-data; name="file"; filename="a;b.log"; filename*=UTF-8\'\'other.log', "a;b.log"),
        ("form-data; name=\"file\"; filename*=UTF-8''other.log", None),
        ('FORM-DATA; NAME="file"; FILENAME="a.log"', "a.log"),
        ('form-data; name="file"; filename="a%22b%0d.log"', "a%22b%0d.log"),
    ],
)
def test_names_of_files(disposition, filename):
    """Names are taken as browsers and `curl` write them; nothing is decoded twice."""
    assert parsed([part(b"x", disposition) + b"--b--"])[0][0][1] == filename


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Type: text/plain",
        b'Content-Disposition: attachment; name="file"; filename="a"',
        b'Content-Disposition: form-data; filename="a"',
        b'Content-Disposition: form-data; name="file"; filename="a"; filename="b"',
        b'Content-Disposition: form-data; name="file"; filename="a',
        b'Content-Disposition: form-data; name="a"\r\nContent-Disposition: form-data; name="b"',
        b'Content-Disposition: form-data; name="file"; filename="a"\r\nContent-Transfer-Encoding: base64',
        b'Content-Disposition: form-data; name="file"; filename="\xff"',
        b"no header at all",
        b": nothing",
        b"X: " + b"y" * MAX_HEAD,
    ],
)
def test_a_part_that_could_be_read_in_two_ways(head):
    """It is refused."""
    with pytest.raises(MalformedFormError):
        parsed([b"--b\r\n" + head + b"\r\n\r\nx\r\n--b--"])


def test_too_many_parts_and_no_beginning():
    """A form has a bounded number of parts and begins with its boundary."""
    with pytest.raises(MalformedFormError, match="parts"):
        parsed([part(b"x") * (MAX_PARTS + 1)])
    with pytest.raises(MalformedFormError, match="boundary"):
        parsed([b"x" * (MAX_HEAD + 1)])


@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "multipart/mixed; boundary=b",
     "multipart/form-data; boundary=" + "b" * 71, 'multipart/form-data; boundary="b\u00e4"', "application/json"],
)  # fmt: skip
def test_a_content_type_that_is_no_forms(content_type):
    """Without a boundary there is no form."""
    with pytest.raises(MalformedFormError):
        parse_boundary(content_type)


def test_a_boundary_in_quotes():
    """Both ways of writing it are one."""
    assert parse_boundary('multipart/form-data; boundary="a b"') == b"a b"
    assert parse_boundary("multipart/form-data; boundary=----x") == b"----x"
