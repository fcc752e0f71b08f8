"""Files that only their name explains: what is a secret in them goes, and whose it is is learned."""

from __future__ import annotations

import io
import tarfile

import pytest

from scrubber.engine import scrub
from scrubber.pseudonym import Pseudonymizer
from scrubber.secretsfile import LONGEST, secrets_in
from tests.scrubber.truth.run import Bytes

# name, text with what must go between ⟦ and ⟧
KNOWN = [
    ("etc/rsyncd.secrets", "# who may\nbackup:⟦Ubqhnm259Ulwi⟧\n@ops:⟦meadow⟧\n"),
    ("rsyncd.secrets.bak", "backup:⟦Ubqhnm259Ulwi⟧\n"),
    ("etc/httpd/.htpasswd", "mrossi:⟦aB3xY9kLmN0pQ⟧\n"),
    ("conf/users.htpasswd", "mrossi:⟦Gartenzaun⟧\n"),
    ("CVSROOT/passwd", "mrossi:⟦xR1cJRR0jbNFE⟧:cvsuser\n"),
    ("etc/squid/passwd", "mrossi:⟦Gartenzaun⟧\n"),
    ("etc/mosquitto/pwfile", "mrossi:Gartenzaun\n"),
    ("mosquitto_passwd", "mrossi:⟦Gartenzaun⟧\n"),
    ("root/.pgpass", "db1:5439:*:mrossi:⟦ab\\:cd⟧\n*:*:*:x7:⟦Gartenzaun⟧\n"),
    ("pgpass.conf", "db1:1234:shop:mrossi:⟦Gartenzaun⟧\n"),
    ("etc/postfix/sasl_passwd", "[smtp.x.example]:587 mrossi@x.example:⟦Gar:ten⟧\nmail.y.example bob:⟦zaun⟧\n"),
    ("etc/exim4/passwd.client", "*.x.example:mrossi:⟦Garten:zaun⟧\n"),
    (
        "etc/ppp/chap-secrets",
        '# Secrets\nmrossi\t*\t⟦Gartenzaun⟧\nbob srv "⟦two words⟧" 10.9.8.7\ncarl * @/etc/secret *\n',
    ),
    ("root/.cvspass", "/1 :pserver:mrossi@cvs:2401/repo ⟦A<Zy0dR⟧\n:pserver:cvs:/r ⟦Ah<Z⟧\n"),
    (".vault_pass.txt", "⟦Gartenzaun⟧\n"),
    ("home/x7/.erlang.cookie", "⟦GARTENZAUNUNDTOR⟧"),
    ("run/secrets/db_password", "⟦Gartenzaun⟧\n"),
    ("etc/ldap.secret", "⟦Gartenzaun⟧\n"),
]


def scrubbed(name: str, text: str, **options: object) -> tuple[bytes, dict[str, int]]:
    out: list[bytes] = []
    report = scrub(Bytes(text.encode()), out.append, pseudonyms=Pseudonymizer(bytes(32)), name=name, **options)
    return b"".join(out), dict(report.counts)


@pytest.mark.parametrize(("name", "marked"), KNOWN, ids=[name for name, _ in KNOWN])
def test_secret_that_only_the_files_name_explains_goes(name, marked):
    """Each where its manual page has it, and nothing else of the line."""
    text = marked.replace("⟦", "").replace("⟧", "")
    gone = [part.split("⟧")[0] for part in marked.split("⟦")[1:]]
    assert [value.decode() for value, _ in secrets_in(name, text.encode())] == gone
    out, counts = scrubbed(name, text)
    assert not any(value.encode() in out for value in gone)
    assert out.count(b"\n") == text.count("\n")
    assert sum(counts.values()) >= len(gone)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "backup:Ubqhnm\n"),
        ("etc/passwd", "backup:x:34:34:backup:/var/backups:/usr/sbin/nologin\n"),
        ("etc/rsyncd.conf", "secrets file = /etc/rsyncd.secrets\n"),
        ("rsyncd.secrets", "# backup:somebody\n\nbackup:${PASSWORD}\nbackup:*\nbackup:<password>\nno colon here\n"),
        ("vault_pass", "this is no password but a sentence\n"),
        ("chap-secrets", "# client server secret\n"),
        ("secrets.md", "backup:Ubqhnm\n"),
    ],
)
def test_other_files_and_placeholders_stay(name, text):
    """A colon is no password elsewhere, and what stands for one is none."""
    assert secrets_in(name, text.encode()) == []


def test_secret_is_replaced_in_all_of_the_file_and_in_archives():
    """Also in a comment, and where the file is a member."""
    packed = io.BytesIO()
    text = b"# was Gartenzaun7 before\nbackup:Gartenzaun7\n"
    with tarfile.open(fileobj=packed, mode="w") as archive:
        entry = tarfile.TarInfo("sos/etc/rsyncd.secrets")
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text))
    out: list[bytes] = []
    for jobs in (1, 2):
        out.clear()
        scrub(Bytes(packed.getvalue()), out.append, pseudonyms=Pseudonymizer(bytes(32)), name="x.tar", jobs=jobs)
        assert b"Gartenzaun7" not in b"".join(out)
        assert b"backup:[password:" in b"".join(out)


def test_login_is_learned_from_it():
    """Who has a password in such a file is somebody; system's accounts, and words with a number, are not."""
    text = "# for qzwickel, backup and branch1\nqzwickel:Gartenzaun7\nbackup:Gartentor8\nbranch1:Gartenweg9\n"
    out, _ = scrubbed("rsyncd.secrets", text)
    assert b"qzwickel" not in out
    assert (out.count(b"backup"), out.count(b"branch1")) == (2, 2)


def test_scrubbing_twice_changes_nothing_more():
    """A tag is no password."""
    out, _ = scrubbed("rsyncd.secrets", "backup:Gartenzaun7\n")
    assert scrubbed("rsyncd.secrets", out.decode()) == (out, {})


def test_long_file_is_scrubbed_as_far_as_it_is_read():
    """One that is longer than any that somebody wrote is not held in memory for it."""
    text = "".join(f"user{n}:Gartenzaun{n}x\n" for n in range(60_000))
    assert len(text) > LONGEST
    out, _ = scrubbed("rsyncd.secrets", text)
    assert b"Gartenzaun7x" not in out
