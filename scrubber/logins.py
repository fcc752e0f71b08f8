"""Which words are somebody's login, and which are a system's own, a vendor's or anybody's."""

from __future__ import annotations

import re

from scrubber.hostnames import words
from scrubber.pseudonym import WORD_PSEUDONYM

_LOGIN = re.compile(rb"[A-Za-z_][A-Za-z0-9._\-]{2,63}")
_DEVICE = re.compile(
    rb"(?:tty|pts|eth|eno|ens|enp|wlan|sd|hd|vd|xvd|nvme|dm-|md|lo|br|virbr|veth|cali|docker|cpu|node|core|loop|usb|pci|"
    rb"ether|worker|thread|task|job|pool|queue|pid|uid|gid|id|v)-?[0-9][0-9a-z\-]*",
    re.IGNORECASE,
)
_HEX = re.compile(rb"(?:0x)?[0-9a-f]{6,}|[0-9\-_.]+|[0-9a-f\-]{36}", re.IGNORECASE)
_ENDINGS = (b"s", b"es", b"d", b"ed", b"ing", b"er", b"ers", b"ly", b"al", b"able")


def is_login(name: bytes) -> bool:
    """Say whether *name*, in small letters, can be a person's login: no system's, no ordinary word, no file's name."""
    if _LOGIN.fullmatch(name) is None or is_odd(name) or name in words("system_users"):
        return False
    if is_ordinary(name) or name.rpartition(b".")[2] in words("file_suffixes") or b".." in name:
        return False
    if name.split(b".")[0] in words("objects") and b"." in name:
        return False
    return not name.startswith((b"systemd-", b"dwm-", b"umfd-", b"system:", b"_"))


def is_ordinary(name: bytes) -> bool:
    """Say whether *name* is an ordinary word, or one with an ending."""
    known = words("ordinary")
    return name in known or any(name.endswith(end) and name[: -len(end)] in known for end in _ENDINGS)


def is_odd(name: bytes) -> bool:
    """Say whether *name* is a number, a digest, a device or a pseudonym."""
    return bool(
        _HEX.fullmatch(name)
        or name.startswith(b"s-1-")
        or _DEVICE.fullmatch(name)
        or WORD_PSEUDONYM.fullmatch(name)
        or len(set(name)) < 2
    )
