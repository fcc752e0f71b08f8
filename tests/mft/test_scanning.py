"""Other scanners: what is asked, how every kind of answer is taken, and what becomes of a file that they speak of."""

from __future__ import annotations

import socket
import stat

import pytest

from mft.intake import scanning
from mft.keychannel import make_channel
from mft.scrubbing.clamd import ask_clamd
from mft.scrubbing.icap import IcapService, ask_icap, parse_options
from mft.scrubbing.nursery import Nursery
from mft.scrubbing.relay import ask_command
from mft.scrubbing.verdict import Verdict, found
from mft.scrubbing.wire import Wire
from tests.core import running_core
from tests.mft.scanner import EICAR, SIGNATURE, ClamdHandler, running_scanner

IN = "/ACME-1/to-support"
CLEAN = Verdict(word="clean")
LARGE = b"nothing but words, and many of them\n" * 30_000


class Bytes:
    def __init__(self, data):
        self._data, self.size = data, len(data)

    def read(self, offset, n):
        return self._data[offset : offset + n]


@pytest.fixture(autouse=True)
def _no_rest(monkeypatch):
    monkeypatch.setattr(scanning, "REST_SECONDS", 0.0)


def ask(server, data, *, method="respmod", seconds=30.0):
    host, port = server.server_address
    with socket.create_connection((host, port)) as connection:
        wire = Wire(connection.fileno(), seconds=seconds)
        return ask_icap(wire, IcapService(host=server.address, service="avscan", method=method), Bytes(data))


@pytest.mark.parametrize("method", ["respmod", "reqmod"])
@pytest.mark.parametrize("habit", ["", "no-preview", "echo"])
@pytest.mark.parametrize("data", [b"", b"short", b"exactly sixteen.", b"seventeen letters", LARGE])
def test_clean_file_is_clean_whatever_its_length(habit, method, data):
    """With and without preview, with 204 and with the same bytes sent back: every byte is shown, once."""
    with running_scanner(habit=habit) as server:
        assert ask(server, data, method=method) == CLEAN
        assert server.seen == [data]
        (options, _), (asked, headers) = server.asked
    assert (options, asked) == ("OPTIONS", method.upper())
    assert headers["allow"] == "204"
    assert ("preview" in headers) == (habit != "no-preview")


def test_service_that_passes_on_while_it_is_still_sent_to_is_heard_to_its_end():
    """What comes back before all has gone is no refusal, also where the file is larger than all that sockets hold."""
    data = LARGE * 20
    with running_scanner(habit="streams") as server:
        assert ask(server, data) == CLEAN
        assert server.seen == [data]


@pytest.mark.parametrize(
    ("habit", "word"), [("streams-changed", "found"), ("streams-more", "found"), ("streams-cut", "failed")]
)
def test_service_that_passes_on_something_else_is_not_believed(habit, word):
    """Another byte, one more and an end that does not come are seen as they come."""
    with running_scanner(habit=habit) as server:
        assert ask(server, LARGE).word == word


@pytest.mark.parametrize("habit", ["", "no-preview", "midway"])
def test_what_is_found_is_named(habit):
    """The threat's name comes out of the service's header, also where it has seen enough midway."""
    with running_scanner(habit=habit) as server:
        assert ask(server, LARGE + EICAR) == Verdict(word="found", what=SIGNATURE)


def test_decision_after_the_preview_is_taken():
    """204 after the preview alone is a yes; the rest is not sent."""
    with running_scanner(habit="early") as server:
        assert ask(server, LARGE) == CLEAN
        assert server.seen == []


def test_file_that_comes_back_another_is_refused():
    """A service that would pass on something else has found something."""
    with running_scanner(habit="changer") as server:
        assert ask(server, LARGE).word == "found"


