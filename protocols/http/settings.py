"""What an operator may set about this head, and what it reports about each request."""

from __future__ import annotations

from dataclasses import dataclass

KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Limits of the HTTPS head. Sizes in bytes, times in seconds.

    A transfer holds some 4 MiB at most: what the TLS layer and the parser have read ahead, the piece on its way to or
    from the filesystem with the one behind it, and what the socket has not yet taken.
    """

    chunk: int = 256 * KIB
    """What is decrypted and parsed of an upload at once; twice as much waits while a piece is being written."""
    piece: int = 512 * KIB
    """What crosses to or from the filesystem at once. Half of it cost a quarter more CPU; twice of it saved none."""
    max_connections: int = 1000
    """Open connections; above it new ones wait in the listening socket, where another worker may take them."""
    max_sessions: int = 8
    """Sessions of different credentials on one connection; the oldest ends when one more is opened."""
    max_line: int = 8190
    """Longest request line, and longest header field."""
    max_headers: int = 64
    max_body: int | None = None
    """Largest file that is taken at all; None leaves it to the filesystem's quota."""
    max_document: int = 1024 * KIB
    """Largest body of the application's own routes that is read as a whole."""
    handshake_timeout: float = 15.0
    head_timeout: float = 20.0
    """From the first byte of a request's head to its last."""
    idle_timeout: float = 75.0
    """Between two requests."""
    body_timeout: float = 60.0
    """Longest silence inside the body of an upload."""
    send_timeout: float = 120.0
    """Longest time for a client to take one more piece of a download."""
    linger: float = 5.0
    """How long the rest of a refused body is read and thrown away, so that the client gets to see the answer."""
    listing_page: int = 256
    """Rows of a directory fetched in one crossing."""
    upload_php: bool = False
    """Whether `/incoming/upload.php?file=NAME` takes files, as scripts of one vendor's customers expect."""
    dav: bool = True
    """Whether `/dav` serves the tree by WebDAV."""
    dav_document: int = 256 * KIB
    """Largest XML body of a WebDAV request."""
    dav_lock_timeout: float = 3600.0
    """Longest time, in seconds, that a WebDAV lock is given for; clients refresh theirs."""
    dav_copies: int = 2
    """COPY and other requests over whole folders that a process works on at once; more of them wait."""
    hsts: int = 365 * 24 * 3600
    """max-age of Strict-Transport-Security (RFC 6797), seconds; 0 leaves the header out."""
    realm: str = "mft"
    server: str = "mft"
    """The Server header: a name without version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request that was answered, for logs and metrics. It holds no path and no name."""

    request_id: str
    session_id: str | None
    method: str
    status: int
    """What was answered; 499 where the client was gone before an answer."""
    received: int
    """Bytes of body."""
    sent: int
    """Bytes handed to the connection, its head included; of a small answer, those of its body."""
    seconds: float
    protocol: str = "https"
    """`webdav` below `/dav`, else `https`."""
