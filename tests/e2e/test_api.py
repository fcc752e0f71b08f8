"""The API and the tokens of cases, by real clients against a real server."""

from __future__ import annotations

import json
import subprocess
import uuid
from typing import TYPE_CHECKING, Any

import paramiko
import pytest

from casemap.model import Role
from mft.auth.accounts import Accounts
from mft.auth.tokens import Tokens
from mft.cli.ledger import open_ledger
from tests.house import MFT, PASSWORD, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.e2e]
STAFF = {"rita": [Role.RELEASER], "rolf": [Role.RELEASER], "olga": [Role.OPERATOR, Role.AUDITOR]}


class Api:
    """Requests to the API of a house, each by `curl`."""

    def __init__(self, house: House, secrets: dict[str, str]) -> None:
        self.house = house
        self.secrets = secrets

    def __call__(
        self, login: str, method: str, path: str, body: object = None, *headers: str, secret: str | None = None
    ) -> tuple[int, Any]:
        """Return status and document."""
        options = ["-X", method]
        if body is not None:
            options += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        for header in headers:
            options += ["-H", header]
        password = secret or self.secrets.get(login, PASSWORD)
        status, answer = self.house.curl(login, f"/api/v1{path}", *options, password=password)
        return status, json.loads(answer) if answer.strip() else None

    def mint(self, case: str = "ACME-1", **wish: object) -> dict[str, Any]:
        """Have `ann` mint a token."""
        status, minted = self("ann", "POST", f"/cases/{case}/tokens", wish)
        assert status == 201, minted
        return minted


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """A house with releasers and an operator, who have tokens."""
    with running_house(tmp_path_factory.mktemp("api")) as house:
        with open_ledger(house.config) as (_, ledger, key):
            for login, roles in STAFF.items():
                Accounts(ledger).create(login, roles=roles, by="test")
            tokens = Tokens(ledger, key=key)
            secrets = {login: tokens.create(login, by="test").text for login in STAFF}
        yield Api(house, secrets)


def sftp(house: House, login: str, password: str, *, username: str | None = None) -> paramiko.SFTPClient:
    transport = paramiko.Transport(("127.0.0.1", house.port("sftp")))
    transport.banner_timeout = transport.auth_timeout = 60
    try:
        transport.connect(username=username or login, password=password)
        client = paramiko.SFTPClient.from_transport(transport)
    except BaseException:
        transport.close()
        raise
    assert client is not None
    return client


def close(client: paramiko.SFTPClient) -> None:
    client.get_channel().get_transport().close()


def put_pieces(file: paramiko.SFTPFile, piece: bytes, count: int) -> None:
    for _ in range(count):
        file.write(piece)
        file.flush()
    file.stat()


def test_minted_commands_upload_as_they_are(api, tmp_path):
    """The curl command of a mint, pasted as it is, uploads; so does lftp's where lftp is there; the host is pinned."""
    minted = api.mint()
    (tmp_path / "FILE").write_bytes(b"collected\n")
    for name in ("curl", "lftp"):
        command = minted["https"]["curl"] if name == "curl" else minted["sftp"]["lftp"]
        if subprocess.run(["sh", "-c", f"command -v {name}"], capture_output=True, check=False).returncode:
            continue
        done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    (tmp_path / "mft_known_hosts").write_text("\n".join(minted["sftp"]["known_hosts"]) + "\n")
    keys = paramiko.HostKeys(str(tmp_path / "mft_known_hosts"))
    transport = paramiko.Transport(("127.0.0.1", minted["sftp"]["port"]))
    try:
        transport.start_client(timeout=60)
        assert keys.check(f"[127.0.0.1]:{minted['sftp']['port']}", transport.get_remote_server_key())
    finally:
        transport.close()