@pytest.mark.parametrize(
    ("habit", "why"),
    [
        ("broken", "answers 500"),
        ("missing", "404 to OPTIONS"),
        ("web", "does not speak ICAP"),
        ("gone", "closed before"),
        ("other-method", "does not offer RESPMOD"),
        ("silent", "longer than it may"),
    ],
)
def test_every_failure_is_a_verdict_with_a_reason(habit, why):
    """Errors, nonsense, silence and hanging up are failures, in words."""
    with running_scanner(habit=habit) as server:
        verdict = ask(server, LARGE, seconds=0.2 if habit == "silent" else 30.0)
    assert verdict.word == "failed"
    assert why in verdict.what


@pytest.mark.parametrize(
    ("data", "habit", "verdict"),
    [
        (b"", "", CLEAN),
        (LARGE, "", CLEAN),
        (LARGE + EICAR, "", Verdict(word="found", what=SIGNATURE)),
        (LARGE, "limit", Verdict(word="failed", what="it answers INSTREAM size limit exceeded. ERROR")),
    ],
)
def test_clamd_answers(data, habit, verdict):
    """OK, FOUND and ERROR are what they say."""
    with running_scanner(ClamdHandler, habit) as server, socket.create_connection(server.server_address) as connection:
        assert ask_clamd(Wire(connection.fileno(), seconds=30.0), Bytes(data)) == verdict


@pytest.mark.parametrize(
    ("script", "word"),
    [
        ("cat > /dev/null", "clean"),
        ("exit 0", "clean"),
        ("grep -q words && exit 1", "found"),
        ("exit 7", "failed"),
        ("exec sleep 60", "failed"),
    ],
)
def test_exit_code_of_a_command_is_its_verdict(script, word):
    """0 is clean, also of one that does not read all; 1 is found; all others, and time-outs, are failures."""
    seconds = 0.3 if "sleep" in script else 30.0
    assert ask_command(["/bin/sh", "-c", script], Bytes(LARGE), seconds=seconds).word == word
    assert ask_command(["/no/such/program"], Bytes(b""), seconds=1.0).what.startswith("it cannot be run")


def test_words_of_a_scanner_are_kept_plain():
    """What goes to the sender holds no markup and no end of lines."""
    assert found("<b>Evil</b>\r\nSet-Cookie: x").what == "bEvil/bSet-Cookie: x"
    assert found("\x00").what == "something"


def external(server, **more):
    return [{"name": "antivirus", "kind": "icap", "region": "eu", "address": server.address, **more}]


def test_what_a_scanner_finds_is_quarantined_and_the_rest_goes_on(tmp_path, nursery):
    """The reason has scanner and threat; a clean file is scrubbed and stored, and its event says who looked."""
    with running_scanner() as server, running_core(tmp_path, nursery, scrub={"external": external(server)}) as house:
        house.client("ann").put(f"{IN}/good.log", b"password=hunter2-tr0ub4dor\n")
        house.client("ann").put(f"{IN}/bad.com", EICAR)
        house.work()
        states = {row.name: (row.state, row.reason) for row in house.rows()}
        (stored,) = house.events("upload.stored")
        (held,) = house.events("upload.quarantined")
        assert b"password=hunter2-tr0ub4dor\n" in server.seen
    assert states["good.log"][0] == "stored"
    assert states["bad.com"] == ("quarantined", f"antivirus found {SIGNATURE} in it")
    assert stored["scanners"] == [{"scanner": "antivirus", "verdict": "clean", "what": ""}]
    assert held["scanners"][0]["what"] == SIGNATURE


@pytest.mark.parametrize(("policy", "state"), [("quarantine", "quarantined"), ("pass", "stored")])
def test_failure_of_a_scanner_is_a_matter_of_policy(tmp_path, nursery, policy, state):
    """Three tries, then the file is held back or goes on, as the configuration says; that is recorded either way."""
    with (
        running_scanner(habit="broken") as server,
        running_core(tmp_path, nursery, scrub={"external": external(server, on_failure=policy)}) as house,
    ):
        house.client("ann").put(f"{IN}/a.log", b"all is well\n")
        house.work()
        (row,) = house.rows()
        (event,) = house.events("upload.stored" if state == "stored" else "upload.quarantined")
        assert len(server.seen) == scanning.TRIES
    assert row.state == state
    assert event["scanners"] == [{"scanner": "antivirus", "verdict": "failed", "what": "it answers 500"}]


