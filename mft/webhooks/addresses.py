"""Which addresses may be called: public ones, and those that the operator has named.

The name is resolved once, every address that it has is judged, and the connection goes to one that was: a name that
changes its mind between check and use (DNS rebinding) gains nothing. One forbidden address forbids the name.
"""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

import httpcore

from casemap.deadline import BoundedBackend
from mft.webhooks.errors import DeliveryError, ForbiddenAddressError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from casemap.deadline import Deadline

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_INSIDE = tuple(
    ipaddress.ip_network(text)
    for text in ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")
)
"""Not public (IANA's special-purpose registries), and not known to `ipaddress` in every release that we run on."""


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Make networks of the configuration's texts, which it has checked."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_public(address: Address) -> bool:
    """Say whether *address* is one of the public Internet: not of this machine, a private network, a link or a cloud.

    An IPv6 address that carries an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by that too.
    """
    if isinstance(address, ipaddress.IPv6Address) and address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if any(address.version == network.version and address in network for network in _INSIDE):
        return False
    if isinstance(address, ipaddress.IPv6Address):
        carried = (address.ipv4_mapped, address.sixtofour, *(address.teredo or ()))
        return all(is_public(each) for each in carried if each is not None)
    return True


def check_address(address: Address, allowed: Sequence[Network], *, plain_http: bool = False) -> None:
    """Return if *address* may be called.

    Raises:
        ForbiddenAddressError: it is in none of *allowed*, and not public; or public, by *plain_http*.
    """
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    for each in (address, mapped):
        if each is not None and any(each.version == network.version and each in network for network in allowed):
            return
    if not is_public(address):
        raise ForbiddenAddressError(
            f"{address} is not a public address; an operator can name its network in webhooks.outgoing.allow_networks"
        )
    if plain_http:
        raise ForbiddenAddressError("plain http:// goes into webhooks.outgoing.allow_networks only")


def resolve(host: str, port: int, allowed: Sequence[Network], *, plain_http: bool = False) -> tuple[Address, ...]:
    """Return the addresses of *host*, all of which may be called.

    Raises:
        ForbiddenAddressError: one of them may not.
        DeliveryError: it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DeliveryError("the host's name cannot be resolved") from error
    # A link-local address comes with the name of its interface: `fe80::1%eth0`.
    addresses = tuple(dict.fromkeys(ipaddress.ip_address(str(each[4][0]).partition("%")[0]) for each in found))
    for address in addresses:
        check_address(address, allowed, plain_http=plain_http)
    return addresses


class PinnedBackend(BoundedBackend):
    """Connects to addresses that were judged, and to nothing else."""

    def __init__(self, deadline: Deadline, allowed: Sequence[Network], *, plain_http: bool = False) -> None:
        """Bound connections by *deadline*; call *allowed* besides public addresses, with *plain_http* alone."""
        super().__init__(deadline)
        self._allowed = tuple(allowed)
        self._plain_http = plain_http

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve *host*, judge what comes of it, and connect to the first address that answers."""
        failure: Exception | None = None
        for address in resolve(host, port, self._allowed, plain_http=self._plain_http):
            try:
                return super().connect_tcp(str(address), port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure or DeliveryError("the host's name has no address")

    def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Refuse: no endpoint is a socket of this machine."""
        del path, timeout, socket_options
        raise ForbiddenAddressError("webhooks are not delivered to sockets of this machine")
