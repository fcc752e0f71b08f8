"""The parts of the API that need no server: cursors, pace, replays, permissions, invitations, the document."""

from __future__ import annotations

import json
import os
import shlex
import signal
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from casemap.model import Role
from mft.api.allowances import WAYS, Allowances
from mft.api.cursor import Cursors
from mft.api.document import Document, Nothing, PageQuery
from mft.api.fault import ApiError
from mft.api.openapi import document, statuses
from mft.api.pace import Pace
from mft.api.replay import UNDER_WAY_SECONDS, Kept, Replays
from mft.api.route import Answer, Call, Route
from mft.catalog.model import API_REPLAYS
from mft.credentials.sealing import UnsealError, derive_key, seal, unseal
from mft.entrances import Entrance, Entrances
from mft.invitation import invite
from mft.permissions import CASE_TOKEN, ROLES, Permission, permissions_of
from tests.mft.gatehouse import Clock, Gatehouse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

KEY = bytes(range(32))
KEY_TEXT = "a-random-text"
ANSWER = Kept(status=201, headers={"ETag": '"1"'}, body=b'{"password": "mftc_secret"}')


@given(key=st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=1, max_size=3), listing=st.text())
def test_cursor_comes_back_as_it_went(key, listing):
    """What is written is read, whatever it is, and only as a place of the same list."""
    cursors = Cursors(KEY)
    text = cursors.write(listing, key)

    assert cursors.read(listing, text) == key
    with pytest.raises(ApiError):
        cursors.read(listing + "x", text)


@given(text=st.text(alphabet="abcXYZ019-_", min_size=1))
def test_made_up_cursor_is_not_known(text):
    """Nobody makes a cursor up."""
    with pytest.raises(ApiError) as caught:
        Cursors(KEY).read("list", text)

    assert caught.value.status is HTTPStatus.NOT_FOUND


@pytest.fixture
def allowances() -> Iterator[Allowances]:
    table = Allowances(sets=1)
    yield table
    table.close()


def test_pace_refuses_what_goes_over_and_refills(allowances):
    """A login gets as many requests as it may, then none until time has passed; another is not held up by it."""
    clock = Clock(0.0)
    pace = Pace(allowances, requests=2, window=10.0, clock=clock)

    turns = [pace.take("ann").granted for _ in range(3)]
    assert turns == [True, True, False]
    assert pace.take("bob").granted
    headers = pace.headers(pace.take("ann"))
    assert headers["Retry-After"] == "5"
    assert headers["RateLimit-Remaining"] == "0"
    clock.seconds = 5.0
    assert pace.take("ann").granted


def in_child(work: Callable[[], object]) -> int:
    """Do *work* in a forked process; return what came of it: 0 if it was true, or the number of the signal negated."""
    pid = os.fork()
    if pid == 0:
        try:
            os._exit(0 if work() else 3)
        finally:
            os._exit(4)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_allowance_is_one_for_all_processes(allowances):
    """What one process has taken is gone for the others too, and they say the same of what is left."""
    pace = Pace(allowances, requests=3, window=1000.0, clock=Clock(0.0))

    assert in_child(lambda: pace.take("ann").remaining == 2) == 0
    assert in_child(lambda: pace.take("ann").remaining == 1) == 0
    assert pace.take("ann").remaining == 0
    assert in_child(lambda: not pace.take("ann").granted) == 0
    assert pace.headers(pace.take("ann"))["Retry-After"] == "334"


def test_process_that_dies_in_the_table_keeps_nobody_out(allowances):
    """A worker that is killed while it holds a row's lock takes the lock with it, and what others have stays."""
    pace = Pace(allowances, requests=3, window=1000.0, clock=Clock(0.0))
    assert pace.take("ann").remaining == 2

    def die() -> None:
        with allowances._locked(0):
            os.kill(os.getpid(), signal.SIGKILL)

    assert in_child(die) == -signal.SIGKILL
    assert in_child(lambda: pace.take("ann").remaining == 1) == 0
    assert pace.take("ann").remaining == 0


