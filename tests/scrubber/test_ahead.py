"""Learning from what is not whole yet: in the end the same as from the whole."""

from __future__ import annotations

import bz2
import gzip
import io
import random
import tarfile
import zipfile

import pytest
import zstandard

from scrubber.engine import learn, learn_ahead
from scrubber.errors import UnforeseenError
from scrubber.model import Limits, Options
from scrubber.profile import find_profile
from scrubber.pseudonym import Pseudonymizer
from tests.scrubber.truth.run import Bytes

LINE = "Nov  3 10:00:01 {host} sshd[7]: Accepted password for {user} from 10.1.2.3 port 4711 ssh2\n"
_CHANCE = random.Random(11)
LOG = b"".join(
    LINE.format(host=f"qz{number:03}-db", user=f"qzwickel{number}").encode()
    + b"".join(b"INFO slot %d of %d\n" % (_CHANCE.randrange(9999), number) for _ in range(3000))
    for number in range(40)
)


def packed(members: dict[str, bytes]) -> bytes:
    """Return a tar."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size, info.uname, info.uid = len(data), "qzowner", 1000
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    """Return a zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


BUNDLE = {"etc/hostname": b"qzmain-01\n", "var/log/auth.log": LOG, "inner.zip": zipped({"whoami.txt": b"qzinner\n"})}
KINDS = {
    "text": LOG,
    "utf-16": LOG.decode().encode("utf-16"),
    "gzip": gzip.compress(LOG),
    "bz2": bz2.compress(LOG[: 1 << 20]),
    "tar": packed(BUNDLE),
    "tar.zst": zstandard.compress(packed(BUNDLE)),
    "cut tar.gz": gzip.compress(packed(BUNDLE))[:-2000],
    "binary": random.Random(3).randbytes(5000),
    "empty": b"",
}


class Trickle:
    """What grows by a few bytes at each look: it gives what there is, and at least a byte."""

    def __init__(self, data: bytes, seed: int) -> None:
        self._data = data
        self._chance = random.Random(seed)

    def read(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + self._chance.randint(1, length)]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_learned_ahead_is_what_is_learned_from_the_whole(kind):
    """However it trickles in, and into a dictionary that knows some of it already."""
    whole, ahead = Pseudonymizer(bytes(32)), Pseudonymizer(bytes(32))
    for each in (whole, ahead):
        each.dictionary.learn("host", b"qzwickel7")
    learn(Bytes(KINDS[kind]), pseudonyms=whole, name="auth.log")
    ahead.dictionary.merge(learn_ahead(Trickle(KINDS[kind], 1).read, name="auth.log"))
    assert list(ahead.dictionary.terms()) == list(whole.dictionary.terms())
    assert (len(whole.dictionary) > 1) == (kind not in {"binary", "empty"})


def test_file_that_its_name_explains():
    """A name tells what a text is, as it does of a whole one."""
    learned = learn_ahead(Trickle(b"qzmain-01\n", 2).read, name="hostname")
    assert list(learned.terms()) == [(b"qzmain-01", "host")]


@pytest.mark.parametrize(
    "data", [zipped(BUNDLE), b"SQLite format 3\0" + bytes(4096), b"7z\xbc\xaf\x27\x1c" + bytes(99)]
)
def test_what_needs_its_end_is_not_read_ahead(data):
    """A directory at the end, pages in any order."""
    with pytest.raises(UnforeseenError):
        learn_ahead(Trickle(data, 1).read, name="x")


def test_limit_before_the_end_says_nothing():
    """A limit that the whole file's size would have raised: what was learned until then is not given."""
    options = Options(limits=Limits(expanded=1 << 20, expanded_factor=1000))
    data = gzip.compress(LOG, 0)
    learn(Bytes(data), pseudonyms=Pseudonymizer(bytes(32)), name="x", options=options)
    with pytest.raises(UnforeseenError):
        learn_ahead(Trickle(data, 1).read, name="x", options=options)


def test_secrets_only_learns_nothing():
    """Names stay under that profile, so none is learned."""
    options = Options(profile=find_profile("secrets-only"))
    assert len(learn_ahead(Trickle(LOG, 1).read, name="x", options=options)) == 0
