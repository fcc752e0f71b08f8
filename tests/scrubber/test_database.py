"""SQLite databases come out whole: rows scrubbed, indexes in order, nothing left in free pages."""

from __future__ import annotations

import gzip
import io
import random
import sqlite3

import pytest

from scrubber.model import Limits, Options

MARKS = (b"anna.berg", b"geheim-wort-77", b"203.0.113.7", "geheim-wort-77".encode("utf-16-le"))
LOG = "login of anna.berg@kunde.de from 203.0.113.7"


def make(*statements: str, rows: int = 0, **pragmas: str) -> bytes:
    database = sqlite3.connect(":memory:", isolation_level=None)
    for name, value in pragmas.items():
        database.execute(f"PRAGMA {name}={value}")
    for statement in statements:
        database.execute(statement)
    if rows:
        database.executemany("INSERT INTO log(text) VALUES (?)", [(f"{LOG} {n}",) for n in range(rows)])
    data = database.serialize()
    database.close()
    return data


def opened(data: bytes) -> sqlite3.Connection:
    database = sqlite3.connect(":memory:")
    database.deserialize(data)
    assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    return database


TABLES = (
    "CREATE TABLE log(id INTEGER PRIMARY KEY, text TEXT)",
    "CREATE INDEX by_text ON log(text)",
    "CREATE TABLE users(email TEXT UNIQUE, password TEXT, note BLOB, card INTEGER)",
    "CREATE TABLE kv(k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID",
    "CREATE TABLE seen(what TEXT)",
    "CREATE TRIGGER copy AFTER UPDATE ON users BEGIN INSERT INTO seen VALUES (old.email); END",
    "INSERT INTO users VALUES ('anna.berg@kunde.de', 'geheim-wort-77', x'00', 4111111111111111)",
    "INSERT INTO kv VALUES ('mail', 'anna.berg@kunde.de'), ('a', 'plain')",
)


@pytest.mark.parametrize("encoding", ["'UTF-8'", "'UTF-16le'"])
def test_rows_are_scrubbed_and_the_database_is_whole(scrubbed, encoding):
    """Texts go by what stands in them and by their column's name; indexes, triggers and numbers stay."""
    data = make(*TABLES, rows=300, encoding=encoding)
    out, report = scrubbed(data, "x.db")
    assert report.scannable
    assert not any(mark in out for mark in MARKS)
    database = opened(out)
    email, password, note, card = database.execute("SELECT * FROM users").fetchone()
    assert email.endswith(".example")
    assert password.startswith("[password:")
    assert (note, isinstance(card, int), card != 4111111111111111) == (b"\0", True, True)
    assert database.execute("SELECT v FROM kv WHERE k = 'mail'").fetchone() == (email,)
    assert database.execute("SELECT count(*) FROM seen").fetchone() == (0,)
    texts = [text for (text,) in database.execute("SELECT text FROM log ORDER BY text")]
    assert len(texts) == 300
    assert all(email in text for text in texts)
    assert database.execute("SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'").fetchone() == (1,)
    assert database.execute("PRAGMA encoding").fetchone()[0] in encoding
    again, second = scrubbed(out)
    assert second.counts == {}
    assert opened(again).execute("SELECT * FROM users").fetchone() == (email, password, note, card)


def test_scrubbed_database_comes_to_rest(scrubbed):
    """Scrubbing what was scrubbed changes no byte, and counts as no change of the schema."""
    once, _ = scrubbed(make(*TABLES, rows=300), "x.db")
    again, report = scrubbed(once, "x.db")
    assert again == once
    assert report.total == 0


def test_what_was_deleted_is_gone(scrubbed):
    """Rows in free pages are not in what comes out."""
    data = make("PRAGMA secure_delete=OFF", *TABLES, rows=2000)
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.deserialize(data)
    database.execute("PRAGMA secure_delete=OFF")
    database.execute("DELETE FROM log")
    left = database.serialize()
    assert b"anna.berg" in left
    out, report = scrubbed(left)
    assert report.scannable
    assert not any(mark in out for mark in MARKS)
    assert opened(out).execute("SELECT count(*) FROM log").fetchone() == (0,)


def test_full_text_index_is_made_anew(scrubbed):
    """Words of a replaced text are not found in the index any more."""
    data = make(
        "CREATE VIRTUAL TABLE mails USING fts5(body)",
        f"INSERT INTO mails VALUES ('{LOG}')",
    )
    out, report = scrubbed(data)
    assert report.scannable
    assert b"berg" not in out
    database = opened(out)
    assert database.execute("SELECT count(*) FROM mails WHERE mails MATCH 'login'").fetchone() == (1,)
    assert database.execute("SELECT count(*) FROM mails WHERE mails MATCH 'berg'").fetchone() == (0,)