def test_caller_without_a_row_waits_and_takes_nobody_elses(allowances):
    """Where more callers are active than there are rows, the newest waits; whoever has a row keeps what it has."""
    clock = Clock(0.0)
    pace = Pace(allowances, requests=2, window=10.0, clock=clock)
    for number in range(WAYS):
        assert pace.take(f"login-{number}").remaining == 1

    turn = pace.take("one too many")
    assert not turn.granted
    assert pace.headers(turn)["Retry-After"] == "5"
    assert [pace.take(f"login-{number}").remaining for number in range(WAYS)] == [0] * WAYS
    clock.seconds = 10.0
    assert pace.take("one too many").remaining == 1, "all the others have theirs back, so a row can go"


@given(
    steps=st.lists(st.tuples(st.sampled_from("abc"), st.floats(min_value=0, max_value=7, allow_nan=False)), max_size=40)
)
def test_nobody_gets_more_than_fills_up(steps):
    """However requests of several logins come, each is granted no more than the full bucket and what has run in."""
    table, clock = Allowances(sets=1), Clock(0.0)
    try:
        pace = Pace(table, requests=4, window=20.0, clock=clock)
        granted = dict.fromkeys("abc", 0)
        for login, seconds in steps:
            clock.seconds += seconds
            granted[login] += pace.take(login).granted
            assert granted[login] <= 4 + clock.seconds * 4 / 20 + 1e-6
    finally:
        table.close()


@pytest.fixture
def house(tmp_path):
    house = Gatehouse(tmp_path / "catalog.db")
    yield house
    house.close()


@pytest.fixture
def replays(house):
    return Replays(database=house.database, key=KEY, keep=3600.0, clock=house.clock)


def test_replay_gives_the_first_answer(replays):
    """The second time the same request is answered as the first time, headers and all."""
    assert replays.begin("ann", KEY_TEXT, b"request") is None
    replays.finish("ann", KEY_TEXT, ANSWER)

    assert replays.begin("ann", KEY_TEXT, b"request") == ANSWER
    assert replays.begin("bob", KEY_TEXT, b"request") is None


def test_replay_of_another_request_is_refused(replays):
    """A key belongs to one request."""
    replays.begin("ann", KEY_TEXT, b"request")
    replays.finish("ann", KEY_TEXT, ANSWER)

    with pytest.raises(ApiError) as caught:
        replays.begin("ann", KEY_TEXT, b"another")
    assert caught.value.status is HTTPStatus.UNPROCESSABLE_ENTITY


def test_replay_of_what_is_under_way_waits(replays, house):
    """While the first is under way the second is told to wait; one that never ended may be made again."""
    replays.begin("ann", KEY_TEXT, b"request")

    with pytest.raises(ApiError) as caught:
        replays.begin("ann", KEY_TEXT, b"request")
    assert caught.value.status is HTTPStatus.CONFLICT
    house.clock.seconds += UNDER_WAY_SECONDS + 1
    assert replays.begin("ann", KEY_TEXT, b"request") is None


def test_replay_of_a_failure_is_a_new_try(replays):
    """What came to nothing is not replayed."""
    replays.begin("ann", KEY_TEXT, b"request")
    replays.drop("ann", KEY_TEXT)

    assert replays.begin("ann", KEY_TEXT, b"request") is None


def test_replay_forgets_after_its_time(replays, house):
    """A day later the same key begins anew."""
    replays.begin("ann", KEY_TEXT, b"request")
    replays.finish("ann", KEY_TEXT, ANSWER)
    house.clock.seconds += 3601

    assert replays.begin("ann", KEY_TEXT, b"another") is None


def test_replay_keeps_no_secret_in_clear(replays, house):
    """Neither the key nor what was answered can be read in the catalog, nor unsealed without the key."""
    replays.begin("ann", KEY_TEXT, b"request")
    replays.finish("ann", KEY_TEXT, ANSWER)
    with house.database.read() as connection:
        row = connection.execute(API_REPLAYS.select()).one()

    assert b"mftc_secret" not in row.answer
    assert KEY_TEXT not in row.id
    with pytest.raises(UnsealError):
        unseal(derive_key(KEY, b"a guess"), row.answer, b"answer")


def test_sealed_for_one_purpose_is_not_opened_for_another():
    """What is sealed is bound to its purpose."""
    sealed = seal(KEY, b"content", b"one")

    assert unseal(KEY, sealed, b"one") == b"content"
    with pytest.raises(UnsealError):
        unseal(KEY, sealed, b"two")


