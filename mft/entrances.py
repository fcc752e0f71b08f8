"""How a client reaches this installation, and what it must find there: hosts, ports, host keys, the certificate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from mft.config.model import Config

_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - these are compared, not bound to
SSH_PORT, HTTPS_PORT, FTP_PORT, FTPS_PORT = 22, 443, 21, 990


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One address where clients come in."""

    protocol: str
    host: str
    port: int
    region: str
    implicit: bool = False
    """Of FTPS: TLS begins with the connection, not with AUTH TLS."""

    @property
    def authority(self) -> str:
        """Host and port as a URL has them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == self._usual_port else f"{host}:{self.port}"

    @property
    def ftp_url(self) -> str:
        """Return the URL of an FTPS entrance, as curl and lftp know it: `ftp` is that with AUTH TLS."""
        return f"{'ftps' if self.implicit else 'ftp'}://{self.authority}"

    @property
    def _usual_port(self) -> int:
        if self.protocol == "ftps":
            return FTPS_PORT if self.implicit else FTP_PORT
        return HTTPS_PORT if self.protocol == "https" else SSH_PORT

    @property
    def known_host(self) -> str:
        """The name that `known_hosts` has it under (sshd(8))."""
        return self.host if self.port == SSH_PORT else f"[{self.host}]:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signpost:
    """Which way to the entrances of other regions."""

    listening: tuple[Entrance, ...]

    def to(self, regions: Sequence[str]) -> dict[str, Entrance]:
        """Return for each protocol the entrance in the first of *regions* that has one."""
        found: dict[str, Entrance] = {}
        for region in regions:
            for entrance in self.listening:
                if entrance.region == region:
                    found.setdefault(entrance.protocol, entrance)
        return found


def directions(what: str, ways: Mapping[str, Entrance]) -> str:
    """Say in one line where *what* is served."""
    words = {
        "ftps": lambda way: f"{way.ftp_url} (with TLS)",
        "https": lambda way: f"https://{way.authority}",
        "sftp": lambda way: f"sftp to {way.host}" + ("" if way.port == SSH_PORT else f", port {way.port}"),
    }
    told = " or ".join(words[protocol](way) for protocol, way in sorted(ways.items()) if protocol in words)
    return f"{what} is served at another entrance: {told}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrances:
    """All of them."""

    listening: tuple[Entrance, ...]
    host_keys: tuple[str, ...]
    """Public keys, `ssh-ed25519 AAAA…`, the best first."""
    certificate: str
    """PEM: the first certificate of the chain."""
    fingerprint: str
    """SHA-256 of that certificate, as `openssl x509 -fingerprint -sha256` shows it."""
    public_key_pin: str
    """SHA-256 of its public key, as `curl --pinnedpubkey` takes it."""
    self_signed: bool
    """No authority that clients know vouches for it: they must be given the certificate itself."""

    def nearest(self, protocol: str, regions: Sequence[str]) -> Entrance | None:
        """Return the entrance of *protocol* in the first of *regions* that has one."""
        for region in regions:
            for entrance in self.listening:
                if (entrance.protocol, entrance.region) == (protocol, region):
                    return entrance
        return None

    def known_hosts(self, entrance: Entrance) -> list[str]:
        """Return the lines of `known_hosts` that pin an SFTP entrance."""
        return [f"{entrance.known_host} {key}" for key in self.host_keys]


def listening_at(config: Config, ports: Iterable[int | None]) -> tuple[Entrance, ...]:
    """Return the entrances of *config*; *ports* are those that the system chose, in order, None where unknown.

    A port that nobody knows (0, and no server runs) makes no entrance.
    """
    found = []
    for listener, bound in zip(config.listeners, ports, strict=True):
        port = listener.public_port or bound or listener.port
        host = listener.public_host or ("localhost" if listener.address in _EVERYWHERE else listener.address)
        if port:
            implicit = listener.tls == "implicit"
            found.append(
                Entrance(protocol=listener.protocol, host=host, port=port, region=listener.region, implicit=implicit)
            )
            if listener.sftp:
                found.append(Entrance(protocol="sftp", host=host, port=port, region=listener.region))
    return tuple(found)
