"""Webhooks out: what is told to whom, in which order, how often, and what becomes of what nobody takes."""

from __future__ import annotations

import base64
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import select

from mft.audit import SYSTEM, AuditTrail
from mft.catalog.database import Database
from mft.catalog.model import WEBHOOK_DELIVERIES, WEBHOOK_ENDPOINTS
from mft.config.webhooks import EVENT_TYPES, EndpointConfig, OutgoingConfig
from mft.webhooks.addresses import parse_networks
from mft.webhooks.courier import Courier
from mft.webhooks.endpoints import Endpoints
from mft.webhooks.errors import (
    DeliveryError,
    EndpointExistsError,
    InvalidEndpointError,
    NoSuchDeliveryError,
    NoSuchEndpointError,
)
from mft.webhooks.outbox import Outbox
from mft.webhooks.post import Poster
from mft.webhooks.signature import secret_text, verify
from tests.core import _empty_catalog, until
from tests.receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

URL = "https://hooks.example/mft"
KEY = b"k" * 32


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Post:
    """An outbox over a catalog of its own."""

    def __init__(self, path: Path, **settings: Any) -> None:
        if not path.exists():
            path.write_bytes(_empty_catalog())
        self.database = Database(path)
        self.clock = Clock()
        self.settings = OutgoingConfig(**settings)
        self.trail = AuditTrail(sign=lambda _: "signed", host="here")
        self.endpoints = Endpoints(
            database=self.database, trail=self.trail, key=KEY, settings=self.settings, clock=self.clock
        )
        self.outbox = self.new_outbox()

    def new_outbox(self) -> Outbox:
        """Return the outbox as another process has it."""
        return Outbox(
            database=self.database,
            trail=self.trail,
            endpoints=self.endpoints,
            settings=self.settings,
            clock=self.clock,
            chance=random.Random(7),
        )

    def happen(self, kind: str, customer: str | None = "acme", **details: object) -> None:
        chain = f"customer:{customer}" if customer else SYSTEM
        with self.database.write() as connection:
            self.trail.append(connection, chain, kind, **details)

    def due(self, limit: int = 100, **options: Any) -> list[Any]:
        self.outbox.spread()
        return self.outbox.due(limit=limit, configured={}, **options)

    def take(self, limit: int = 100) -> list[str]:
        """Deliver all that is due now; return what it was."""
        letters = self.due(limit)
        for letter in letters:
            self.outbox.delivered(letter, 204)
        return [json.loads(letter.body)["type"] for letter in letters]

    def states(self) -> list[str]:
        with self.database.read() as connection:
            return list(
                connection.execute(select(WEBHOOK_DELIVERIES.c.state).order_by(WEBHOOK_DELIVERIES.c.id)).scalars()
            )


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    made = Post(tmp_path / "catalog.db")
    yield made
    made.database.close()


# -- what is told --------------------------------------------------------------------------------------------------


def test_only_what_was_asked_for_is_told(post):
    """By type and by customer; nothing of before, nothing of the audit's that is not for others."""
    post.happen("upload.landed", case="C-1", upload="a")
    post.endpoints.add("acme-files", URL, by="test", events=["upload.*"], customers=["acme"])
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.stored", case="C-1", upload="a")
    post.happen("upload.stored", "globex", case="G-1", upload="b")
    post.happen("session.opened", login="ann")
    post.happen("hold.set", None, case="C-2", hold=1)
    found = [(letter.endpoint, json.loads(letter.body)["data"].get("case")) for letter in post.due()]
    assert sorted(found) == [("acme-files", "C-1"), ("all", "C-1"), ("all", "C-2"), ("all", "G-1")]


def test_payload_holds_no_name_and_nothing_unknown(post):
    """Of the audit's event only the facts that are entered for others; a name would be none of them."""
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.quarantined", case="C-1", upload="a", why="encrypted", peer="192.0.2.1", name="x.txt", node=7)
    (letter,) = post.due()
    told = json.loads(letter.body)
    assert told["type"] == "upload.quarantined"
    assert told["data"] == {"case": "C-1", "customer": "acme", "reason": "encrypted", "upload": "a"}


def test_event_that_is_rolled_back_is_not_told(post):
    """The outbox is the audit: what did not happen is not told."""
    post.endpoints.add("all", URL, by="test")

    def fail() -> None:
        with post.database.write() as connection:
            post.trail.append(connection, SYSTEM, "hold.set", case="C-1")
            raise OSError("cut")

    with pytest.raises(OSError, match="cut"):
        fail()
    assert post.due() == []


def test_spreading_again_tells_nothing_twice(post):
    """Another process, or the same one after a crash, goes on where the catalog says."""
    post.endpoints.add("all", URL, by="test")
    for number in range(3):
        post.happen("upload.landed", case=f"C-{number}", upload="a")
    post.outbox.spread()
    other = post.new_outbox()
    other.spread()
    assert len(other.due(limit=10, configured={})) == 3


