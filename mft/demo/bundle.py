"""What a customer sends: a support bundle as they are, with secrets in it that nobody meant to send."""

from __future__ import annotations

import base64
import gzip
import io
import json
import random
import secrets
import string
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.demo.cipherzip import encrypted_zip

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

BUNDLE = "support-bundle.tar.gz"
PLAIN_LOG = "boot.log"
CORE_LOG = "core-service.log"
LOCKED = "database-dump.zip"
ANSWER = "workaround.txt"
LEDGER_LOG = "ledger.log"
_CORE_LINES = 72_000
_BUNDLE_ROOT = "web-07"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """What was planted, by kind: none of it may be seen again anywhere but at the customer's."""

    marks: Mapping[str, str]
    pieces: tuple[bytes, ...]
    """Runs of bytes out of the middle of what was sent, which no secret is: for the search on the disks."""


def make_material(directory: Path, private_key: str) -> Planted:
    """Write every file that the customer of the story sends; *private_key* goes into the bundle.

    Everything secret is made up on the spot. The files are the same in shape each time, and never in content.
    """
    marks = _marks(private_key)
    log = "".join(_boot_lines(marks)).encode()
    bundle = _bundle(_members(marks, log, private_key))
    core = "".join(_core_lines(marks)).encode()
    (directory / PLAIN_LOG).write_bytes(log)
    (directory / BUNDLE).write_bytes(bundle)
    (directory / CORE_LOG).write_bytes(core)
    (directory / LEDGER_LOG).write_text(
        f"2026-11-21T22:00:01Z ledger: balance differs by 12.40 EUR\nledger: db_password={marks['ledger password']}\n",
        encoding="utf-8",
    )
    dump = f"id,name,mail\n1,root,{marks['e-mail']}\n" * 40
    (directory / LOCKED).write_bytes(encrypted_zip("dump.csv", dump.encode(), secrets.token_urlsafe(12)))
    return Planted(marks=marks, pieces=(bundle[len(bundle) // 2 :][:48], core[len(core) // 2 :][:120]))


def _marks(private_key: str) -> dict[str, str]:
    chance = random.SystemRandom()

    def letters(count: int, alphabet: str = string.ascii_letters + string.digits) -> str:
        return "".join(chance.choice(alphabet) for _ in range(count))

    surname = letters(1, string.ascii_uppercase) + letters(8, string.ascii_lowercase)
    return {
        "private key": private_key.splitlines()[2],
        "password": f"{letters(6)}-{letters(6)}-{letters(4)}",
        "ledger password": f"{letters(6)}-{letters(6)}-{letters(4)}",
        "password in a URL": letters(14),
        "cloud key": "AKIA" + letters(16, string.ascii_uppercase + "234567"),
        "cloud secret": letters(40),
        "code host token": "glpat-" + letters(20),
        "session token": f"eyJhbGciOiJIUzI1NiJ9.{_base64url(chance)}.{letters(43)}",
        "card": _card(chance),
        "e-mail": f"{surname.lower()}@acme.example",
        "IPv4 address": f"185.{chance.randint(100, 250)}.{chance.randint(100, 250)}.{chance.randint(100, 250)}",
        "IPv6 address": f"2a02:{chance.randint(4096, 65535):x}:{chance.randint(4096, 65535):x}::7",
        "MAC address": ":".join(f"{chance.randint(16, 255) & 0xFE:02x}" for _ in range(6)),
        "IBAN": _iban(chance),
        "phone": f"+49 30 {chance.randint(10**6, 10**7 - 1)}",
    }


def _base64url(chance: random.Random) -> str:
    claims = json.dumps({"sub": f"{chance.randint(10**8, 10**9)}", "scope": "admin"})
    return base64.urlsafe_b64encode(claims.encode()).rstrip(b"=").decode()


def _card(chance: random.Random) -> str:
    """Return a card number whose check digit is right (ISO/IEC 7812-1, annex B)."""
    digits = [4, *(chance.randint(0, 9) for _ in range(14))]
    doubled = [sum(divmod(digit * 2, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits)]
    digits.append(-sum(doubled) % 10)
    text = "".join(map(str, digits))
    return " ".join(text[start : start + 4] for start in range(0, 16, 4))


def _iban(chance: random.Random) -> str:
    """Return a German account number whose check digits are right (ISO 13616-1)."""
    account = f"{chance.randint(10**17, 10**18 - 1)}"
    check = 98 - int(f"{account}131400") % 97
    return f"DE{check:02d}{account}"


def _boot_lines(marks: Mapping[str, str]) -> Iterator[str]:
    address, other = marks["IPv4 address"], marks["IPv6 address"]
    yield f"Nov 21 21:58:02 web-07 systemd[1]: Started update, asked for by {marks['e-mail']}\n"
    yield f"Nov 21 21:58:04 web-07 kernel: eth0: link up, address {marks['MAC address']}\n"
    yield f"Nov 21 21:58:05 web-07 dhclient[811]: bound to {address}, also {other}\n"
    yield f"Nov 21 21:58:09 web-07 agent[902]: login with password={marks['password']}\n"
    for second in range(10, 58):
        yield f"Nov 21 21:58:{second} web-07 boot[1]: waiting for the root device, try {second - 9}, peer {address}\n"
    yield "Nov 21 21:59:00 web-07 boot[1]: gave up: no such device\n"


def _core_lines(marks: Mapping[str, str]) -> Iterator[str]:
    stamp = time.strftime("%Y-%m-%dT%H:%M", time.gmtime())
    for number in range(_CORE_LINES):
        took = number * 7919 % 100_003
        yield f"{stamp}:{number % 60:02d}Z core[{number % 64}] INFO request {number} took {took} us, queue empty, ok\n"
        if number % 24_000 == 12_000:
            yield f"{stamp}:00Z core[0] DEBUG retry as {marks['e-mail']} with token {marks['code host token']}\n"


def _members(marks: Mapping[str, str], log: bytes, private_key: str) -> dict[str, bytes]:
    database = f"postgres://app:{marks['password in a URL']}@db.acme.example:5432/shop"
    texts = {
        "etc/app/app.conf": (
            f"[database]\nurl = {database}\n\n[admin]\nuser = root\npassword = {marks['password']}\n"
            f"contact = {marks['e-mail']}\nphone = {marks['phone']}\n"
        ),
        "etc/app/cloud.env": (
            f"AWS_ACCESS_KEY_ID={marks['cloud key']}\nAWS_SECRET_ACCESS_KEY={marks['cloud secret']}\n"
            "REGION=eu-central-1\n"
        ),
        "etc/app/deploy.yaml": f"git:\n  host: git.acme.example\n  token: {marks['code host token']}\n",
        "etc/ssl/web-07.key": private_key,
        "var/log/payments.log": (
            f"2026-11-21 21:12:07 card {marks['card']} declined, refund to {marks['IBAN']}\n"
            "2026-11-21 21:12:08 order 20261121-778 kept\n"
        ),
        "var/log/api.log": f"2026-11-21 21:12:09 GET /v2/me HTTP/1.1 Authorization: Bearer {marks['session token']}\n",
        "proc/version": "Linux version 6.1.0-41-amd64 (gcc 12.2.0) #1 SMP PREEMPT_DYNAMIC\n",
    }
    files = {name: text.encode() for name, text in texts.items()}
    return files | {"var/log/boot.log": log, "var/log/boot.log.1.gz": gzip.compress(log, mtime=0)}


def _bundle(members: Mapping[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"{_BUNDLE_ROOT}/{name}")
            info.size, info.mode, info.mtime = len(content), 0o644, int(time.time())
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(plain.getvalue(), mtime=0)
