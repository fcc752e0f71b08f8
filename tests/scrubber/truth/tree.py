"""What a generator makes: pages of text, blobs of bytes, and packages of both, each with its labels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.scrubber.truth.mark import Label, Piece, bare, pieces_of

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A file of text. `parse` reads it as those who use it do, and raises when it is not valid any more."""

    pieces: tuple[Piece, ...]
    encoding: str = "utf-8"
    parse: Callable[[str], object] | None = None

    @property
    def text(self) -> str:
        """Give the text, without marks."""
        return "".join(piece.text for piece in self.pieces)

    @property
    def data(self) -> bytes:
        """Give the file."""
        return self.text.encode(self.encoding)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """A binary file: its labels, and a check that gives the texts an ordinary reader finds in it."""

    data: bytes
    labels: tuple[Label, ...] = ()
    read: Callable[[bytes], list[bytes]] | None = None
    same_length: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """An archive: its bytes, its members in order, and the labels of its own metadata."""

    form: str
    data: bytes
    members: tuple[tuple[str, Node], ...]
    labels: tuple[Label, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A file that must be quarantined; `reason` says why, for whoever reads the list of misses."""

    data: bytes
    reason: str


Node = Page | Blob | Package | Refused


@dataclass(slots=True)
class Tree:
    """All files of one upload or folder, by path."""

    files: dict[str, Node] = field(default_factory=dict)

    def page(
        self, path: str, text: str, cause: str, *, parse: Callable[[str], object] | None = None, encoding: str = "utf-8"
    ) -> None:
        """Add a file of marked *text*."""
        name = bare(path)
        if name in self.files:
            raise ValueError(f"{name} is there already")
        self.files[name] = page_of(text, cause, parse=parse, encoding=encoding)

    def put(self, path: str, node: Node) -> None:
        """Add anything."""
        if path in self.files:
            raise ValueError(f"{path} is there already")
        self.files[path] = node


def page_of(text: str, cause: str, *, parse: Callable[[str], object] | None = None, encoding: str = "utf-8") -> Page:
    """Make a page from marked *text*."""
    return Page(pieces=pieces_of(text, cause), encoding=encoding, parse=parse)
