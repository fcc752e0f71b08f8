"""`mft lookup test` and `mft lookup kit`, against the simulator in good and in bad days, and against the presets."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import mft.cli
from casemap.kit import Samples, check_lookup
from mft.casesystem import Behaviour, Nonsense, running_case_system
from mft.cli.ledger import open_ledger
from mft.lookups import open_http_adapter
from tests.casemap import vendors
from tests.casemap.test_presets import CUSTOMER, EXTRA, NUMBER, configuration
from tests.casemap.vendors import PERSON, Vendor, serving
from tests.contracts.lookup import HASH, KEY

SECRET = b"a secret of more than sixteen bytes"
DATA = {
    "customers": [{"id": "acme", "name": "Acme Corp", "home_region": "eu"}, {"id": "bolt", "name": "Bolt"}],
    "principals": [
        {"login": "alice@acme", "roles": ["customer"], "customer": "acme", "password_hash": HASH, "public_keys": [KEY]},
        {"login": "erin", "roles": ["engineer"], "clearance": 1},
        {"login": "gone", "roles": ["engineer"], "active": False},
        {"login": "lapsed", "roles": ["customer"], "customer": "acme", "expires": "2020-01-01T00:00:00Z"},
        {"login": "otto", "roles": ["operator"]},
    ],
    "cases": [
        {"number": "CASE-1", "title": "Cannot boot", "customer": "acme", "state": "open"},
        {"number": "CASE-2", "title": "Old", "customer": "acme", "state": "closed"},
        {"number": "CASE-3", "title": "Secret", "customer": "acme", "state": "open", "clearance": 5},
        {"number": "CASE-4", "title": "Far", "customer": "bolt", "state": "open", "home_region": "mars"},
        {"number": "CASE-5", "title": "Near", "customer": "bolt", "state": "open"},
    ],
}
CONFIG = """
data: data
listeners: [{{protocol: sftp, port: 2222}}]
regions:
  eu: {{keyring: {{passphrase_file: eu.pass}}}}
  us: {{keyring: {{passphrase_file: us.pass}}}}
