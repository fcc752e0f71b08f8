"""The forms of wrapped scope keys are frozen: fixed bytes, read and written as docs/format.md has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from storage.errors import AlteredKeyError
from storage.keys.binding import SHARE_LABEL, bind, named_context, scope_context
from storage.keys.ledger import DestroyedKeys
from storage.keys.transit import _check
from storage.keys.wrapped import (
    SharedKey,
    header_of,
    join_shares,
    parse_wrapped,
    region_key_of,
    split_shares,
    with_region_share,
)

VECTORS = json.loads((Path(__file__).parents[2] / "vectors" / "keys_v1.json").read_text())


@pytest.mark.parametrize("vector", VECTORS["forms"], ids=lambda each: each["place"])
def test_form_is_read_and_written_as_ever(vector):
    """First byte, key id, header and payload of each place."""
    blob = bytes.fromhex(vector["wrapped"])
    parsed = parse_wrapped(blob)
    assert (parsed.form, parsed.key_id) == (vector["form"], vector["key_id"])
    assert parsed.payload.hex() == vector["payload"]
    assert header_of(parsed.form, parsed.key_id) + parsed.payload == blob
    assert region_key_of(blob) == vector["key_id"]


def test_two_shares_are_read_and_written_as_ever():
    """The holder's name, the region's share and the customer's; rotation exchanges the region's alone."""
    vector = VECTORS["shares"]
    blob = bytes.fromhex(vector["wrapped"])
    shared = split_shares(blob)
    assert shared == SharedKey(
        holder=vector["holder"],
        region_share=bytes.fromhex(vector["region_share"]),
        customer_share=bytes.fromhex(vector["customer_share"]),
    )
    assert join_shares(shared) == blob
    fresh = bytes.fromhex(VECTORS["forms"][1]["wrapped"])
    renewed = split_shares(with_region_share(blob, fresh))
    assert (renewed.region_share, renewed.customer_share) == (fresh, shared.customer_share)
    for end in range(len(blob) - len(shared.customer_share)):
        with pytest.raises(AlteredKeyError):
            split_shares(blob[:end]) or parse_wrapped(blob[:end])


def test_contexts_are_as_ever():
    """What KMS and Vault bind to, for a scope key and for a customer's share."""
    vector = VECTORS["contexts"]
    scope, share = scope_context("eu", "case:1"), bind(SHARE_LABEL, "eu", "case:1")
    assert (scope.hex(), share.hex()) == (vector["scope"], vector["share"])
    assert named_context(scope) == vector["kms_scope"]
    assert named_context(share) == vector["kms_share"]
    assert _check(scope).hex() == vector["transit_check"]


def test_ledger_of_ever_is_read(tmp_path):
    """A ledger of before is whole, line by line."""
    path = tmp_path / "destroyed-keys"
    path.write_text(VECTORS["ledger"])
    assert [each["name"] for each in DestroyedKeys(path, "eu").entries()] == ["case:0011", "4be32eb508aabe56"]
