"""What Windows Explorer, macOS Finder and GNOME's file manager ask of a mount, request by request.

The sequences are those of Microsoft's WebDAV redirector (MS-WDV, MS-WDVSE), of Apple's webdav_agent, and of gvfs's
backend; each of them is one file that is dragged into a window.
"""

from __future__ import annotations

import base64
import http.client
import re
import ssl
from typing import TYPE_CHECKING, Any, Self

import pytest

from tests.house import PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

FOLDER = "/dav/ACME-1/to-support"
CONTENT = b"2026-11-22 12:00:00 nothing but an ordinary line\n" * 3000
LOCK = (
    b'<?xml version="1.0" encoding="utf-8"?><D:lockinfo xmlns:D="DAV:"><D:lockscope><D:exclusive/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype><D:owner><D:href>somebody</D:href></D:owner></D:lockinfo>"
)
QUOTA = (
    b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:quota-available-bytes/><D:quota-used-bytes/>'
    b"<D:quota/><D:quotaused/></D:prop></D:propfind>"
)
LISTED = (
    b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:getlastmodified/><D:getcontentlength/>'
    b"<D:creationdate/><D:resourcetype/></D:prop></D:propfind>"
)
WIN32 = (
    b'<?xml version="1.0" encoding="utf-8" ?><D:propertyupdate xmlns:D="DAV:" xmlns:Z="urn:schemas-microsoft-com:">'
    b"<D:set><D:prop><Z:Win32CreationTime>Sun, 22 Nov 2026 10:00:00 GMT</Z:Win32CreationTime>"
    b"<Z:Win32LastAccessTime>Sun, 22 Nov 2026 11:00:00 GMT</Z:Win32LastAccessTime>"
    b"<Z:Win32LastModifiedTime>Sun, 22 Nov 2026 10:30:00 GMT</Z:Win32LastModifiedTime>"
    b"<Z:Win32FileAttributes>00000020</Z:Win32FileAttributes></D:prop></D:set></D:propertyupdate>"
)


class Mount:
    """One connection of a desktop's, with what it sends on every request."""

    def __init__(self, house: House, agent: str, region: str = "eu", login: str = "ann") -> None:
        context = ssl.create_default_context(cafile=house.endpoints["certificate"])
        self._connection = http.client.HTTPSConnection(
            "localhost", house.port("https", region), timeout=90, context=context
        )
        self._fixed = {"User-Agent": agent}
        self._login = "Basic " + base64.b64encode(f"{login}:{PASSWORD}".encode()).decode()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def ask(
        self, method: str, path: str, body: Any = b"", *, known: bool = True, **headers: str
    ) -> tuple[int, bytes, dict[str, str]]:
        """Ask, with a login where it is *known*; return status, body, and headers by their lower-case names."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        login = {"Authorization": self._login} if known else {}
        self._connection.request(method, path, body or None, {**self._fixed, **login, **named})
        answer = self._connection.getresponse()
        names = {name.lower() for name in answer.headers}
        return answer.status, answer.read(), {name: ", ".join(answer.headers.get_all(name, [])) for name in names}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One house; each test sends names of its own."""
    with running_house(tmp_path_factory.mktemp("desktops")) as house:
        yield house


def versions(house: House, name: str) -> list[tuple[int, int]]:
    rows = house.query("SELECT version, size FROM upload WHERE name = ? AND state != 'expired' ORDER BY version", name)
    return [(row["version"], row["size"]) for row in rows]


