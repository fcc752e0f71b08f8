"""Webhooks over a whole house: what the case system announces takes effect, and what happens is told."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import subprocess
import time
from typing import TYPE_CHECKING, Any

import paramiko
import pytest

from tests.house import MFT, PASSWORD, House, running_house
from tests.receiver import Receiver, running_receiver

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.receiver import Post

pytestmark = pytest.mark.e2e
SECRET = secrets.token_bytes(32)
PLAIN = {"webhooks": {"outgoing": {"allow_networks": ["127.0.0.0/8"], "retry_first": "200ms", "retry_max": "1s"}}}


def sign(secret: bytes, message: str, timestamp: str, body: bytes) -> str:
    """Sign as the standard says, in words of this test's own."""
    digest = hmac.new(secret, f"{message}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    with running_receiver() as running:
        yield running


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    secret = directory / "in.secret"
    secret.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
    secret.chmod(0o600)
    webhooks = {**PLAIN["webhooks"], "incoming": {"secret_files": ["in.secret"]}}
    # Answers are believed for long: what takes effect does so because it was announced.
    lookup = {"ttl": "60s", "negative_ttl": "60s", "stale_if_error": "60s"}
    with running_house(directory, webhooks=webhooks, lookup=lookup, revocation={"bound": "1h"}) as running:
        yield running


def announce(
    house: House, kind: str, *, message: str | None = None, at: float | None = None, secret: bytes = SECRET, **data: Any
) -> tuple[int, dict[str, Any]]:
    """Announce something, as a case system does; return the answer."""
    body = json.dumps({"type": kind, "timestamp": "2026-11-22T00:00:00Z", "data": data}).encode()
    message = message or f"msg_{secrets.token_hex(8)}"
    timestamp = str(int(time.time() if at is None else at))
    headers = {
        "webhook-id": message,
        "webhook-timestamp": timestamp,
        "webhook-signature": sign(secret, message, timestamp, body),
        "Content-Type": "application/json",
    }
    words = [word for name, value in headers.items() for word in ("-H", f"{name}: {value}")]
    port = house.port("https")
    done = subprocess.run(
        [
            "curl", "-sS", "--cacert", house.endpoints["certificate"], "--resolve", f"localhost:{port}:127.0.0.1",
            "--max-time", "60", "-w", "\n%{http_code}", *words, "--data-binary", body.decode(),
            f"https://localhost:{port}/api/v1/webhooks/in",
        ],
        capture_output=True, timeout=90, check=True,
    )  # fmt: skip
    answer, _, status = done.stdout.rpartition(b"\n")
    return int(status), json.loads(answer)


def mft(house: House, *words: str) -> str:
    done = subprocess.run(
        [*MFT, *words, "--config", str(house.config)], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def folders(house: House, login: str) -> list[str]:
    with house.client(login) as client:
        return client.listdir("/")


def test_case_that_was_opened_is_there_once_it_is_announced(house: House) -> None:
    """A list that is remembered for a minute is dropped by the announcement."""
    assert not [name for name in folders(house, "ann") if name.startswith("ACME-70")]
    house.system.put_case({"number": "ACME-70", "title": "New", "customer": "acme", "state": "open"})
    status, answer = announce(house, "case.opened", case="ACME-70")
    assert (status, answer["status"]) == (200, "taken")
    house.until(lambda: [name for name in folders(house, "ann") if name.startswith("ACME-70")], "the new case")


def test_session_loses_the_folder_of_a_case_that_is_closed(house: House) -> None:
    """A session that stays open sees the folder go, though nobody asked the case system again by itself."""
    house.system.put_case({"number": "ACME-71", "title": "Ends", "customer": "acme", "state": "open"})
    announce(house, "case.opened", case="ACME-71")
    with house.client("ann") as client:
        house.until(lambda: "ACME-71 Ends" in client.listdir("/"), "the folder")
        house.system.change_case("ACME-71", {"state": "closed"})
        assert "ACME-71 Ends" in client.listdir("/")
        announce(house, "case.closed", case="ACME-71")
        house.until(lambda: "ACME-71 Ends" not in client.listdir("/"), "the folder's end")


def test_session_of_a_login_that_is_revoked_ends(house: House) -> None:
    """The connection is closed, whatever the case system still says of the login."""
    with house.client("bob") as client:
        assert client.listdir("/")
        status, _ = announce(house, "principal.revoked", login="bob")
        assert status == 200

        def ended() -> bool:
            try:
                client.listdir("/")
            except (OSError, EOFError, paramiko.SSHException):
                return True
            return False

        house.until(ended, "the session's end")


def test_announcement_is_taken_once(house: House) -> None:
    """The same id again does nothing and is no error; with another body it is a conflict."""
    first = announce(house, "case.changed", message="msg_same", case="ACME-1")
    again = announce(house, "case.changed", message="msg_same", case="ACME-1")
    other = announce(house, "case.changed", message="msg_same", case="ACME-2")
    assert [first[0], again[0], other[0]] == [200, 200, 409]
    assert [first[1]["status"], again[1]["status"]] == ["taken", "repeated"]
    assert len(house.events("case_system.announced", message="msg_same")) == 1


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"secret": b"x" * 32}, 401),
        ({"at": time.time() - 3600}, 401),
        ({"at": time.time() + 3600}, 401),
        ({"kind": "case.exploded"}, 422),
        ({"case": "../etc"}, 422),
        ({"case": 7}, 422),
        ({"case": None}, 422),
    ],
)
def test_announcement_that_is_wrong_is_refused_with_a_reason(house: House, facts: dict[str, Any], status: int) -> None:
    """Another secret, another hour, another word: nothing is done, and the answer says why."""
    found = announce(house, facts.pop("kind", "case.changed"), **{"case": "ACME-1", **facts})
    assert found[0] == status
    assert found[1]["detail"]


