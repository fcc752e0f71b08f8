"""The one TLS profile of this head: TLS 1.2 with forward secrecy and AEAD, or TLS 1.3; HTTP/1.1 alone."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""In OpenSSL's words; TLS 1.3 has good ones only. AES-GCM first: it is 3-4 times as fast where the CPU helps."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make the context of a listener from PEM files: the certificate with its chain, and its private key.

    Calling `load_cert_chain` on it later replaces both for new connections: a renewed certificate needs no restart.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: it is no certificate or key, or they do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(certificate, key)
    return context
