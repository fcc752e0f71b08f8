"""The one TLS profile of this head, for both channels: TLS 1.2 with forward secrecy and AEAD, or TLS 1.3.

A client may resume the control channel's TLS session on its data channels (RFC 4217, section 10.2); nobody must.
"""

from __future__ import annotations

import ssl
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from pathlib import Path

TLS12_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""In OpenSSL's words; TLS 1.3 has good ones only."""
_TICKETS = 2
"""Session tickets of a control connection (TLS 1.3); clients use one of them for many data connections."""


def server_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """Make the context of a listener from PEM files: the certificate with its chain, and its private key.

    Raises:
        OSError: a file cannot be read.
        ssl.SSLError: it is no certificate or key, or they do not match.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(TLS12_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    # An end without close_notify must not look like an end: it is how a cut upload is known.
    context.options &= ~getattr(ssl, "OP_IGNORE_UNEXPECTED_EOF", 0)
    context.load_cert_chain(certificate, key)
    return context


class TlsSide:
    """The server's side of TLS, for control and data connections of all sessions of one listener."""

    def __init__(self, context: ssl.SSLContext) -> None:
        """Wrap connections in *context*."""
        self._context = context
        self._lock = threading.Lock()

    def wrap(self, sock: socket.socket, *, data: bool) -> ssl.SSLSocket:
        """Return *sock* with TLS around it; its handshake is still to be made.

        A data connection gets no ticket: a client that only sends would leave it unread, and its close would then be a
        reset that takes bytes with it.
        """
        with self._lock:  # OpenSSL takes the number over when the connection is made
            self._context.num_tickets = 0 if data else _TICKETS
            return self._context.wrap_socket(
                sock, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
            )
