"""Addresses behind a key: the quick answer and the thorough one are the same."""

import itertools

import pytest

from scrubber.addresses import _is_address, _stands_alone

KEYS = (
    *("ip", "src", "client_addr", "version", "fw", "Release", "driver_version", "value", "from", "to", "kernel", "REV"),
    *("package", "v", "x", "oid", "upgrade to", "a]", "name~", "pin^", "ver!", "bump x from", "firmwareVersion"),
)
GAPS = ("=", '": "', '":"', ": ", '\\": \\"', '\\":\\"', ",", '","', "\t", ";", " | ")
AFTER = (" ", '"', ",", "\n", ":80 ", "/24 ", ")", ";", " > ", "-x", ".1 ", "_")
ADDRESSES = ("10.2.3.4", "93.184.216.34", "8.8.0.0", "192.168.0.0", "5.2.1.10")


@pytest.mark.parametrize("gap", GAPS, ids=repr)
@pytest.mark.parametrize("key", KEYS)
def test_an_address_behind_a_key_is_judged_alike_by_its_neighbours_and_by_all_its_context(key, gap):
    """What the bytes next to an address decide, a look at all that stands before it would decide so too."""
    for head, address, after in itertools.product(("", "x ", '{"a": 1, "', "2026-11-22 host: "), ADDRESSES, AFTER):
        buf = f"{'#' * 9}\n{head}{key}{gap}{address}{after}and more".encode()
        start = buf.index(address.encode())
        end = start + len(address)
        text = buf[start:end]
        if _stands_alone(buf, start, end, text):
            assert _is_address(buf, start, end, text), buf


def test_most_addresses_behind_keys_are_decided_by_their_neighbours():
    """The quick answer is given for the usual dialects; without it, they cost ten times as much."""
    for text in (
        '{"ip": "10.2.3.4", "x":1}',
        '{"a":1,"ip":"10.2.3.4"}',
        r'{"log":"{\"ip\":\"10.2.3.4\"}"}',
        r'{"log":"{\"ip\": \"10.2.3.4\"}"}',
        "a=1 src=10.2.3.4 dst=x",
        "client: 10.2.3.4\n",
    ):
        buf = b"first line\n" + text.encode()
        start = buf.index(b"10.")
        assert _stands_alone(buf, start, start + 8, b"10.2.3.4"), text