def test_every_role_has_its_permissions():
    """No role is forgotten, nobody but the releaser releases, and scopes only ever narrow."""
    assert set(ROLES) == set(Role)
    assert [role for role in Role if Permission.QUARANTINE_RELEASE in ROLES[role]] == [Role.RELEASER]
    for role in Role:
        assert permissions_of([role], frozenset(Permission)) == permissions_of([role])
        assert permissions_of([role], frozenset()) == frozenset()
    assert ROLES[Role.CUSTOMER] >= CASE_TOKEN


ENTRANCES = Entrances(
    listening=(
        Entrance(protocol="sftp", host="us.example", port=2222, region="us"),
        Entrance(protocol="sftp", host="eu.example", port=22, region="eu"),
        Entrance(protocol="https", host="eu.example", port=443, region="eu"),
    ),
    host_keys=("ssh-ed25519 AAAAkey",),
    certificate="-----BEGIN CERTIFICATE-----\n",
    fingerprint="AA:BB",
    public_key_pin="sha256//pin=",
    self_signed=True,
)


def test_invitation_pins_what_the_server_must_prove():
    """Every command names host key or certificate; nothing is waved through, and the home region comes first."""
    invitation = invite(ENTRANCES, case="C-1", token="mftc_x", regions=("eu", "us"), directory="to-support")
    assert invitation.sftp is not None
    assert invitation.https is not None

    assert invitation.sftp.known_hosts == ("eu.example ssh-ed25519 AAAAkey",)
    for command in (invitation.sftp.sftp, invitation.sftp.scp, invitation.sftp.lftp):
        assert "StrictHostKeyChecking=yes" in command
        assert "eu.example ssh-ed25519 AAAAkey" in shlex.split(command)
    assert "--pinnedpubkey sha256//pin=" in invitation.https.curl
    assert "--cacert" in invitation.https.curl
    assert " -k" not in invitation.https.curl
    assert invitation.https.url == "https://eu.example/cases/C-1/"


def test_invitation_without_an_entrance_says_so():
    """Where no listener stands in a region that may read the case there is no such way."""
    invitation = invite(ENTRANCES, case="C-1", token="mftc_x", regions=("us",), directory="in")
    assert invitation.sftp is not None

    assert invitation.sftp.port == 2222
    assert invitation.https is None


class Thing(Document):
    """A thing."""

    name: str


def answer_nothing(_call: Call[Any, Any, Any]) -> Answer:
    return Answer()


def test_document_describes_what_a_route_declares():
    """Parameters, bodies, answers and errors of a route stand in the document as they are declared."""
    route: Route[Any, Any, Any] = Route(
        method="POST", path="/things", name="makeThing", tag="things", summary="Make one", handle=answer_nothing,
        permission=Permission.CASES_WRITE, query_model=PageQuery, body_model=Thing, answer_model=Thing,
        status=HTTPStatus.CREATED, repeatable=True,
    )  # fmt: skip
    told = document([route], title="t", version="1")["paths"]["/api/v1/things"]["post"]

    assert [(each["name"], each["in"]) for each in told["parameters"]] == [
        ("limit", "query"),
        ("cursor", "query"),
        ("Idempotency-Key", "header"),
    ]
    assert told["security"] == [{"basic": ["cases:write"]}, {"bearer": ["cases:write"]}]
    assert set(told["responses"]) == {"201", *(str(status.value) for status in statuses(route))}
    assert "Idempotency-Key" in told["description"]
    assert HTTPStatus.CONFLICT in statuses(route)


def test_document_refers_to_what_there_is():
    """Every reference in the kept document leads somewhere, and every operation has a name of its own."""
    text = (Path(__file__).parents[2] / "docs" / "api" / "openapi.json").read_text()
    kept = json.loads(text)
    references: list[str] = []

    def walk(value: object) -> None:
        if isinstance(value, dict):
            references.extend(each for name, each in value.items() if name == "$ref")
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(kept)
    for reference in references:
        place: Any = kept
        for word in reference.removeprefix("#/").split("/"):
            place = place[word]
    names = [operation["operationId"] for path in kept["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names))
    assert Nothing.__name__ not in kept["components"]["schemas"]
