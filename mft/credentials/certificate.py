"""The certificate of the HTTPS head: the operator's, or one that is made here and signed by itself."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import ipaddress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mft.credentials.files import CredentialError, PrivateKey, damaged, load_pem_key, make_file, make_pem_key

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CERTIFICATE_DAYS = 825
"""Longest life that browsers and Apple's clients take from an authority that a person has added."""
EXPIRY_WARNING_DAYS = 30
_MAX_NAME = 64
"""Characters of a common name (RFC 5280, appendix A.1)."""


def certificate_fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of a certificate as browsers and `openssl x509 -fingerprint` show it."""
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def public_key_pin(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of its public key as `curl --pinnedpubkey` takes it."""
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashlib.sha256(certificate.public_key().public_bytes(*form)).digest()
    return "sha256//" + base64.b64encode(digest).decode("ascii")


def make_certificate(directory: Path, installation: str, names: tuple[str, ...], now: dt.datetime) -> tuple[Path, Path]:
    """Make what is missing of the self-signed pair; a certificate that was moved away is made anew for the same key."""
    certificate, key = directory / "tls.crt", directory / "tls.key"
    if not key.exists():
        if certificate.exists():
            raise CredentialError(f"{key}: is missing, and {certificate} is there; restore it, or move that away too")
        make_pem_key(key, ec.generate_private_key(ec.SECP256R1()))
    if not certificate.exists():
        signed = _self_signed(load_pem_key(key), installation, names, now)
        make_file(certificate, signed.public_bytes(serialization.Encoding.PEM))
    return certificate, key


def _self_signed(key: PrivateKey, installation: str, names: tuple[str, ...], now: dt.datetime) -> x509.Certificate:
    alternatives = dict.fromkeys(("localhost", "127.0.0.1", "::1", *names))
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, installation[:_MAX_NAME]),
            x509.NameAttribute(
                NameOID.COMMON_NAME, next((name for name in names if len(name) <= _MAX_NAME), "localhost")
            ),
        ]
    )
    public = key.public_key()
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=CERTIFICATE_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in alternatives]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(_ascii_name(name))


def _ascii_name(name: str) -> str:
    try:
        return name.encode("idna").decode("ascii")
    except UnicodeError as error:
        raise CredentialError(f"{name!r} cannot be the name of a host in a certificate") from error


def load_certificate(certificate: Path, key: Path) -> x509.Certificate:
    """Read a certificate (the first of its file) and see that it is *key*'s.

    Raises:
        CredentialError: it is none, or another key's.
    """
    try:
        loaded = x509.load_pem_x509_certificate(certificate.read_bytes())
    except ValueError as error:
        raise damaged(certificate, "it is not a certificate in PEM", "clients that pinned it must be told") from error
    form = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if loaded.public_key().public_bytes(*form) != load_pem_key(key).public_key().public_bytes(*form):
        raise CredentialError(f"{certificate}: is the certificate of another key than {key}")
    return loaded


def certificate_warnings(
    path: Path, certificate: x509.Certificate, names: tuple[str, ...], now: dt.datetime
) -> Iterable[str]:
    """Yield what an operator should be told about it: its end, and names that clients use and that it does not hold."""
    left = certificate.not_valid_after_utc - now
    if left <= dt.timedelta(0):
        yield f"{path}: the certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}; clients will refuse it"
    elif left <= dt.timedelta(days=EXPIRY_WARNING_DAYS):
        yield f"{path}: the certificate ends in {left.days} days, on {certificate.not_valid_after_utc:%Y-%m-%d}"
    missing = [name for name in names if name not in _names_of(certificate)]
    if missing:
        yield f"{path}: the certificate does not hold {', '.join(missing)}; clients that use that name will refuse it"


def _names_of(certificate: x509.Certificate) -> set[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return set()
    return {*names.get_values_for_type(x509.DNSName), *map(str, names.get_values_for_type(x509.IPAddress))}
