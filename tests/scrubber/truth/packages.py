"""Archives around pages: names and owners of their own, nested; and files that nobody may let through."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING

from tests.scrubber.truth.mark import Label
from tests.scrubber.truth.tree import Blob, Node, Package, Page, Refused

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tests.scrubber.truth.teller import Teller


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


_COMPRESS: dict[str, Callable[[bytes], bytes]] = {"": bytes, "gz": _gzip, "bz2": bz2.compress, "xz": lzma.compress}
_EXPAND: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.decompress,
    "bz2": bz2.decompress,
    "xz": lzma.decompress,
}


def make_tar(t: Teller, members: list[tuple[str, Node]], form: str = "tar.gz") -> Package:
    """Pack *members* with their owner's login and links as a sosreport has them."""
    out = io.BytesIO()
    owner = t.person().login
    with tarfile.open(fileobj=out, mode="w", format=t.rng.choice([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])) as archive:
        for name, node in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(node.data), 1_767_000_000, 0o640
            info.uname, info.gname = owner, "users"
            archive.addfile(info, io.BytesIO(node.data))
        link = tarfile.TarInfo("links/current.log")
        link.type, link.linkname, link.mtime = tarfile.SYMTYPE, "/var/log/messages", 1_767_000_000
        archive.addfile(link)
    label = Label(kind="archive", value=owner, cause=f"{form} owner")
    packed = _COMPRESS[form.removeprefix("tar").removeprefix(".")](out.getvalue())
    return Package(form=form, data=packed, members=tuple(members), labels=(label,))


def make_zip(t: Teller, members: list[tuple[str, Node]]) -> Package:
    """Pack *members*, with comments."""
    out = io.BytesIO()
    mail = t.person().email
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, node) in enumerate(members):
            info = zipfile.ZipInfo(name, (2026, 11, 2, 10, 11, 12))
            info.compress_type = zipfile.ZIP_STORED if number % 3 == 0 else zipfile.ZIP_DEFLATED
            if number == 0:
                info.comment = f"from {mail}".encode()
            archive.writestr(info, node.data)
        archive.comment = f"packed by {mail}".encode()
    return Package(
        form="zip",
        data=out.getvalue(),
        members=tuple(members),
        labels=(Label(kind="archive", value=mail, cause="zip comment"),),
    )


def make_single(t: Teller, node: Node, form: str) -> Package:
    """Compress one file; a gzip says its name."""
    data = node.data
    labels: tuple[Label, ...] = ()
    if form == "gz":
        host = t.host().fqdn
        out = io.BytesIO()
        with gzip.GzipFile(filename=f"{host}.log", mode="wb", fileobj=out, mtime=1_767_000_000) as file:
            file.write(data)
        packed = out.getvalue()
        labels = (Label(kind="archive", value=host, cause="gzip name"),)
    else:
        packed = _COMPRESS[form](data)
    return Package(form=form, data=packed, members=(("", node),), labels=labels)


def open_members(form: str, data: bytes) -> list[tuple[str, bytes]]:
    """Open an archive with the ordinary tools; give its files in order."""
    if form.startswith("tar"):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return [(m.name, archive.extractfile(m).read()) for m in archive if m.isfile()]  # type: ignore[union-attr]  # of a file
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if archive.testzip():
                raise ValueError("a member's sum is wrong")
            return [(info.filename, archive.read(info)) for info in archive.infolist()]
    return [("", _EXPAND[form](data))]


def metadata_of(form: str, data: bytes) -> str:
    """Give all that an archive says besides its members' contents."""
    if form.startswith("tar"):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            return "\n".join(f"{m.name} {m.uname} {m.gname} {m.linkname} {m.pax_headers}" for m in archive)
    if form == "zip":
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return archive.comment.decode("latin-1") + "\n".join(
                f"{i.filename} {i.comment!r} {i.extra!r}" for i in archive.infolist()
            )
    if form == "gz":
        return data[:256].split(b"\0")[0].decode("latin-1") + repr(data[:300])
    return ""


