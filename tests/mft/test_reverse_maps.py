"""What pseudonyms stand for: sealed to the customer, handed to its logins alone, and of use to its key alone."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from mft.cli import build
from mft.recipients import RecipientError, Recipients
from protocols.errors import NotFoundError
from scrubber.reversal import SEALED_FOR
from storage.errors import AlteredKeyError, UnknownFormatError
from storage.recipient import new_recipient, open_with, read_public_key, seal_to
from tests.core import running_core

IN = "/ACME-1/to-support"
PRIVATE, PUBLIC = new_recipient()
TOKEN = "hunter2-" + "tr0ub4dor"
TEXT = f"mail from jane.doe@acme-corp.com at 203.0.113.77\npassword={TOKEN}\n".encode()


@pytest.fixture
def house(tmp_path, nursery):
    """A house that makes reverse maps, with a key of acme's."""
    with running_core(tmp_path, nursery, scrub={"reverse_map": True}) as core:
        Recipients(database=core.database, trail=core.parts.trail).register("acme", PUBLIC.decode(), by="ann")
        yield core


def opened(sealed):
    return json.loads(open_with(PRIVATE, sealed, context=SEALED_FOR))


def test_customer_reads_what_pseudonyms_stand_for(house):
    """Every pseudonym of what support reads is in the map with its value; the secret is not."""
    house.client("ann").put(f"{IN}/a.log", TEXT)
    house.work()
    shown = house.client("eve").get(f"{IN}/a.log").decode().split()
    pairs = opened(house.client("ann").get("/ACME-1/.meta/a.log.reverse"))["pairs"]
    assert pairs[shown[2]] == "jane.doe@acme-corp.com"
    assert pairs[shown[4]] == "203.0.113.77"
    assert TOKEN not in json.dumps(pairs)
    assert "a.log.reverse" in house.client("ann").names("/ACME-1/.meta")
    assert opened(house.client("bob").get("/ACME-1/.meta/a.log.reverse"))["pairs"] == pairs


def test_staff_sees_no_map_and_nothing_of_it_lies_in_clear(house):
    """To an engineer there is none; the catalog has ciphertext alone; the event names the key by its fingerprint."""
    house.client("ann").put(f"{IN}/a.log", TEXT)
    house.work()
    assert not [name for name in house.client("eve").names("/ACME-1/.meta") if "reverse" in name]
    with pytest.raises(NotFoundError):
        house.client("eve").get("/ACME-1/.meta/a.log.reverse")
    house.database.truncate_journal()
    for path in house.data.rglob("*"):
        assert not path.is_file() or b"jane.doe" not in path.read_bytes(), path
    (event,) = house.events("reverse_key.registered")
    assert (event["login"], len(event["key"])) == ("ann", 64)


def test_no_map_without_a_key_or_where_the_server_makes_none(tmp_path, nursery):
    """Off by default; and on, only for a customer that has registered a key."""
    for number, scrub in enumerate(({}, {"reverse_map": True})):
        (tmp_path / str(number)).mkdir()
        with running_core(tmp_path / str(number), nursery, scrub=scrub) as core:
            if not scrub:
                Recipients(database=core.database, trail=core.parts.trail).register("acme", PUBLIC.decode(), by="ann")
            core.client("ann").put(f"{IN}/a.log", TEXT)
            core.work()
            assert core.states() == ["stored"]
            assert "a.log.reverse" not in core.client("ann").names("/ACME-1/.meta")


def test_key_that_was_removed_gets_no_more_maps(house):
    """What was sealed to it before can still be read."""
    house.client("ann").put(f"{IN}/a.log", TEXT)
    house.work()
    recipients = Recipients(database=house.database, trail=house.parts.trail)
    assert recipients.remove("acme", by="ann")
    assert not recipients.remove("acme", by="ann")
    house.client("ann").put(f"{IN}/b.log", TEXT)
    house.work()
    names = house.client("ann").names("/ACME-1/.meta")
    assert ("a.log.reverse" in names, "b.log.reverse" in names) == (True, False)


@pytest.mark.parametrize(
    "text", ["", "no key", "AAAA", PRIVATE.decode(), "-----BEGIN PUBLIC KEY-----\nMA==\n", "A" * 43 + "=", "\ud800"]
)
def test_what_is_no_public_key_is_refused(house, text):
    """The reason says what is wanted, and warns whoever shows a private key."""
    with pytest.raises(RecipientError, match=r"X25519|private key"):
        Recipients(database=house.database, trail=house.parts.trail).register("acme", text, by="ann")


def test_another_key_opens_nothing():
    """Nor does an altered map, nor one that was sealed for something else."""
    sealed = seal_to(read_public_key(PUBLIC), b"{}", context=SEALED_FOR)
    with pytest.raises(AlteredKeyError):
        open_with(new_recipient()[0], sealed, context=SEALED_FOR)
    for altered, context in ((sealed[:-1], SEALED_FOR), (b"", SEALED_FOR), (sealed, b"another")):
        with pytest.raises(AlteredKeyError):
            open_with(PRIVATE, altered, context=context)
    with pytest.raises(UnknownFormatError):
        open_with(PUBLIC, sealed, context=SEALED_FOR)


def run(*words, code=0):
    done = CliRunner().invoke(build(words[0]), [str(word) for word in words])
    assert done.exit_code == code, done.output
    return done.stdout


@pytest.mark.parametrize("folder", [False, True])
def test_map_at_the_shell(tmp_path, folder):
    """`mft scrub --reverse-map` over a file or a folder, read back with `mft reverse read`."""
    key = tmp_path / "key"
    run("reverse", "new", key)
    assert key.stat().st_mode & 0o777 == 0o600
    source, target = tmp_path / "in", tmp_path / "out"
    if folder:
        source.mkdir()
        (source / "a.log").write_bytes(TEXT)
    else:
        source.write_bytes(TEXT)
    sealed = tmp_path / "map.reverse"
    run("scrub", source, target, "--reverse-map", sealed, "--reverse-key", f"{key}.pub")
    shown = (target / "a.log" if folder else target).read_text().split()
    assert b"jane" not in sealed.read_bytes()
    assert run("reverse", "read", sealed, shown[4], "--key", key) == f"{shown[4]}\t203.0.113.77\n"
    document = json.loads(run("reverse", "read", sealed, "--key", key))
    assert document["pairs"][shown[2]] == "jane.doe@acme-corp.com"
    assert document["left_out"] == 0
    run("reverse", "read", sealed, "240.1.2.3", "--key", key, code=1)


def test_wrong_use_at_the_shell_says_what_is_wanted(tmp_path):
    """One option without the other, a private key for the public one, a key that is there already."""
    key, source = tmp_path / "key", tmp_path / "in"
    run("reverse", "new", key)
    run("reverse", "new", key, code=2)
    source.write_bytes(TEXT)
    run("scrub", source, tmp_path / "out", "--reverse-map", tmp_path / "map", code=2)
    run("scrub", source, tmp_path / "out", "--reverse-map", tmp_path / "map", "--reverse-key", key, code=2)
    run("scrub", source, tmp_path / "out", "--reverse-map", source, "--reverse-key", f"{key}.pub", code=2)
    assert not (tmp_path / "out").exists()
    assert source.read_bytes() == TEXT
