"""Signed receipts: what a sender can show, years later and without us, for what it sent.

A receipt is a JSON object: claims, and a `signature` over all of it but its own value, in the canonical form
of RFC 8785. *landed* is given at OK, *final* later, both under one id. A certificate of *destruction* and a report of
*residency* have the same form.

    ReceiptError
    ├── MalformedReceiptError   not a receipt, or claims that cannot be one
    ├── WrongKeyError           signed by another key than the one that it is checked with
    └── WrongSignatureError     altered since it was signed
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

if TYPE_CHECKING:
    from collections.abc import Callable

ALGORITHM = "Ed25519"
KINDS = ("landed", "final", "destruction", "residency")
KEY_KIND = "mft-receipt-key"
MAX_BYTES = 2**24
"""Largest receipt or key document that is read."""
MAX_DEPTH = 32
_SAFE_INTEGER = 2**53 - 1
"""Beyond it JSON readers that know only doubles lose digits (RFC 7493, section 2.2)."""
_SURROGATE = re.compile("[\ud800-\udfff]")


_PLAIN_DEPTH = 2
"""Maps in maps: receipts have one."""


class ReceiptError(Exception):
    """Base of what can be wrong with a receipt."""


class MalformedReceiptError(ReceiptError):
    """It is not a receipt, or not a key document."""


class WrongKeyError(ReceiptError):
    """Another key signed it."""


class WrongSignatureError(ReceiptError):
    """It was altered since it was signed."""


def canonical_json(value: object) -> bytes:
    """Return *value* as RFC 8785 has it, for texts, whole numbers, truth values, null, lists and maps.

    Raises:
        MalformedReceiptError: anything else (a float for one), a whole number beyond 2**53 - 1, a lone surrogate.
    """
    if type(value) is dict and _is_plain(value):
        try:
            return _PLAIN.encode(value).encode()
        except UnicodeEncodeError:  # a lone surrogate, which is told with its place in words below
            pass
    return _canonical(value, 0).encode()


_PLAIN = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _is_plain(value: dict[object, object], depth: int = 0) -> bool:
    """Say whether the standard library writes *value* as RFC 8785 has it: keys in ASCII have one order by any unit."""
    for name, item in value.items():
        if type(name) is not str or not name.isascii():
            return False
        if type(item) is dict:
            if depth > _PLAIN_DEPTH or not _is_plain(item, depth + 1):
                return False
        elif type(item) is int:
            if abs(item) > _SAFE_INTEGER:
                return False
        elif not (type(item) is str or item is None or type(item) is bool):
            return False
    return True


def _canonical(value: object, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise MalformedReceiptError(f"a receipt is at most {MAX_DEPTH} levels deep")
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int):
        if abs(value) > _SAFE_INTEGER:
            raise MalformedReceiptError(f"{value} is too large for a number in a receipt; write it as a text")
        return str(int(value))
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise MalformedReceiptError("a text in a receipt holds half a character (a lone surrogate)")
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_canonical(item, depth + 1) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{" + ",".join(_members(value, depth)) + "}"
    raise MalformedReceiptError(f"a receipt cannot hold a {type(value).__name__}")


def _members(value: Mapping[object, object], depth: int) -> list[str]:
    for name in value:
        if not isinstance(name, str) or _SURROGATE.search(name):
            raise MalformedReceiptError("a key in a receipt is not a text")
    names = sorted((str(name) for name in value), key=lambda name: name.encode("utf-16-be"))  # section 3.2.3
    return [f"{json.dumps(name, ensure_ascii=False)}:{_canonical(value[name], depth + 1)}" for name in names]


def key_id(key: Ed25519PublicKey) -> str:
    """Name a public key: the first 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:16]


def sign_receipt(claims: Mapping[str, object], key: Ed25519PrivateKey) -> dict[str, object]:
    """Return the claims with their signature.

    Raises:
        MalformedReceiptError: no `id`, no `kind` of `KINDS`, a `signature` already, or what canonical JSON cannot
        hold.
    """
    _check_claims(claims)
    if "signature" in claims:
        raise MalformedReceiptError("these claims are signed already")
    signature = {"algorithm": ALGORITHM, "key": key_id(key.public_key())}
    value = key.sign(canonical_json({**claims, "signature": signature}))
    return {**claims, "signature": {**signature, "value": _to_base64url(value)}}


