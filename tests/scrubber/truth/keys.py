"""Private keys in every wrapping, from seeded numbers; their public halves are innocents.

The markers are put together at run time, so that no file here looks like one that holds a key.
"""

from __future__ import annotations

import base64
import json
import textwrap
from functools import lru_cache
from random import Random

from cryptography.hazmat.primitives import serialization as ser
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

FENCE = "-" * 5
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def _armor(title: str, data: bytes, width: int = 64, head: str = "") -> str:
    body = "\n".join(textwrap.wrap(base64.b64encode(data).decode(), width))
    return f"{FENCE}BEGIN {title}{FENCE}\n{head}{body}\n{FENCE}END {title}{FENCE}\n"


def _prime(rng: Random, bits: int) -> int:
    while True:
        n = rng.getrandbits(bits) | 3 << bits - 2 | 1
        if n % 65537 != 1 and all(n % p for p in (3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)) and _probably_prime(n, rng):
            return n


def _probably_prime(n: int, rng: Random) -> bool:
    twos = (n - 1 & 1 - n).bit_length() - 1
    odd = n - 1 >> twos
    for _ in range(12):
        x = pow(rng.randrange(2, n - 1), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


@lru_cache(maxsize=64)
def rsa_key(seed: int) -> rsa.RSAPrivateKey:
    """Make a small RSA key from *seed*; its size is nobody's business here."""
    rng = Random(f"rsa {seed}")
    p, q = _prime(rng, 512), _prime(rng, 512)
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    return rsa.RSAPrivateNumbers(p, q, d, d % (p - 1), d % (q - 1), pow(q, -1, p), public).private_key()


def _ec_key(rng: Random) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(rng.getrandbits(250) | 1, ec.SECP256R1())


def _plain(
    key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, form: ser.PrivateFormat
) -> str:
    return key.private_bytes(ser.Encoding.PEM, form, ser.NoEncryption()).decode()


def pkcs1(rng: Random) -> str:
    """Give RSA PRIVATE KEY."""
    return _plain(rsa_key(rng.randrange(12)), ser.PrivateFormat.TraditionalOpenSSL)


def pkcs8(rng: Random) -> str:
    """Give PRIVATE KEY."""
    seed = ed25519.Ed25519PrivateKey.from_private_bytes(rng.randbytes(32))
    choice: list[PrivateKey] = [rsa_key(rng.randrange(12)), _ec_key(rng), seed]
    key = rng.choice(choice)
    return _plain(key, ser.PrivateFormat.PKCS8)


def sec1(rng: Random) -> str:
    """Give EC PRIVATE KEY."""
    return _plain(_ec_key(rng), ser.PrivateFormat.TraditionalOpenSSL)


def encrypted_pkcs8(rng: Random) -> str:
    """Give ENCRYPTED PRIVATE KEY; what it decrypts to is noise."""
    return _armor("ENCRYPTED PRIVATE " + "KEY", b"\x30\x82\x02\xdd" + rng.randbytes(700))


def encrypted_pkcs1(rng: Random) -> str:
    """Give RSA PRIVATE KEY with the headers of RFC 1421."""
    head = f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,{rng.randbytes(16).hex().upper()}\n\n"
    return _armor("RSA PRIVATE " + "KEY", rng.randbytes(600), head=head)


def dsa(rng: Random) -> str:
    """Give DSA PRIVATE KEY."""
    return _armor("DSA PRIVATE " + "KEY", b"\x30\x82\x03\x3e\x02\x01\x00\x02\x82\x01\x01\x00" + rng.randbytes(820))


def openssh(rng: Random) -> str:
    """Give OPENSSH PRIVATE KEY (PROTOCOL.key); the inside is shaped, not valid."""
    blob = b"openssh-key-v1\0\0\0\0\4none\0\0\0\4none\0\0\0\0\0\0\0\1\0\0\0\x33\0\0\0\x0bssh-ed25519" + rng.randbytes(
        220
    )
    return _armor("OPENSSH PRIVATE " + "KEY", blob, 70)


def pgp(rng: Random) -> str:
    """Give a PGP private key block (RFC 9580) with its check sum line."""
    body = "\n".join(textwrap.wrap(base64.b64encode(rng.randbytes(1400)).decode(), 64))
    crc = base64.b64encode(rng.randbytes(3)).decode()
    title = "PGP PRIVATE " + "KEY BLOCK"
    head = rng.choice(["", "Version: GnuPG v2\n", "Comment: backup of the build server\n"])
    return f"{FENCE}BEGIN {title}{FENCE}\n{head}\n{body}\n={crc}\n{FENCE}END {title}{FENCE}\n"


def openvpn(rng: Random) -> str:
    """Give an OpenVPN static key."""
    lines = "\n".join(rng.randbytes(16).hex() for _ in range(16))
    return f"{FENCE}BEGIN OpenVPN Static " + f"key V1{FENCE}\n{lines}\n{FENCE}END OpenVPN Static " + f"key V1{FENCE}\n"


PEMS = (pkcs1, pkcs1, pkcs8, pkcs8, sec1, encrypted_pkcs8, encrypted_pkcs1, dsa, openssh, openssh, pgp, openvpn)


def pem(rng: Random) -> str:
    """Give any key that stands between BEGIN and END."""
    return rng.choice(PEMS)(rng)


def secret_lines(armored: str) -> list[str]:
    """Give the lines of a key that must not be seen again: its body."""
    return [
        line.strip() for line in armored.splitlines()
        if len(line.strip()) >= 16 and FENCE not in line and ": " not in line
    ]  # fmt: skip


def putty(rng: Random) -> tuple[str, list[str]]:
    """Give a PuTTY key file (version 3) and the lines of its private part."""
    public = textwrap.wrap(base64.b64encode(rng.randbytes(51)).decode(), 64)
    private = textwrap.wrap(base64.b64encode(rng.randbytes(96)).decode(), 64)
    text = (
        "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nComment: eddsa-key-20260412\n"
        f"Public-Lines: {len(public)}\n"
        + "\n".join(public)
        + f"\nPrivate-Lines: {len(private)}\n"
        + "\n".join(private)
        + f"\nPrivate-MAC: {rng.randbytes(32).hex()}\n"
    )
    return text, private


def _number(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes((value.bit_length() + 7) // 8, "big")).decode().rstrip("=")


def jwk(rng: Random) -> tuple[str, list[str]]:
    """Give a private JSON Web Key (RFC 7517) and its private members' values; `n` and `x` are public."""
    if rng.random() < 0.5:
        n = rsa_key(rng.randrange(12)).private_numbers()
        private = {"d": n.d, "p": n.p, "q": n.q, "dp": n.dmp1, "dq": n.dmq1, "qi": n.iqmp}
        key = {
            "kty": "RSA",
            "use": "sig",
            "kid": rng.randbytes(6).hex(),
            "alg": "RS256",
            "e": "AQAB",
            "n": _number(n.public_numbers.n),
        }
        secrets = {name: _number(value) for name, value in private.items()}
    else:
        raw = [base64.urlsafe_b64encode(rng.randbytes(32)).decode().rstrip("=") for _ in range(3)]
        key = {"kty": "EC", "crv": "P-256", "x": raw[0], "y": raw[1], "kid": rng.randbytes(6).hex()}
        secrets = {"d": raw[2]}
    members = list({**key, **secrets}.items())
    rng.shuffle(members)
    return json.dumps({"keys": [dict(members)]}, indent=rng.choice([None, 2])), list(secrets.values())


def wireguard(rng: Random) -> str:
    """Give a WireGuard key: 32 bytes in base64."""
    return base64.b64encode(rng.randbytes(32)).decode()


def der_base64(rng: Random) -> str:
    """Give a PKCS#8 key as base64 of its DER, in one line, without markers."""
    choice: list[PrivateKey] = [rsa_key(rng.randrange(12)), _ec_key(rng)]
    key = rng.choice(choice)
    return base64.b64encode(key.private_bytes(ser.Encoding.DER, ser.PrivateFormat.PKCS8, ser.NoEncryption())).decode()


def public_pem(rng: Random) -> str:
    """Give a PUBLIC KEY: it stays."""
    public = rsa_key(rng.randrange(12)).public_key()
    return public.public_bytes(ser.Encoding.PEM, ser.PublicFormat.SubjectPublicKeyInfo).decode()


def certificate_pem(rng: Random) -> str:
    """Give the shape of a CERTIFICATE: it stays."""
    return _armor("CERTIFICATE", b"\x30\x82\x03\x5a\x30\x82\x02\x42\xa0\x03\x02\x01\x02\x02\x14" + rng.randbytes(820))


def public_ssh(rng: Random) -> str:
    """Give a public key as authorized_keys and known_hosts hold it, without a comment."""
    if rng.random() < 0.5:
        blob = b"\0\0\0\x0bssh-ed25519\0\0\0 " + rng.randbytes(32)
        return f"ssh-ed25519 {base64.b64encode(blob).decode()}"
    blob = b"\0\0\0\x07ssh-rsa\0\0\0\3\1\0\1\0\0\1\x01\0" + rng.randbytes(256)
    return f"ssh-rsa {base64.b64encode(blob).decode()}"
