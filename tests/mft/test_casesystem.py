"""The case-system simulator keeps the contract that `docs/integrate.md` describes, and the document is right."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest
import yaml

from casemap.errors import CaseNotFoundError, InvalidRecordError, LookupUnavailableError, PrincipalNotFoundError
from casemap.http import HttpLookup, LookupSettings
from casemap.model import CaseState, parse_case, parse_customer, parse_principal
from casemap.signature import sign, verify
from casemap.static import StaticLookup
from casemap.wire import parse_case_page
from mft.casesystem import Behaviour, CaseSystem, Nonsense, main, running_case_system
from tests.contracts.lookup import TABLE

DOCUMENT = Path(__file__).parents[2].joinpath("docs", "integrate.md").read_text(encoding="utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)]
NOW = 1795336200.0


@pytest.fixture
def running():
    with running_case_system(TABLE) as server:
        yield server


@pytest.fixture
def lookup(running):
    lookup = HttpLookup(LookupSettings(url=running.url, secret=running.secret))
    yield lookup
    lookup.close()


@pytest.fixture
def admin(running):
    with httpx.Client(base_url=running.url, trust_env=False) as client:
        yield client


def test_document_signs_as_we_do():
    """The worked example of the document gives its signature, and is accepted."""
    secret = re.search(r"Secret, in ASCII:\n\n +(\S+)", DOCUMENT)[1].encode()
    lines = re.search(r"Lines:\n\n((?: {4}.*\n)+)", DOCUMENT)[1].split()
    headers = dict(re.findall(r"^ {4}(Mft-\w+): (\S+)$", DOCUMENT, re.MULTILINE))
    timestamp, method, target, _digest = lines
    assert headers["Mft-Timestamp"] == timestamp
    assert headers["Mft-Signature"] == sign(secret, timestamp=int(timestamp), method=method, target=target)
    assert verify(
        secret,
        timestamp=headers["Mft-Timestamp"],
        signature=headers["Mft-Signature"],
        now=NOW,
        method=method,
        target=target,
    )


def test_document_shows_good_records():
    """The examples are what the contract's own parser accepts, field by field."""
    principal, customer, case, page, problem = EXAMPLES[:5]
    assert parse_principal(principal, strict=True).login == principal["login"]
    assert parse_customer(customer, strict=True).id == customer["id"]
    assert parse_case(case, strict=True).number == case["number"]
    assert parse_case_page(page, customer=None, state=None, cursor=None).items == ()
    assert problem["code"] == "not_found"


def test_document_shows_a_good_table():
    """The table in the document is one, but for what it leaves out with dots."""
    text = re.search(r"```yaml\n(customers:.*?)```", DOCUMENT, re.DOTALL)[1]
    table = yaml.safe_load(re.sub(r", (password_hash|public_keys): [^}]*", "", text))
    assert StaticLookup(table).case("CASE-1001").title == "Cannot boot"


def test_document_names_every_kind_of_nonsense():
    """Nothing that the simulator can do is left out of the document."""
    listed = re.search(r"`nonsense` \| one of (.*) \|", DOCUMENT)[1]
    assert re.findall(r"`(\w+)`", listed) == [kind.value for kind in Nonsense]


@pytest.mark.parametrize(
    "changes",
    [
        {"timestamp": ""},
        {"timestamp": "x"},
        {"timestamp": "-1"},
        {"timestamp": "１７９５３３６２００"},  # noqa: RUF001 (digits that int() would take)
        {"timestamp": "9" * 5000},
        {"timestamp": "1795336201"},
        {"signature": ""},
        {"signature": "v1="},
        {"signature": "v1=" + "0" * 64},
        {"signature": "é\ud800"},
        {"now": NOW + 301},
        {"now": NOW - 301},
        {"method": "POST"},
        {"target": "/v1/principals/bob"},
        {"target": "/v1/principals/alice?x=1"},
        {"body": b"x"},
        {"secret": b"another secret of ours"},
    ],
)
def test_signature_holds_for_one_request_at_one_time(changes):
    """Any change of what was signed, and any odd header, is refused and raises nothing."""
    good = {
        "secret": b"correct-horse-battery-staple",
        "timestamp": "1795336200",
        "now": NOW,
        "method": "GET",
        "target": "/v1/principals/alice",
        "body": b"",
    }
    good["signature"] = sign(good["secret"], timestamp=1795336200, method="GET", target="/v1/principals/alice")
    assert verify(good.pop("secret"), **good)
    changed = {"secret": b"correct-horse-battery-staple", **good, **changes}
    assert not verify(changed.pop("secret"), **changed)


