"""The one door to keys: whoever asks gets the leaf key of one thing, never the key of a scope or of a region."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Protocol

from storage.errors import AlteredKeyError, CustomerKeyError, KeyDestroyedError, KeyProviderError, KeyUnavailableError
from storage.keys.binding import KEY_BYTES, SHARE_LABEL, bind, leaf_context, scope_context, unwrap_key, wrap_key
from storage.keys.envelope import Envelope, Region
from storage.keys.wrapped import (
    SharedKey,
    join_shares,
    parse_wrapped,
    region_key_of,
    split_shares,
    with_customer_share,
    with_region_share,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from storage.keys.ledger import DestroyedKeys
    from storage.keys.shelf import KeyShelf
    from storage.keys.wrapper import KeyWrapper

KEYS_AT_ONCE = 32
"""Leaf keys of one question: so many fit the answer of a key agent."""

AWAY_SECONDS = 60.0
"""So long a customer's key that did not answer a rotation is not asked for by it again."""


class KeyService(Protocol):
    """Make, open and move keys. Arguments and results are plain values, so that it may live in another process."""

    def new_scope(self, region: Region, scope: str, *, owner: str | None = None) -> bytes:
        """Return a fresh scope key, wrapped by the region's current key and bound to region and scope.

        Where the *owner* (a customer) keeps a key of their own for that region, it opens with both keys only.
        """

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Return a fresh 256-bit leaf key in clear, and the envelope that keeps it.

        Raises:
            AlteredKeyError: *scope_key* is not one of that region and scope.
            KeyUnavailableError: the region's key is not here.
        """

    def new_keys(
        self, region: Region, scope: str, scope_key: bytes, subjects: Sequence[str]
    ) -> list[tuple[bytes, Envelope]]:
        """Do what `new_key` does for each of *subjects*, `KEYS_AT_ONCE` at most, for little more than one costs."""

    def open_key(self, envelope: Envelope) -> bytes:
        """Return the leaf key in *envelope*.

        Raises:
            AlteredKeyError: the envelope was altered, or put together from others.
            KeyUnavailableError: the region's key is not here.
            KeyDestroyedError: the scope's key was destroyed.
        """

    def open_keys(self, envelopes: Sequence[Envelope]) -> list[bytes]:
        """Return the leaf keys in *envelopes*, `KEYS_AT_ONCE` at most; raises as `open_key` does for any of them."""

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Return the same leaf key in an envelope of another region or scope, without handing the key out.

        The subject stays. Raises as `open_key` and `new_key` do.
        """

    def rewrap_scope(self, region: Region, scope: str, scope_key: bytes, *, owner: str | None = None) -> bytes:
        """Return the same scope key wrapped by the region's current key: what rotation does.

        With *owner*, as `new_scope` would wrap it for that customer now. A customer's share goes under the current one
        of their keys, too, if that answers. It is *scope_key* itself where nothing would change. Raises as `new_key`
        does.
        """


class CustomerKeys(Protocol):
    """Which customers keep a key of their own, and where."""

    def holder(self, region: str, owner: str) -> str | None:
        """Return the name of what holds *owner*'s key for *region*; None where the region's key is all there is."""

    def wrapper(self, name: str) -> KeyWrapper:
        """Return what that name stands for.

        Raises:
            KeyUnavailableError: there is none of that name.
        """

    def shelf(self, name: str) -> KeyShelf:
        """Return where the shares that it unwrapped are kept: its time is the bound of a revocation."""