def test_case_token_logs_in_with_the_case_s_number_on_every_protocol(api):
    """User = case number and password = token open SFTP, the tree over HTTPS and the API; another number does not."""
    minted = api.mint()
    client = sftp(api.house, "ACME-1", minted["password"])
    try:
        with client.open("to-support/by-token.log", "wb") as file:
            file.write(b"x" * 100)
        assert client.stat("to-support/by-token.log").st_size == 100
        with pytest.raises(PermissionError):
            client.listdir("to-support")
        with pytest.raises(PermissionError):
            client.open("to-support/by-token.log", "rb").read()
    finally:
        close(client)
    status, deposits = api("ACME-1", "GET", "/deposits", secret=minted["password"])
    assert status == 200
    assert [each["name"] for each in deposits["items"]] == ["by-token.log"]
    for wrong in ("ACME-2", "GLOBEX-1", "ann"):
        assert api(wrong, "GET", "/me", secret=minted["password"])[0] == 401
        with pytest.raises(paramiko.AuthenticationException):
            sftp(api.house, wrong, minted["password"])
    denied = api.house.events("login.denied", reason="the token is another case's")
    assert denied


def test_list_token_sees_its_own_alone(api):
    """A token with the scope list sees what came by it, and nothing that others sent."""
    api.house.curl("ann", "/cases/ACME-1/ann-s.log", "-T", str(api.house.config))
    minted = api.mint(scopes=["upload", "list"])
    client = sftp(api.house, "ACME-1", minted["password"])
    try:
        with client.open("to-support/listed.log", "wb") as file:
            file.write(b"x")
        assert client.listdir("to-support") == ["listed.log"]
    finally:
        close(client)


def test_bytes_of_a_token_are_counted_while_an_upload_runs(api):
    """An upload that goes over the token's bytes is stopped in the middle, by SFTP and by HTTPS."""
    minted = api.mint(max_bytes=300_000)
    client = sftp(api.house, "ACME-1", minted["password"])
    try:
        with client.open("to-support/first.bin", "wb") as file:
            file.write(b"a" * 200_000)
        file = client.open("to-support/second.bin", "wb")
        with pytest.raises(OSError, match="token"):
            put_pieces(file, b"b" * 50_000, 10)
    finally:
        close(client)
    big = api.house.directory / "big.bin"
    big.write_bytes(b"c" * 400_000)
    status, answer = api.house.curl("ACME-1", "/cases/ACME-1/big.bin", "-T", str(big), password=minted["password"])
    assert status == 507
    assert b"token" in answer


def test_files_of_a_token_are_counted(api):
    """A token for one file takes one file."""
    minted = api.mint(max_files=1)
    put = ("-T", str(api.house.config))
    assert api.house.curl("ACME-1", "/cases/ACME-1/one.yaml", *put, password=minted["password"])[0] == 201
    status, answer = api.house.curl("ACME-1", "/cases/ACME-1/two.yaml", *put, password=minted["password"])
    assert status == 507, answer


def test_token_from_outside_its_network_opens_nothing(api):
    """A token for another network is refused: its holder is told why, whoever guesses at its secret is not."""
    minted = api.mint(networks=["192.0.2.0/24"])
    status, problem = api("ACME-1", "GET", "/me", secret=minted["password"])
    assert status == 401
    assert "limited to other networks" in problem["detail"]
    assert api.house.events("login.denied", reason="the token may not be used from there")
    status, problem = api("ACME-1", "GET", "/me", secret=minted["password"][:-1])
    assert status == 401
    assert "network" not in problem["detail"]


def test_revoked_token_ends_its_sessions(api):
    """A live SFTP session ends when its token is revoked, and the token opens nothing any more."""
    minted = api.mint()
    client = sftp(api.house, "ACME-1", minted["password"])
    try:
        assert client.listdir("/")
        status, token = api("ann", "DELETE", f"/tokens/{minted['token']['id']}")
        assert (status, token["state"]) == (200, "revoked")
        transport = client.get_channel().get_transport()
        api.house.until(lambda: not transport.is_active(), "the end of the session")
    finally:
        close(client)
    assert api("ACME-1", "GET", "/me", secret=minted["password"])[0] == 401


def test_closing_a_case_ends_its_tokens(api):
    """When the case system closes a case, a token of it opens nothing any more, and its live session ends."""
    minted = api.mint("ACME-5")
    client = sftp(api.house, "ACME-5", minted["password"])
    try:
        api.house.system.change_case("ACME-5", {"state": "closed"})
        transport = client.get_channel().get_transport()
        api.house.until(lambda: not transport.is_active(), "the end of the session")
        status = api("ACME-5", "GET", "/me", secret=minted["password"])[0]
        assert status == 401
        status, problem = api("olga", "POST", "/cases/ACME-5/tokens", {})
        assert status == 409
        assert "closed" in problem["detail"]
    finally:
        close(client)
        api.house.system.change_case("ACME-5", {"state": "open"})