def test_endpoint_of_the_configuration_comes_and_goes_with_it(tmp_path):
    """It is there from the start of a server with it, and taken out by one without it."""
    files = (tmp_path / "secret",)
    made = Post(tmp_path / "catalog.db", endpoints=(EndpointConfig(name="notes", url=URL, secret_files=files),))
    made.endpoints.take_configured()
    made.happen("upload.landed", case="C-1", upload="a")
    made.outbox.spread()
    (letter,) = made.outbox.due(limit=1, configured={"notes": [b"1" * 32, b"2" * 32]})
    assert letter.keys == (b"1" * 32, b"2" * 32)
    with pytest.raises(InvalidEndpointError, match="configuration"):
        made.endpoints.rotate("notes", by="test")
    made.database.close()
    bare = Post(tmp_path / "catalog.db")
    bare.endpoints.take_configured()
    assert bare.endpoints.list() == ()
    bare.database.close()


# -- order and attempts --------------------------------------------------------------------------------------------


def test_events_of_a_case_go_one_after_another(post):
    """Only the oldest of each case is due; the next when that is over. Cases do not wait for one another."""
    post.endpoints.add("all", URL, by="test")
    for kind in ("upload.started", "upload.landed", "upload.stored"):
        post.happen(kind, case="C-1", upload="a")
    post.happen("upload.started", case="C-2", upload="b")
    assert post.take() == ["upload.started", "upload.started"]
    assert post.take() == ["upload.landed"]
    assert post.take() == ["upload.stored"]
    assert post.take() == []


def test_failed_event_holds_back_those_behind_it_and_no_other_case(post):
    """What fails comes up again first, and meanwhile its case waits."""
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.landed", case="C-1", upload="a")
    post.happen("upload.stored", case="C-1", upload="a")
    (letter,) = post.due()
    post.outbox.failed(letter, DeliveryError("no", status=500))
    post.happen("upload.landed", case="C-2", upload="b")
    assert [each.stream for each in post.due()] == ["C-2"]
    post.clock.now += 7
    assert [json.loads(each.body)["type"] for each in post.due() if each.stream == "C-1"] == ["upload.landed"]


def test_waits_double_with_jitter_up_to_the_longest(post):
    """5 s, 10 s, 20 s … 12 h, each give or take a quarter; what the receiver asks for is honoured."""
    for attempts in range(1, 40):
        plain = min(12 * 3600, 5 * 2 ** (attempts - 1))
        waits = {post.outbox.wait_after(attempts) for _ in range(20)}
        assert all(0.75 * plain <= wait <= 1.25 * plain for wait in waits)
        assert len(waits) > 1
    assert post.outbox.wait_after(1, retry_after=600) == 600


def test_delivery_that_nobody_takes_is_dead_after_days_and_can_be_sent_again(post):
    """Tried for three days, then kept as dead; sent again under the same id, and others go on meanwhile."""
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.landed", case="C-1", upload="a")
    begun, attempts, ids = post.clock.now, 0, set()
    while "dead" not in post.states():
        letters = post.due()
        for letter in letters:
            ids.add(letter.message_id)
            attempts += 1
            post.outbox.failed(letter, DeliveryError("no connection could be made"))
        post.clock.now += 1800
    assert 2 * 86400 < post.clock.now - begun <= 3 * 86400 + 1800
    assert 8 < attempts < 40
    post.happen("upload.stored", case="C-1", upload="a")
    post.clock.now += 400
    assert post.take() == ["upload.stored"]
    (dead,) = post.outbox.deliveries(state="dead")
    assert (dead.attempts, dead.error) == (attempts, "no connection could be made")
    post.outbox.redeliver(dead.number, by="test")
    (letter,) = post.due()
    assert {letter.message_id} == ids
    post.outbox.delivered(letter, 200)
    assert post.states() == ["delivered", "delivered"]
    assert post.outbox.redeliver_dead(None, by="test") == 0


def test_endpoint_that_fails_again_and_again_gets_one_attempt_at_a_time(post):
    """A hundred cases do not mean a hundred knocks at a door that stays shut."""
    post.endpoints.add("all", URL, by="test")
    for number in range(20):
        post.happen("upload.landed", case=f"C-{number}", upload="a")
    for letter in post.due()[:5]:
        post.outbox.failed(letter, DeliveryError("no"))
    assert post.due() == []
    post.clock.now += 30
    (letter,) = post.due()
    post.outbox.delivered(letter, 200)
    assert len(post.due()) > 1


def test_endpoint_that_is_gone_is_told_nothing_more_until_it_is_resumed(post):
    """410 pauses it; what happens meanwhile waits."""
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.landed", case="C-1", upload="a")
    (letter,) = post.due()
    post.outbox.failed(letter, DeliveryError("the receiver answers 410", status=410), gone=True)
    post.clock.now += 3600
    assert post.due() == []
    assert not post.endpoints.get("all").active
    post.endpoints.set_active("all", active=True, by="test")
    assert len(post.due()) == 1


