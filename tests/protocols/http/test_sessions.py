"""Signing in, sessions and their ends, revocation and the drain."""

from __future__ import annotations

import base64
import os
import threading
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from protocols.errors import EndedTokenError, UnavailableError
from protocols.http import Exchange, HttpSettings, ProblemError, session_of
from protocols.session import BearerCredential, Origin, PasswordCredential
from tests.protocols.http.house import BASIC, LOGIN, SECRET, UPLOADS, head, running

if TYPE_CHECKING:
    from pathlib import Path

    from protocols.path import VirtualPath
    from protocols.session import Credential
    from tests.protocols.http.house import House

FILE = f"{UPLOADS}/a"


def basic(text: str | bytes) -> str:
    """Return the header for a login and password."""
    data = text if isinstance(text, bytes) else text.encode()
    return "Basic " + base64.b64encode(data).decode()


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        basic("ann:wrong"),
        basic("nobody:x"),
        "Bearer wrong",
        "Digest username=ann",
        basic("ann:"),
        basic(":x"),
        "Bearer ",
        "",
    ],
)
def test_a_credential_that_is_not_good_is_401_with_both_schemes(house: House, authorization: str | None) -> None:
    """Wrong password and unknown login look the same; both schemes are offered."""
    answer = house.ask("GET", "/files/", authorization=authorization)
    assert answer.status == 401
    offered = [value for name, value in answer.lines if name == "www-authenticate"]
    assert offered == ['Basic realm="mft", charset="UTF-8"', 'Bearer realm="mft"']
    assert not house.authenticator.opened


def test_wrong_password_and_unknown_login_are_indistinguishable(house: House) -> None:
    """Nothing but request ids and dates differs."""
    answers = [house.ask("GET", "/files/", authorization=basic(text)) for text in ("ann:wrong", "nobody:wrong")]
    assert answers[0].json["detail"] == answers[1].json["detail"]
    assert [name for name, _ in answers[0].lines] == [name for name, _ in answers[1].lines]


def test_an_empty_login_or_password_is_never_asked_about(house: House) -> None:
    """No account source gets to decide on an empty secret."""
    for text in ("ann:", ":x", ":"):
        house.ask("GET", "/files/", authorization=basic(text))
    assert house.authenticator.checked == []


@pytest.mark.parametrize(
    "authorization",
    [
        "Basic",
        "Basic !!!",
        "Basic YW5u",
        basic(b"\xff\xfe:x"),
        basic("a\0nn:x"),
        basic("ann:x\ny"),
        "Bearer a b",
        "Bearer \x01x",
        "Bearer t0ken\xe9",
        "Basic " + "A" * 7000,
    ],
)
def test_a_malformed_credential_is_400_or_401(house: House, authorization: str) -> None:
    """Nothing in this header can make a 500, and nothing of it reaches the account source."""
    assert house.ask("GET", "/files/", authorization=authorization).status in {400, 401}
    assert house.authenticator.checked == []


def test_several_authorization_headers_are_400(house: House) -> None:
    """Which of two would count is not a question to have."""
    assert house.ask("GET", "/files/", {"authorization": "Bearer t0ken"}).status == 400


@pytest.mark.parametrize(
    ("authorization", "credential"),
    [
        (BASIC, PasswordCredential(login=LOGIN, password=SECRET)),
        ("basic " + BASIC.split()[1], PasswordCredential(login=LOGIN, password=SECRET)),
        (basic("ann:ü:ö"), PasswordCredential(login="ann", password="ü:ö")),
        ("Bearer t0ken", BearerCredential(token="t0ken")),
    ],
)
def test_credentials_reach_the_account_source_as_they_are(
    house: House, authorization: str, credential: Credential
) -> None:
    """Login and password are split at the first colon, in UTF-8; bearer tokens are tokens."""
    house.ask("GET", "/files/", authorization=authorization)
    assert house.authenticator.checked == [credential]


def test_a_session_names_protocol_peer_and_region(house: House) -> None:
    """The application learns where a login came from."""
    assert house.ask("GET", "/files/").status == 200
    assert house.authenticator.opened[0].origin == Origin(protocol="https", peer="127.0.0.1", region="eu")


def test_throttled_is_429_with_retry_after(house: House) -> None:
    """Who failed too often is told when to come back."""
    house.authenticator.throttled = True
    answer = house.ask("GET", "/files/")
    assert (answer.status, answer.headers["retry-after"]) == (429, "30")
    assert "www-authenticate" not in answer.headers