class LocalKeyService:
    """A key service over wrappers in this process: the heart of the key agent, and of tests. Safe for many threads."""

    def __init__(
        self,
        wrappers: Mapping[Region, KeyWrapper],
        *,
        ledgers: Mapping[Region, DestroyedKeys] | None = None,
        customers: CustomerKeys | None = None,
        shelves: Mapping[Region, KeyShelf] | None = None,
    ) -> None:
        """Serve the regions that *wrappers* names.

        Args:
            wrappers: what holds each region's key.
            ledgers: what was destroyed in each region; what stands there is refused.
            customers: the keys that customers keep themselves.
            shelves: where scope keys are kept that cost something to unwrap.
        """
        self._wrappers = dict(wrappers)
        self._ledgers = dict(ledgers or {})
        self._customers = customers
        self._shelves = dict(shelves or {})
        self._away_until: dict[str, float] = {}

    def new_scope(self, region: Region, scope: str, *, owner: str | None = None) -> bytes:
        """Return a fresh scope key, wrapped by the region's current key and bound to region and scope."""
        self._refuse_destroyed(region, scope)
        holder = None if self._customers is None or owner is None else self._customers.holder(region, owner)
        return self._shared_anew(region, scope, os.urandom(KEY_BYTES), holder)

    def new_key(self, region: Region, scope: str, scope_key: bytes, subject: str) -> tuple[bytes, Envelope]:
        """Return a fresh leaf key in clear, and the envelope that keeps it."""
        return self.new_keys(region, scope, scope_key, [subject])[0]

    def new_keys(
        self, region: Region, scope: str, scope_key: bytes, subjects: Sequence[str]
    ) -> list[tuple[bytes, Envelope]]:
        """Return a fresh leaf key for each of *subjects*, in clear and in its envelope."""
        keys = [os.urandom(KEY_BYTES) for _ in subjects]
        envelopes = self._enclose_all(zip(keys, subjects, strict=True), region, scope, scope_key)
        return list(zip(keys, envelopes, strict=True))

    def open_key(self, envelope: Envelope) -> bytes:
        """Return the leaf key in *envelope*."""
        scope_key = self._open_scope(envelope.region, envelope.scope, envelope.scope_key)
        context = leaf_context(envelope.region, envelope.scope, envelope.subject)
        return unwrap_key(scope_key, envelope.key, context=context)

    def open_keys(self, envelopes: Sequence[Envelope]) -> list[bytes]:
        """Return the leaf keys in *envelopes*."""
        return [self.open_key(each) for each in envelopes]

    def move_key(self, envelope: Envelope, region: Region, scope: str, scope_key: bytes) -> Envelope:
        """Return the same leaf key in an envelope of another region or scope."""
        return self._enclose_all([(self.open_key(envelope), envelope.subject)], region, scope, scope_key)[0]

    def rewrap_scope(self, region: Region, scope: str, scope_key: bytes, *, owner: str | None = None) -> bytes:
        """Return the same scope key wrapped by the region's current key, and the customer's share by theirs."""
        self._refuse_destroyed(region, scope)
        shared = split_shares(scope_key)
        if owner is not None:
            holder = None if self._customers is None else self._customers.holder(region, owner)
            if holder != (None if shared is None else shared.holder):
                return self._shared_anew(region, scope, self._open_scope(region, scope, scope_key), holder)
        fresh = self._under_newest(region, scope, scope_key)
        return fresh if shared is None else self._share_under_newest(region, scope, fresh, shared)

    def forget(self, region: Region | None = None, scope: str | None = None) -> int:
        """Drop what was kept unwrapped of a region and scope, or of all; return how many keys those were."""
        return sum(
            shelf.forget(None if scope is None else f"{each} {scope}")
            for each, shelf in self._shelves.items()
            if region in {None, each}
        )

    def note_answer(self, holder: str) -> None:
        """Take note that a customer's key answers: a rotation asks for it again at once."""
        self._away_until.pop(holder, None)

    def _enclose_all(
        self, keys: Iterable[tuple[bytes, str]], region: Region, scope: str, scope_key: bytes
    ) -> list[Envelope]:
        """Wrap leaf keys, each with its subject; under the region's newest key, whichever *scope_key* is under."""
        under = self._open_scope(region, scope, scope_key)
        fresh = self._under_newest(region, scope, scope_key)
        return [
            Envelope(
                region=region,
                scope=scope,
                scope_key=fresh,
                subject=subject,
                key=wrap_key(under, key, context=leaf_context(region, scope, subject)),
            )
            for key, subject in keys
        ]

    def _under_newest(self, region: Region, scope: str, scope_key: bytes) -> bytes:
        """Return the same scope key with the region's part of it under the region's newest key."""
        wrapper = self._wrapper(region)
        if getattr(wrapper, "current", None) == region_key_of(scope_key):
            return scope_key
        context, shared = scope_context(region, scope), split_shares(scope_key)
        mine = scope_key if shared is None else shared.region_share
        return with_region_share(scope_key, wrapper.wrap(wrapper.unwrap(mine, context), context))

    def _share_under_newest(self, region: Region, scope: str, scope_key: bytes, shared: SharedKey) -> bytes:
        """Return the same scope key with the customer's share under their newest key; as it is, where none answers."""
        if self._customers is None:
            return scope_key
        if time.monotonic() < self._away_until.get(shared.holder, 0.0):
            return scope_key
        context = bind(SHARE_LABEL, region, scope)
        try:
            wrapper = self._customers.wrapper(shared.holder)
            if getattr(wrapper, "current", None) == parse_wrapped(shared.customer_share).key_id:
                return scope_key
            theirs = wrapper.wrap(wrapper.unwrap(shared.customer_share, context), context)
        except KeyUnavailableError:  # the region's own rotation needs nothing of theirs, and does not wait for each
            self._away_until[shared.holder] = time.monotonic() + AWAY_SECONDS
            return scope_key
        return with_customer_share(scope_key, theirs)

    def _shared_anew(self, region: Region, scope: str, key: bytes, holder: str | None) -> bytes:
        """Wrap a scope key: under the region's key, or as two random shares whose sum (XOR) it is."""
        if holder is None or self._customers is None:
            return self._wrapper(region).wrap(key, scope_context(region, scope))
        share = os.urandom(KEY_BYTES)
        try:
            theirs = self._customers.wrapper(holder).wrap(share, bind(SHARE_LABEL, region, scope))
        except KeyUnavailableError as error:
            raise _withheld(holder, error) from error
        mine = self._wrapper(region).wrap(_sum(key, share), scope_context(region, scope))
        return join_shares(SharedKey(holder=holder, region_share=mine, customer_share=theirs))

    def _open_scope(self, region: Region, scope: str, scope_key: bytes) -> bytes:
        self._refuse_destroyed(region, scope)
        shared = split_shares(scope_key)
        mine = self._unwrapped(region, scope, scope_key if shared is None else shared.region_share)
        if shared is None:
            return mine
        return _sum(mine, self._opened_share(region, scope, shared))

    def _unwrapped(self, region: Region, scope: str, wrapped: bytes) -> bytes:
        wrapper, context, shelf = self._wrapper(region), scope_context(region, scope), self._shelves.get(region)
        kept = None if shelf is None else shelf.get(wrapped, context)
        if kept is not None:
            return kept
        key = _checked(wrapper.unwrap(wrapped, context))
        if shelf is not None:
            shelf.put(wrapped, context, key, scope=f"{region} {scope}")
        return key

    def _opened_share(self, region: Region, scope: str, shared: SharedKey) -> bytes:
        if self._customers is None:
            raise _withheld(shared.holder, KeyUnavailableError(f"no configuration names {shared.holder!r}"))
        context = bind(SHARE_LABEL, region, scope)
        try:
            shelf = self._customers.shelf(shared.holder)
            kept = shelf.get(shared.customer_share, context)
            if kept is None:
                kept = _checked(self._customers.wrapper(shared.holder).unwrap(shared.customer_share, context))
                shelf.put(shared.customer_share, context, kept, scope=f"{region} {scope}")
        except KeyUnavailableError as error:
            raise _withheld(shared.holder, error) from error
        return kept

    def _refuse_destroyed(self, region: Region, scope: str) -> None:
        ledger = self._ledgers.get(region)
        if ledger is not None and ledger.has("scope", scope):
            self.forget(region, scope)
            raise KeyDestroyedError(f"the key of {scope} in {region!r} was destroyed")

    def _wrapper(self, region: Region) -> KeyWrapper:
        try:
            return self._wrappers[region]
        except KeyError:
            raise KeyUnavailableError(f"no key of region {region!r} is held here") from None


def _sum(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _checked(key: bytes) -> bytes:
    if len(key) != KEY_BYTES:
        raise AlteredKeyError(f"what was unwrapped has {len(key)} bytes, and is no key")
    return key


def _withheld(holder: str, error: KeyUnavailableError) -> KeyProviderError:
    return CustomerKeyError(f"the customer's key {holder!r} is switched off or out of reach: {error}")
