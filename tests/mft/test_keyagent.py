"""Keys asked for over a socket pair, by processes that die and come back."""

from __future__ import annotations

import json
import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from mft import keyagent
from mft.keyagent import AgentKeys, Lanes, serve_keys
from mft.keychannel import make_channel
from storage.errors import (
    CustomerKeyError,
    KeyDestroyedError,
    KeyProviderError,
    KeyUnavailableError,
    TamperedError,
)
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.service import KEYS_AT_ONCE, LocalKeyService

if TYPE_CHECKING:
    import socket

EU, US = Region("eu"), Region("us")


@pytest.fixture
def service(tmp_path):
    cost = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    return LocalKeyService(
        {region: Keyring.create(tmp_path / region, region, "pass", cost=cost) for region in (EU, US)}
    )


class Agent:
    """An agent on a thread, which can be ended and begun again on the same channels."""

    def __init__(self, service: LocalKeyService, channels: list[socket.socket]) -> None:
        self.service, self.channels = service, channels
        self.start()

    def start(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=serve_keys, args=(self.service, self.channels, self._stopped.is_set))
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()


@pytest.fixture
def pair(service):
    there, here = make_channel()
    agent = Agent(service, [there])
    yield agent, AgentKeys(here), here
    agent.stop()
    there.close()
    here.close()


def test_every_verb_goes_over_the_wire(pair):
    """Scopes, leaf keys, opening and moving: what comes back is what the service says."""
    _agent, keys, _here = pair
    scope = keys.new_scope(EU, "case:1")
    key, envelope = keys.new_key(EU, "case:1", scope, "object")
    assert len(key) == 32
    assert keys.open_key(envelope) == key
    moved = keys.move_key(envelope, US, "case:1", keys.new_scope(US, "case:1"))
    assert moved.region == US
    assert keys.open_key(moved) == key


def test_as_many_keys_as_go_into_one_question(pair):
    """Keys are made and opened several at once, each for its own subject; more than the bound are refused."""
    _agent, keys, _here = pair
    scope = keys.new_scope(EU, "case:1")
    subjects = [f"{number:032}" for number in range(KEYS_AT_ONCE)]
    made = keys.new_keys(EU, "case:1", scope, subjects)
    assert [envelope.subject for _, envelope in made] == subjects
    assert keys.open_keys([envelope for _, envelope in made]) == [key for key, _ in made]
    assert len({key for key, _ in made}) == KEYS_AT_ONCE
    with pytest.raises(KeyUnavailableError):
        keys.new_keys(EU, "case:1", scope, [*subjects, "one more"])
    with pytest.raises(KeyUnavailableError):
        keys.open_keys([made[0][1]] * (KEYS_AT_ONCE + 1))
    with pytest.raises(TamperedError):
        keys.open_keys([made[0][1], replace(made[1][1], subject="another")])


def test_a_question_about_keys_elsewhere_waits_in_their_lane(service):
    """Also where they are among several: the others are answered meanwhile."""
    lanes = Lanes(lambda region, _owner: region == US)
    scopes = {region: service.new_scope(region, "case:1") for region in (EU, US)}
    here, elsewhere = (service.new_key(region, "case:1", scopes[region], "x")[1].to_dict() for region in (EU, US))

    def lane(**asked: object) -> str:
        return lanes.lane(json.dumps({"id": "1", **asked}).encode())

    assert lane(verb="open_keys", envelopes=[here]) == ""
    assert lane(verb="open_keys", envelopes=[here, elsewhere]) == US
    assert lane(verb="move_key", envelope=here, region=US) == US
    assert lane(verb="new_keys", region=EU, subjects=["x"]) == ""


def test_altered_and_foreign_envelopes_are_refused(pair):
    """The agent's errors come back as what they are."""
    _agent, keys, _here = pair
    scope = keys.new_scope(EU, "case:1")
    _key, envelope = keys.new_key(EU, "case:1", scope, "object")
    altered = type(envelope).from_dict({**envelope.to_dict(), "subject": "another"})
    with pytest.raises(TamperedError):
        keys.open_key(altered)
    with pytest.raises(TamperedError):
        keys.new_key(EU, "case:2", scope, "object")
    with pytest.raises(KeyUnavailableError):
        keys.new_scope(Region("in"), "case:1")