def test_refreshed_token_has_a_new_text_if_wished(api):
    """A rotated token opens by its new text alone."""
    minted = api.mint()
    status, fresh = api("ann", "POST", f"/tokens/{minted['token']['id']}/refresh", {"rotate": True})
    assert status == 200
    assert api("ACME-1", "GET", "/me", secret=fresh["password"])[0] == 200
    assert api("ACME-1", "GET", "/me", secret=minted["password"])[0] == 401


def test_idempotent_mint_is_answered_once(api):
    """The same mint with the same key is the same token; another request with that key is refused."""
    key = f"Idempotency-Key: {uuid.uuid4()}"
    first = api("ann", "POST", "/cases/ACME-1/tokens", {"label": "once"}, key)
    again = api("ann", "POST", "/cases/ACME-1/tokens", {"label": "once"}, key)
    other = api("ann", "POST", "/cases/ACME-1/tokens", {"label": "twice"}, key)
    assert first == again
    assert other[0] == 422
    kept = api.house.query("SELECT answer FROM api_replay WHERE status IS NOT NULL")
    assert all(first[1]["password"].encode() not in row["answer"] for row in kept)


def test_stale_entity_tag_changes_nothing(api):
    """A revocation that was decided on an older state is refused with 412."""
    minted = api.mint()
    path = f"/tokens/{minted['token']['id']}"
    assert api("ann", "DELETE", path, None, 'If-Match: "older"')[0] == 412
    assert api("ann", "GET", path)[1]["state"] == "current"


def test_pages_are_complete_and_cursors_opaque(api):
    """Walking pages of one shows every token once; a cursor of another list is not known."""
    for _ in range(3):
        api.mint("ACME-2")
    seen, cursor = [], ""
    while True:
        _, page = api("ann", "GET", f"/tokens?case=ACME-2&limit=1{cursor}")
        seen += [token["id"] for token in page["items"]]
        if page["next_cursor"] is None:
            break
        last = page["next_cursor"]
        cursor = f"&cursor={last}"
    assert len(seen) == len(set(seen)) == 3
    assert api("ann", "GET", f"/tokens?case=ACME-1&cursor={last}")[0] == 404


def test_foreign_case_is_not_found_whatever_is_asked(api):
    """Cases of others, and cases that there are not, get the same answer everywhere."""
    for path in ("", "/files", "/preflight"):
        foreign = api("ann", "GET", f"/cases/GLOBEX-1{path}")
        nothing = api("ann", "GET", f"/cases/GLOBEX-404{path}")
        assert foreign[0] == nothing[0] == 404
        assert foreign[1]["detail"] == nothing[1]["detail"]


def test_preflight_says_where_to_and_how_much(api):
    """Before a long collection: whether it would be taken, and the entrances, the home region's first."""
    status, found = api("ann", "GET", "/cases/ACME-1/preflight?size=1000")
    assert status == 200
    assert found["ok"]
    assert found["ways"][0]["home"]
    assert {way["region"] for way in found["ways"]} == {"eu", "us"}
    assert not api("ann", "GET", f"/cases/ACME-1/preflight?size={2**52}")[1]["ok"]


def test_audit_export_is_a_chain_that_can_be_checked(api):
    """Every exported link hashes to what the next one says, up to the signed head."""
    import hashlib

    status, body = api.house.curl("olga", "/api/v1/audit/export?chain=customer:acme", password=api.secrets["olga"])
    assert status == 200
    *links, head = [json.loads(line) for line in body.splitlines() if line]
    previous = "0" * 64
    for link in links:
        assert link["previous"] == previous
        previous = hashlib.sha256((previous + link["body"]).encode()).hexdigest()
        assert link["hash"] == previous
    assert head["head"]["hash"] == previous
    assert api("ann", "GET", "/audit/chains")[0] == 403


