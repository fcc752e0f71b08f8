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
_LOCAL_NAT64 = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


def parse_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Make networks of the configuration's texts, which it has checked."""
    return tuple(ipaddress.ip_network(text) for text in texts)


def is_public(address: Address) -> bool:
    """Say whether *address* is one of the public Internet: not of this machine, a private network, a link or a cloud.

    An IPv6 address that carries an IPv4 one (mapped, compatible, NAT64, 6to4, Teredo) is judged by that too.
    """
    if not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified:
        return False
    if isinstance(address, ipaddress.IPv6Address):
        return address not in _LOCAL_NAT64 and all(is_public(each) for each in _carried(address))
    return True


def _carried(address: ipaddress.IPv6Address) -> list[ipaddress.IPv4Address]:
    carried = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or address in _COMPATIBLE:
        carried.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in carried if each is not None]


def check_address(address: Address, allowed: Sequence[Network]) -> None:
    """Return if *address* may be called.

    Raises:
        ForbiddenAddressError: it is not public, and in none of *allowed*.
    """
    plain = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    for each in (address, plain):
        if each is not None and any(each.version == network.version and each in network for network in allowed):
            return
    if not is_public(address):
        raise ForbiddenAddressError(
            f"{address} is not a public address; an operator can name its network in webhooks.outgoing.allow_networks"
        )


def resolve(host: str, port: int, allowed: Sequence[Network]) -> tuple[Address, ...]:
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
        check_address(address, allowed)
    return addresses


class PinnedBackend(BoundedBackend):
    """Connects to addresses that were judged, and to nothing else."""

    def __init__(self, deadline: Deadline, allowed: Sequence[Network]) -> None:
        """Bound connections by *deadline*; *allowed* may be called besides public addresses."""
        super().__init__(deadline)
        self._allowed = tuple(allowed)

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
        for address in resolve(host, port, self._allowed):
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
