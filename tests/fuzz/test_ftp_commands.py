"""Lines on an FTPS control connection that no client should send, before and after the login.

Each line has its reply, the session goes on, and nothing is made but by the commands that make it. `make fuzz` runs it
with many more examples.
"""

from __future__ import annotations

import contextlib
import socket
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from protocols.ftp import FtpSettings
from tests.contracts.head import REPORT
from tests.protocols.ftp.rig import House, Wire, running
from tests.protocols.http.house import make_certificate

if TYPE_CHECKING:
    from collections.abc import Iterator

FUZZING = settings.default is not None and settings.default.max_examples > 1000
SEEDS = 300 if FUZZING else 10
LINES = 60
VERBS = (
    "ABOR", "ACCT", "ALLO", "APPE", "AUTH", "CCC", "CDUP", "CLNT", "CWD", "DELE", "EPRT", "EPSV", "FEAT",
    "HASH", "HELP", "LANG", "LIST", "MDTM", "MFF", "MFMT", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP",
    "OPTS", "PASV", "PBSZ", "PORT", "PROT", "PWD", "RANG", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO",
    "SITE", "SIZE", "SMNT", "STAT", "STOR", "STOU", "STRU", "SYST", "TYPE", "XCRC", "XCUP", "XCWD", "XMD5",
    "XMKD", "XPWD", "XRMD", "XSHA256",
)  # fmt: skip
PRIVATE = ("STOR", "RETR", "LIST", "MLSD", "MKD", "DELE", "SIZE", "STAT", "RNFR", "EPSV", "PASV", "HASH")
ENDS = frozenset({221, 421})
WORDS = (
    b"", b" ", b"/", b"..", b"/../../etc/passwd", b"/in/a", b"/out/report.txt", b"-la", b"-rf /", b"*", b"~root",
    b"A", b"I",
    b"L 8", b"P", b"C", b"0", b"-1", b"99999999999999999999", b"1 2", b"|1|127.0.0.1|1|", b"|2|::1|22|", b"||||",
    b"127,0,0,1,0,22", b"1,2,3", b"ALL", b"TLS", b"SHA-256", b"19700101000000 /in", b"%n%s%x", b"\xff\xf4\xff\xf2",
    b"\x00", b"a\rb", b"\xc3\x28", b"x" * 5000, b"$(id)", b"`id`", b"a;b", b"\t\t",
)  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """One head; data connections that nobody makes are given up at once."""
    certificate = make_certificate(tmp_path_factory.mktemp("tls"))
    with running(certificate, FtpSettings(linger=0.2, connect_timeout=0.2)) as house:
        yield house


def line_of(random: Random) -> bytes:
    """Return a line without its end."""
    if random.random() < 0.1:
        return random.randbytes(random.randrange(1, 200)).replace(b"\n", b"").replace(b"\r", b"")
    verb = random.choice(VERBS)
    word = b" ".join(random.choice(WORDS) for _ in range(random.choice([0, 1, 1, 1, 2])))
    spelled = "".join(random.choice([each.upper(), each.lower()]) for each in verb)
    return spelled.encode() + (b" " + word if word else b"")


def replies_to(wire: Wire, line: bytes, mark: str) -> list[int]:
    """Send *line* and one that has an answer of its own; return the codes of its replies."""
    wire.send(line + b"\r\nOPTS UTF8 ON\r\n")
    codes: list[int] = []
    while True:
        code, text = wire.answer()
        assert "Traceback" not in text
        assert "protocols/" not in text
        if code == 200 and text == mark:
            return codes
        codes.append(code)
        if code in ENDS:
            return codes


@pytest.fixture(scope="module")
def mark(house: House) -> str:
    """The reply to the line that ends each exchange."""
    with house.login() as wire:
        return wire.ask("OPTS UTF8 ON")[1]


@pytest.mark.parametrize("seed", range(SEEDS))
def test_each_line_has_its_reply_and_the_session_goes_on(house: House, mark: str, seed: int) -> None:
    """After a login; what may not be changed is as it was."""
    random = Random(seed)
    with house.login() as wire:
        for _ in range(LINES):
            line = line_of(random)
            codes = replies_to(wire, line, mark)
            assert codes, line
            assert all(100 <= code < 600 for code in codes), (line, codes)
            assert not set(codes) & ENDS, (line, codes)
        assert wire.ask("NOOP")[0] == 200
    assert house.tree.content("/out/report.txt") == REPORT
    assert not any(path[0] == "out" and len(path) > 1 for path in house.tree.directories if path)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_nothing_is_done_for_who_is_not_logged_in(house: House, seed: int) -> None:
    """With TLS or without: every line is refused, or is one of those that say nothing about any file."""
    random = Random(seed)
    before = set(house.tree.directories)
    with contextlib.suppress(OSError, EOFError), house.wire(tls=seed % 2 == 0) as wire:
        for _ in range(10):
            verb = random.choice(PRIVATE)
            code, _ = wire.ask(verb.encode() + b" " + random.choice([word for word in WORDS if b"\r" not in word]))
            assert code >= 421, (verb, code)
            if code in ENDS:
                break
    assert house.tree.directories == before


def test_noise_in_place_of_a_handshake_ends_it(house: House) -> None:
    """After AUTH TLS nothing but a handshake is waited for, and others go on meanwhile."""
    for seed in range(10):
        with socket.create_connection(("127.0.0.1", house.port), timeout=20) as sock:
            sock.recv(200)
            sock.sendall(b"AUTH TLS\r\n")
            assert sock.recv(200).startswith(b"234")
            with contextlib.suppress(OSError):
                sock.sendall(Random(seed).randbytes(600))
                while piece := sock.recv(4096):
                    assert piece[:1] == b"\x15"  # a TLS alert, and no reply in clear
    with house.login() as wire:
        assert wire.ask("NOOP")[0] == 200
