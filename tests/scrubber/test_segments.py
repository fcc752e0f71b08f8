"""Several processes on one long text: the same output and the same report as of one, wherever it is cut."""

from __future__ import annotations

import base64
import gzip
import io
import os
import random
import signal
import tarfile
import time
import zipfile
from zlib import compress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber import encoded, lane, segments
from scrubber.crew import Crew
from scrubber.detector import Detector
from scrubber.engine import scrub
from scrubber.errors import CrewError
from scrubber.lane import CONTEXT
from scrubber.model import Limits, Options
from scrubber.obstacle import ObstacleError
from scrubber.pseudonym import Pseudonymizer
from scrubber.rules import load_rules
from scrubber.segments import SegmentedText, SegmentScrubber
from scrubber.walk import Walk, memory_scratch

KEY = b"k" * 32
DETECTOR = Detector(load_rules(), Pseudonymizer(KEY))
FILLER = b"2026-11-22T01:02:03Z DEBUG [worker] processed a batch, nothing to see here at all\n"
PIECE = 64 << 10
COUNT = CONTEXT // PIECE + 2


def private_key(size: int) -> bytes:
    body = base64.encodebytes(random.Random(size).randbytes(size))
    label = b"RSA PRIVATE " + b"KEY-----"
    return b"-----BEGIN " + label + b"\n" + body + b"-----END " + label + b"\n"


PARTS = {
    "filler": FILLER * 1200,
    "findings": b"".join(b"from 10.20.30.%d user=u%d password=geheim%d\n" % (n % 250, n, n) for n in range(150)),
    "key": private_key(90_000),
    "long line": b'{"ip":"10.20.30.40","mail":"anna.berg@kunde-nord.de","n":1},' * 250 + b"\n",
    "long value": b"password=" + b"geheim-und-lang" * 5000 + b"\n",
    "base64": base64.b64encode(b"from 10.20.30.40 password=geheim123\n" * 1500) + b"\n",
    "table": b"INSERT INTO t (id, mail, password) VALUES "
    + b",".join(b"(%d,'u%d@kunde-nord.de','geheim%d')" % (n, n, n) for n in range(300))
    + b";\n",
    "copy": b"COPY people (id, full_name, email, phone) FROM stdin;\n"
    + b"".join(b"%d\tAnna Berg\tanna%d@kunde-nord.de\t+49 89 1234%03d\n" % (n, n, n % 1000) for n in range(300))
    + b"\\.\n",
    "stream": b"x" * 40 + gzip.compress(b"from 10.20.30.40 password=geheim123\n" * 3000) + b"\n",
    "long stream": compress(random.Random(1).randbytes(150_000).hex().encode(), 1)[:120_000].replace(b"\n", b"n"),
    "umlauts": "Größe überprüft, für Müller erneut geöffnet\n".encode() * 1200,
}
CSV = b"id,first name,last name,e-mail,comment\n" + b"".join(
    b'%d,Anna,Berg,anna%d@kunde-nord.de,"said ""hello""\nand left"\n' % (n, n) for n in range(400)
)


def new_walk(size: int) -> Walk:
    return Walk(DETECTOR, Options(), size, memory_scratch)


def pieces_of(data: bytes) -> list[bytes]:
    return [data[at : at + PIECE] for at in range(0, len(data), PIECE)]


def outcome(walk: Walk, out: list[bytes], failure: str) -> tuple[object, ...]:
    walk.watch.end()
    return b"".join(out), walk.counts, walk.findings, walk.omitted, walk.scanned, walk.second_look.left, failure


def alone(data: bytes) -> tuple[object, ...]:
    """Scrub *data* in this process, in the same pieces."""
    walk, out = new_walk(len(data)), list[bytes]()
    write = walk.watch.follow("x", out.append)
    text = lane.TextLane(walk.detector, walk.note_for("x"), "x", block=PIECE)
    try:
        for piece in pieces_of(data):
            walk.scanned += len(piece)
            write(text.feed(piece))
        write(text.finish())
    except ObstacleError as error:
        return outcome(walk, out, error.reason)
    return outcome(walk, out, str(text.blanked))


def together(data: bytes, count: int, hands: int) -> tuple[object, ...]:
    """Scrub *data* in segments of *count* pieces."""
    walk, out = new_walk(len(data)), list[bytes]()
    crew = Crew(hands, lambda: SegmentScrubber(walk))
    write = walk.watch.follow("x", out.append)
    try:
        text = SegmentedText(walk, crew, "x", iter(pieces_of(data)), count=count)
        blanked = text.run(write, walk.adder_for("x"))
    except ObstacleError as error:
        return outcome(walk, out, error.reason)
    finally:
        crew.close()
    return outcome(walk, out, str(blanked))