def test_explorer_s_file_is_one_version_with_its_time(house: House) -> None:
    """OPTIONS without a login, parents looked at, an empty file, its lock, properties, content, unlocked."""
    file = f"{FOLDER}/explorer.txt"
    with Mount(house, "Microsoft-WebDAV-MiniRedir/10.0.19045") as mount:
        status, _, headers = mount.ask("OPTIONS", "/", known=False)
        assert (status, headers["ms-author-via"]) == (200, "DAV")
        status, _, headers = mount.ask("PROPFIND", "/dav", known=False, Depth="0", translate="f")
        assert status == 401
        assert "Basic" in headers["www-authenticate"]
        for parent in ("/dav", "/dav/ACME-1", FOLDER):
            assert mount.ask("PROPFIND", parent, Depth="0", translate="f")[0] == 207
        assert mount.ask("PROPFIND", file, Depth="0", translate="f")[0] == 404
        assert mount.ask("PUT", file, Content_Length="0", translate="f")[0] == 201
        status, body, headers = mount.ask("LOCK", file, LOCK, Timeout="Second-3600", Content_Type="text/xml")
        token = headers["lock-token"]
        assert status == 200
        assert token.strip("<>").encode() in body
        condition = f"({token})"
        assert mount.ask("PROPPATCH", file, WIN32, If=condition, Content_Type="text/xml")[0] == 207
        assert mount.ask("HEAD", file, translate="f")[0] == 200
        assert mount.ask("PUT", file, CONTENT, If=condition, translate="f")[0] in {200, 201, 204}
        status, body, _ = mount.ask("PROPPATCH", file, WIN32, If=condition, Content_Type="text/xml")
        assert status == 207
        assert b"HTTP/1.1 200 OK" in body
        assert b"HTTP/1.1 4" not in body
        assert mount.ask("UNLOCK", file, Lock_Token=token)[0] == 204
        status, body, _ = mount.ask("PROPFIND", FOLDER, Depth="1", translate="f")
        row = body.decode().partition("explorer.txt")[2].partition("</D:response>")[0]
    assert f"<D:getcontentlength>{len(CONTENT)}<" in row
    assert "Sun, 22 Nov 2026 10:30:00 GMT" in row
    assert versions(house, "explorer.txt") == [(1, len(CONTENT))]


def test_finder_s_file_is_one_version_and_its_forks_are_none(house: House) -> None:
    """Space is asked for, content comes in chunks with its length in Apple's own header, `._` files stay out."""
    file, fork = f"{FOLDER}/finder.txt", f"{FOLDER}/._finder.txt"
    with Mount(house, "WebDAVFS/3.0.0 (03008000) Darwin/23.1.0 (x86_64)") as mount:
        assert mount.ask("OPTIONS", "/dav/", known=False)[2]["dav"].startswith("1, 2")
        status, body, _ = mount.ask("PROPFIND", FOLDER + "/", QUOTA, Depth="0", Content_Type="text/xml")
        assert status == 207
        assert re.search(rb"<D:quota-available-bytes>\d+<", body)
        assert mount.ask("PROPFIND", FOLDER + "/", LISTED, Depth="1")[0] == 207
        for name in (fork, file):
            assert mount.ask("PROPFIND", name, LISTED, Depth="0")[0] == 404
        assert mount.ask("PUT", file, Content_Length="0")[0] == 201
        status, _, headers = mount.ask("LOCK", file, LOCK, Depth="0", Timeout="Second-600")
        token = headers["lock-token"]
        assert status == 200
        # Without a length http.client sends a body in chunks.
        pieces = (CONTENT[start : start + 16384] for start in range(0, len(CONTENT), 16384))
        answer = mount.ask(
            "PUT",
            file,
            pieces,
            If=f"({token})",
            X_Expected_Entity_Length=str(len(CONTENT)),
        )
        assert answer[0] in {200, 201, 204}, answer
        assert mount.ask("LOCK", file, Depth="0", Timeout="Second-600", If=f"({token})")[0] == 200  # it is refreshed
        assert mount.ask("UNLOCK", file, Lock_Token=token)[0] == 204
        assert mount.ask("PUT", fork, b"\x00\x05\x16\x07forks")[0] == 422
        assert mount.ask("PUT", f"{FOLDER}/.DS_Store", b"Bud1")[0] == 422
        assert mount.ask("GET", file)[1] == CONTENT
    assert versions(house, "finder.txt") == [(1, len(CONTENT))]
    assert versions(house, "._finder.txt") == []