def test_what_happens_is_told_in_order_and_signed(house: House, receiver: Receiver) -> None:
    """Landed, then stored: each signed, in the order of the case, though the receiver fails at first."""
    receiver.posts.clear()
    receiver.answers[:] = [503, 500]
    secret = mft(house, "webhook", "add", "notes", receiver.url, "--event", "upload.landed", "--event", "upload.stored")
    (house.directory / "log.txt").write_bytes(b"nothing to remove\n")
    done = house.sftp("ann", "put log.txt /ACME-1/to-support/log.txt")
    assert done.returncode == 0, done.stderr
    posts = receiver.wait_for(4)
    key = base64.b64decode(secret.strip().removeprefix("whsec_"))
    for post in posts:
        headers = {name.lower(): value for name, value in post.headers.items()}
        wanted = sign(key, headers["webhook-id"], headers["webhook-timestamp"], post.body)
        assert headers["webhook-signature"] == wanted
    kinds = [json.loads(post.body)["type"] for post in posts]
    assert kinds == ["upload.landed", "upload.landed", "upload.landed", "upload.stored"]
    assert len({identity(post) for post in posts[:3]}) == 1
    stored = json.loads(posts[3].body)["data"]
    assert (stored["case"], stored["customer"], stored["outcome"]) == ("ACME-1", "acme", "accept")
    assert b"log.txt" not in posts[3].body


def identity(post: Post) -> str:
    return next(value for name, value in post.headers.items() if name.lower() == "webhook-id")


def test_private_address_is_not_called(house: House) -> None:
    """An endpoint that stands for an address inside is never connected to; the delivery says why."""
    mft(house, "webhook", "add", "inside", "https://169.254.169.254/latest/meta-data", "--event", "webhook.test")
    mft(house, "webhook", "test", "inside")

    def refused() -> Any:
        found = json.loads(mft(house, "webhook", "deliveries", "--endpoint", "inside", "--json"))
        return [each for each in found if each["attempts"] and "not a public address" in each["last_error"]]

    house.until(refused, "the refusal")
    mft(house, "webhook", "remove", "inside")


