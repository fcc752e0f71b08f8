"""Which SSH algorithms are offered: those of a current OpenSSH server, as far as asyncssh has them.

Nothing rests on SHA-1, CBC or a group below 2048 bits. The hybrid post-quantum key exchange comes first. AES-GCM comes
before ChaCha20-Poly1305 because it costs a third of the time; the client's order decides all the same (RFC 4253,
section 7.1).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithms:
    """The lists of one profile, in the order in which they are offered."""

    key_exchange: tuple[str, ...]
    encryption: tuple[str, ...]
    mac: tuple[str, ...]
    signature: tuple[str, ...]
    """For host keys and for users' keys."""


MODERN = Algorithms(
    key_exchange=(
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
        "diffie-hellman-group14-sha256",
    ),
    encryption=(
        "aes256-gcm@openssh.com",
        "aes128-gcm@openssh.com",
        "chacha20-poly1305@openssh.com",
        "aes256-ctr",
        "aes192-ctr",
        "aes128-ctr",
    ),
    mac=(
        "hmac-sha2-256-etm@openssh.com",
        "hmac-sha2-512-etm@openssh.com",
        "hmac-sha2-256",
        "hmac-sha2-512",
    ),
    signature=(
        "ssh-ed25519",
        "sk-ssh-ed25519@openssh.com",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "rsa-sha2-512",
        "rsa-sha2-256",
    ),
)
PROFILES = {"modern": MODERN}