@pytest.mark.parametrize(
    "message", [b"{", b"[]", b"null", b'{"id": 7}', b'{"id": "x", "verb": "everything"}', os.urandom(500)]
)
def test_nonsense_does_not_end_the_agent(pair, message):
    """One bad request is answered with an error, or not at all; the next good one is served."""
    _agent, keys, here = pair
    here.send(message)
    assert keys.new_scope(EU, "case:1")


def test_many_threads_get_each_its_own_key(pair):
    """Answers never cross."""
    _agent, keys, _here = pair
    scope = keys.new_scope(EU, "case:1")
    found: dict[str, tuple[bytes, bytes]] = {}

    def work(subject: str) -> None:
        key, envelope = keys.new_key(EU, "case:1", scope, subject)
        found[subject] = key, keys.open_key(envelope)

    threads = [threading.Thread(target=work, args=(f"s{number}",)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 20
    assert all(key == opened for key, opened in found.values())
    assert len({key for key, _ in found.values()}) == 20


def test_agent_that_comes_back_answers_what_was_asked_meanwhile(pair):
    """A question put while nobody listens is answered by the next agent."""
    agent, keys, _here = pair
    agent.stop()
    asking = threading.Thread(target=lambda: answers.append(keys.new_scope(EU, "case:1")))
    answers: list[bytes] = []
    asking.start()
    agent.start()
    asking.join()
    assert answers


def test_agent_that_does_not_answer_is_unavailable(pair, monkeypatch):
    """After the wait the client is told to come again, and a late answer is not mistaken for the next one's."""
    agent, _keys, here = pair
    monkeypatch.setattr(keyagent, "ANSWER_SECONDS", 0.2)
    agent.stop()
    keys = AgentKeys(here)
    with pytest.raises(KeyUnavailableError):
        keys.new_scope(EU, "lost")
    agent.start()
    here.settimeout(30)
    scope = keys.new_scope(EU, "case:1")
    key, envelope = keys.new_key(EU, "case:1", scope, "object")
    assert keys.open_key(envelope) == key


class Stuck:
    """A provider that does not answer until it is told to."""

    def __init__(self, inner):
        self.inner, self.released, self.asked = inner, threading.Event(), threading.Semaphore(0)

    def wrap(self, key, context):
        self.asked.release()
        assert self.released.wait(60)
        return self.inner.wrap(key, context)

    def unwrap(self, wrapped, context):
        return self.inner.unwrap(wrapped, context)


def test_provider_that_does_not_answer_keeps_nobody_else_waiting(tmp_path):
    """While one region's key service hangs, threads of the same process get the other region's keys at once."""
    cost = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
    rings = {region: Keyring.create(tmp_path / region, region, "pass", cost=cost) for region in (EU, US)}
    stuck = Stuck(rings[US])
    service = LocalKeyService({EU: rings[EU], US: stuck})
    there, here = make_channel()
    stopped = threading.Event()
    agent = threading.Thread(
        target=serve_keys,
        args=(service, [there], stopped.is_set),
        kwargs={"waits": lambda region, _owner: region == US},
    )
    agent.start()
    keys = AgentKeys(here)
    here.settimeout(60)
    found = []
    waiting = [threading.Thread(target=lambda: found.append(keys.new_scope(US, "case:1"))) for _ in range(6)]
    try:
        for each in waiting:
            each.start()
        assert stuck.asked.acquire(timeout=30)
        scope = keys.new_scope(EU, "case:1")
        _key, envelope = keys.new_key(EU, "case:1", scope, "object")
        assert keys.open_key(envelope)
        assert not found
    finally:
        stuck.released.set()
        for each in waiting:
            each.join(60)
        stopped.set()
        agent.join()
        there.close()
        here.close()
    assert len(set(found)) == 6


def test_errors_of_providers_come_back_as_what_they_are(pair):
    """What a key service, a customer's key, or the ledger says, is told apart on the other side."""
    agent, keys, _here = pair
    for error in (KeyProviderError("away"), CustomerKeyError("off"), KeyDestroyedError("gone")):

        class Failing:
            def wrap(self, key, context, error=error):
                raise error

        agent.service._wrappers[Region("xx")] = Failing()
        with pytest.raises(type(error)) as caught:
            keys.new_scope(Region("xx"), "case:1")
        assert type(caught.value) is type(error)
        assert str(caught.value) == str(error)
