"""`mft audit`, as an auditor uses it: on the live catalog, and on a copy far from any server."""

from __future__ import annotations

import contextlib
import json
import sqlite3

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mft.audit import export_heads
from mft.receipts import public_key_document

IN = "/ACME-1/to-support"


@pytest.fixture
def config(core, tmp_path):
    """A configuration whose catalog holds events of two customers, and is open in a server."""
    for name in ("a.log", "b.log", "c.log"):
        core.client("ann").put(f"{IN}/{name}", b"hello")
    core.client("gus", "us").put("/GLOBEX-1/to-support/d.log", b"hello")
    return tmp_path / "config.yaml"


@pytest.fixture
def copied(core, config, tmp_path):
    """A copy of that catalog, alone in a directory."""
    copy = tmp_path / "elsewhere" / "copy.db"
    copy.parent.mkdir()
    with (
        contextlib.closing(sqlite3.connect(core.config.catalog.path)) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    return copy


@pytest.fixture
def public_key(core, tmp_path):
    """The server's published key, in a file."""
    path = tmp_path / "key.json"
    path.write_text(json.dumps(public_key_document(core.parts.credentials.receipt_key.public_key())))
    return path


def tamper(catalog, statement, *values):
    with contextlib.closing(sqlite3.connect(catalog)) as connection:
        changed = connection.execute(statement, values).rowcount
        connection.commit()
    assert changed > 0


class TestVerify:
    def test_untouched_catalog_holds_while_the_server_has_it_open(self, core, config, run):
        """Exit code 0, and every event was counted, those still in the journal too."""
        code, out, error = run("audit", "verify", "--config", config)
        assert (code, error) == (0, "")
        assert f"events: {len(core.events())}, faults: 0; every chain holds" in out
        assert core.parts.credentials.receipt_key_id in out

    def test_copy_needs_neither_server_nor_configuration(self, copied, public_key, run, monkeypatch, tmp_path):
        """A catalog and the published key are enough, and nothing appears beside the copy."""
        away = tmp_path / "away"
        away.mkdir()
        monkeypatch.chdir(away)
        before = copied.read_bytes()
        assert run("audit", "verify", copied, "--public-key", public_key)[0] == 0
        assert [path.name for path in copied.parent.iterdir()] == ["copy.db"]
        assert copied.read_bytes() == before
        assert not list(away.iterdir())

    @pytest.mark.parametrize(
        ("statement", "place", "what"),
        [
            (
                """UPDATE audit_event SET body = replace(body, '"login":"ann"', '"login":"bob"')
                WHERE chain = 'customer:acme' AND position = 2""",
                2,
                "the record was edited",
            ),
            ("DELETE FROM audit_event WHERE chain = 'customer:acme' AND position = 3", 4, "record 3 was removed"),
            (
                "DELETE FROM audit_event WHERE chain = 'customer:acme' AND position > 5",
                6,
                "were removed from the end",
            ),
            (
                """INSERT INTO audit_event (chain, position, body, previous, hash)
                SELECT chain, position + 1, '{}', hash, 'x' FROM audit_event
                WHERE chain = 'customer:acme' ORDER BY position DESC LIMIT 1""",
                8,
                "were inserted after the signed end",
            ),
            ("DELETE FROM audit_head WHERE chain = 'customer:acme'", 7, "signed head was removed"),
            (
                "UPDATE audit_head SET position = 6 WHERE chain = 'customer:acme'",
                6,
                "does not bear this installation's signature",
            ),
        ],
    )
    def test_tampering_is_named_with_its_place(self, config, copied, run, statement, place, what):
        """Exit code 3, and a line with the chain, the record and what is wrong with it."""
        tamper(copied, statement)
        code, out, _ = run("audit", "verify", "--config", config, copied)
        assert code == 3
        named = [line for line in out.splitlines() if line.startswith(f"chain customer:acme, record {place}: ")]
        assert any(what in line for line in named), out
        assert out.splitlines()[-1].endswith("the audit does not hold")
        assert "customer:globex, record" not in out

    def test_signature_of_another_installation_does_not_pass(self, copied, run, tmp_path):
        """Every chain is refused under a key that did not sign it."""
        other = tmp_path / "other.json"
        other.write_text(json.dumps(public_key_document(Ed25519PrivateKey.generate().public_key())))
        code, out, _ = run("audit", "verify", copied, "--public-key", other)
        assert code == 3
        assert out.count("does not bear this installation's signature") == 2

    def test_chain_removed_as_a_whole_shows_by_heads_handed_out(self, core, config, copied, run, tmp_path):
        """What the catalog alone cannot tell, a file of heads kept elsewhere does."""
        heads = tmp_path / "heads.jsonl"
        with core.database.read() as connection:
            heads.write_text(export_heads(connection))
        assert run("audit", "verify", "--config", config, "--heads", heads)[0] == 0
        for table in ("audit_event", "audit_head"):
            tamper(copied, f"DELETE FROM {table} WHERE chain = 'customer:globex'")
        assert run("audit", "verify", "--config", config, copied)[0] == 0
        code, out, _ = run("audit", "verify", "--config", config, copied, "--heads", heads)
        assert code == 3
        assert "chain customer:globex, record 3: is missing" in out

    def test_heads_stay_good_when_the_chain_goes_on(self, core, config, run, tmp_path):
        """An older head is a record in the middle of today's chain."""
        heads = tmp_path / "heads.jsonl"
        with core.database.read() as connection:
            heads.write_text(export_heads(connection))
        core.client("ann").put(f"{IN}/e.log", b"more")
        assert run("audit", "verify", "--config", config, "--heads", heads)[0] == 0

    def test_head_that_was_cut_short_hides_none(self, core, config, copied, run, tmp_path):
        """A full disk has left half a line: those around it count."""
        heads = tmp_path / "heads.jsonl"
        with core.database.read() as connection:
            whole = export_heads(connection)
        heads.write_text(whole[:40] + "\n" + whole)
        assert run("audit", "verify", "--config", config, "--heads", heads)[0] == 0
        for table in ("audit_event", "audit_head"):
            tamper(copied, f"DELETE FROM {table} WHERE chain = 'customer:globex'")
        assert run("audit", "verify", "--config", config, copied, "--heads", heads)[0] == 3

    def test_what_cannot_be_checked_is_neither_good_nor_broken(self, config, copied, run, tmp_path):
        """A file that is no catalog, one that is not there, heads that are none: exit code 1 and a sentence."""
        text = tmp_path / "notes.txt"
        text.write_text("not a database, and long enough that nobody could take it for an empty one" * 100)
        for wrong in (text, tmp_path / "none.db"):
            code, out, error = run("audit", "verify", "--config", config, wrong)
            assert (code, out) == (1, "")
            assert str(wrong) in error
        code, _, error = run("audit", "verify", "--config", config, copied, "--heads", text)
        assert code == 1
        assert "notes.txt, line 1" in error

    def test_key_that_is_missing_is_not_made(self, config, copied, core, run):
        """A new key would make every old signature look forged."""
        key = core.config.credentials / "receipts.key"
        key.unlink()
        code, _, error = run("audit", "verify", "--config", config, copied)
        assert code == 1
        assert "receipts.key" in error
        assert not key.exists()


class TestShow:
    def test_newest_events_come_last(self, config, run):
        """A line an event: time, place in the chain, kind, details."""
        code, out, _ = run("audit", "show", "--config", config, "--last", 2)
        lines = out.splitlines()
        assert code == 0
        assert len(lines) == 2
        assert " customer:globex#3 upload.landed " in lines[1]
        assert " case=GLOBEX-1 " in lines[1]

    def test_chain_and_kind_narrow_it(self, config, run):
        """Both take the shell's patterns."""
        _, out, _ = run("audit", "show", "--config", config, "--chain", "customer:a*", "--kind", "upload.*", "--json")
        events = json.loads(out)
        assert [event["kind"] for event in events] == ["upload.started", "upload.landed"] * 3
        assert {event["chain"] for event in events} == {"customer:acme"}

    def test_record_that_was_made_unreadable_is_shown_all_the_same(self, config, copied, run):
        """Nothing in it reaches the terminal as more than text."""
        tamper(copied, "UPDATE audit_event SET body = ? WHERE chain = 'customer:globex' AND position = 3", "\x1b[2Jx")
        code, out, _ = run("audit", "show", "--config", config, copied, "--last", 1)
        assert code == 0
        assert "customer:globex#3 - " in out
        assert "\\x1b[2Jx" in out
        assert "\x1b" not in out
