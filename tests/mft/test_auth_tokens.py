"""Tokens."""

from __future__ import annotations

import datetime as dt
import re
import zlib
from base64 import b32decode
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import select

from mft.auth.errors import InvalidAccountError, NoSuchTokenError
from mft.auth.tokens import Tokens, has_token_form, is_token, new_token_text
from mft.catalog.model import TOKENS
from tests.mft.gatehouse import Gatehouse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    gatehouse = Gatehouse(tmp_path / "catalog.db")
    yield gatehouse
    gatehouse.close()


def test_token_can_be_found_and_proven_by_a_scanner():
    """A token has its prefix, 160 bits, and a CRC-32 that anybody can check without our code."""
    text = new_token_text()
    assert re.fullmatch(r"mftt_[a-z2-7]{39}", text)
    body, check = text[:-7], text[-7:]
    assert len(b32decode(body.removeprefix("mftt_").upper())) == 20
    assert int.from_bytes(b32decode(check.upper() + "=")) == zlib.crc32(body.encode())
    assert new_token_text() != text


@pytest.mark.parametrize("position", [5, 20, 36, 37, 43])
def test_token_has_no_form_when_one_character_is_wrong(position):
    """A typing mistake anywhere shows in the checksum."""
    text = new_token_text()
    wrong = "a" if text[position] != "a" else "b"
    assert has_token_form(text)
    assert not has_token_form(text[:position] + wrong + text[position + 1 :])
    assert is_token(text[:position] + wrong + text[position + 1 :])


@pytest.mark.parametrize("text", ["", "mftt_", "mftt_" + "é" * 39, "x" * 44, "mftt_" + "a" * 38, "mftt_" + "a" * 40])
def test_text_is_no_token_when_its_form_is_not(house, text):
    """Any text may be asked for; what is no token is simply not found."""
    assert house.tokens.find(text) is None


def test_token_is_found_and_not_kept(house):
    """A minted token is found by its text, and the catalog holds neither it nor a plain hash of it."""
    minted = house.tokens.create("alice", label="laptop", by="root")
    assert house.tokens.find(minted.text) == minted.token
    with house.database.read() as connection:
        digest = connection.execute(select(TOKENS.c.digest)).scalar_one()
    other = Tokens(house.ledger, key=bytes(32))
    assert other.find(minted.text) is None
    assert len(digest) == 64
    for path in house.database.path.parent.iterdir():
        assert minted.text.encode() not in path.read_bytes()
    assert minted.text not in house.everything_written()
    assert minted.text not in repr(minted)


def test_token_is_current_until_it_expires(house):
    """A token with an end opens up to that moment and not at it."""
    minted = house.tokens.create("alice", expires=house.clock.now() + dt.timedelta(hours=1), by="root")
    assert minted.token.is_current(house.clock.now())
    house.clock.seconds += 3600
    assert not house.tokens.find(minted.text).is_current(house.clock.now())


def test_token_is_refused_when_it_would_be_expired_at_once(house):
    """A token that ends before it begins is a mistake."""
    with pytest.raises(InvalidAccountError, match="expired"):
        house.tokens.create("alice", expires=house.clock.now(), by="root")


def test_token_is_refused_for_a_login_that_cannot_be(house):
    """Nobody can have a login with a slash, so it gets no token."""
    with pytest.raises(InvalidAccountError):
        house.tokens.create("a/b", by="root")


def test_token_is_revoked_once(house):
    """Revoking is told once, and again does nothing; what is unknown is an error."""
    minted = house.tokens.create("alice", by="root")
    house.clock.seconds += 5
    revoked = house.tokens.revoke(minted.token.id, by="root")
    house.clock.seconds += 5
    assert house.tokens.revoke(minted.token.id, by="root") == revoked
    assert not revoked.is_current(house.clock.now())
    assert [event["kind"] for event in house.events()] == ["token.created", "token.revoked"]
    with pytest.raises(NoSuchTokenError):
        house.tokens.revoke("nothing", by="root")


def test_tokens_are_listed_by_login(house):
    """A list shows every token, or those of one login, without the tokens themselves."""
    first = house.tokens.create("alice", label="a", by="root").token
    house.clock.seconds += 1
    second = house.tokens.create("bob", by="root").token
    assert house.tokens.list() == (first, second)
    assert house.tokens.list("bob") == (second,)
