"""Who has connected and not logged in yet: so many of one address, so many in all.

Where there is no room the newest comes in and another one goes: the one that has been silent for longest, or where all
have exchanged keys, the oldest. Connections that only wait therefore shut nobody out, however many there are.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

_IPV6_PREFIX = 64
"""Bits of an IPv6 address that are one subscriber's: what follows is theirs to choose (RFC 6177)."""


class Visitor(Protocol):
    """Who stands on the doorstep."""

    @property
    def is_silent(self) -> bool:
        """Whether the keys are not exchanged yet."""


V = TypeVar("V", bound=Visitor)


class Doorstep(Generic[V]):
    """Visitors in the order in which they came."""

    def __init__(self, *, most: int, most_of_one: int) -> None:
        """Let *most* wait at a time, *most_of_one* of them from one address."""
        self._most = most
        self._most_of_one = most_of_one
        self._all: dict[V, str] = {}
        self._by_address: dict[str, dict[V, None]] = {}

    def __len__(self) -> int:
        """Return how many wait."""
        return len(self._all)

    def __contains__(self, visitor: V) -> bool:
        """Say whether *visitor* waits."""
        return visitor in self._all

    def admit(self, visitor: V, peer: str) -> V | None:
        """Let *visitor* wait, who comes from *peer*; return who has to go for that, and waits no more."""
        address = _address(peer)
        of_one = self._by_address.get(address, {})
        leaving: V | None = None
        if len(of_one) >= self._most_of_one:
            leaving = _first(of_one)
        elif len(self._all) >= self._most:
            leaving = _first(self._all)
        if leaving is not None:
            self.leave(leaving)
        self._all[visitor] = address
        self._by_address.setdefault(address, {})[visitor] = None
        return leaving

    def leave(self, visitor: V) -> None:
        """Forget *visitor*, who has logged in or is gone; does nothing for others."""
        address = self._all.pop(visitor, None)
        if address is None:
            return
        of_one = self._by_address[address]
        del of_one[visitor]
        if not of_one:
            del self._by_address[address]


def _first(visitors: Iterable[V]) -> V:
    """Return who has to go first of *visitors*, of whom there are some."""
    waiting = iter(visitors)
    oldest = next(waiting)
    return oldest if oldest.is_silent else next((each for each in waiting if each.is_silent), oldest)


def _address(peer: str) -> str:
    """Return what counts as one address: an IPv4 address, or the network of an IPv6 one; else *peer* as it is."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return peer
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((address, _IPV6_PREFIX), strict=False))
    return str(address)
