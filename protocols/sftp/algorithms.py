"""Which SSH algorithms are offered: those of a current OpenSSH server, as far as asyncssh has them.

Nothing rests on SHA-1 or CBC. `modern` has no algorithm that ssh-audit warns of, but for key exchanges that a quantum
computer could break: without those only the newest clients would come in. `compatible` has besides what older clients
need: NIST's curves (for host keys too), a group of 2048 bits, codes of what is sent in place of what is encrypted
(RFC 4253, section 6.4). The hybrid post-quantum key exchange comes first in both. AES-GCM comes before
ChaCha20-Poly1305 because it costs a third of the time; the client's order decides all the same (RFC 4253, section 7.1),
unless it is offered AES-GCM alone.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from asyncssh.packet import PacketDecodeError, SSHPacket

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithms:
    """The lists of one profile, in the order in which they are offered."""

    key_exchange: tuple[str, ...]
    encryption: tuple[str, ...]
    mac: tuple[str, ...]
    signature: tuple[str, ...]
    """For host keys and for users' keys."""
    dispensable_host_keys: tuple[str, ...] = ()
    """Kinds of host keys that are not shown where there is one of another kind."""


MODERN = Algorithms(
    key_exchange=(
        "mlkem768x25519-sha256",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
        "diffie-hellman-group16-sha512",
        "diffie-hellman-group18-sha512",
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
    dispensable_host_keys=("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
)
COMPATIBLE = dataclasses.replace(
    MODERN,
    key_exchange=(
        *MODERN.key_exchange,
        "ecdh-sha2-nistp256",
        "ecdh-sha2-nistp384",
        "ecdh-sha2-nistp521",
        "diffie-hellman-group14-sha256",
    ),
    mac=(*MODERN.mac, "hmac-sha2-256", "hmac-sha2-512"),
    dispensable_host_keys=(),
)
PROFILES = {"modern": MODERN, "compatible": COMPATIBLE}
_COOKIE_BYTES = 16


_OLDER_MACS = (b"hmac-sha2-256", b"hmac-sha2-512")


def offer_to(
    kexinit: bytes, ciphers: Sequence[bytes], macs: Sequence[bytes]
) -> tuple[Sequence[bytes], Sequence[bytes]]:
    """Return the *ciphers* and *macs* to offer a client whose SSH_MSG_KEXINIT is *kexinit*, without its first byte.

    AES-GCM alone where the client has it in both directions, else all ciphers: who was told to use another one offers
    only that. Who has none of *macs* is offered HMAC-SHA-2 of what is sent in place of what is encrypted, as libssh2
    before 1.11 has it (curl of Debian 12): that is weaker than the other way round, and not broken. Nobody can bring
    that about who is not the client, as both lists are signed. Source: RFC 4253, sections 7.1 and 8.
    """
    packet = SSHPacket(kexinit)
    try:
        packet.get_bytes(_COOKIE_BYTES)
        _key_exchanges, _host_keys, *lists = (set(packet.get_namelist()) for _ in range(6))
    except PacketDecodeError:
        return ciphers, macs  # asyncssh, which sees it next, says what is wrong with it
    has_ciphers, has_macs = lists[0] & lists[1], lists[2] & lists[3]
    return (
        [cipher for cipher in ciphers if b"-gcm@" in cipher and cipher in has_ciphers] or ciphers,
        macs if has_macs.intersection(macs) else [*macs, *_OLDER_MACS],
    )