def test_what_is_over_is_forgotten_in_time(post):
    """Delivered ones go after as long as they are kept; what waits never does."""
    post.endpoints.add("all", URL, by="test")
    post.happen("upload.landed", case="C-1", upload="a")
    post.take()
    post.happen("upload.landed", case="C-2", upload="a")
    post.outbox.spread()
    post.clock.now += 31 * 86400
    assert post.outbox.prune() == 1
    assert post.states() == ["waiting"]


# -- endpoints -----------------------------------------------------------------------------------------------------


def test_rotated_secret_signs_beside_the_old_one_for_a_while(post):
    """Both are good during the change, then the new one alone; the catalog holds neither."""
    first = post.endpoints.add("all", URL, by="test")
    second = post.endpoints.rotate("all", by="test")
    assert first.secret != second.secret
    post.happen("upload.landed", case="C-1", upload="a")
    (letter,) = post.due()
    assert [secret_text(key) for key in letter.keys] == [second.secret, first.secret]
    post.clock.now += 86401
    (letter,) = post.due()
    assert [secret_text(key) for key in letter.keys] == [second.secret]
    with post.database.read() as connection:
        row = connection.execute(select(WEBHOOK_ENDPOINTS)).one()
    assert not any(secret.removeprefix("whsec_") in str(row) for secret in (first.secret, second.secret))


@pytest.mark.parametrize(
    ("name", "url", "events", "customers", "why"),
    [
        ("UPPER", URL, ["*"], None, "name"),
        ("", URL, ["*"], None, "name"),
        ("a", "http://hooks.example/", ["*"], None, "https"),
        ("a", "https://user:pw@hooks.example/", ["*"], None, "login"),
        ("a", "https:///nowhere", ["*"], None, "host"),
        ("a", "ftp://hooks.example/", ["*"], None, "https"),
        ("a", "https://hooks.example/\r\nX: y", ["*"], None, "https"),
        ("a", "https://hooks.example/#part", ["*"], None, "fragment"),
        ("a", URL, ["upload.explodes"], None, "no type of event"),
        ("a", URL, [], None, "types of events"),
        ("a", URL, ["*"], ["../etc"], "ids"),
        ("a", URL, ["*"], [], "ids"),
    ],
)
def test_endpoint_that_cannot_be_is_refused(post, name, url, events, customers, why):
    """With what is wrong, before anything is kept."""
    with pytest.raises(InvalidEndpointError, match=why):
        post.endpoints.add(name, url, by="test", events=events, customers=customers)
    assert post.endpoints.list() == ()


def test_endpoints_and_deliveries_that_are_not_there(post):
    """Each has its own error; a name is given once."""
    post.endpoints.add("one", URL, by="test")
    with pytest.raises(EndpointExistsError):
        post.endpoints.add("one", URL, by="test")
    for call in (
        lambda: post.endpoints.get("two"),
        lambda: post.endpoints.remove("two", by="test"),
        lambda: post.endpoints.rotate("two", by="test"),
        lambda: post.outbox.test("two"),
        lambda: post.outbox.redeliver_dead("two", by="test"),
    ):
        with pytest.raises(NoSuchEndpointError):
            call()
    with pytest.raises(NoSuchDeliveryError):
        post.outbox.redeliver(99, by="test")


def test_removed_endpoint_takes_its_deliveries_along(post):
    """Nothing waits for nobody."""
    post.endpoints.add("one", URL, by="test")
    post.happen("upload.landed", case="C-1", upload="a")
    (letter,) = post.due()
    post.endpoints.remove("one", by="test")
    assert post.states() == []
    assert post.outbox.failed(letter, DeliveryError("late")) is False


def test_every_type_of_event_is_one_that_the_audit_may_write():
    """Types are `noun.verb`, each once."""
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    assert all(kind.count(".") == 1 for kind in EVENT_TYPES)


# -- the courier ---------------------------------------------------------------------------------------------------


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


def test_courier_delivers_in_order_over_failures(tmp_path, receiver):
    """Over a real connection: 503 once, then each event of the case in its order, signed."""
    made = Post(tmp_path / "catalog.db", allow_networks=("127.0.0.0/8",), retry_first=0.01, retry_max=0.02)
    outbox = Outbox(database=made.database, trail=made.trail, endpoints=made.endpoints, settings=made.settings)
    secret = made.endpoints.add("all", receiver.url, by="test").secret
    receiver.answers = [503]
    for number in range(5):
        made.happen("upload.landed", case="C-1", upload=str(number))
    courier = Courier(
        outbox=outbox,
        poster=Poster(allowed=parse_networks(made.settings.allow_networks)),
        configured={},
        look=0.02,
    )
    courier.start()
    try:
        posts = receiver.wait_for(6)
        until(lambda: made.states() == ["delivered"] * 5)
    finally:
        courier.stop()
        made.database.close()
    assert [json.loads(each.body)["data"]["upload"] for each in posts] == ["0", "0", "1", "2", "3", "4"]
    key = base64.b64decode(secret.removeprefix("whsec_"))
    for each in posts:
        headers = {name.lower(): value for name, value in each.headers.items()}
        assert verify([key], headers, each.body, now=float(headers["webhook-timestamp"]), tolerance=1)
