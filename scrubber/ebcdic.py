"""EBCDIC, the one-byte encoding of mainframes, turned into ASCII's order and back, byte for byte.

Letters, digits and most signs stand at the same places in all its code pages; what differs between them ([ ] ^ and
letters with accents) comes back as it was, since each byte has one image. Lines end with NL (0x15) under z/OS, whose
page is 1047, with LF (0x25) where a file came through a gateway, for which 037 is taken, or are records without an end.
"""

from __future__ import annotations

import re
from typing import Final

_PAGE: Final = bytes(range(256)).decode("cp037").encode("latin-1")
_NL, _LF = 0x15, 0x25
_IN_1047: Final = ((_NL, _LF), (0xAD, 0xBA), (0xBD, 0xBB), (0x5F, 0xB0))
"""Where 1047 has what 037 has elsewhere, and the other way round: NL as the line break, [ ] and ^."""


def _swapped(table: bytes) -> bytes:
    """Return 037's *table* as that of 1047."""
    turned = bytearray(table)
    for one, other in _IN_1047:
        turned[one], turned[other] = turned[other], turned[one]
    return bytes(turned)


def _inverse(table: bytes) -> bytes:
    return bytes(table.index(byte) for byte in range(256))


TO_ASCII: Final = {"ebcdic": _swapped(_PAGE), "ebcdic-lf": _PAGE}
"""By the name of the kind: what each byte becomes."""
FROM_ASCII: Final = {name: _inverse(table) for name, table in TO_ASCII.items()}

_WORDS: Final = bytes(byte for byte in range(256) if chr(_PAGE[byte]).isascii() and chr(_PAGE[byte]).isalnum())
_SIGNS: Final = bytes(byte for byte in range(256) if 0x20 <= _PAGE[byte] < 0x7F or _PAGE[byte] in b"\t\n\r\f\x85")
_LEAST: Final = 48
"""Bytes of which less tell nothing."""


_AT: Final = 0x7C
_AT_ELSEWHERE: Final = (0xB5, 0x44, 0x80, 0xEC, 0xAC, 0xAE)
"""Where the pages of Germany, Austria and Italy (273, 280), France (297), Denmark and Norway (277), Sweden and Finland
(278), Iceland (871) and Turkey (1026) have the @; others have it at 0x7C."""
_LETTERS: Final = rb"\x81-\x89\x91-\x99\xa2-\xa9\xc1-\xc9\xd1-\xd9\xe2-\xe9"
_MAILS: Final = {
    at: re.compile(
        rb"[%b\xf0-\xf9][%b\xf0-\xf9\x4b\x60\x6d]{0,63}\x%02x(?:[%b\xf0-\xf9\x60]{1,63}\x4b){1,5}[%b]{2,24}(?![%b\xf0-\xf9])"
        % (_LETTERS, _LETTERS, at, _LETTERS, _LETTERS, _LETTERS)
    )
    for at in (_AT, *_AT_ELSEWHERE)
}
"""Addresses of mail, by the byte that their @ would be."""


def tables_for(name: str, head: bytes) -> tuple[bytes, bytes]:
    """Return what each byte of a text of kind *name* that begins with *head* becomes, and the way back.

    The @ of addresses of mail is taken from where the text's own page has it.
    """
    found = {at: len(mails.findall(head)) for at, mails in _MAILS.items()}
    at = max(found, key=found.__getitem__)
    there = bytearray(TO_ASCII[name])
    there[_AT], there[at] = there[at], there[_AT]
    return bytes(there), _inverse(bytes(there))


def tell_ebcdic(head: bytes) -> str | None:
    """Return which of `TO_ASCII` text beginning with *head* wants; None: it is something else.

    Nearly all of it is letters, digits and signs, among them blanks; and it has hardly a blank or line break of
    ASCII's, which any other text would have.
    """
    size = len(head)
    if size < _LEAST or head.isascii():
        return None
    blanks, others = head.count(0x40), head.count(0x20) + head.count(0x0A)
    if blanks * 50 < size or others * 200 > size:
        return None
    if len(head.translate(None, _SIGNS)) * 33 > size or len(head.translate(None, _WORDS)) * 10 > size * 7:
        return None
    return "ebcdic" if head.count(_NL) >= head.count(_LF) else "ebcdic-lf"


def has_lines(head: bytes) -> bool:
    """Say whether there is a line break in *head*; else it consists of records, whose length must stay."""
    return _NL in head or _LF in head