def test_gnome_s_file_is_one_version(house: House) -> None:
    """gvfs asks what is there by Depth 1, sends with `Overwrite` in mind, and looks at what it has sent."""
    file = f"{FOLDER}/gvfs.txt"
    wanted = (
        b'<?xml version="1.0"?><D:propfind xmlns:D="DAV:"><D:prop><D:resourcetype/><D:getetag/></D:prop></D:propfind>'
    )
    with Mount(house, "gvfs/1.54.4") as mount:
        assert mount.ask("OPTIONS", FOLDER)[0] == 200
        for parent in (FOLDER, "/dav/ACME-1", "/dav"):  # upwards, as long as it is WebDAV's: that is where it mounts
            assert mount.ask("PROPFIND", parent, wanted, Depth="0")[0] == 207
        assert mount.ask("HEAD", file)[0] == 404
        assert mount.ask("PUT", file, CONTENT, If_None_Match="*")[0] == 201
        status, body, _ = mount.ask("PROPFIND", file, wanted, Depth="0")
        assert status == 207
        assert b"<D:getetag>" in body
        assert mount.ask("PUT", file, CONTENT, If_None_Match="*")[0] == 412
    assert versions(house, "gvfs.txt") == [(1, len(CONTENT))]


def test_locked_name_is_locked_for_its_own_protocol_and_a_version_by_others(house: House) -> None:
    """A mount's lock keeps other mounts out; what comes by PUT or tus meanwhile is a version, and nothing is lost."""
    name = "locked-elsewhere.txt"
    file = f"{FOLDER}/{name}"
    tus = {
        "Tus_Resumable": "1.0.0",
        "Upload_Length": "3",
        "Upload_Metadata": "filename " + base64.b64encode(name.encode()).decode(),
        "Content_Type": "application/offset+octet-stream",
    }
    with Mount(house, "a") as mount, Mount(house, "b", login="bob") as other:
        assert mount.ask("PUT", file, b"one")[0] == 201
        token = mount.ask("LOCK", file, LOCK, Timeout="Second-600")[2]["lock-token"]
        assert other.ask("PUT", file, b"two")[0] == 423
        put = other.ask("PUT", f"/files/ACME-1/to-support/{name}", b"two!")[0]
        posted = other.ask("POST", "/tus/ACME-1/to-support/", b"tus", **tus)[0]
        assert mount.ask("PUT", file, b"three", If=f"({token})")[0] in {200, 201, 204}
        assert mount.ask("GET", file)[1] == b"three"
        assert mount.ask("UNLOCK", file, Lock_Token=token)[0] == 204
    assert (put, posted) == (201, 201)
    assert sorted(size for _, size in versions(house, name)) == [3, 3, 4, 5]


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("PROPFIND", "/dav/ACME-2/to-support/", {"Depth": "1"}),
        ("PUT", "/dav/ACME-2/to-support/a.txt", {}),
        ("LOCK", "/dav/ACME-2/to-support/a.txt", {}),
        ("MKCOL", "/dav/ACME-2/to-support/new", {}),
        (
            "POST",
            "/tus/ACME-2/to-support/",
            {"Tus_Resumable": "1.0.0", "Upload_Length": "3", "Upload_Metadata": "filename YQ=="},
        ),
    ],
)
def test_wrong_entrance_is_told_to_mounts_and_tus_too(
    house: House, method: str, path: str, headers: dict[str, str]
) -> None:
    """307 with the same path at the right one, and nothing of the case is made here."""
    body = LOCK if method == "LOCK" else b""
    with Mount(house, "x", region="us") as mount:
        status, _, told = mount.ask(method, path, body, **headers)
    assert status == 307
    assert told["location"].endswith(f":{house.port('https', 'eu')}{path}")
    assert house.query("SELECT 1 FROM upload WHERE region != 'eu'") == []
