"""The audit's chains: whatever is done to them afterwards shows."""

from __future__ import annotations

import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, insert, select, update

from mft.audit import AuditTrail, Folding, _link, customer_chain, verify_trail
from mft.catalog.database import Database
from mft.catalog.model import EVENTS, HEADS
from mft.catalog.schema import upgrade
from mft.signers import head_checker, head_signer

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


@pytest.fixture
def database(tmp_path):
    upgrade(tmp_path / "catalog.db")
    database = Database(tmp_path / "catalog.db")
    trail = AuditTrail(sign=head_signer(KEY), host="here")
    for number in range(1, 7):
        with database.write() as connection:
            trail.append(connection, "customer:acme", "file.opened", number=number, nothing=None)
    with database.write() as connection:
        trail.append(connection, "system", "server.started")
    yield database
    database.close()


def verify(database, key=KEY):
    with database.read() as connection:
        return verify_trail(connection, head_checker(key.public_key()))


def faults(database):
    return [(fault.chain, fault.position, fault.what) for fault in verify(database).faults]


def change(database, statement):
    """Do to the catalog what nobody should."""
    with database.write() as connection:
        connection.execute(statement)


def row(database, position):
    with database.read() as connection:
        return connection.execute(select(EVENTS).where(EVENTS.c.position == position)).first()


def test_untouched_chains_hold(database):
    """Every record and both heads are as they were written."""
    verdict = verify(database)
    assert (verdict.chains, verdict.events, verdict.faults) == (2, 7, ())


def test_event_says_who_where_and_when_and_leaves_out_nothings(database):
    """Its body has chain, number, kind, host and an instant in UTC; None is not written."""
    body = json.loads(row(database, 3).body)
    assert (body["chain"], body["n"], body["kind"], body["host"], body["number"]) == (
        "customer:acme",
        3,
        "file.opened",
        "here",
        3,
    )
    assert body["at"].endswith("+00:00")
    assert "nothing" not in body


def test_events_without_a_customer_are_the_system_s():
    """What belongs to nobody has a chain all the same."""
    assert customer_chain(None) == customer_chain("") == "system"
    assert customer_chain("system") == "customer:system"


def test_edited_record_is_found(database):
    """One changed character names the record."""
    body = row(database, 3).body.replace('"number":3', '"number":4')
    change(database, update(EVENTS).where(EVENTS.c.position == 3).values(body=body))
    assert faults(database) == [("customer:acme", 3, "the record was edited")]


def test_edited_record_with_a_new_hash_is_found(database):
    """Who mends the hash breaks the link of the next record."""
    old = row(database, 3)
    body = old.body.replace('"number":3', '"number":4')
    change(
        database,
        update(EVENTS).where(EVENTS.c.position == 3).values(body=body, hash=_link(old.previous, body)),
    )
    assert [position for _chain, position, _what in faults(database)] == [4]


@pytest.mark.parametrize("position", [1, 3])
def test_removed_record_is_found(database, position):
    """A gap is named, also at the very beginning."""
    change(database, delete(EVENTS).where(EVENTS.c.chain == "customer:acme", EVENTS.c.position == position))
    assert faults(database) == [("customer:acme", position + 1, f"record {position} was removed")]


def test_cut_off_end_is_found(database):
    """The signed head remembers how far the chain went."""
    change(database, delete(EVENTS).where(EVENTS.c.chain == "customer:acme", EVENTS.c.position > 4))
    assert faults(database) == [("customer:acme", 5, "records 5 to 6 were removed from the end")]


def test_whole_chain_that_was_removed_is_found(database):
    """Its head is still there."""
    change(database, delete(EVENTS).where(EVENTS.c.chain == "system"))
    assert faults(database) == [("system", 1, "records 1 to 1 were removed from the end")]


def test_removed_head_is_found(database):
    """A chain without a head has had one."""
    change(database, delete(HEADS).where(HEADS.c.chain == "system"))
    assert faults(database) == [("system", 1, "the chain's signed head was removed")]


def test_inserted_record_is_found(database):
    """A record squeezed in with a link of its own breaks the number and the link behind it."""
    body = json.dumps({"chain": "customer:acme", "n": 7, "kind": "forged"})
    last = row(database, 6)
    change(
        database,
        insert(EVENTS).values(
            chain="customer:acme", position=7, body=body, previous=last.hash, hash=_link(last.hash, body)
        ),
    )
    assert faults(database) == [("customer:acme", 7, "records 7 to 7 were inserted after the signed end")]


def test_forged_head_is_found(database):
    """Who appends and moves the head along cannot sign it."""
    with database.write() as connection:
        AuditTrail(sign=head_signer(Ed25519PrivateKey.generate()), host="elsewhere").append(
            connection, "customer:acme", "forged.event"
        )
    assert faults(database) == [("customer:acme", 7, "the chain's head does not bear this installation's signature")]


def test_rewritten_last_record_is_found(database):
    """The head is signed over the last record's hash."""
    old = row(database, 6)
    body = old.body.replace('"number":6', '"number":9')
    change(database, update(EVENTS).where(EVENTS.c.position == 6).values(body=body, hash=_link(old.previous, body)))
    assert faults(database) == [("customer:acme", 6, "the last record is not the one that was signed")]


def test_swapped_records_are_found(database):
    """Two records that changed places say so by their own numbers."""
    one, two = row(database, 2), row(database, 3)
    with database.write() as connection:
        connection.execute(update(EVENTS).where(EVENTS.c.id == one.id).values(position=99))
        connection.execute(update(EVENTS).where(EVENTS.c.id == two.id).values(position=2))
        connection.execute(update(EVENTS).where(EVENTS.c.id == one.id).values(position=3))
    assert {position for _chain, position, _what in faults(database)} >= {2, 3}


def test_record_moved_to_another_chain_is_found(database):
    """A genuine record does not belong to a second chain."""
    change(database, update(EVENTS).where(EVENTS.c.chain == "system").values(chain="customer:globex"))
    assert {chain for chain, _position, _what in faults(database)} == {"customer:globex", "system"}


def test_event_is_written_with_its_change_or_not_at_all(database):
    """A transaction that fails takes its event with it."""
    trail = AuditTrail(sign=head_signer(KEY), host="here")

    def fail_after_the_event() -> None:
        with database.write() as connection:
            trail.append(connection, "system", "never.happened")
            raise OSError("the change failed")

    with pytest.raises(OSError, match="the change failed"):
        fail_after_the_event()
    assert verify(database).events == 7
    assert verify(database).faults == ()


# -- folding -----------------------------------------------------------------------------------------------------------


def test_repeats_within_a_minute_are_one_record_with_a_count():
    """The first is written at once, the others counted; a minute later it begins anew."""
    now = [0.0]
    folding = Folding(clock=lambda: now[0])
    assert folding.first("system", "access.denied", "ann", {"login": "ann"})
    assert not folding.first("system", "access.denied", "ann", {"login": "ann"})
    assert not folding.first("system", "access.denied", "ann", {"login": "ann"})
    assert folding.first("system", "access.denied", "bob", {"login": "bob"})
    assert list(folding.due()) == []
    now[0] = 60.0
    assert list(folding.due()) == [("system", "access.denied", {"login": "ann", "repeated": 2})]
    assert folding.first("system", "access.denied", "ann", {"login": "ann"})


def test_everything_folded_is_written_at_the_end():
    """A process that ends loses no count."""
    folding = Folding()
    for _ in range(4):
        folding.first("system", "access.denied", "ann", {})
    assert list(folding.due(everything=True)) == [("system", "access.denied", {"repeated": 3})]
    assert list(folding.due(everything=True)) == []