def test_an_account_source_that_is_down_is_503(house: House) -> None:
    """No answer is no entry, and not the client's fault."""
    house.authenticator.failure = UnavailableError("the case system does not answer", retry_after=3)
    answer = house.ask("GET", "/files/")
    assert (answer.status, answer.headers["retry-after"]) == (503, "3")


@pytest.mark.parametrize(
    "target",
    ["/files/?access_token=t0ken", "/files/?a=b&TOKEN=x", "/files/?pass%77ord=x", "https://ann:pw@localhost/files/"],
)
def test_credentials_in_the_url_are_refused(house: House, target: str) -> None:
    """URLs end up in logs."""
    assert house.ask("GET", target).status == 400


def test_one_session_a_connection_and_credential(house: House) -> None:
    """Requests share a session, other credentials get their own, and all close with the connection."""
    with house.wire() as wire:
        for authorization in (BASIC, "Bearer t0ken", BASIC, BASIC, "Bearer t0ken"):
            assert wire.ask("GET", "/files/", authorization=authorization).status == 200
        assert len(house.authenticator.opened) == 2
        assert house.tree.happened("closed") == []
    house.wait(lambda: len(house.tree.happened("closed")) == 2)


def test_sessions_of_one_connection_are_bounded(certificate: tuple[Path, Path]) -> None:
    """The oldest of too many ends, and its credential may open another."""
    with running(certificate, HttpSettings(max_sessions=2)) as house, house.wire() as wire:
        for name in ("a", "b", "c", "a"):
            house.authenticator.tokens[name] = name
            assert wire.ask("GET", "/files/", authorization=f"Bearer {name}").status == 200
        assert [login for login, _ in house.tree.happened("closed")] == ["a", "b"]


def test_a_connection_lost_during_the_login_leaves_no_session(house: House) -> None:
    """A session that opens too late is closed at once."""
    arrived, go_on = threading.Event(), threading.Event()
    check = house.authenticator.check

    def slow_check(credential: Credential, origin: Origin) -> object:
        arrived.set()
        go_on.wait(20)
        return check(credential, origin)

    house.authenticator.check = slow_check  # type: ignore[method-assign, assignment]
    wire = house.wire()
    wire.send(head("GET", "/files/"))
    assert arrived.wait(20)
    wire.reset()
    go_on.set()
    house.wait(lambda: len(house.tree.happened("closed")) == 1)


def test_revocation_cuts_a_download(house: House) -> None:
    """A download under way ends when access is withdrawn, short of its length."""
    house.tree.add(FILE, os.urandom(16 << 20))
    with house.wire(receive_buffer=4096) as wire:
        wire.send(head("GET", FILE))
        assert wire.answer_head()[0] == 200
        house.authenticator.revoke(LOGIN)
        with pytest.raises((EOFError, OSError)):
            wire.take(16 << 20)
    house.wait(lambda: house.tree.happened("closed") == [(LOGIN, "case closed")])


def test_revocation_cuts_an_upload(house: House) -> None:
    """An upload under way is given up when access is withdrawn."""
    with house.wire() as wire:
        wire.send(head("PUT", FILE, length=1000) + b"x" * 500)
        house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
        house.authenticator.revoke(LOGIN)
        assert wire.ended()
    house.wait(lambda: len(house.aborted()) == 1)
    assert house.tree.content(FILE) is None


def test_a_token_that_has_ended_says_so_to_its_holder(house: House) -> None:
    """In the problem document, and where bearers look (RFC 6750, section 3.1)."""
    house.authenticator.failure = EndedTokenError("this token expired on 2026-11-20 at 12:00 UTC; ask for a new one")
    answer = house.ask("GET", "/files/")
    assert answer.status == 401
    assert answer.json["detail"] == "this token expired on 2026-11-20 at 12:00 UTC; ask for a new one"
    basic, bearer = (value for name, value in answer.lines if name == "www-authenticate")
    assert basic.startswith("Basic realm=")
    assert bearer.endswith(
        ', error="invalid_token", error_description="this token expired on 2026-11-20 at 12:00 UTC; ask for a new one"'
    )


def test_revocation_ends_an_idle_connection(house: House) -> None:
    """A kept-alive connection does not outlive its access."""
    with house.wire() as wire:
        assert wire.ask("GET", "/files/").status == 200
        house.authenticator.revoke(LOGIN)
        assert wire.ended()
    assert house.ask("GET", "/files/").status == 401


