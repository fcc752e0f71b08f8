"""What is noted of a text while it comes in gives, once it is whole, what scrubbing it would have given."""

from __future__ import annotations

import base64
import contextlib
import gzip
import io
import random
import tarfile
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrubber import leaf
from scrubber.dictionary import Dictionary
from scrubber.engine import foresee, learn, replay_of, scrub
from scrubber.foresight import StoppedError
from scrubber.model import Options
from scrubber.notes import Note
from scrubber.patch import apply_patch, make_patch
from scrubber.pseudonym import Pseudonymizer
from scrubber.terms import Terms

PIECE = 64 << 10
NAME = "app.log"
LATE = b"Nov  3 10:00:01 srv sshd[7]: Accepted password for qzwickel from 10.1.2.3 port 4711 ssh2\n"


class Bytes:
    """A source in memory."""

    def __init__(self, data):
        self.data = data
        self.size = len(data)

    def read(self, offset, n):
        return self.data[offset : offset + n]


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch):
    """Cut texts into segments of 256 KiB, so that there are many."""
    monkeypatch.setattr(leaf, "CHUNK", PIECE)


def log_of(size, seed=1):
    """Give a log of about *size* bytes with something to be replaced in every other line."""
    chance = random.Random(seed)
    lines = []
    while size > 0:
        number = chance.randrange(10**6)
        line = f"2026-11-03T10:00:00Z web{number % 7} nginx: 81.7.{number % 250}.{number % 99} GET /a/{number} 200\n"
        if number % 50 == 0:
            line = f"2026-11-03T10:00:00Z app: password=Zk{number}xQ9pLm for u{number % 11}@kunde-ag.de\n"
        elif number % 2:
            line = f"2026-11-03T10:00:00Z app[{number % 777}]: INFO step {number} finished, {number % 997} ms\n"
        lines.append(line)
        size -= len(line)
    return "".join(lines).encode()