@pytest.fixture
def held(api) -> str:
    """The id of an upload in quarantine."""
    name = f"{uuid.uuid4().hex}.zip"
    bad = api.house.directory / name
    bad.write_bytes(b"PK\x03\x04" + bytes(2000))
    status, receipt = api.house.curl("ann", f"/cases/ACME-1/{name}", "-T", str(bad))
    assert status == 201, receipt
    upload = json.loads(receipt)["id"]
    api.house.until(lambda: api.house.upload(upload)["state"] == "quarantined", "the quarantine")
    return upload


def test_release_takes_two_releasers(api, held):
    """One vote changes nothing; the second releases the file as it is, flagged; its sender and others have no vote."""
    path = f"/quarantine/{held}"
    assert api("ann", "POST", f"{path}/release", {"reason": "mine"})[0] == 403
    assert api("eve", "POST", f"{path}/release", {"reason": "an engineer"})[0] == 403
    status, first = api("rita", "POST", f"{path}/release", {"reason": "looked at it"})
    assert (status, first["decided"], len(first["votes"])) == (202, None, 1)
    assert api("rita", "POST", f"{path}/release", {"reason": "again"})[1]["decided"] is None
    status, second = api("rolf", "POST", f"{path}/release", {"reason": "me too"})
    assert (status, second["decided"]) == (202, "release")
    api.house.until(lambda: api.house.upload(held)["state"] == "stored", "the release")
    row = api.house.upload(held)
    assert row["scrubbed_sha256"] == row["sha256"]
    assert "unscrubbed" in row["reason"]
    assert api.house.events("quarantine.decided", upload=held)[0]["voters"] == ["rita", "rolf"]
    status, receipt = api("ann", "GET", f"/receipts/{held}")
    assert (status, receipt["outcome"]) == (200, "released")


def test_destruction_takes_two_releasers_at_the_shell_too(api, held):
    """`mft quarantine destroy` counts who signs in, not who has a shell; the second vote destroys."""
    for login in ("rita", "rolf"):
        done = subprocess.run(
            [*MFT, "quarantine", "destroy", held, "--login", login, "--reason", "no use", "--password-stdin",
             "--config", str(api.house.config)],
            input=api.secrets[login] + "\n", capture_output=True, text=True, timeout=90, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
    api.house.until(lambda: api.house.upload(held)["state"] == "destroyed", "the destruction")
    assert api("rita", "GET", f"/quarantine/{held}")[0] == 404


def test_mint_at_the_shell(api):
    """`mft token mint` prints the token alone on standard output, and it works; a closed case gets none."""
    command = [*MFT, "token", "mint", "--config", str(api.house.config)]
    done = subprocess.run([*command, "ACME-1"], capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert api("ACME-1", "GET", "/me", secret=done.stdout.strip())[0] == 200
    assert "--cacert" in done.stderr
    refused = subprocess.run([*command, "ACME-9"], capture_output=True, text=True, timeout=90, check=False)
    assert refused.returncode == 1
    assert "closed" in refused.stderr


def test_scoped_token_opens_its_doors_alone(api):
    """A login's token with one scope is refused at every other door, and for transfers."""
    with open_ledger(api.house.config) as (_, ledger, key):
        text = Tokens(ledger, key=key).create("ann", by="test", scopes=frozenset({"cases:read"})).text
    assert api("ann", "GET", "/cases/ACME-1", secret=text)[0] == 200
    status, problem = api("ann", "GET", "/tokens", secret=text)
    assert (status, problem["type"]) == (403, "urn:mft:problem:insufficient-scope")
    with pytest.raises(paramiko.AuthenticationException):
        sftp(api.house, "ann", text)
    assert api.house.curl("ann", "/cases/ACME-1/no.log", "-T", str(api.house.config), password=text)[0] == 403


def test_upload_page_runs_its_own_script_alone(api):
    """The page of an invitation is there without a login, and its policy names its script by hash."""
    import base64
    import hashlib
    import re

    status, body = api.house.curl("ann", "/upload/", "-i")
    head, _, page = body.decode().partition("\r\n\r\n")
    script = re.search("<script>(.*)</script>", page, re.DOTALL)
    assert status == 200
    assert script is not None
    digest = base64.b64encode(hashlib.sha256(script.group(1).encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in head
