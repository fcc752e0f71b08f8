"""Packet captures keep their records; addresses and what packets carry are scrubbed, check sums stay right."""

from __future__ import annotations

import ipaddress
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scrubber.engine import scrub
from scrubber.model import Options
from scrubber.profile import find_profile
from scrubber.pseudonym import Pseudonymizer

STATIONS = bytes.fromhex("3c5282445566") + bytes.fromhex("3c5282112233")
ANN, BOB = "203.0.113.9", "198.51.100.7"
SPLIT = (
    b"GET / HTTP/1.1\r\nX-Client: 203.0.113.9\r\nX-Pass",
    b"word: geheimes-Wort-99\r\nFrom: anna.berg@kunde.de\r\n\r\n",
)
MARKS = (b"203.0.113.9", b"geheimes", b"anna.berg", b"\x3c\x52\x82", ipaddress.ip_address(ANN).packed)


def summed(data: bytes) -> int:
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def checked(data: bytes, at: int, pseudo: bytes = b"") -> bytes:
    value = ~summed(pseudo + data) & 0xFFFF
    return data[:at] + struct.pack(">H", value) + data[at + 2 :]


def ipv4(source: str, target: str, protocol: int, body: bytes) -> bytes:
    pair = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    head = checked(struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(body), 1, 0, 64, protocol, 0) + pair, 10)
    return STATIONS + b"\x08\x00" + head + body


def tcp(source: str, target: str, data: bytes, sequence: int = 1) -> bytes:
    pair = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    body = struct.pack(">HHIIBBHHH", 40000, 80, sequence, 0, 0x50, 0x18, 8192, 0, 0) + data
    return ipv4(source, target, 6, checked(body, 16, pair + struct.pack(">HH", 6, len(body))))


def udp(source: str, target: str, port: int, data: bytes, version: int = 4) -> bytes:
    addresses = ipaddress.ip_address(source).packed + ipaddress.ip_address(target).packed
    body = struct.pack(">HHHH", 5000, port, 8 + len(data), 0) + data
    if version == 4:
        return ipv4(source, target, 17, checked(body, 6, addresses + struct.pack(">HH", 17, len(body))))
    body = checked(body, 6, addresses + struct.pack(">II", len(body), 17))
    return STATIONS + b"\x86\xdd" + struct.pack(">IHBB", 0x60000000, len(body), 17, 64) + addresses + body


def dns(name: bytes, address: str) -> bytes:
    labels = b"".join(bytes((len(part),)) + part for part in name.split(b".")) + b"\0"
    answer = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 60, 4) + ipaddress.ip_address(address).packed
    return struct.pack(">HHHHHH", 7, 0x8180, 1, 1, 0, 0) + labels + b"\0\1\0\1" + answer


ARP = (
    STATIONS + b"\x08\x06" + struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + STATIONS[6:] + bytes((10, 1, 2, 3)) + bytes(6)
)
PACKETS = [
    tcp(ANN, BOB, SPLIT[0]),
    tcp(ANN, BOB, SPLIT[1], 1 + len(SPLIT[0])),
    ARP + bytes((10, 1, 2, 4)),
    udp("2a01:4f8::1", "2a01:4f8::2", 514, b"<13>login of anna.berg@kunde.de from 203.0.113.9 failed", 6),
    udp(BOB, ANN, 53, dns(b"intern.kunde.de", ANN)),
    ipv4(BOB, ANN, 1, checked(b"\3\1\0\0\0\0\0\0" + udp(ANN, BOB, 9, b"x")[14:], 2)),
]


def pcap(packets: list[bytes], order: str = "<") -> bytes:
    head = struct.pack(order + "IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1)
    return head + b"".join(struct.pack(order + "IIII", 1, 2, len(p), len(p)) + p for p in packets)


def block(kind: int, body: bytes) -> bytes:
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, 12 + len(body)) + body + struct.pack("<I", 12 + len(body))


def option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + b"\0" * (-len(value) % 4)


def pcapng(packets: list[bytes]) -> bytes:
    interface = struct.pack("<HHI", 1, 0, 0) + option(2, b"eth0") + option(6, STATIONS[:6]) + option(0, b"")
    enhanced = [
        block(
            6,
            struct.pack("<IIIII", 0, 0, 0, len(p), len(p))
            + p
            + b"\0" * (-len(p) % 4)
            + option(1, b"by anna.berg@kunde.de"),
        )
        for p in packets
    ]
    names = block(4, option(1, ipaddress.ip_address(ANN).packed + b"intern.kunde.de\0") + option(0, b""))
    secrets = block(10, struct.pack("<II", 0x544C534B, 12) + b"CLIENT_RANDO")
    return (
        block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
        + block(1, interface)
        + names
        + secrets
        + b"".join(enhanced)
    )


def read_pcap(data: bytes, order: str = "<") -> list[bytes]:
    at, packets = 24, []
    while at < len(data):
        size = struct.unpack_from(order + "I", data, at + 8)[0]
        packets.append(data[at + 16 : at + 16 + size])
        at += 16 + size
    assert at == len(data)
    return packets


def is_right(packet: bytes) -> bool:
    """Say whether the check sums of an IP packet on Ethernet are right."""
    if packet[12:14] == b"\x86\xdd":
        return summed(packet[22:54] + struct.pack(">II", len(packet) - 54, packet[20]) + packet[54:]) == 0xFFFF
    if packet[12:14] != b"\x08\x00":
        return True
    body = packet[34:]
    pseudo = b"" if packet[23] == 1 else packet[26:34] + struct.pack(">HH", packet[23], len(body))
    return summed(packet[14:34]) == 0xFFFF and summed(pseudo + body) == 0xFFFF