def key_of(size):
    """Give a private key that is far too long."""
    body = base64.b64encode(random.Random(2).randbytes(size)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----\n".encode()


def names_of(data, options=Options()):  # noqa: B008 - it is frozen
    """Give a pseudonymizer whose dictionary has what *data* tells."""
    pseudonyms = Pseudonymizer(bytes(32), Dictionary(settling=True))
    learn(Bytes(data), pseudonyms=pseudonyms, name=NAME, options=options)
    return pseudonyms


def foreseen(data, learned, options=Options(), keep=None):  # noqa: B008 - it is frozen
    """Note what scrubbing *data* would change, with *learned* known; give what all notes have in common, and them."""
    notes = []
    sight = foresee(
        lambda offset, n: data[offset : offset + n],
        keep or notes.append,
        pseudonyms=Pseudonymizer(bytes(32), Dictionary(settling=True)),
        learned=learned,
        name=NAME,
        options=options,
    )
    sight.run()
    return sight.outlook().to_bytes(), notes


def check_same(data, learned=None, *, notes_kept=None):
    """See that *data* is scrubbed the same with notes and without; give how much of the output came from them."""
    usual, plain = names_of(data), []
    expected = scrub(Bytes(data), plain.append, pseudonyms=usual, name=NAME, learning=False)
    again, replayed = names_of(data), []
    outlook, notes = foreseen(data, again.dictionary if learned is None else learned)
    replay = replay_of(outlook, iter(notes[:notes_kept]), pseudonyms=again, name=NAME)
    report = scrub(Bytes(data), replayed.append, pseudonyms=again, name=NAME, learning=False, replay=replay)
    assert b"".join(replayed) == b"".join(plain)
    assert report == expected
    return replay.used


def test_log_is_written_from_notes_alone():
    """Nothing is looked for again where nothing was learned since."""
    data = log_of(1 << 20)
    assert check_same(data) == scrub(Bytes(data), len, pseudonyms=names_of(data), name=NAME).bytes_out


def test_name_that_is_learned_late_is_replaced_where_it_stands():
    """Segments in which a name stands that was not known are scrubbed again, the others are not."""
    data = b"2026-11-03 09:00:00 INFO qzwickel has come\n" + log_of(1 << 20) + LATE
    learned = Dictionary()
    for value, kind in names_of(data).dictionary.terms():
        if value != b"qzwickel":
            learned.learn(kind, value)
    used = check_same(data, learned)
    assert 0 < used < len(data)


@pytest.mark.parametrize(
    "written", [base64.b64encode(b"user is qzwickel, and no other one is known here"), b"%71zwickel"]
)
def test_late_name_in_another_notation_is_found(written):
    """A name in base64 stands nowhere plainly; it is looked for in views all the same."""
    data = log_of(300_000) + b"blob: " + written + b"\n" + log_of(300_000, seed=3) + LATE
    assert check_same(data, Dictionary()) < len(data)


@pytest.mark.parametrize(
    "middle",
    [
        key_of(200_000),
        key_of(900_000),
        b"data: " + base64.b64encode(random.Random(4).randbytes(600_000)) + b"\n",
        b"password=" + b"x7" * 400_000 + b"\n",
    ],
    ids=["key", "long key", "base64", "long value"],
)
@pytest.mark.parametrize("kept", [None, 3])
def test_what_lies_across_cuts_stays_whole(middle, kept):
    """A key that goes on over segments goes on where notes end, and where they have to be left."""
    data = log_of(300_000) + middle + log_of(300_000, seed=5)
    check_same(data, notes_kept=kept)
    late = b"INFO qzwickel has come\n"
    check_same(log_of(300_000) + late + middle + late + log_of(300_000, seed=5) + LATE, Dictionary(), notes_kept=kept)


def test_table_goes_on():
    """Rows of a table are known by its first line, however far that is."""
    rows = "".join(f"{number},Erika{number} Mustermann{number},note {number}\n" for number in range(30_000))
    check_same(b"id,customer name,remark\n" + rows.encode(), notes_kept=2)


def test_members_of_an_archive_are_noted_one_by_one():
    """In a compressed archive each text has its notes; what is no text is looked into as ever."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for number in range(6):
            data = log_of(20_000 * (number + 1) ** 2, seed=number)
            if number == 3:
                data = gzip.compress(data, mtime=0)
            info = tarfile.TarInfo(f"logs/{number}.log")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    assert check_same(gzip.compress(made.getvalue(), mtime=0)) > 500_000


def test_notes_for_other_settings_are_not_used():
    """Another profile, other terms, another name: what was noted holds no more."""
    data = log_of(300_000)
    pseudonyms = names_of(data)
    outlook, notes = foreseen(data, pseudonyms.dictionary)
    other = replace(Options(), terms=Terms(deny=("finished",)))
    assert replay_of(outlook, iter(notes), pseudonyms=pseudonyms, name=NAME, options=other) is None
    assert replay_of(outlook, iter(notes), pseudonyms=pseudonyms, name="b.log") is None
    assert replay_of(outlook, iter(notes), pseudonyms=pseudonyms, name=NAME) is not None


def test_notes_that_contradict_the_case_are_not_used():
    """Another upload has given a pseudonym away meanwhile: one of the two has to give way, and that is this one."""
    data = log_of(300_000)
    outlook, notes = foreseen(data, Dictionary())
    pseudonyms = names_of(data)
    other = Pseudonymizer(bytes(32), Dictionary(settling=True))
    scrub(Bytes(data), len, pseudonyms=other, name=NAME)
    for record in range(256):
        image = other.dictionary.settled(b"v4", bytes((81, 7, record)))
        if image is not None:
            pseudonyms.dictionary.settle(b"v4", b"\x01\x02\x03", image)
    assert replay_of(outlook, iter(notes), pseudonyms=pseudonyms, name=NAME) is None


def test_notes_end_where_there_is_no_room():
    """Whoever keeps them may say that it is enough; what was noted until then is of use."""
    data = log_of(1 << 20)
    kept = []

    def keep(note):
        if len(kept) == 2:
            raise StoppedError
        kept.append(note)

    pseudonyms = names_of(data)
    outlook, _ = foreseen(data, pseudonyms.dictionary, keep=keep)
    replay = replay_of(outlook, iter(kept), pseudonyms=pseudonyms, name=NAME)
    out = []
    scrub(Bytes(data), out.append, pseudonyms=pseudonyms, name=NAME, learning=False, replay=replay)
    assert 0 < replay.used < len(b"".join(out))


def test_notes_of_another_file_are_passed_over():
    """What is not the segment that was noted is scrubbed."""
    data, other = log_of(600_000), log_of(600_000, seed=9)
    pseudonyms = names_of(data)
    outlook, notes = foreseen(other, pseudonyms.dictionary)
    replay = replay_of(outlook, iter(notes), pseudonyms=pseudonyms, name=NAME)
    scrub(Bytes(data), len, pseudonyms=pseudonyms, name=NAME, learning=False, replay=replay)
    assert replay.used == 0


def test_what_is_no_note_is_refused():
    """Bytes of another form are a fault, not a note."""
    for data in (b"", b"\xff\xff\xff\xff{}", b"\x02\0\0\0{}", b"\x02\0\0\0[]"):
        with pytest.raises(ValueError, match=r".+"):
            Note.from_bytes(data)


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_patch_makes_the_new_text_of_the_old_one(old, new):
    """Whatever the two are."""
    assert apply_patch(old, make_patch(old, new)) == new


@given(st.lists(st.sampled_from([b"", b"a", b"bb", b"\r"])), st.lists(st.sampled_from([b"", b"a", b"bb", b"c"])))
def test_patch_is_by_lines(old, new):
    """Lines may be added, taken away and empty."""
    before, after = b"\n".join(old), b"\n".join(new)
    assert apply_patch(before, make_patch(before, after)) == after


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_patch_of_something_else_is_refused_or_harmless(old, patch):
    """Any bytes are either refused or give some text; nothing else happens."""
    with contextlib.suppress(ValueError):
        apply_patch(old, patch)
