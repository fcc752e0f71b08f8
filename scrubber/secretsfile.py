"""Files that are known by their name to hold secrets, which nothing in them says to be any.

Only the name tells that `backup:Ubqhnm259` is a password. What stands where the file's manual page has the secret is
replaced wherever it stands in that file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from scrubber.pseudonym import TAG

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONGEST = 1 << 20
"""Bytes of such a file that are read for it: it is written by hand, or by a tool for some thousand accounts."""
_MOST = 5_000
"""Secrets of one file; the rules find what else they can."""
_SHORTEST = 3
_PLACEHOLDER = re.compile(
    rb"[*!xX-]+|\$\{?[A-Za-z_][\w.]*\}?|\{\{.*\}\}|<[^<>]*>|\[[^\]]*\]|null|none|nil", re.IGNORECASE
)


class Told(NamedTuple):
    """What such a file tells: whose secret, where it says that, and the secret."""

    login: bytes
    secret: bytes


def _lines(text: bytes) -> Iterator[bytes]:
    for line in text.splitlines():
        bare = line.strip()
        if bare and not bare.startswith((b"#", b";")):
            yield bare


def _pairs(text: bytes) -> Iterator[Told]:
    """Read `login:secret`, and what follows another colon (rsyncd.conf(5), htpasswd(1), CVSROOT/passwd)."""
    for line in _lines(text):
        login, colon, rest = line.partition(b":")
        if colon and b" " not in login:
            yield Told(login.lstrip(b"@"), rest.split(b":")[0].strip())


def _third(text: bytes) -> Iterator[Told]:
    """Read `host:login:secret` (exim's passwd.client)."""
    for line in _lines(text):
        fields = line.split(b":", 2)
        if len(fields) > 2:
            yield Told(fields[1], fields[2].strip())


def _last_of_five(text: bytes) -> Iterator[Told]:
    r"""Read `host:port:database:login:secret`, colons behind a backslash (PostgreSQL, "The Password File")."""
    for line in _lines(text):
        fields = re.split(rb"(?<!\\):", line, maxsplit=4)
        if len(fields) > 4:
            yield Told(fields[3], fields[4])


def _mapped(text: bytes) -> Iterator[Told]:
    """Read `destination login:secret` (Postfix's smtp_sasl_password_maps, postconf(5))."""
    for line in _lines(text):
        parts = line.split(None, 1)
        if len(parts) > 1:
            login, colon, secret = parts[1].partition(b":")
            if colon:
                yield Told(login, secret)


def _chap(text: bytes) -> Iterator[Told]:
    """Read `client server secret [address …]`, quoted where there are spaces (pppd(8), "Authentication")."""
    for line in _lines(text):
        fields = re.findall(rb'"((?:[^"\\]|\\.)*)"|(\S+)', line)
        if len(fields) > 2 and not fields[2][1].startswith(b"@"):  # `@file`: it stands there
            yield Told(fields[0][0] or fields[0][1], fields[2][0] or fields[2][1])


def _cvs(text: bytes) -> Iterator[Told]:
    """Read `[/1] :pserver:login@host:port/path Ascrambled`: anybody can undo that (cvs(1), "cvs login")."""
    for line in _lines(text):
        match = re.search(rb":[a-z]+:(?:([^:@/\s]+)(?::[^@/\s]*)?@)?\S+ +(A\S.*)$", line)
        if match:
            yield Told(match[1] or b"", match[2])


def _alone(text: bytes) -> Iterator[Told]:
    """Read the one word of the file, or the one line."""
    lines = text.split()
    if len(lines) == 1:
        yield Told(b"", lines[0])


_NAMES: tuple[tuple[Callable[[bytes], Iterator[Told]], tuple[str, ...]], ...] = (
    (
        _pairs,
        (
            r"\.?rsyncd?[._\-](?:secrets?|passwd|passwords|users)",
            r"[\w.\-]*\.?ht(?:passwd|users)|[\w\-]*htpasswd[\w\-]*|CVSROOT/passwd",
            r"(?:squid|nginx|apache2?|httpd|dovecot|svnserve)/(?:passwd|passwords|users)|dovecot\.passwd",
            r"(?:mosquitto[_\-]?|mqtt[_\-]?)(?:passwd|passwords|password_file|pwfile|users)",
            r"[\w\-]*userlist\.txt",
        ),
    ),
    (_third, (r"passwd\.client|password\.client",)),
    (_last_of_five, (r"\.?pgpass(?:\.conf)?",)),
    (
        _mapped,
        (r"sasl[_\-]?passw(?:or)?d(?:_maps?)?|smtp[_\-]?(?:auth|passw(?:or)?d)|relay[_\-]?passw(?:or)?ds?",),
    ),
    (_chap, (r"(?:chap|pap|srp)-secrets",)),
    (_cvs, (r"\.cvspass",)),
    (
        _alone,
        (
            r"\.?(?:ansible[_\-])?vault[_\-]?pass(?:w(?:or)?d|phrase)?(?:[_\-]file)?(?:\.txt)?",
            r"\.?rsync[._\-]pass(?:w(?:or)?d)?|\.erlang\.cookie|(?:config/)?master\.key|credentials/[\w\-]+\.key|(?:pam_)?ldap\.secret",
            r"\.?(?:db|root|admin|mysql|postgres|redis|ldap)[_\-.]?pass(?:w(?:or)?d)?(?:\.txt|\.secret)?",
            r"\.?passphrase(?:\.txt)?|run/secrets/[\w\-]+(?:\.txt)?",
        ),
    ),
)
_COPY = r"(?:[.\-_~](?:bak|old|orig|save|rpmsave|rpmnew|dpkg-\w+|[0-9]{1,8})|~)?"
_KINDS = tuple(
    (re.compile(rf"(?:^|[/!\\])(?:{'|'.join(names)}){_COPY}$", re.IGNORECASE), read) for read, names in _NAMES
)


def reader_of(name: str) -> Callable[[bytes], Iterator[Told]] | None:
    """Return what reads a file called *name* (with the path that it has, also within archives), None for most."""
    return next((read for pattern, read in _KINDS if pattern.search(name) is not None), None)


def secrets_in(name: str, text: bytes) -> list[tuple[bytes, str]]:
    """Return the secrets in the file called *name*, each once with its kind, where its name says that it has any."""
    read = reader_of(name)
    if read is None:
        return []
    found = {told.secret: "password" for told in read(text[:LONGEST]) if _is_one(told.secret)}
    return list(found.items())[:_MOST]


def logins_in(name: str, text: bytes) -> Iterator[bytes]:
    """Give whose secrets the file called *name* holds."""
    read = reader_of(name)
    if read is not None:
        yield from (told.login for told in read(text[:LONGEST]) if told.login)


def _is_one(value: bytes) -> bool:
    return len(value) >= _SHORTEST and _PLACEHOLDER.fullmatch(value) is None and TAG.fullmatch(value) is None