def test_drain_lets_an_upload_end_and_closes_the_idle(house: House) -> None:
    """Nothing new comes in; what is under way may finish."""
    busy, idle = house.wire(), house.wire()
    assert idle.ask("GET", "/files/").status == 200
    busy.send(head("PUT", FILE, length=1_000_000) + b"x" * 500_000)
    house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
    drained = threading.Thread(target=house.run, args=(house.server.drain(20),))
    drained.start()
    assert idle.ended()
    with pytest.raises(ConnectionRefusedError):
        house.wire()
    busy.send(b"x" * 500_000)
    answer = busy.answer()
    assert (answer.status, answer.headers["connection"]) == (201, "close")
    busy.goodbye()
    idle.drop()
    drained.join(20)
    assert not drained.is_alive()
    assert house.server.connections == 0


def test_drain_lets_a_download_end(house: House) -> None:
    """A download under way is sent to its last byte."""
    content = os.urandom(4 << 20)
    house.tree.add(FILE, content)
    with house.wire(receive_buffer=4096) as wire:
        wire.send(head("GET", FILE))
        assert wire.answer_head()[0] == 200
        drained = threading.Thread(target=house.run, args=(house.server.drain(20),))
        drained.start()
        assert wire.take(len(content)) == content
        assert wire.ended()
        wire.goodbye()
        drained.join(20)
        assert not drained.is_alive()


def test_drain_cuts_what_outlasts_the_grace(house: House) -> None:
    """An upload that does not end in time is kept as interrupted; a handshake that never ends is dropped."""
    import socket

    half_open = socket.create_connection(("127.0.0.1", house.port))
    with house.wire() as wire:
        wire.send(head("PUT", FILE, length=1_000_000) + b"x" * 500_000)
        house.wait(lambda: house.tree.received(LOGIN, FILE) is not None)
        house.run(house.server.drain(0.1))
        assert wire.ended()
    half_open.close()
    assert house.tree.content(FILE) is None
    assert len(house.aborted()) == 1
    assert house.server.connections == 0


def test_the_application_adds_its_routes(certificate: tuple[Path, Path]) -> None:
    """Routes of the application share sign-in, errors and headers with the files."""

    async def whoami(request: web.Request) -> web.Response:
        session = await session_of(request)
        return web.json_response({"login": session.login})

    async def teapot(_request: web.Request) -> web.Response:
        from http import HTTPStatus

        raise ProblemError(HTTPStatus.IM_A_TEAPOT, "short and stout")

    async def moved(_request: web.Request) -> web.Response:
        raise web.HTTPFound("/files/")

    def extra(app: web.Application) -> None:
        app.router.add_get("/whoami", whoami)
        app.router.add_get("/teapot", teapot)
        app.router.add_get("/moved", moved)

    with running(certificate, extra=extra) as house:
        assert house.ask("GET", "/whoami").json == {"login": LOGIN}
        assert house.ask("GET", "/whoami", authorization=None).status == 401
        answer = house.ask("GET", "/teapot", authorization=None)
        assert (answer.status, answer.json["detail"]) == (418, "short and stout")
        assert house.ask("GET", "/moved", authorization=None).headers["location"] == "/files/"
        assert house.ask("GET", "/nowhere", authorization=None).json["status"] == 404
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_exchanges_are_reported_without_names(house: House) -> None:
    """Logs and metrics learn what happened, not to which file."""
    house.ask("PUT", f"{UPLOADS}/secret-name", body=b"x" * 100)
    house.ask("GET", f"{UPLOADS}/secret-name", authorization=None)
    house.wait(lambda: len(house.exchanges) == 2)
    first, second = house.exchanges
    assert isinstance(first, Exchange)
    assert (first.method, first.status, first.received, first.session_id) == ("PUT", 201, 100, "session-1")
    assert (second.status, second.session_id) == (401, None)
    assert "secret-name" not in repr(house.exchanges)


def test_a_commit_goes_on_when_the_client_leaves(house: House) -> None:
    """A connection lost while the upload is being recorded does not undo it, and the session outlives the commit."""
    arrived, go_on = threading.Event(), threading.Event()

    def wait(operation: str, _path: VirtualPath) -> None:
        if operation == "commit":
            arrived.set()
            go_on.wait(20)

    house.tree.before = wait
    wire = house.wire()
    wire.send(head("PUT", FILE, length=5) + b"hello")
    assert arrived.wait(20)
    wire.reset()
    go_on.set()
    house.wait(lambda: bool(house.tree.happened("closed")))
    assert [event for event, _, _ in house.tree.events] == ["landed", "closed"]