@pytest.fixture(scope="module")
def operator(house: House) -> str:
    """A local account that runs the house."""
    done = subprocess.run(
        [*MFT, "user", "add", "olga", "--role", "operator", "--password-stdin", "--config", str(house.config)],
        input=PASSWORD + "\n", capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return "olga"


def call(house: House, login: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    words = ["-X", method]
    if body is not None:
        words += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
    status, answer = house.curl(login, "/api/v1" + path, *words)
    return status, json.loads(answer) if answer.strip() else None


def test_endpoints_are_kept_over_the_api(house: House, operator: str, receiver: Receiver) -> None:
    """Made, tested, rotated, paused, removed; a second of the name is a conflict, a wrong one is refused."""
    status, made = call(
        house, operator, "POST", "/webhooks/endpoints", {"name": "tickets", "url": receiver.url, "events": ["case.*"]}
    )
    assert status == 201
    assert made["secret"].startswith("whsec_")
    assert call(house, operator, "POST", "/webhooks/endpoints", {"name": "tickets", "url": receiver.url})[0] == 409
    wrong = {"name": "wrong", "url": "https://x.example/", "events": ["upload.explodes"]}
    assert call(house, operator, "POST", "/webhooks/endpoints", wrong)[0] == 422
    assert call(house, operator, "POST", "/webhooks/endpoints/tickets/test")[0] == 202
    found = house.until(
        lambda: call(house, operator, "GET", "/webhooks/deliveries?endpoint=tickets&state=delivered")[1]["items"]
    )
    assert found[0]["type"] == "webhook.test"
    assert call(house, operator, "POST", f"/webhooks/deliveries/{found[0]['id']}/redeliver")[0] == 202
    status, rotated = call(house, operator, "POST", "/webhooks/endpoints/tickets/rotate")
    assert (status, rotated["secret"] == made["secret"]) == (200, False)
    assert call(house, operator, "PATCH", "/webhooks/endpoints/tickets", {"active": False})[1]["active"] is False
    assert call(house, operator, "DELETE", "/webhooks/endpoints/tickets")[0] == 204
    assert call(house, operator, "GET", "/webhooks/endpoints/tickets")[0] == 404


def test_customers_keep_no_endpoints_and_no_holds(house: House) -> None:
    """What the house tells others, and what it keeps, is its operators' business."""
    for method, path in (("GET", "/webhooks/endpoints"), ("GET", "/lifecycle/plan"), ("GET", "/holds")):
        assert call(house, "ann", method, path)[0] == 403


def test_hold_is_set_and_released_over_the_api(house: House, operator: str) -> None:
    """With a reason; on no case that is none; the plan shows it."""
    assert house.sftp("ann", "-mkdir /ACME-1/to-support/seen").returncode == 0
    assert call(house, operator, "POST", "/holds", {"case": "ACME-404", "reason": "x"})[0] == 404
    status, hold = call(house, operator, "POST", "/holds", {"case": "ACME-1", "reason": "order 12/26"})
    assert (status, hold["set_by"]) == (201, operator)
    plan = call(house, operator, "GET", "/lifecycle/plan?limit=1000")[1]["items"]
    assert next(each for each in plan if each["case"] == "ACME-1")["hold"] == hold["id"]
    assert [each["case"] for each in call(house, operator, "GET", "/holds")[1]["items"]] == ["ACME-1"]
    assert call(house, operator, "POST", "/holds/ACME-1/release", {"reason": "over"})[0] == 200
    assert call(house, operator, "POST", "/holds/ACME-1/release", {"reason": "over"})[0] == 409
    assert call(house, operator, "GET", "/lifecycle/destructions")[1]["items"] == []