def test_blobs_are_looked_into(scrubbed):
    """A compressed text in a blob is opened, and a blob that cannot be holds the file back."""
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.execute("CREATE TABLE b(data BLOB)")
    database.execute("INSERT INTO b VALUES (?)", (gzip.compress(LOG.encode()),))
    out, report = scrubbed(database.serialize())
    assert report.scannable
    (blob,) = opened(out).execute("SELECT data FROM b").fetchone()
    assert b"anna" not in gzip.decompress(blob)
    assert b"login of" in gzip.decompress(blob)
    database.execute("INSERT INTO b VALUES (?)", (random.Random(5).randbytes(5000),))
    assert "unknown kind" in scrubbed(database.serialize())[1].obstacles[0].reason


def test_large_database_keeps_its_length(scrubbed):
    """What is too large for memory is overwritten in the same length."""
    data = make(*TABLES, rows=300)
    out, report = scrubbed(data, options=Options(limits=Limits(memory=1 << 16)))
    assert report.scannable
    assert len(out) == len(data)
    assert not any(mark in out for mark in MARKS[:1])
    assert sqlite3.connect(":memory:").execute("SELECT 1").fetchone() == (1,)


def test_damaged_database_keeps_its_length(scrubbed):
    """What SQLite cannot read is overwritten in the same length, never passed on as it is."""
    data = bytearray(make(*TABLES, rows=300))
    data[100:200] = bytes(100)
    data[4096:4200] = bytes(104)
    out, report = scrubbed(bytes(data))
    assert report.scannable
    assert len(out) == len(data)
    assert b"anna.berg" not in out


def test_database_in_write_ahead_mode_comes_with_a_log_that_is_not_applied(scrubbed, tmp_path):
    """The mode stays, and the log beside it is scrubbed and does not overwrite new pages with old ones."""
    path = tmp_path / "w.db"
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("PRAGMA journal_mode=WAL")
    writer.execute("CREATE TABLE t(a TEXT)")
    writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    writer.execute("INSERT INTO t VALUES (?)", (LOG,))
    main, log = path.read_bytes(), (tmp_path / "w.db-wal").read_bytes()
    writer.close()
    (tmp_path / "new.db").write_bytes(scrubbed(main)[0])
    out, report = scrubbed(log)
    (tmp_path / "new.db-wal").write_bytes(out)
    assert report.scannable
    assert len(out) == len(log)
    assert b"anna.berg" not in out
    reader = sqlite3.connect(tmp_path / "new.db")
    assert reader.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert reader.execute("SELECT count(*) FROM t").fetchone() == (0,)
    reader.close()


def test_key_database_is_held_back(scrubbed):
    """The private keys of a browser are nothing to scrub."""
    data = make("CREATE TABLE nssPrivate (id PRIMARY KEY UNIQUE ON CONFLICT ABORT, a0, a1)")
    assert "key store" in scrubbed(data)[1].obstacles[0].reason


def test_file_object_of_the_library_is_not_needed(scrubbed):
    """A database within an archive is found by its beginning."""
    out, report = scrubbed(gzip.compress(make(*TABLES, rows=3)))
    assert report.scannable
    assert opened(gzip.GzipFile(fileobj=io.BytesIO(out)).read())


def test_settings_and_cookies_go_by_their_names(scrubbed):
    """A row of settings is known by what it calls its value; a table of cookies holds secrets alone."""
    data = make(
        "CREATE TABLE settings(key TEXT, value TEXT)",
        "CREATE TABLE moz_cookies(name TEXT, value TEXT, host TEXT)",
        "INSERT INTO settings VALUES ('smtp_password', 'velvet509'), ('theme', 'darkmode77')",
        "INSERT INTO moz_cookies VALUES ('NID', 'k93oLzazSnUV10SV', 'www.example.org')",
    )
    out, _ = scrubbed(data, "x.db")
    database = opened(out)
    values = dict(database.execute("SELECT key, value FROM settings").fetchall())
    assert values["smtp_password"].startswith("[password:")
    assert values["theme"] == "darkmode77"
    assert "k93oLzazSnUV10SV" not in str(database.execute("SELECT * FROM moz_cookies").fetchall())


@pytest.mark.parametrize("ending", ["-wal", "-journal", "damaged"])
def test_pages_that_are_not_applied_lose_the_passwords_of_their_columns(scrubbed, tmp_path, ending):
    """A log's, a journal's and a damaged database's records are read by their columns; other words stay."""
    path = tmp_path / "a.db"
    database = sqlite3.connect(path, isolation_level=None)
    database.execute(f"PRAGMA journal_mode={'wal' if ending == '-wal' else 'delete'}")
    database.execute("CREATE TABLE users(login TEXT, password TEXT, state TEXT)")
    database.execute("INSERT INTO users VALUES ('ada', 'Tundra!frost77', 'pending review')")
    if ending == "-journal":
        database.execute("BEGIN")
        database.execute("UPDATE users SET state = 'pending audit'")
    name = path if ending == "damaged" else tmp_path / f"a.db{ending}"
    data = name.read_bytes()
    database.close()
    assert b"Tundra!frost77" in data
    if ending == "damaged":
        data = data[:100] + b"\0" + data[101:]
    if ending == "-journal":  # what a crash leaves: the mark is written once the pages are on the disk
        data = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + data[8:]
    out, _ = scrubbed(data, name.name)
    assert len(out) == len(data)
    assert b"Tundra!frost77" not in out
    assert b"pending" in out
