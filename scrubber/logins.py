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
_NUMBERED = re.compile(rb"[abcef][0-9]{5,7}")
"""Logins of a letter and a number, as large companies give them out, that could be hexadecimal."""
_HEX = re.compile(rb"(?:0x)?[0-9a-f]{6,}|0x[0-9a-f]+|[0-9\-_.]+|[0-9a-f\-]{36}", re.IGNORECASE)
_STANDARD = re.compile(
    rb"(?:hmac-?)?(?:sha[0-9-]{1,8}|md[245]|ripemd-?[0-9]{3}|blake[0-9][a-z]{0,2}|shake-?[0-9]{3}|sm[234]|streebog[0-9]{3})|hmac|"
    rb"aes-?[0-9]{0,3}(?:-[a-z]{3,6})?|camellia-?[0-9]{0,3}|aria-?[0-9]{0,3}|chacha(?:20)?|salsa20|poly1305|(?:3|x)?des[0-9]?|"
    rb"rc[2456]|ed(?:25519|448)|(?:curve|x)(?:25519|448)|secp[0-9]{3}[rk][12]|(?:rsa|dsa|dh)-?[0-9]{3,5}|scram-sha-[0-9]{1,3}|"
    rb"crc-?[0-9]{1,2}|base-?[0-9]{2}(?:url)?|utf-?[0-9]{1,2}(?:[lb]e)?|ucs-?[24]|us-ascii|iso-?[0-9]{3,5}(?:-[0-9]{1,4})*|"
    rb"(?:cp|windows-)[0-9]{3,4}|koi8-?[ru]|gb(?:2312|k|18030)|big5|ecma-?[0-9]{2,3}|rfc-?[0-9]{3,4}|posix[.-][0-9][0-9.-]{0,8}|"
    rb"c(?:\+\+)?[0-9]{2}|x(?:11|25|86|509|32|64|[0-9a-f]{2})|http-?[0-9]|ipv[46]|(?:tls|ssl)-?v?[0-9][0-9.]{0,3}|smb[123]|ext[234]|"
    rb"nfsv?[234]|w(?:in)?(?:16|32|64)|ppc(?:32|64)(?:le|el)?|s390x?|mips(?:32|64)(?:el)?|sparc64|armv[4-9][a-z]{0,2}|amd64|i[3-6]86|"
    rb"[a-z]+-(?:level|line|based|format|only|side|like|specific|aware|safe|style|type|time|mode|minus|plus|free|bit|byte|end|"
    rb"sensitive|insensitive|readable|defined|dependent|independent|compatible|separated|delimited|sort|references?)|"
    rb"[a-z_]+_t|(?:e(?:again|wouldblock|inprogress|pipe|intr|inval|noent|nomem|acces|perm|exist|busy|io|nospc|fault|range|"
    rb"timedout|hostunreach|netunreach|addrinuse|addrnotavail|opnotsupp|notconn|isconn|conn(?:refused|reset|aborted)))"
)
"""Algorithms, encodings, standards, types and errors as manuals name them: sha256, utf-8, posix.1-2001, size_t."""
_ROLES = frozenset((b"user", b"admin", b"db", b"svc", b"service", b"app", b"rw", b"ro", b"readonly", b"repl"))
"""What a program's account in a database ends with: synapse_user."""
_ENDINGS = (b"s", b"es", b"d", b"ed", b"ing", b"er", b"ers", b"ly", b"al", b"able")


def is_login(name: bytes) -> bool:
    """Say whether *name*, in small letters, can be a person's login: no system's, no ordinary word, no file's name."""
    if _LOGIN.fullmatch(name) is None or name in words("system_users"):
        return False
    if is_odd(name) and _NUMBERED.fullmatch(name) is None:
        return False
    if is_ordinary(name) or name.rpartition(b".")[2] in words("file_suffixes") or b".." in name:
        return False
    if name.split(b".")[0] in words("objects") and b"." in name:
        return False
    program, mark, role = name.rpartition(b"_")
    if mark and role in _ROLES and program in words("system_users"):
        return False
    return not name.startswith((b"systemd-", b"dwm-", b"umfd-", b"system:", b"_"))


def is_ordinary(name: bytes) -> bool:
    """Say whether *name* is an ordinary word, or one with an ending."""
    known = words("ordinary")
    return (
        name in known
        or name in words("technical")
        or any(name.endswith(end) and name[: -len(end)] in known for end in _ENDINGS)
    )


def is_odd(name: bytes) -> bool:
    """Say whether *name* is a number, a digest, a device, what a standard defines, or a pseudonym."""
    return bool(
        _HEX.fullmatch(name)
        or name.startswith(b"s-1-")
        or _DEVICE.fullmatch(name)
        or _STANDARD.fullmatch(name)
        or WORD_PSEUDONYM.fullmatch(name)
        or len(set(name)) < 2
    )