residency: {{home: eu}}
lookup: {{type: http, url: "{url}", secret_file: lookup.secret, timeout: 5s}}
"""


@pytest.fixture(scope="module")
def running():
    with running_case_system(DATA, secret=SECRET) as running:
        yield running


@pytest.fixture(scope="module")
def template(tmp_path_factory, running):
    home = tmp_path_factory.mktemp("made")
    (home / "lookup.secret").write_bytes(SECRET)
    (home / "lookup.secret").chmod(0o600)
    (home / "config.yaml").write_text(CONFIG.format(url=running.url), encoding="utf-8")
    with open_ledger(home / "config.yaml"):
        pass
    return home


@pytest.fixture
def run(template, tmp_path, monkeypatch, running):
    """Run `mft lookup` in a directory with a configuration; give exit code and output."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MFT_CONFIG", raising=False)

    def run(*arguments):
        result = CliRunner().invoke(mft.cli.build(), ["lookup", *arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return 1, str(result.exception)
        return result.exit_code, result.output

    running.system.behaviour = Behaviour()
    yield run
    running.system.behaviour = Behaviour()


def cases_of(output):
    return {case["number"]: (case["allowed"], case["why"], case["folders"]) for case in json.loads(output)["cases"]}


def test_every_step_of_a_customers_login_is_told(run, running):
    """Whom it asks, what came, who that is, its cases, their folders and why: and no secret, hash or key."""
    code, output = run("test", "alice@acme")
    assert code == 0
    for word in (
        running.url,
        "no local account",
        "GET /v1/principals/alice%40acme: 200",
        "roles customer, of customer acme",
        "a password hash (not shown)",
        "answered from memory 1 time",
        "may log in, by password or key or token",
        "acme (Acme Corp); home region eu",
        "GET /v1/cases?customer=acme&state=open",
        "CASE-1 'Cannot boot', open, of acme: allowed",
        "home eu, copies none, read from eu",
        "/CASE-1 Cannot boot",
        "it may log in",
    ):
        assert word in output
    for secret in (SECRET.decode(), HASH, HASH[-20:], KEY.split()[1], "v1="):
        assert secret not in output


def test_why_a_case_is_not_there_is_told(run):
    """Of each case that a login does not have the reason is said: closed, another's, clearance, region."""
    code, output = run("test", "erin", "--json")
    told = cases_of(output)
    assert (code, told["CASE-1"]) == (0, (True, "residency (no rule fits)", ["/Acme Corp/CASE-1 Cannot boot"]))
    assert told["CASE-3"] == (False, "clearance 5 is needed", [])
    assert "mars" in told["CASE-4"][1]
    assert "the case is closed" in run("test", "erin", "--case", "CASE-2")[1]
    other = cases_of(run("test", "alice@acme", "--case", "CASE-5", "--json")[1])["CASE-5"]
    assert other == (False, "the case belongs to another customer", [])
    assert "no such case" in run("test", "erin", "--case", "CASE-9")[1]
    assert "not from region us" in run("test", "erin", "--region", "us")[1]


@pytest.mark.parametrize(
    ("login", "code", "said"),
    [
        ("nobody", 3, "there is no such login"),
        ("a b", 3, "nobody is asked"),
        ("gone", 4, "may not log in: the account is disabled"),
        ("lapsed", 4, "may not log in: the account has expired"),
        ("otto", 0, "the role sees no case"),
    ],
)
def test_exit_code_says_what_came_of_it(run, login, code, said):
    """3: nobody; 4: somebody who may not; 0: may log in."""
    got, output = run("test", login)
    assert (got, said in output) == (code, True), output


@pytest.mark.parametrize(
    ("login", "code", "said"),
    [
        ("alice@acme@CASE-1", 0, "read as alice@acme, in case CASE-1 alone"),
        ("CASE-1@alice@acme", 0, "CASE-1 'Cannot boot', open, of acme: allowed"),
        ("alice@acme@CASE-5", 4, "refused as a wrong password is"),
        ("alice@acme@CASE-9", 4, "no such case"),
        ("nobody@CASE-1", 3, "read as nobody, in case CASE-1 alone"),
        ("CASE-1", 0, "for a token of that case alone"),
        ("CASE-2", 4, "CASE-2, closed, of acme"),
        ("CASE-9", 3, "CASE-9: no such case"),
    ],
)
def test_every_form_of_a_login_is_explained(run, login, code, said):
    """A login that names a case is read as the server reads it."""
    got, output = run("test", login)
    assert (got, said in output) == (code, True), output


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(status=503), "503"),
        (Behaviour(status=401), "check secret and clock"),
        (Behaviour(nonsense=Nonsense.HUGE), "larger than"),
        (Behaviour(nonsense=Nonsense.REDIRECT), "redirects"),
        (Behaviour(nonsense=Nonsense.WRONG_TYPES), "breaks the contract"),
        (Behaviour(nonsense=Nonsense.OTHER_RECORD), "another record"),
    ],
)
def test_bad_answer_is_named_and_fails_closed(run, running, behaviour, said):
    """What is wrong with the answer is said, and that nobody gets in by it."""
    running.system.behaviour = behaviour
    code, output = run("test", "alice@acme")
    assert (code, said in output, "nobody that is not remembered gets in" in output) == (1, True, True), output


def test_local_account_hides_the_case_systems(run, tmp_path):
    """A local account is not asked about anywhere else."""
    result = CliRunner().invoke(mft.cli.build(), ["user", "add", "erin", "--role", "engineer", "--no-password"])
    assert result.exit_code == 0
    code, output = run("test", "erin")
    assert (code, "there is a local account" in output, "/v1/principals" in output) == (0, True, False)


SAMPLES = ("--login", "alice@acme", "--case", "CASE-1", "--customer", "acme")


def kit(run, running, *more):
    return run("kit", running.url, "--secret-file", "lookup.secret", *more)


def test_simulator_keeps_every_promise(run, running):
    """Against the simulator nothing fails and, with samples, nothing is left out."""
    code, output = kit(run, running, *SAMPLES)
    assert (code, "FAIL" in output, output.splitlines()[-1]) == (0, False, "34 kept, 0 not kept, 0 left out"), output


def test_kit_finds_its_own_samples(run, running):
    """Without samples the kit takes what it finds in the lists; a login it cannot find."""
    code, output = kit(run, running)
    assert (code, output.splitlines()[-1]) == (0, "33 kept, 0 not kept, 1 left out")
    assert "-    principal: the sample login is found: give a login" in output


def failed(output):
    return {row["name"]: row for row in json.loads(output) if row["passed"] is False}


