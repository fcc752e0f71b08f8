"""Names of members stay inside their archive, and links are harmless to keep."""

from __future__ import annotations

import io
import posixpath
import stat
import tarfile
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber.naming import Links, inside

INSIDE = {
    b"logs/app.log": b"logs/app.log",
    b"./a/b": b"./a/b",
    b"a..b/..c": b"a..b/..c",
    b"/etc/passwd": b"etc/passwd",
    b"../../etc/passwd": b"etc/passwd",
    b"a/../../b": b"b",
    b"a/b/../c/": b"a/c/",
    b"C:\\Windows\\x.ini": b"Windows/x.ini",
    b"..\\..\\x": b"x",
    b"/": b"./",
    b"..": b"./",
}


@pytest.mark.parametrize("name", INSIDE)
def test_name_is_brought_back_into_the_archive(name):
    """What leads out comes back in; what is harmless keeps its name."""
    assert inside(name) == INSIDE[name]


@given(st.lists(st.sampled_from([b"..", b".", b"", b"a", b"b c", b"C:", b"\\"]), max_size=8).map(b"/".join))
def test_no_name_leads_out(name):
    """Whatever a name is made of, it stays below where it is unpacked, and is brought in only once."""
    made = inside(name)
    assert not made.startswith((b"/", b"\\"))
    assert b".." not in posixpath.normpath(made).replace(b"\\", b"/").split(b"/")
    assert inside(made) == made


def test_links_cover_what_is_unpacked_through_them():
    """A member behind a link is told from its neighbours."""
    links = Links()
    links.add(b"./var/log")
    assert links.cover(b"var/log/x")
    assert links.cover(b"./var//log/a/b")
    assert not links.cover(b"var/log")
    assert not links.cover(b"var/logs/x")


def make_tar(*members: tuple[str, bytes, str]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, kind, link in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, link
            archive.addfile(info)
    return out.getvalue()


def test_tar_of_absolute_names_links_and_devices_is_kept(scrubbed):
    """What `tar -P` and sosreport write is harmless: links stay as they are, names become relative."""
    data = make_tar(
        ("/etc/hosts", tarfile.REGTYPE, ""),
        ("../up", tarfile.REGTYPE, ""),
        ("etc/localtime", tarfile.SYMTYPE, "/usr/share/zoneinfo/UTC"),
        ("proc/self", tarfile.SYMTYPE, "../../../1234"),
        ("hard", tarfile.LNKTYPE, "/etc/hosts"),
        ("dev/sda", tarfile.BLKTYPE, ""),
    )
    out, report = scrubbed(data)
    assert report.scannable
    with tarfile.open(fileobj=io.BytesIO(out)) as archive:
        members = archive.getmembers()
    assert [member.name for member in members] == ["etc/hosts", "up", "etc/localtime", "proc/self", "hard", "dev/sda"]
    assert members[2].linkname == "/usr/share/zoneinfo/UTC"
    assert members[3].linkname == "../../../1234"
    assert members[4].linkname == "etc/hosts"
    assert members[5].isreg()


def test_zip_of_outward_names_and_links_is_kept(scrubbed):
    """Info-ZIP stores names with steps upward; they come back in, and a link stays a link."""
    source = io.BytesIO()
    with zipfile.ZipFile(source, "w") as archive:
        archive.writestr("../logs/a.txt", b"plain")
        archive.writestr("/abs.txt", b"plain")
        link = zipfile.ZipInfo("now")
        link.external_attr, link.create_system = (stat.S_IFLNK | 0o777) << 16, 3
        archive.writestr(link, "/var/log/messages")
    out, report = scrubbed(source.getvalue())
    assert report.scannable
    with zipfile.ZipFile(io.BytesIO(out)) as archive:
        assert archive.namelist() == ["logs/a.txt", "abs.txt", "now"]
        assert archive.read("now") == b"/var/log/messages"
        assert stat.S_ISLNK(archive.getinfo("now").external_attr >> 16)