@pytest.mark.parametrize("order", ["<", ">"], ids=["little", "big"])
def test_pcap_is_scrubbed_in_place(scrubbed, order):
    """Lengths, times and check sums stay; addresses become the pseudonyms that logs have, secrets across packets go."""
    data = pcap(PACKETS, order)
    assert all(map(is_right, PACKETS))
    out, report = scrubbed(data, "trace.pcap")
    assert report.scannable
    assert len(out) == len(data)
    assert not any(mark in out for mark in MARKS)
    packets = read_pcap(out, order)
    assert all(map(is_right, packets))
    assert packets[1].endswith(b"word: " + b"x" * 16 + b"\r\nFrom: " + b"x" * 18 + b"\r\n\r\n")
    log, _ = scrubbed(b"from 203.0.113.9 port 22\n")
    image = ipaddress.ip_address(log.split()[1].decode()).packed
    assert packets[0][26:30] == image
    assert packets[4].endswith(image)
    assert packets[5][14 + 20 + 8 + 12 :].startswith(image)
    assert scrubbed(out)[0] == out
    assert report.counts["mac"] >= 10


def test_pcapng_is_scrubbed_in_place(scrubbed):
    """Blocks keep their walk; names, comments and interfaces are scrubbed, secrets for decrypting are left out."""
    data = pcapng(PACKETS)
    out, report = scrubbed(data)
    assert report.scannable
    assert not any(mark in out for mark in MARKS)
    assert b"CLIENT_RANDO" not in out
    kinds, at = [], 0
    while at < len(out):
        kind, size = struct.unpack_from("<II", out, at)
        assert out[at + size - 4 : at + size] == out[at + 4 : at + 8]
        kinds.append(kind)
        if kind == 6:
            assert is_right(out[at + 28 : at + 28 + struct.unpack_from("<I", out, at + 20)[0]])
        at += size
    assert kinds == [0x0A0D0D0A, 1, 4, *[6] * len(PACKETS)]
    assert scrubbed(out)[0] == out


@pytest.mark.parametrize("password", [b"Gh7kLmn2", b"sunflower", b"odd length"])
def test_clear_password_of_postgresql_is_overwritten(scrubbed, password):
    """It has no word before it, only its message's kind and length; the check sum stays right."""
    message = b"p" + struct.pack(">I", 5 + len(password)) + password + b"\0"
    data = pcap([tcp(ANN, BOB, message)])
    out, report = scrubbed(data, "trace.pcap")
    packet = read_pcap(out)[0]
    assert password not in out
    assert len(out) == len(data)
    assert packet.endswith(message[:5] + b"x" * len(password) + b"\0")
    assert is_right(packet)
    assert "password.assignment" in {finding.rule for finding in report.findings}
    assert scrubbed(out, "trace.pcap")[0] == out


def test_capture_cut_short_is_still_scrubbed(scrubbed):
    """A capture that ended in the middle of a packet is ordinary; packets cut by the snap length keep right sums."""
    data = pcap(PACKETS)[:-30]
    out, report = scrubbed(data)
    assert report.scannable
    assert len(out) == len(data)
    assert not any(mark in out for mark in MARKS[:4])


def test_secrets_only_leaves_addresses(scrubbed):
    """Under secrets-only the addresses stay, in binary too."""
    out, _ = scrubbed(pcap(PACKETS), options=Options(profile=find_profile("secrets-only")))
    assert b"\x3c\x52\x82" in out
    assert ipaddress.ip_address(ANN).packed in out
    assert b"geheimes" not in out


def test_damaged_capture_is_an_obstacle(scrubbed):
    """A record that cannot be one is said, and nothing of it passes."""
    data = bytearray(pcap(PACKETS))
    data[32:36] = b"\xff\xff\xff\x7f"
    assert "damaged" in scrubbed(bytes(data))[1].obstacles[0].reason


class Held:
    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read(self, offset: int, n: int) -> bytes:
        return self._data[offset : offset + n]


@settings(max_examples=100, deadline=None)
@given(st.booleans(), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8), st.data())
def test_damage_never_crashes_nor_moves_a_byte(newer, damage, draw):
    """A capture with some bytes changed gives as many bytes as came, or an obstacle."""
    data = bytearray(pcapng(PACKETS)[:2000] if newer else pcap(PACKETS))
    for place, value in damage:
        data[int(place * (len(data) - 1))] = value
    del data[draw.draw(st.integers(1, len(data))) :]
    out: list[bytes] = []
    report = scrub(Held(bytes(data)), out.append, pseudonyms=Pseudonymizer(b"k" * 32), name="x")
    if report.scannable and not newer and data[:4] == b"\xd4\xc3\xb2\xa1":
        assert len(b"".join(out)) == len(data)


@pytest.mark.parametrize(
    "header",
    [
        bytes(16),
        struct.pack("<4I", 1_767_000_000, 0, 0, 60),  # nothing kept of it
        struct.pack("<4I", 1_767_000_000, 0, 60, 59),  # more kept than there was
        struct.pack("<4I", 1_767_000_000, 1_000_000_000, 4, 4),  # a second and more
        b"PK\x03\x04" + bytes(12),
    ],
)
def test_what_is_no_record_is_not_passed_as_one(scrubbed, header):
    """Other data behind the records, or among them, hold the capture back: nobody would look into them."""
    _, report = scrubbed(pcap(PACKETS) + header + b"\ndb_password=geheimes-Wort-99\n" + bytes(30))
    assert [obstacle.reason for obstacle in report.obstacles] == ["the packet capture is damaged"]
