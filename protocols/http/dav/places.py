"""Which locks cover what; pure rules over places (`protocols.filesystem.Locking`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from protocols.filesystem import Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from protocols.filesystem import Lock
    from protocols.path import VirtualPath


def covers(lock: Lock, place: str) -> bool:
    """Say whether *lock* is on *place*, or reaches down to it."""
    return lock.place == place or (lock.deep and place.startswith(lock.place.rstrip("/") + "/"))


def covering(place: str | None, locks: Sequence[Lock]) -> tuple[Lock, ...]:
    """Return those of *locks* that cover *place*."""
    return () if place is None else tuple(lock for lock in locks if covers(lock, place))


def blocking(place: str, locks: Sequence[Lock], *, login: str, tokens: Sequence[str], below: bool) -> list[Lock]:
    """Return those of *locks* that keep *login*, who submitted *tokens*, from changing *place*.

    With *below* what lies below it is to be changed too. Of shared locks, to submit one's own is enough.
    """
    found: list[Lock] = []
    shared: list[Lock] = []
    holds_shared = False
    for lock in locks:
        if not covers(lock, place) and not (below and lock.place.startswith(place.rstrip("/") + "/")):
            continue
        mine = lock.login == login and lock.token in tokens
        if lock.exclusive:
            found += [] if mine else [lock]
        elif mine:
            holds_shared = True
        else:
            shared.append(lock)
    return found if holds_shared else found + shared


def placeholder(path: VirtualPath, place: str | None, locks: Sequence[Lock]) -> Entry | None:
    """Return what stands for a name that is locked and has no file yet (RFC 4918, section 7.3); None: nothing does."""
    if place is None or not any(lock.place == place for lock in locks):
        return None
    return Entry(name=path.name, is_directory=False, writable=True)