def test_signature_may_be_one_of_several():
    """While a secret is changed, both ends find one that they know."""
    target = "/v1/customers"
    both = " ".join(
        sign(secret, timestamp=int(NOW), method="GET", target=target) for secret in (b"old" * 9, b"new" * 9)
    )
    for secret in (b"old" * 9, b"new" * 9):
        assert verify(secret, timestamp=str(int(NOW)), signature=both, now=NOW, method="GET", target=target)


def test_request_without_a_signature_is_refused(running, admin):
    """Nobody reads the case system who does not know the secret; not even what exists."""
    for path in ("/v1/principals/erin", "/v1/principals/nobody", "/v1/cases", "/v1/customers/acme"):
        answer = admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (401, "bad_signature")


def test_not_found_is_a_problem_document(running, admin):
    """A missing record has the contract's code; a missing route has another."""
    headers = {"Mft-Timestamp": str(int(time.time()))}
    headers["Mft-Signature"] = sign(
        running.secret, timestamp=int(headers["Mft-Timestamp"]), method="GET", target="/v1/cases/X-1"
    )
    missing, elsewhere = admin.get("/v1/cases/X-1", headers=headers), admin.get("/v2/cases/X-1", headers=headers)
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    assert missing.headers["Content-Type"].startswith("application/problem+json")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (404, "no_such_route")


def test_case_that_is_opened_and_closed_is_seen_at_once(lookup, admin):
    """A case appears, is renamed, reclassified, closed and removed while somebody looks."""
    with pytest.raises(CaseNotFoundError):
        lookup.case("CASE-3001")
    made = admin.post("/admin/cases", json={"number": "CASE-3001", "title": "a", "customer": "bolt", "state": "open"})
    assert made.status_code == 201
    assert lookup.case("CASE-3001").opened is not None
    admin.patch("/admin/cases/CASE-3001", json={"title": "b", "classification": "secret"}).raise_for_status()
    changed = lookup.case("CASE-3001")
    assert (changed.title, changed.classification, changed.state) == ("b", "secret", CaseState.OPEN)
    admin.patch("/admin/cases/CASE-3001", json={"state": "closed"}).raise_for_status()
    assert lookup.case("CASE-3001").closed is not None
    assert "CASE-3001" not in {case.number for case in lookup.cases("bolt").items}
    assert admin.delete("/admin/cases/CASE-3001").status_code == 204
    with pytest.raises(CaseNotFoundError):
        lookup.case("CASE-3001")


def test_principal_that_is_revoked_is_seen_at_once(lookup, admin):
    """A login is made, switched off and removed while somebody looks."""
    admin.post("/admin/customers", json={"id": "dyn", "name": "Dyn"}).raise_for_status()
    admin.post(
        "/admin/principals", json={"login": "a+b@c", "roles": ["customer"], "customer": "dyn"}
    ).raise_for_status()
    assert lookup.principal("a+b@c").active
    admin.patch("/admin/principals/a+b@c", json={"active": False}).raise_for_status()
    assert not lookup.principal("a+b@c").active
    assert admin.delete("/admin/principals/a+b@c").status_code == 204
    with pytest.raises(PrincipalNotFoundError):
        lookup.principal("a+b@c")


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/admin/cases", {"number": "CASE-1", "customer": "nobody", "state": "open"}, 422),
        ("POST", "/admin/cases", {"number": "..", "customer": "acme", "state": "open"}, 422),
        ("POST", "/admin/cases", [], 422),
        ("PATCH", "/admin/cases/CASE-1001", {"number": "CASE-7"}, 422),
        ("PATCH", "/admin/cases/CASE-1001", {"state": "half-open"}, 422),
        ("PATCH", "/admin/cases/CASE-9999", {"state": "closed"}, 404),
        ("PATCH", "/admin/principals/erin", {"login": "other"}, 422),
        ("PUT", "/admin/behaviour", {"nonsense": "of no known kind"}, 422),
        ("PUT", "/admin/behaviour", {"latency": 5}, 422),
        ("PUT", "/admin/behaviour", {"error_rate": 2}, 422),
        ("DELETE", "/admin/principals/nobody", None, 404),
    ],
)
def test_admin_refuses_what_breaks_the_contract(running, admin, method, path, body, status):
    """A mistake in a test or a demo is told at once, and changes nothing."""
    before = (running.system.case("CASE-1001"), running.system.principal("erin"), running.system.behaviour)
    answer = admin.request(method, path, json=body)
    assert (answer.status_code, "code" in answer.json()) == (status, True)
    assert (running.system.case("CASE-1001"), running.system.principal("erin"), running.system.behaviour) == before


