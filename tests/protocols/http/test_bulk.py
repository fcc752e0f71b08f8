"""Large bodies go past the parser: whole, in step with what follows, and as safe as small ones."""

from __future__ import annotations

import base64
import hashlib
import threading
from typing import TYPE_CHECKING

import pytest

from protocols.errors import QuotaExceededError
from protocols.http import HttpSettings
from tests.protocols.http.house import LOGIN, UPLOADS, head, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.protocols.http.house import House

FILE = f"{UPLOADS}/large"
PIECE = 16 * 1024
CONTENT = bytes(range(251)) * 2000 + b"the end"


@pytest.fixture(params=["at once", "on threads"])
def house(request: pytest.FixtureRequest, certificate: tuple[Path, Path]) -> Iterator[House]:
    """A head for which half a megabyte is large; writes are made on its loop, or on threads."""
    with running(certificate, HttpSettings(piece=PIECE, chunk=PIECE, body_timeout=20, linger=5)) as house:
        house.tree.at_once = 1 << 40 if request.param == "at once" else 0
        yield house


@pytest.mark.parametrize("target", [f"/files{FILE}", f"/dav{FILE}"])
@pytest.mark.parametrize("length", [PIECE - 1, PIECE, PIECE + 1, 10 * PIECE, len(CONTENT)])
def test_a_large_body_lands_whole_and_the_next_request_is_understood(house: House, target: str, length: int) -> None:
    """What comes right behind a body, in one breath with it, is the next request."""
    body = CONTENT[-length:]
    with house.wire() as wire:
        for _ in range(2):
            wire.send(head("PUT", target, length=len(body)) + body + head("GET", target))
            assert wire.answer().status in {201, 204}
            assert wire.answer().body == body
    house.wait(lambda: len(house.exchanges) == 4)
    assert [each.received for each in house.exchanges] == [len(body), 0, len(body), 0]


def test_a_body_in_small_pieces_lands_whole(house: House) -> None:
    """However it is cut into TLS records."""
    with house.wire() as wire:
        wire.send(head("PUT", f"/files{FILE}", length=len(CONTENT)))
        at, size = 0, 1
        while at < len(CONTENT):
            wire.send(CONTENT[at : at + size])
            at, size = at + size, size * 2 % 40_009
        assert wire.answer().status == 201
    assert house.tree.content(FILE) == CONTENT


@pytest.mark.parametrize("how", ["reset", "without close_notify", "politely"])
@pytest.mark.parametrize("sent", [3 * PIECE, 5 * PIECE + 17, len(CONTENT) - 1])
def test_a_large_body_that_is_cut_is_kept_and_not_published(house: House, how: str, sent: int) -> None:
    """What came is there for a resume, and nothing else is."""
    wire = house.wire()
    wire.send(head("PUT", f"/files{FILE}", length=len(CONTENT)) + CONTENT[:sent])
    house.wait(lambda: len(house.tree.received(LOGIN, FILE) or b"") >= sent // PIECE * PIECE - PIECE > 0)
    {"reset": wire.reset, "without close_notify": wire.drop, "politely": wire.goodbye}[how]()
    house.wait(lambda: bool(house.aborted()))
    assert house.tree.content(FILE) is None
    kept = house.tree.received(LOGIN, FILE)
    assert kept is not None
    assert kept == CONTENT[: len(kept)]
    if how == "politely":
        assert len(kept) == sent


def test_what_a_refused_write_brought_is_dropped_and_what_came_before_is_kept(house: House) -> None:
    """A refusal in the middle leaves a prefix that can be gone on with, and is answered to who sends all at once."""
    lock, writes = threading.Lock(), [0]

    def before(operation: str, _path: object) -> None:
        if operation == "write":
            with lock:
                writes[0] += 1
                if writes[0] == 3:
                    raise QuotaExceededError("full")

    house.tree.before = before
    assert house.ask("PUT", f"/files{FILE}", body=CONTENT).status == 507
    assert [path for path, _ in house.aborted()] == [FILE]
    kept = house.tree.received(LOGIN, FILE)
    assert kept
    assert kept == CONTENT[: len(kept)]


def test_a_large_body_with_another_digest_is_thrown_away(house: House) -> None:
    """Checksums see what goes past the parser."""
    good = base64.b64encode(hashlib.sha256(CONTENT).digest()).decode()
    bad = base64.b64encode(hashlib.sha256(CONTENT[:-1]).digest()).decode()
    field = "Repr-Digest"
    assert house.ask("PUT", f"/files{FILE}", {field: f"sha-256=:{bad}:"}, CONTENT).status == 400
    assert house.tree.content(FILE) is None
    assert house.ask("PUT", f"/files{FILE}", {field: f"sha-256=:{good}:"}, CONTENT).status == 201
    sha1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
    assert house.ask("PUT", f"/dav{FILE}", {"OC-Checksum": f"SHA1:{sha1[::-1]}"}, CONTENT).status == 400
    assert house.ask("PUT", f"/dav{FILE}", {"OC-Checksum": f"SHA1:{sha1}"}, CONTENT).status in {201, 204}
    assert house.tree.content(FILE) == CONTENT


def test_a_large_body_that_stops_coming_is_408_and_kept(certificate: tuple[Path, Path]) -> None:
    """All that came before the silence is there for a resume."""
    settings = HttpSettings(piece=PIECE, chunk=PIECE, body_timeout=0.3, linger=0.1)
    with running(certificate, settings) as house, house.wire() as wire:
        wire.send(head("PUT", f"/files{FILE}", length=len(CONTENT)) + CONTENT[: 5 * PIECE + 17])
        assert wire.answer().status == 408
        assert wire.ended()
        assert house.tree.received(LOGIN, FILE) == CONTENT[: 5 * PIECE + 17]


def test_a_drain_in_the_middle_of_a_large_body_keeps_what_came(certificate: tuple[Path, Path]) -> None:
    """The end of the server is an end like any other."""
    with running(certificate, HttpSettings(piece=PIECE, chunk=PIECE)) as house, house.wire() as wire:
        wire.send(head("PUT", f"/files{FILE}", length=len(CONTENT)) + CONTENT[: 5 * PIECE])
        house.wait(lambda: len(house.tree.received(LOGIN, FILE) or b"") >= 4 * PIECE)
        house.run(house.server.drain(0))
        assert [path for path, _ in house.aborted()] == [FILE]
        assert house.tree.content(FILE) is None
