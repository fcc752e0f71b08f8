"""Text that carries its own truth: labelled spans between private-use characters, taken out before anybody sees it."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

OPEN, MIDDLE, CLOSE = "\ue000", "\ue001", "\ue002"
_MARK = re.compile(f"{OPEN}([^{MIDDLE}]*){MIDDLE}([^{CLOSE}]*){CLOSE}", re.DOTALL)

SECRET = frozenset({"token", "password", "hash", "key", "cookie", "header"})
DIRECT = frozenset({"email", "ipv4", "ipv6", "mac", "sid", "phone", "card", "iban", "national"})
INDIRECT = frozenset({"name", "address", "user", "host", "birth", "archive"})


def group_of(kind: str) -> str:
    """Say which row of the table *kind* counts in.

    `free` counts in none: the frame of a key, a default in a comment; whoever replaces it does no harm, nor who leaves it.
    """
    for group, kinds in (("secret", SECRET), ("direct", DIRECT), ("indirect", INDIRECT)):
        if kind in kinds:
            return group
    return "free" if kind == "free" else "keep"


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One value of one file: it must be gone from there, or (innocents) be there still.

    `cause` is the kind of place it stands in (`yaml`, `cisco`, `sshd` ...): what a list of misses is sorted by.
    """

    kind: str
    value: str
    cause: str
    encoded: bool = False

    @property
    def group(self) -> str:
        """Give the row of the table."""
        return group_of(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A run of text: labelled, or not (`label` is None). `inner` is what an encoded run says, itself marked."""

    text: str
    label: Label | None = None
    inner: tuple[Piece, ...] = ()


def mark(kind: str, value: str, cause: str = "") -> str:
    """Label *value*; formatting may still go on around it."""
    return f"{OPEN}{kind}|{cause}{MIDDLE}{value}{CLOSE}"


def bare(text: str) -> str:
    """Give *text* without its marks."""
    return _MARK.sub(lambda found: found.group(2), text)


def base64_of(text: str, cause: str = "", *, urlsafe: bool = False) -> str:
    """Encode marked *text*; the marks inside are kept and looked for in what the output decodes to."""
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    inner = text.encode().hex()
    return f"{OPEN}base64|{cause}|{inner}{MIDDLE}{encode(bare(text).encode()).decode()}{CLOSE}"


def pieces_of(text: str, cause: str, *, encoded: bool = False) -> tuple[Piece, ...]:
    """Take marked *text* apart; labels without a cause of their own get *cause*."""
    made: list[Piece] = []
    at = 0
    for found in _MARK.finditer(text):
        if found.start() > at:
            made.append(Piece(text=text[at : found.start()]))
        kind, _, why = found.group(1).partition("|")
        why, _, inner = why.partition("|")
        if kind == "base64":
            within = pieces_of(bytes.fromhex(inner).decode(), f"{why or cause}/base64", encoded=True)
            made.append(Piece(text=found.group(2), inner=within))
        else:
            label = Label(kind=kind, value=found.group(2), cause=why or cause, encoded=encoded)
            made.append(Piece(text=found.group(2), label=label))
        at = found.end()
    if at < len(text):
        made.append(Piece(text=text[at:]))
    return tuple(made)