@settings(max_examples=5, deadline=None, derandomize=True)
@given(
    names=st.lists(st.sampled_from(sorted(PARTS)), min_size=3, max_size=6),
    csv=st.booleans(),
    shift=st.integers(0, PIECE),
    count=st.integers(COUNT, COUNT + 3),
    hands=st.integers(1, 3),
)
def test_segments_give_what_one_process_gives(names, csv, shift, count, hands):
    """Any contents, cut anywhere, among any number of processes: same output, findings, counts and leftovers."""
    data = (CSV if csv else b"") + FILLER * (shift // len(FILLER)) + b"." * (shift % len(FILLER)) + b"\n"
    data += b"".join(PARTS[name] + PARTS["filler"] for name in names)
    assert together(data, count, hands) == alone(data)


def test_segment_is_done_again_where_something_lies_across_the_cut(monkeypatch):
    """A key over a cut makes the process before go on; without anything across, nothing is done twice."""
    again: list[int] = []
    send = SegmentedText._send

    def count(self, hand, message):
        number = message.segment.number if isinstance(message, segments.GoOn) else message.cut.segment.number
        again.append(number)
        send(self, hand, message)

    monkeypatch.setattr(SegmentedText, "_send", count)
    plain = FILLER * (5 * COUNT * PIECE // len(FILLER))
    assert together(plain, COUNT, 2) == alone(plain)
    assert sorted(again) == list(range(5))
    again.clear()
    crossed = FILLER * (COUNT * PIECE // len(FILLER) - 1200) + private_key(200_000) + plain
    assert together(crossed, COUNT, 2) == alone(crossed)
    assert again.count(1) == 2


class _Endless:
    """A log without end in itself."""

    def __init__(self, size: int, change: dict[int, bytes] | None = None) -> None:
        self.size = size
        self._change = change or {}

    def read(self, offset: int, n: int) -> bytes:
        shift = offset % len(FILLER)
        data = bytearray((FILLER * (n // len(FILLER) + 2))[shift : shift + min(n, self.size - offset)])
        for at, new in self._change.items():
            if offset <= at and at + len(new) <= offset + len(data):
                data[at - offset : at - offset + len(new)] = new
        return bytes(data)


def test_report_of_several_processes_is_that_of_one():
    """All of a file's report is the same, with what is learned in one segment replaced in the others."""
    size = 6 << 20
    told = {
        3_000_000: b"\nsshd[12]: Accepted password for xbergmann from 10.20.30.40 port 22 ssh2\n",
        5_000_000: b"\nnow xbergmann is away, password=geheim123-rot and 192.168.7.9\n",
        200: b"\nxbergmann was here\n",
    }
    reports, outputs = [], []
    for jobs in (1, 2):
        out: list[bytes] = []
        source = _Endless(size, told)
        reports.append(scrub(source, out.append, pseudonyms=Pseudonymizer(KEY), name="x.log", jobs=jobs))
        outputs.append(b"".join(out))
    assert reports[0] == reports[1]
    assert outputs[0] == outputs[1]
    assert b"xbergmann" not in outputs[0]
    assert reports[0].total >= 6


def test_binary_data_behind_a_text_is_refused_as_by_one_process():
    """What one process refuses in the midst of a text several refuse at the same place, with the same report."""
    noise = random.Random(3).randbytes(70_000)
    reports = [
        scrub(
            _Endless(6 << 20, {5_000_000: noise}),
            list[bytes]().append,
            pseudonyms=Pseudonymizer(KEY),
            name="x",
            jobs=jobs,
        )
        for jobs in (1, 2)
    ]
    assert reports[0] == reports[1]
    assert reports[0].obstacles


def test_process_that_dies_ends_the_work():
    """Whoever dies takes the whole text along, in a sentence, and nobody is left behind."""
    walk = new_walk(0)

    def prepare():
        os.kill(os.getpid(), signal.SIGKILL)
        return SegmentScrubber(walk)

    crew = Crew(2, prepare)
    text = SegmentedText(walk, crew, "x", iter(pieces_of(FILLER * 8000)), count=COUNT)
    with pytest.raises(CrewError, match="died"):
        text.run(list[bytes]().append, walk.adder_for("x"))
    left = list(crew._pids)
    assert left
    crew.close()
    for pid in left:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def test_failure_in_a_process_tells_no_content():
    """An error's text stays where it was raised; its name comes out."""
    walk = new_walk(0)

    def prepare():
        def fail(_message, _tell):
            raise ValueError("geheim123")

        return fail

    crew = Crew(1, prepare)
    text = SegmentedText(walk, crew, "x", iter(pieces_of(FILLER * 8000)), count=COUNT)
    with pytest.raises(CrewError) as caught:
        text.run(list[bytes]().append, walk.adder_for("x"))
    crew.close()
    assert "ValueError" in str(caught.value)
    assert "geheim" not in str(caught.value)


def test_answers_come_in_the_order_of_the_questions():
    """Whoever is quicker waits for who was asked before."""
    crew = Crew(3, lambda: lambda message, tell: tell(message * 2))
    assert list(crew.in_order(range(50))) == [2 * n for n in range(50)]
    crew.close()


def _bundle() -> list[tuple[str, bytes]]:
    """Give members of every kind: small, empty, long, packed, broken, nested, named after somebody."""
    chance = random.Random(5)
    log = b"".join(
        b"2026-11-22 12:%02d:%02d host sshd[7]: Accepted password for xberg%d from 10.2.3.%d port 22 ssh2\n"
        % (n // 60 % 60, n % 60, n % 40, n % 250)
        for n in range(1000)
    )
    inner = io.BytesIO()
    with tarfile.open(fileobj=inner, mode="w:gz") as archive:
        info = tarfile.TarInfo("deep/anna.berg@kunde-nord.de.txt")
        info.size = 5000
        archive.addfile(info, io.BytesIO(log[:5000]))
    made = [("etc/hosts", b"10.1.2.3 dbsrv01.kunde-nord.de dbsrv01\n"), ("empty", b"")]
    for n in range(40):
        at = chance.randrange(len(log) - 9_000)
        made.append((f"var/log/xberg{n}@kunde-nord.de.log", log[at : at + chance.randrange(9_000)] + b"dbsrv01\n"))
        if n % 9 == 4:
            made += [(f"packed{n}.gz", gzip.compress(log)), (f"nested{n}.tgz", inner.getvalue())]
    made.append(("large.log", log[:20_000] + b"".join(b"%x %s" % (n * 7919, FILLER) for n in range(55_000))))
    made.append(("last.log", b"password=geheim123-rot on dbsrv01\n"))
    return made


def _tarred(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz", compresslevel=1) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.uid, info.uname = len(data), 1001, "xberg7"
            archive.addfile(info, io.BytesIO(data))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "var/log/dbsrv01"
        archive.addfile(link)
    return out.getvalue()


def _zipped(members: list[tuple[str, bytes]]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return out.getvalue()


class _Bytes:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self.size = len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


@pytest.fixture(scope="module")
def archives() -> dict[str, tuple[bytes, Options]]:
    """Give archives whole, damaged, with what is held back in them, and beyond their limits."""
    members = _bundle()
    tar, packed = _tarred(members), bytearray(_zipped(members))
    locked = [*members[:20], ("store.pgp", b"-----BEGIN PGP MESSAGE-----\n\n" + b"hQEMA" * 200 + b"\n"), *members[20:]]
    bomb = [*members[:9], ("bomb.gz", gzip.compress(bytes(40 << 20))), *members[9:]]
    whole = (tar, Options())
    damaged = bytearray(packed)
    damaged[len(damaged) // 3] ^= 0xFF
    return {
        "tar": whole,
        "zip": (bytes(packed), Options()),
        "cut tar": (tar[: len(tar) // 2], Options()),
        "damaged zip": (bytes(damaged), Options()),
        "something held back": (_zipped(locked), Options()),
        "bomb": (_tarred(bomb), Options()),
        "bomb in a zip": (_zipped(bomb), Options()),
        "too many members": (tar, Options(limits=Limits(members=30))),
    }


NAMES = (
    "tar",
    "zip",
    "cut tar",
    "damaged zip",
    "something held back",
    "bomb",
    "bomb in a zip",
    "too many members",
)


@pytest.mark.parametrize("name", NAMES)
def test_archives_are_the_same_from_several_processes(archives, name):
    """Order, bytes, report, what is held back and which limit is passed do not depend on how many do it."""
    data, options = archives[name]
    reports, outputs = [], []
    for jobs in (1, 2):
        out: list[bytes] = []
        reports.append(
            scrub(_Bytes(data), out.append, pseudonyms=Pseudonymizer(KEY), name="x", options=options, jobs=jobs)
        )
        outputs.append(b"".join(out))
    assert reports[0] == reports[1]
    assert outputs[0] == outputs[1]
    assert reports[0].scannable == (name in {"tar", "zip"})


def test_processes_die_with_their_parent():
    """Who scrubs may be killed in the midst of it: nobody goes on with its text."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # the one who scrubs: its processes hold the pipe's other end until they are dead
        os.close(reader)
        crew = Crew(2, lambda: lambda _message, tell: (tell("at work"), time.sleep(600)))
        crew.tell(0, "begin")
        crew.listen()
        os.write(writer, b"!")
        time.sleep(600)
    os.close(writer)
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        assert pipe.read(1) == b"!"
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        assert pipe.read(1) == b""


def test_what_nobody_else_can_go_on_within_ends(monkeypatch):
    """A run of base64 over several segments is done by one process after the other's end, once."""
    monkeypatch.setattr(encoded, "LONGEST", 64 << 10)
    data = (
        PARTS["filler"] + base64.b64encode(b"from 10.20.30.40 password=geheim123\n" * 12_000) + b"\n" + PARTS["filler"]
    )
    assert together(data, COUNT, 2) == alone(data)