def test_admin_takes_only_what_says_that_it_is_json(running, admin):
    """What a page in a browser can send unasked is refused."""
    answer = admin.put("/admin/behaviour", content=b'{"hang": true}', headers={"Content-Type": "text/plain"})
    assert answer.status_code == 415
    assert admin.put("/admin/behaviour", content=b"{", headers={"Content-Type": "application/json"}).status_code == 400
    assert running.system.behaviour == Behaviour()


def test_behaviour_is_set_over_http(running, admin, lookup):
    """Errors begin and end by a request."""
    admin.put("/admin/behaviour", json={"error_rate": 1, "error_status": 500}).raise_for_status()
    with pytest.raises(LookupUnavailableError):
        lookup.case("CASE-1001")
    admin.put("/admin/behaviour", json={}).raise_for_status()
    assert lookup.case("CASE-1001").number == "CASE-1001"
    assert admin.get("/admin/requests").json() == {"/v1/cases/CASE-1001": 2}


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"case": []}, "case"),
        ({"cases": {}}, "cases"),
        ({"customers": [{"id": "a"}]}, "customers[0].name"),
        ({"cases": [{"number": "1", "customer": "a", "state": "open"}]}, "cases[0].customer"),
    ],
)
def test_data_with_a_mistake_is_refused_by_its_path(data, path):
    """A wrong file is told at the start."""
    with pytest.raises(InvalidRecordError) as caught:
        CaseSystem(data)
    assert caught.value.field == path


def start(*arguments):
    command = [sys.executable, "-c", "import sys; from mft.casesystem import main; sys.exit(main())", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(("kind", "own_secret"), [("yaml", True), ("json", False)])
def test_command_serves_until_it_is_told_to_end(tmp_path, kind, own_secret):
    """As a process: it says where it listens, answers, and ends with status 0 on SIGTERM even while a request hangs."""
    data, secret_file = tmp_path / f"data.{kind}", tmp_path / "secret"
    data.write_text(json.dumps(TABLE) if kind == "json" else yaml.safe_dump(TABLE), encoding="utf-8")
    secret_file.write_text("a secret of our own choice\n", encoding="utf-8")
    options = ["--secret-file", str(secret_file)] if own_secret else []
    with start("--listen", "127.0.0.1:0", "--data", str(data), *options) as process:
        told = json.loads(process.stdout.readline())
        assert ("secret" in told) != own_secret
        secret = told.get("secret", "a secret of our own choice").encode()
        lookup = HttpLookup(LookupSettings(url=told["url"], secret=secret, read_timeout=0.2))
        assert lookup.case("CASE-1001").title == "Cannot boot"
        httpx.put(told["url"] + "/admin/behaviour", json={"hang": True}, trust_env=False).raise_for_status()
        with pytest.raises(LookupUnavailableError):
            lookup.case("CASE-1001")
        lookup.close()
        os.kill(process.pid, signal.SIGTERM)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""


@pytest.mark.parametrize(
    ("data", "options", "said"),
    [
        (None, [], "No such file"),
        ("customers: [", [], "data.yaml"),
        ("- 1", [], "must hold"),
        ("customers: [{id: a, nam: b}]", [], "customers[0].nam: is not a field; did you mean 'name'"),
        ("{}", ["--listen", "nowhere"], "HOST:PORT"),
        ("{}", ["--secret-file", os.devnull], "16 bytes"),
    ],
)
def test_command_says_what_is_wrong(tmp_path, capsys, data, options, said):
    """A wrong file, address or secret ends it with one line and status 1."""
    file = tmp_path / "data.yaml"
    if data is not None:
        file.write_text(data, encoding="utf-8")
    assert main(["--data", str(file), *options]) == 1
    assert said in capsys.readouterr().err
