"""Look at what is written, member by member, while it is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Watcher(Protocol):
    """Something that reads the output of members: each from its beginning to its end, never two at a time."""

    def begin(self, member: str, *, wide: bool = False) -> None:
        """Begin with *member*, which is UTF-16 if it is *wide*; what came before has ended."""
        ...

    def feed(self, data: bytes) -> None:
        """Take the next piece."""
        ...

    def end(self) -> None:
        """Take note that the last member's output is complete; may be called again."""
        ...


class Watch:
    """Lets watchers read what goes to a sink."""

    def __init__(self) -> None:
        """Watch with nobody, until somebody is added."""
        self._watchers: list[Watcher] = []

    def add(self, watcher: Watcher) -> None:
        """Let *watcher* see every member from now on."""
        self._watchers.append(watcher)

    def follow(self, member: str, out: Callable[[bytes], object], *, wide: bool = False) -> Callable[[bytes], object]:
        """Give a sink for *member*'s output that gives on to *out*; *wide* output is UTF-16."""
        if not self._watchers:
            return out
        for watcher in self._watchers:
            watcher.begin(member, wide=wide)

        def write(data: bytes) -> None:
            for watcher in self._watchers:
                watcher.feed(data)
            out(data)

        return write

    def end(self) -> None:
        """Tell everybody that all is written."""
        for watcher in self._watchers:
            watcher.end()