def refused(rng: Random) -> dict[str, Refused]:
    """Give files that must be quarantined, each for one reason."""
    noise = rng.randbytes(9000)
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("a.txt", (2026, 11, 2, 10, 11, 12)), "nothing " * 400, zipfile.ZIP_DEFLATED)
    locked = bytearray(zipped.getvalue())
    locked[6] |= 1  # the general purpose bit of encryption, in both headers (APPNOTE 4.4.4)
    locked[locked.index(b"PK\x01\x02") + 8] |= 1
    packed = gzip.compress(b"all is well\n" * 5000, mtime=0)
    tarred = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=tarred, mtime=0) as out,
        tarfile.open(fileobj=out, mode="w|") as tar,
    ):
        info = tarfile.TarInfo("bomb.bin")
        info.size = 96 << 20
        tar.addfile(info, _Zeros(info.size))
    jks = b"\xfe\xed\xfe\xed\0\0\0\2\0\0\0\1\0\0\0\1\0\5mykey" + noise[:2000]
    p12 = b"\x30\x82\x0a\x3c\x02\x01\x03\x30\x82\x09\xf4\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01" + noise[:2590]
    pgp = b"\x85\x01\x0c\x03" + rng.randbytes(264) + b"\xd2\xc0\x9f\x01" + noise[:1500]
    truncated_zip = zipped.getvalue()[:-40]
    return {
        "noise.bin": Refused(data=noise, reason="random bytes"),
        "locked.zip": Refused(data=bytes(locked), reason="encrypted zip"),
        "cut.gz": Refused(data=packed[: len(packed) // 2], reason="gzip cut short"),
        "cut.zip": Refused(data=truncated_zip, reason="zip cut short"),
        "wrong.gz": Refused(
            data=packed[:-8] + struct.pack("<I", zlib.crc32(b"x")) + packed[-4:], reason="gzip with a wrong sum"
        ),
        "bomb.tar.gz": Refused(data=tarred.getvalue(), reason="a bomb"),
        "overlap.zip": Refused(data=_overlapping(), reason="overlapping zip members"),
        "store.jks": Refused(data=jks, reason="key store"),
        "store.p12": Refused(data=p12, reason="key store"),
        "disk.luks": Refused(data=b"LUKS\xba\xbe\0\x02" + bytes(200) + noise, reason="encrypted volume"),
        "secret.gpg": Refused(data=pgp, reason="PGP message"),
        "locked.7z": Refused(data=b"7z\xbc\xaf\x27\x1c\0\4" + noise[:3000], reason="damaged 7z"),
        "salted.enc": Refused(data=b"Salted__" + noise[:4096], reason="openssl enc"),
    }


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, n: int = -1) -> bytes:
        n = self._left if n < 0 else min(n, self._left)
        self._left -= n
        return bytes(n)


def _overlapping() -> bytes:
    """Make a zip whose two entries share one body (the idea of Fifield's zip bomb)."""
    body = zlib.compressobj(9, zlib.DEFLATED, -15)
    raw = b"0" * 1_000_000
    packed = body.compress(raw) + body.flush()
    crc = zlib.crc32(raw)
    local = struct.pack("<IHHHHHIIIHH", 0x04034B50, 20, 0, 8, 0, 0, crc, len(packed), len(raw), 1, 0) + b"a" + packed
    entries = b"".join(
        struct.pack(
            "<IHHHHHHIIIHHHHHII", 0x02014B50, 20, 20, 0, 8, 0, 0, crc, len(packed), len(raw), 1, 0, 0, 0, 0, 0, 0
        )
        + name
        for name in (b"a", b"b")
    )
    return local + entries + struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 2, 2, len(entries), len(local), 0)


def harmless(rng: Random) -> dict[str, Blob]:
    """Give binary files that are nobody's secret and must go through."""
    png = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + struct.pack(">IIBBBBB", 8, 8, 8, 2, 0, 0, 0)
    png += struct.pack(">I", zlib.crc32(png[12:]))
    pixels = zlib.compress(b"".join(b"\0" + bytes(24) for _ in range(8)))
    png += struct.pack(">I", len(pixels)) + b"IDAT" + pixels + struct.pack(">I", zlib.crc32(b"IDAT" + pixels))
    png += struct.pack(">I", 0) + b"IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    wtmp = b"".join(
        struct.pack("<hxxi32s4s32s256s", 7, 900 + n, b"pts/0", b"ts/0", b"root", b"localhost") + bytes(52)
        for n in range(9)
    )
    del rng
    return {
        "wtmp": Blob(data=wtmp),
        "screen.png": Blob(data=png),
        "empty.log": Blob(data=b""),
        "zeros.img": Blob(data=bytes(8192)),
    }


def pages_of(files: dict[str, Node], prefix: str) -> list[tuple[str, Node]]:
    """Give the pages under *prefix* as members."""
    return [(name, node) for name, node in files.items() if name.startswith(prefix) and isinstance(node, Page | Blob)]
