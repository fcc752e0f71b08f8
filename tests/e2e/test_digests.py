"""Digests over SSH of what a house holds: to its sender of what it sent, to everybody else of what was made of it."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.house import House

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("digests"), pytest.mark.timeout(240)]
PATH = "/ACME-1/to-support/digest.log"
CONTENT = b"password=hunter2-tr0ub4dor\n" * 100


def told(house: House, login: str, command: str) -> tuple[int, str]:
    """Run a command; return its status and what it printed."""
    client = house.paramiko(login)
    transport = client.get_channel().get_transport()  # type: ignore[union-attr]
    try:
        channel = transport.open_session()
        channel.settimeout(60)
        channel.exec_command(command)
        printed = channel.makefile().read().decode()
        return channel.recv_exit_status(), printed
    finally:
        transport.close()


def test_sender_and_reader_are_told_the_digest_of_what_they_see(house: House) -> None:
    """The sender's is that of its file, before it is stored and after; the engineer's is that of the scrubbed one."""
    with house.client("ann") as client, client.open(PATH, "wb") as file:
        file.write(CONTENT)
    sent = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("sha256", "md5")}
    assert told(house, "ann", f"md5sum {PATH}") == (0, f"{sent['md5']}  {PATH}\n")
    house.until(house.settled)
    for name, digest in sent.items():
        assert told(house, "ann", f"{name}sum {PATH}") == (0, f"{digest}  {PATH}\n")
    with house.client("eve") as client, client.open(PATH, "rb") as file:
        scrubbed = file.read()
    assert scrubbed != CONTENT
    for name in sent:
        digest = hashlib.new(name, scrubbed).hexdigest()
        assert told(house, "eve", f"{name}sum {PATH}") == (0, f"{digest}  {PATH}\n")


def test_digest_of_what_is_not_yours_is_not_there(house: House) -> None:
    """Another customer's case, and none at all: one answer."""
    answers = {told(house, "ann", f"sha256sum /{number}/to-support/x") for number in ("GLOBEX-1", "ACME-404")}
    assert answers == {(1, "")}