@pytest.mark.parametrize(
    ("kind", "named"),
    [
        (Nonsense.HTML, "answer: says that it is JSON"),
        (Nonsense.NOT_FOUND_PAGE, "error: not found is a problem document"),
        (Nonsense.OTHER_CUSTOMER, "cases: the list of a customer holds its open cases alone"),
        (Nonsense.DUPLICATES, "cases: pages make the list, each case once"),
        (Nonsense.CIRCLE, "customers: pages make the list, each customer once"),
        (Nonsense.TOO_MANY, "page: a limit of 1 is honoured"),
        (Nonsense.OTHER_RECORD, "case: the sample case is found"),
        (Nonsense.WRONG_TYPES, "principal: the sample login is found"),
        (Nonsense.COMPRESSED, "answer: is not compressed"),
        (Nonsense.REDIRECT, "signature: a right one is taken"),
    ],
)
def test_broken_promise_is_a_failed_line_with_advice(run, running, kind, named):
    """Each kind of nonsense fails the line that is about it, and the line says what to do."""
    running.system.behaviour = Behaviour(nonsense=kind)
    code, output = kit(run, running, *SAMPLES, "--json")
    assert code == 1
    assert failed(output)[named]["advice"]
    assert failed(output)[named]["seen"]


def test_endpoint_that_takes_any_signature_fails(run, monkeypatch):
    """Whoever does not verify signatures is told, line by line."""
    monkeypatch.setattr("mft.casesystem.server.verify", lambda *_, **__: True)
    with running_case_system(DATA, secret=SECRET) as lax:
        code, output = run("kit", lax.url, "--secret-file", "lookup.secret", "--json")
    assert (code, len(failed(output))) == (1, 7)
    assert all(name.startswith(("signature:", "clock:")) for name in failed(output))


def test_kit_runs_on_a_configured_lookup(run, tmp_path):
    """Whatever its type: here the built-in registry."""
    text = (tmp_path / "config.yaml").read_text(encoding="utf-8")
    head = text[: text.index("lookup:")]
    (tmp_path / "registry.yaml").write_text(head + "lookup: {type: registry}\n", encoding="utf-8")
    app = CliRunner()
    for words in (["customer", "add", "acme", "--name", "A"], ["case", "open", "C-1", "--customer", "acme"]):
        assert app.invoke(mft.cli.build(), [*words, "--config", "registry.yaml"]).exit_code == 0
    code, output = run("kit", "--config", "registry.yaml")
    assert (code, output.splitlines()[-1]) == (0, "15 kept, 0 not kept, 1 left out"), output


@pytest.mark.parametrize("preset", sorted(EXTRA))
def test_kit_runs_on_the_presets(preset):
    """The presets keep every promise over the shapes of their case systems' answers."""
    samples = Samples(login=PERSON, case=NUMBER[preset].format(1), customer=CUSTOMER[preset])
    with serving(Vendor(getattr(vendors, preset))) as url:
        lookup = open_http_adapter(configuration(url, preset))
        lines = list(check_lookup(lookup, samples))
        lookup.close()
    assert [(line.name, line.seen) for line in lines if line.passed is False] == []
    left_out = [line.name for line in lines if line.passed is None]
    assert left_out == (
        ["case: another letter case of the number is another number"] if preset in {"salesforce", "zendesk"} else []
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("kit",), 2, "give the endpoint's URL"),
        (("kit", "http://127.0.0.1:9"), 2, "--secret-file is needed"),
        (("kit", "http://elsewhere.example", "--secret-file", "lookup.secret"), 2, "https://"),
        (("kit", "http://127.0.0.1:9", "--secret-file", "none"), 1, "No such file"),
        (("test", "erin", "--region", "mars"), 2, "there is no region"),
        (("test",), 2, "LOGIN"),
    ],
)
def test_wrong_usage_is_named(run, arguments, code, said):
    """Each error says what was wrong."""
    got, output = run(*arguments)
    assert (got, said in output) == (code, True), output


@pytest.mark.parametrize(
    ("lookup", "said"),
    [
        ("preset: jira, auth: {user: a@b.example}", "lookup.settings.project: must be given"),
        ("preset: zendesk, auth: {user: a}, requests: {case: {path: /x/{login}}}", "lookup.requests.case.path"),
        ("preset: zendesk, auth: {user: a}, client_certificate: lookup.secret", "not a certificate and its key"),
        ("preset: zendesk", "lookup.auth.user: must be given"),
    ],
)
def test_mapping_that_cannot_be_is_found_by_the_check(run, tmp_path, lookup, said):
    """`mft config check` makes what would ask, without asking, and names the key."""
    text = CONFIG.format(url="https://case.example").replace("type: http", f"type: declarative, {lookup}")
    (tmp_path / "config.yaml").write_text(text.replace("/x/{login}", '"/x/{login}"'), encoding="utf-8")
    for region in ("eu", "us"):
        (tmp_path / f"{region}.pass").write_text("word")
        (tmp_path / f"{region}.pass").chmod(0o600)
    result = CliRunner().invoke(mft.cli.build(), ["config", "check", "config.yaml"])
    assert said in str(result.exception)
