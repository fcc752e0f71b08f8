"""Where clients come in: listeners, the heads behind them, and the operator's own port."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mft.config.units import Count, PortNumber, Ports, PositiveBytes, PositiveSeconds, Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerConfig:
    """One address on which one protocol is served, as an entrance of one region."""

    protocol: Literal["sftp", "https", "ftps"]
    port: PortNumber
    """0 lets the system choose one: for tests."""
    address: str = "127.0.0.1"
    """An IPv4 or IPv6 address, or a host name; `0.0.0.0` and `::` are every interface."""
    region: str = ""
    """The region whose entrance this is; empty: `residency.home`."""
    public_host: str | None = None
    """The name that clients use, for certificates and paste-ready commands; null: the address."""
    public_port: PortNumber | None = None
    """The port that clients use, where it is forwarded; null: the port."""
    sftp: bool = False
    """`https`: the port takes SFTP clients too, for networks that let nothing but port 443 out. They tell by their
    first bytes; who is silent for 2 s is one of them."""
    tls: Literal["explicit", "implicit"] = "explicit"
    """ftps: TLS begins with AUTH TLS, as on port 21, or with the connection, as on port 990."""
    passive_address: str | None = None
    """ftps: the IPv4 address that PASV names, where clients reach this one by another (NAT); null: the one reached."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsConfig:
    """The operator's port: /healthz, /readyz and /metrics over plain HTTP. Keep it off public networks."""

    enabled: bool = True
    address: str = "127.0.0.1"
    port: PortNumber = 9464


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpConfig:
    """What the SFTP head does that the standard leaves open."""

    host_keys: Path = Path("credentials")
    """Directory of the SSH host keys; they are made there on first start."""
    cipher_choice: Literal["server", "client"] = "server"
    """server: clients that have AES-GCM, which is the fastest, use it; client: their own order decides."""
    algorithms: Literal["modern", "compatible"] = "modern"
    """modern: what ssh-audit has nothing against; compatible: what older clients need besides, which are NIST's curves,
    a Diffie-Hellman group of 2048 bits, and hmac-sha2 without `-etm`. Host keys of NIST's curves are shown in the
    latter alone, unless there is no other."""
    banner: str | None = None
    """A text shown before login; null: none."""
    login_attempts: Count = 6
    """Failed tries on one connection before it is closed."""
    unauthenticated: Count = 500
    """Connections of one worker that have not logged in yet; for one more the one that waits for longest goes."""
    unauthenticated_per_address: Count = 100
    """The same of one address, or of one IPv6 network of 64 bits."""
    keepalive: Seconds = 30.0
    """A silent client is asked for a sign of life this often; 0: never."""
    keepalive_failures: Count = 3
    """Unanswered signs of life before the connection is given up."""
    idle_timeout: Seconds = 3600.0
    """A session without any request for so long is closed; 0: never."""
    rekey_bytes: PositiveBytes = 32 * 2**30
    """New session keys after so many bytes in one direction (RFC 4253, section 9)."""
    window: PositiveBytes = 2 * 2**20
    """Bytes that a client may send ahead on one channel at first (RFC 4254, section 5.2): what fits a processor's cache
    is quickest nearby."""
    largest_window: PositiveBytes = 16 * 2**20
    """What the window of one channel grows to where the round trip is long and the client uses it up."""
    window_memory: PositiveBytes = 128 * 2**20
    """Bytes by which all windows of one worker together may exceed `window`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DavConfig:
    """WebDAV, below `/dav` of every HTTPS listener."""

    enabled: bool = True
    lock_timeout: PositiveSeconds = 3600.0
    """Longest time that a lock is given for; clients refresh theirs."""
    locks: Count = 1000
    """Locks that a login may have at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsConfig:
    """What the HTTPS head does that the standard leaves open."""

    certificate: Path | None = None
    """PEM file with the certificate and its chain; null: one is made and signed by itself, its fingerprint shown."""
    key: Path | None = None
    """PEM file with the certificate's private key."""
    header_timeout: PositiveSeconds = 15.0
    """Longest time for a request's headers to come in."""
    body_idle_timeout: PositiveSeconds = 60.0
    """Longest silence within a body, either way."""
    keepalive: PositiveSeconds = 75.0
    """How long an idle connection is kept for a next request."""
    connections: Count = 1000
    """Connections at once for each worker."""
    dav: DavConfig = field(default_factory=DavConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpsConfig:
    """What the FTPS head does that the standard leaves open. Its certificate is that of `https`."""

    passive_ports: Ports | None = None
    """Ports of data connections, for all workers together; null: the system chooses."""
    active: bool = False
    """Whether PORT and EPRT are taken: the server then connects to the client, at its own address alone."""
    banner: str | None = None
    """One line in the greeting; null: none."""
    login_attempts: Count = 6
    """Failed tries on one connection before it is closed."""
    connect_timeout: PositiveSeconds = 30.0
    """How long a data connection is waited for."""
    stall_timeout: PositiveSeconds = 60.0
    """Longest silence within a transfer, either way."""
    idle_timeout: PositiveSeconds = 900.0
    """A session without any command for so long is closed."""
    connections: Count = 1000
    """Connections at once for each worker."""
