"""Receipts: signed, verified offline, and worthless once altered."""

from __future__ import annotations

import base64
import json
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from mft import receipts
from mft.receipts import (
    MalformedReceiptError,
    ReceiptError,
    WrongKeyError,
    WrongSignatureError,
    canonical_json,
    key_id,
    parse_public_key,
    parse_receipt,
    public_key_document,
    sign_receipt,
    signer,
    verifier,
    verify_receipt,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key()
CLAIMS = {"kind": "landed", "id": "r-1", "case": "CASE-1001", "size": 12, "digest": None, "names": ["ä", "b"]}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


class TestCanonicalJson:
    def test_keys_are_ordered_by_utf16_units(self):
        """The order of RFC 8785, section 3.2.3: by UTF-16 code units, not by code points."""
        keys = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
        ordered = list(json.loads(canonical_json(dict.fromkeys(keys, 0))))
        assert ordered == ["\r", "1", "\u0080", "\u00f6", "\u20ac", "\U0001f600", "\ufb33"]

    def test_texts_are_escaped_as_little_as_possible(self):
        """The example of RFC 8785, section 3.2.2.2."""
        text = '\u20ac$\u000f\nA\'B"\\\\"/'
        assert canonical_json(text).decode() == '"\u20ac$\\u000f\\nA\'B\\"\\\\\\\\\\"/"'

    def test_literals_and_numbers(self):
        """Whole numbers, truth values and null, without spaces."""
        assert canonical_json({"b": [True, False, None], "a": -3}) == b'{"a":-3,"b":[true,false,null]}'

    @pytest.mark.parametrize(
        "value", [1.0, float("nan"), 2**53, -(2**53), b"x", {1: 2}, {"a": {3}}, "\ud800", {"\udfff": 1}, object()]
    )
    def test_what_has_no_one_form_is_refused(self, value):
        """Fractions, huge numbers, bytes, half characters."""
        with pytest.raises(MalformedReceiptError):
            canonical_json(value)

    def test_endless_nesting_is_refused(self):
        """A list that holds itself."""
        value: list[object] = []
        value.append(value)
        with pytest.raises(MalformedReceiptError):
            canonical_json(value)

    @given(VALUES)
    def test_what_is_written_at_once_is_what_is_written_piece_by_piece(self, value):
        """Maps of plain values take a shorter way, to the same bytes."""
        for each in (value, {"a": value, "b": {"c": value, "d\u20ac": 1}}):
            assert canonical_json(each) == receipts._canonical(each, 0).encode()

    @given(VALUES)
    def test_canonical_form_reads_back_and_is_stable(self, value):
        """JSON readers get the value back, and writing that gives the same bytes."""
        data = canonical_json(value)
        assert json.loads(data) == value
        assert canonical_json(json.loads(data)) == data


class TestSigning:
    def test_receipt_verifies_after_a_journey_through_json(self):
        """A receipt written by another JSON writer, in another order, still verifies."""
        receipt = sign_receipt(CLAIMS, KEY)
        travelled = parse_receipt(json.dumps(dict(reversed(receipt.items())), indent=4).encode())
        assert verify_receipt(travelled, PUBLIC) == CLAIMS

    def test_signature_names_algorithm_and_key(self):
        """Whoever holds several keys can find the right one."""
        signature = sign_receipt(CLAIMS, KEY)["signature"]
        assert signature["algorithm"] == "Ed25519"
        assert signature["key"] == key_id(PUBLIC)
        assert len(signature["key"]) == 16

    @pytest.mark.parametrize(
        "change",
        [
            {"size": 13},
            {"case": "CASE-1002"},
            {"kind": "final"},
            {"digest": "x"},
            {"extra": 1},
            {"names": ["b", "ä"]},
        ],
    )
    def test_altered_claim_is_found(self, change):
        """Any change, addition or reordering of a list breaks the signature."""
        with pytest.raises(WrongSignatureError):
            verify_receipt({**sign_receipt(CLAIMS, KEY), **change}, PUBLIC)

    def test_removed_claim_is_found(self):
        """Leaving a claim out breaks it too."""
        receipt = sign_receipt(CLAIMS, KEY)
        del receipt["digest"]
        with pytest.raises(WrongSignatureError):
            verify_receipt(receipt, PUBLIC)

    def test_every_altered_character_of_the_signature_is_found(self):
        """No other spelling of the signature passes."""
        receipt = sign_receipt(CLAIMS, KEY)
        value = receipt["signature"]["value"]
        for position, character in enumerate(value):
            other = "A" if character != "A" else "B"
            changed = {**receipt["signature"], "value": value[:position] + other + value[position + 1 :]}
            with pytest.raises(ReceiptError):
                verify_receipt({**receipt, "signature": changed}, PUBLIC)

    def test_other_key_is_named(self):
        """A receipt of another server is refused as that."""
        with pytest.raises(WrongKeyError):
            verify_receipt(sign_receipt(CLAIMS, KEY), Ed25519PrivateKey.generate().public_key())

    @pytest.mark.parametrize(
        "claims",
        [
            {"kind": "landed"},
            {"kind": "landed", "id": ""},
            {"kind": "other", "id": "a"},
            {"id": "a"},
            {**CLAIMS, "signature": {}},
            {**CLAIMS, "size": 1.5},
        ],
    )
    def test_claims_that_cannot_be_a_receipt_are_refused(self, claims):
        """No id, no known kind, a signature already, or a fraction."""
        with pytest.raises(MalformedReceiptError):
            sign_receipt(claims, KEY)

    @pytest.mark.parametrize(
        "signature",
        [
            None,
            "x",
            {},
            {"algorithm": "none", "key": key_id(PUBLIC), "value": ""},
            {"algorithm": "Ed25519", "key": key_id(PUBLIC), "value": "***"},
            {"algorithm": "Ed25519", "key": key_id(PUBLIC), "value": 5},
        ],
    )
    def test_signature_that_is_none_is_refused(self, signature):
        """No way around the check."""
        with pytest.raises(ReceiptError):
            verify_receipt({**CLAIMS, "signature": signature}, PUBLIC)


class TestReading:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"[]",
            b'"x"',
            b'{"a": 1, "a": 2}',
            b'{"a": {"b": 1, "b": 1}}',
            b'{"a": 1.0}',
            b'{"a": NaN}',
            b"\xff",
            b"[" * 100_000,
            b" " * (2**20 + 1),
        ],
    )
    def test_what_is_no_receipt_is_refused(self, data):
        """Not JSON, two meanings, fractions, too deep, too large."""
        with pytest.raises(MalformedReceiptError):
            parse_receipt(data)

    def test_published_key_reads_back(self):
        """Our document and PEM give the same key."""
        document = json.dumps(public_key_document(PUBLIC)).encode()
        pem = PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        assert key_id(parse_public_key(document)) == key_id(parse_public_key(pem)) == key_id(PUBLIC)

    @pytest.mark.parametrize(
        "data",
        [
            b"{}",
            b"-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----\n",
            X25519PrivateKey.generate().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            json.dumps({**public_key_document(PUBLIC), "key": "0" * 16}).encode(),
            json.dumps({**public_key_document(PUBLIC), "public": "AAAA"}).encode(),
        ],
    )
    def test_what_is_no_published_key_is_refused(self, data):
        """Another document, another kind of key, a name that does not fit."""
        with pytest.raises(MalformedReceiptError):
            parse_public_key(data)


class TestAuditSignatures:
    def test_signature_verifies_and_alteration_shows(self):
        """What `signer` signs, `verifier` knows again, and nothing else."""
        sign, verify = signer(KEY), verifier(PUBLIC)
        signature = sign(b'["head", 1]')
        assert verify(b'["head", 1]', signature)
        assert not verify(b'["head", 2]', signature)
        assert not verify(b'["head", 1]', "*")

    def test_signed_form_of_a_receipt_is_never_signed_as_something_else(self):
        """An audit signature can never pass for a receipt's."""
        with pytest.raises(MalformedReceiptError):
            signer(KEY)(canonical_json(CLAIMS))


def test_openssl_verifies_the_signature_without_us(tmp_path):
    """A stranger needs openssl and RFC 8785 only."""
    receipt = sign_receipt(CLAIMS, KEY)
    value = receipt["signature"].pop("value")
    (tmp_path / "signed").write_bytes(canonical_json(receipt))
    padded = value.replace("-", "+").replace("_", "/") + "=="
    (tmp_path / "sig").write_bytes(base64.b64decode(padded))
    (tmp_path / "pub.pem").write_bytes(PUBLIC.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", "pub.pem", "-rawin"]
    command += ["-in", "signed", "-sigfile", "sig"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