def verify_receipt(document: Mapping[str, object], public_key: Ed25519PublicKey) -> dict[str, object]:
    """Return the claims of a receipt that *public_key* signed and that nobody altered.

    Raises:
        MalformedReceiptError, WrongKeyError, WrongSignatureError: see the module.
    """
    _check_claims(document)
    signature = document.get("signature")
    if not isinstance(signature, Mapping) or set(signature) != {"algorithm", "key", "value"}:
        raise MalformedReceiptError("it has no signature of an algorithm, a key and a value")
    if signature["algorithm"] != ALGORITHM:
        raise MalformedReceiptError(f"the signature's algorithm is not {ALGORITHM}")
    if signature["key"] != key_id(public_key):
        raise WrongKeyError(f"it was signed by the key {signature['key']!r}, and this is {key_id(public_key)!r}")
    claims = {name: value for name, value in document.items() if name != "signature"}
    signed = {**claims, "signature": {"algorithm": ALGORITHM, "key": signature["key"]}}
    try:
        public_key.verify(_from_base64url(signature["value"]), canonical_json(signed))
    except InvalidSignature as error:
        raise WrongSignatureError("the signature does not fit: it was altered since it was signed") from error
    return claims


def _check_claims(claims: Mapping[str, object]) -> None:
    if claims.get("kind") not in KINDS:
        raise MalformedReceiptError(f"a receipt's kind is one of {', '.join(KINDS)}")
    if not isinstance(claims.get("id"), str) or not claims["id"]:
        raise MalformedReceiptError("a receipt has an id")


def parse_receipt(data: bytes) -> dict[str, object]:
    """Read a receipt's JSON.

    Raises:
        MalformedReceiptError: it is no JSON object, holds a key twice or a number with a fraction, or is too large.
    """
    if len(data) > MAX_BYTES:
        raise MalformedReceiptError(f"it is larger than {MAX_BYTES} bytes")
    try:
        document = json.loads(
            data.decode("utf-8"), object_pairs_hook=_once, parse_float=_refuse_number, parse_constant=_refuse_number
        )
    except (ValueError, RecursionError) as error:
        raise MalformedReceiptError("it is not JSON in UTF-8") from error
    if not isinstance(document, dict):
        raise MalformedReceiptError("it is not a JSON object")
    return document


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that comes twice: two readers could take two meanings from it."""
    result = dict(pairs)
    if len(result) != len(pairs):
        raise MalformedReceiptError("it holds a key twice")
    return result


def _refuse_number(text: str) -> NoReturn:
    raise MalformedReceiptError(f"it holds the number {text[:40]}; receipts hold whole numbers only")


def public_key_document(key: Ed25519PublicKey) -> dict[str, str]:
    """Return the document by which the key is published."""
    return {
        "kind": KEY_KIND,
        "algorithm": ALGORITHM,
        "key": key_id(key),
        "public": _to_base64url(key.public_bytes_raw()),
    }


def parse_public_key(data: bytes) -> Ed25519PublicKey:
    """Read a published key: our document, or PEM.

    Raises:
        MalformedReceiptError: it is neither, or not an Ed25519 key, or its name does not fit it.
    """
    if data.lstrip().startswith(b"-----BEGIN"):
        return _parse_pem(data)
    document = parse_receipt(data)
    public = document.get("public")
    if document.get("kind") != KEY_KIND or document.get("algorithm") != ALGORITHM:
        raise MalformedReceiptError("it is not a receipt key document")
    try:
        key = Ed25519PublicKey.from_public_bytes(_from_base64url(public))
    except ValueError as error:
        raise MalformedReceiptError("the public key has not 32 bytes") from error
    if document.get("key") != key_id(key):
        raise MalformedReceiptError("the key's name does not fit it")
    return key


def _parse_pem(data: bytes) -> Ed25519PublicKey:
    try:
        key = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise MalformedReceiptError("it is not a public key in PEM") from error
    if not isinstance(key, Ed25519PublicKey):
        raise MalformedReceiptError(f"it is not an {ALGORITHM} key")
    return key


def signer(key: Ed25519PrivateKey) -> Callable[[bytes], str]:
    """Return a function that signs bytes for the audit trail: base64url of an Ed25519 signature.

    What is signed so must never begin with `{`: a receipt's signed form does, and one may not pass for the other.
    """

    def sign(data: bytes) -> str:
        if data.startswith(b"{"):
            raise MalformedReceiptError("only a receipt's signed form begins with a brace")
        return _to_base64url(key.sign(data))

    return sign


def verifier(key: Ed25519PublicKey) -> Callable[[bytes, str], bool]:
    """Return a function that says whether a text is the signature of bytes, as `signer` makes them."""

    def verify(data: bytes, signature: str) -> bool:
        try:
            key.verify(_from_base64url(signature), data)
        except (InvalidSignature, MalformedReceiptError):
            return False
        return True

    return verify


def _to_base64url(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def _from_base64url(text: object) -> bytes:
    if not isinstance(text, str) or not re.fullmatch(r"[A-Za-z0-9_-]*", text):
        raise MalformedReceiptError("a value is not base64url")
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise MalformedReceiptError("a value is not base64url") from error
    if _to_base64url(data) != text:  # unused bits set: a second spelling of the same bytes
        raise MalformedReceiptError("a value is not base64url in its one form")
    return data
