"""Binary files with values inside: databases, dumps of memory, recorded packets, text in other encodings."""

from __future__ import annotations

import sqlite3
import struct
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tests.scrubber.truth import keys
from tests.scrubber.truth.mark import Label, bare, pieces_of
from tests.scrubber.truth.tree import Blob

if TYPE_CHECKING:
    from tests.scrubber.truth.teller import Teller
    from tests.scrubber.truth.world import Host


def labels_of(texts: list[str], cause: str) -> tuple[Label, ...]:
    """Give the labels of marked *texts*."""
    return tuple(piece.label for text in texts for piece in pieces_of(text, cause) if piece.label)


def sqlite(t: Teller) -> Blob:
    """Tell a database of users, with an index over what will change."""
    rows = [
        (
            t.email(p),
            t.name(p),
            t.one([t.pw(), t.token()[1], t.hash()]),
            t.ip(),
            f"session {t.uuid()} opened by {t.email(p)} with password={t.pw()}",
        )
        for p in t.world.people * 3
    ]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        connection = sqlite3.connect(path)
        connection.execute(
            "create table users (id integer primary key, email text, full_name text, password text, ip text, note text)"
        )
        connection.execute("create index by_email on users (email)")
        connection.executemany(
            "insert into users (email, full_name, password, ip, note) values (?,?,?,?,?)",
            [tuple(map(bare, row)) for row in rows],
        )
        connection.commit()
        connection.close()
        data = path.read_bytes()
    # A password in a column of its own stands in the file without its column's name: it counts all the same.
    return Blob(data=data, labels=labels_of([cell for row in rows for cell in row], "sqlite"), read=read_sqlite)


def read_sqlite(data: bytes) -> list[bytes]:
    """Give every text of a database; it must be whole."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.db"
        path.write_bytes(data)
        connection = sqlite3.connect(path)
        try:
            found = connection.execute("pragma integrity_check").fetchone()
            if found != ("ok",):
                raise ValueError(f"integrity: {found}")
            return [str(cell).encode() for row in connection.execute("select * from users") for cell in row]
        finally:
            connection.close()


def core(t: Teller) -> Blob:
    """Tell an ELF core of one note and one segment: environment, heap, a key."""
    texts = [f"{name}={value}" for name, value in (t.token() for _ in range(12))]
    texts += [
        f"PGPASSWORD={t.pw()}",
        f"HOSTNAME={t.fqdn()}",
        f"postgres://app:{t.pw()}@{t.fqdn()}:5432/x",
        f"Authorization: Bearer {t.jwt()}",
        f"user={t.email()}",
        f"SSH_CLIENT={t.ip()} 40112 22",
    ]
    key = t.pem(keys.pkcs1)
    heap = b"".join(
        bare(text).encode() + b"\0" + bytes(t.rng.randrange(0, 40)) + struct.pack("<QQ", t.rng.randrange(1 << 20), 0x21)
        for text in texts
    )
    heap += bare(key).encode() + b"\0" * 64 + "Anmeldung password=".encode("utf-16-le")
    wide = t.pw()
    heap += bare(wide).encode("utf-16-le") + b"\0\0" * 9
    heap += bytes(-len(heap) % 4096)
    note = struct.pack("<III", 5, 16, 1) + b"CORE\0\0\0\0" + bytes(16)
    head = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 4, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    segments = struct.pack("<IIQQQQQQ", 4, 0, 176, 0, 0, len(note), 0, 4) + struct.pack(
        "<IIQQQQQQ", 1, 6, 4096, 0x7F0000000000, 0, len(heap), len(heap), 4096
    )
    body = head + segments + note
    data = body + bytes(4096 - len(body)) + heap
    return Blob(data=data, labels=labels_of([*texts, key, wide], "core"), same_length=True)


def _http(t: Teller, to: Host, line: str, *more: str) -> str:
    return "\r\n".join([f"{line} HTTP/1.1", f"Host: {t.fqdn(to)}", *more, "", ""])


def pcap(t: Teller) -> Blob:
    """Tell packets of HTTP and of a login in clear (pcap, LINKTYPE_ETHERNET)."""
    out = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1)]
    texts = []
    for n in range(20):
        a, b = t.rng.sample(t.world.hosts, 2)
        text = t.one([
            _http(t, b, "GET /api", f"Authorization: Bearer {t.jwt()}", f"Cookie: JSESSIONID={t.cookie()}"),
            f"USER {t.user()}\r\nPASS {t.pw()}\r\n",
            _http(t, b, "POST /login") + f"username={t.user()}&password={t.pw()}",
        ])  # fmt: skip
        payload = bare(text).encode()
        tcp = struct.pack(">HHIIBBHHH", 40000 + n, 80, 1, 1, 0x50, 0x18, 8192, 0, 0)
        addresses = bytes(map(int, a.ipv4.split("."))) + bytes(map(int, b.ipv4.split(".")))
        ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp) + len(payload), n, 0, 64, 6, 0) + addresses
        frame = (
            bytes.fromhex(b.mac.replace(":", ""))
            + bytes.fromhex(a.mac.replace(":", ""))
            + b"\x08\x00"
            + ip
            + tcp
            + payload
        )
        out.append(struct.pack("<IIII", 1_767_000_000 + n, 0, len(frame), len(frame)) + frame)
        texts.append(text)
    return Blob(data=b"".join(out), labels=labels_of(texts, "pcap"), read=read_pcap)


def read_pcap(data: bytes) -> list[bytes]:
    """Give every payload; the records must be whole."""
    at, found = 24, []
    while at < len(data):
        kept, length = struct.unpack_from("<II", data, at + 8)
        if kept != length or at + 16 + kept > len(data):
            raise ValueError("a record is cut")
        found.append(data[at + 16 : at + 16 + kept])
        at += 16 + kept
    if len(found) != 20:
        raise ValueError("packets are missing")
    return found


def hprof(t: Teller) -> Blob:
    """Tell a Java heap dump's strings (HPROF 1.0.2: UTF-8 records)."""
    texts = [
        f"spring.datasource.password={t.pw()}",
        f"jdbc:postgresql://{t.fqdn()}/x?user=app&password={t.pw()}",
        t.email(),
        t.token()[1],
        t.token()[1],
        f"Bearer {t.jwt()}",
    ]
    classes = [
        t.keep(name, "class")
        for name in (
            "java/lang/String",
            "org/apache/commons/net/ftp/FTPClient",
            "com/zaxxer/hikari/HikariConfig",
            "getPassword",
            "keyStorePassword",
        )
    ]
    data = b"JAVA PROFILE 1.0.2\0" + struct.pack(">IQ", 8, 1_767_000_000_000)
    for number, text in enumerate(texts + classes):
        body = struct.pack(">Q", 0x7F00_0000 + number) + bare(text).encode()
        data += struct.pack(">BII", 1, 0, len(body)) + body
    data += struct.pack(">BII", 0x2C, 0, 0)
    return Blob(data=data, labels=labels_of(texts + classes, "hprof"), same_length=True)