def test_scanner_that_is_not_there_holds_back(tmp_path, nursery):
    """Nobody listens: the reason says so, and nothing is published."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        entry = {"name": "clam", "kind": "clamd", "region": "eu", "address": address}
        with running_core(tmp_path, nursery, scrub={"external": [entry]}) as house:
            house.client("ann").put(f"{IN}/a.log", b"all is well\n")
            house.work()
            (row,) = house.rows()
    assert row.state == "quarantined"
    assert row.reason.startswith("clam could not look at it: it cannot be reached")


def test_nursery_that_is_gone_is_no_fault_of_the_file(tmp_path):
    """What cannot even be shown to a scanner waits as it landed, no attempt counted."""
    here, there = make_channel()
    there.close()
    with (
        running_scanner() as server,
        running_core(tmp_path, Nursery(here), scrub={"external": external(server)}) as house,
    ):
        house.client("ann").put(f"{IN}/a.log", b"all is well\n" * 100_000)
        for _ in range(5):
            house.work()
        (row,) = house.rows()
    here.close()
    assert (row.state, row.attempts) == ("landed", 0)


def test_file_of_another_region_is_not_shown(tmp_path, nursery):
    """A scanner of one region sees nothing of another's."""
    with (
        running_scanner() as server,
        running_core(tmp_path, nursery, scrub={"external": external(server, region="us")}) as house,
    ):
        house.client("ann").put(f"{IN}/a.log", b"all is well\n")
        house.work()
        assert house.rows()[0].state == "stored"
        assert server.asked == []


def test_command_is_asked_through_the_nursery(tmp_path, nursery):
    """A command gets the file on its standard input and nothing of the server's environment."""
    script = tmp_path / "look"
    script.write_text('#!/bin/sh\n[ -z "$HOME" ] || exit 2\ngrep -q forbidden && exit 1\nexit 0\n')
    script.chmod(stat.S_IRWXU)
    entry = {"name": "house-rules", "kind": "command", "region": "eu", "command": [str(script)]}
    with running_core(tmp_path, nursery, scrub={"external": [entry]}) as house:
        house.client("ann").put(f"{IN}/a.log", b"all is well\n")
        house.client("ann").put(f"{IN}/b.log", b"a forbidden word\n")
        house.work()
        states = {row.name: row.state for row in house.rows()}
    assert states == {"a.log": "stored", "b.log": "quarantined"}


def test_options_are_asked_for_once(tmp_path, nursery):
    """What a service can do is remembered as long as it says so, until its state changes or it fails."""
    with (
        running_scanner(habit="remembered") as server,
        running_core(tmp_path, nursery, scrub={"external": external(server)}) as house,
    ):
        asked = []
        for name, tag in (("a", "one"), ("b", "one"), ("c", "two"), ("d", "two"), ("e", "two")):
            server.tag = tag
            house.client("ann").put(f"{IN}/{name}.log", b"all is well\n")
            house.work()
            asked.append([method for method, _ in server.asked])
            server.asked.clear()
        assert set(house.states()) == {"stored"}
    anew, known = ["OPTIONS", "RESPMOD"], ["RESPMOD"]
    assert asked == [anew, known, known, anew, known]


@pytest.mark.parametrize(
    "told",
    [None, 7, [], {}, {"preview": "4", "ttl": 1, "tag": ""}, {"preview": 4, "ttl": 1}, {"preview": 4, "tag": "x"}],
)
def test_options_of_another_form_are_none(told):
    """Only what has the form of options is taken for some; and for no longer than an hour."""
    assert parse_options(told) is None
    kept = parse_options({"preview": None, "ttl": 10**9, "tag": "x"})
    assert kept is not None
    assert (kept.preview, kept.ttl) == (None, 3600.0)
