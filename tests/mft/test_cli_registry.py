"""`mft case` and `mft customer`, as an operator uses them."""

import json
import shutil

import pytest
from typer.testing import CliRunner

import mft.cli
from mft.cli.ledger import open_ledger

CONFIG = """
data: data
listeners: [{protocol: sftp, port: 2222}]
regions:
  eu: {keyring: {passphrase_file: eu.pass}}
  us: {keyring: {passphrase_file: us.pass}}
residency: {home: eu}
lookup: {type: registry}
"""


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    home = tmp_path_factory.mktemp("made")
    (home / "config.yaml").write_text(CONFIG, encoding="utf-8")
    with open_ledger(home / "config.yaml"):
        pass
    return home


@pytest.fixture
def run(template, tmp_path, monkeypatch):
    """Run `mft` in a directory with a configuration and keys; give exit code, output and error."""
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MFT_CONFIG", raising=False)

    def run(*arguments):
        result = CliRunner().invoke(mft.cli.build(), arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return 1, result.stdout, str(result.exception)
        return result.exit_code, result.stdout, result.stderr

    return run


def test_case_from_opening_to_closing(run):
    """A case is opened, changed, listed, closed and opened again."""
    assert run("customer", "add", "acme", "--name", "Acme Corp", "--home-region", "eu", "--tag", "gold")[0] == 0
    opened = run("case", "open", "CASE-1", "--customer", "acme", "--title", "Cannot boot", "--priority", "2")
    assert opened == (0, "CASE-1: open\n", "")
    assert run("case", "change", "CASE-1", "--title", "Boots", "--clear", "priority")[0] == 0
    record = json.loads(run("case", "show", "CASE-1")[1])
    assert (record["title"], record["state"], record["revision"]) == ("Boots", "open", 2)
    assert "priority" not in record
    assert [row["number"] for row in json.loads(run("case", "list", "--json")[1])] == ["CASE-1"]
    assert run("case", "close", "CASE-1", "--why", "solved")[0] == 0
    assert json.loads(run("case", "list", "--json")[1]) == []
    assert [row["state"] for row in json.loads(run("case", "list", "--state", "all", "--json")[1])] == ["closed"]
    assert run("case", "reopen", "CASE-1")[0] == 0
    assert "CASE-1  acme      open   3         Boots" in run("case", "list", "--customer", "acme")[1]


def test_customers_are_kept(run):
    """A customer is added, changed, shown, listed and removed."""
    run("customer", "add", "acme", "--name", "Acme Corp", "--tag", "gold")
    assert run("customer", "change", "acme", "--name", "Acme Ltd", "--clear", "tags")[0] == 0
    record = json.loads(run("customer", "show", "acme")[1])
    assert (record["name"], record.get("tags")) == ("Acme Ltd", None)
    assert "Acme Ltd" in run("customer", "list")[1]
    assert run("customer", "remove", "acme", "--yes")[0] == 0
    assert json.loads(run("customer", "list", "--json")[1]) == []


def test_long_lists_come_in_parts(run):
    """A limit ends the list, and says how to go on."""
    run("customer", "add", "acme", "--name", "Acme")
    for number in range(5):
        run("case", "open", f"C-{number}", "--customer", "acme")
    code, output, error = run("case", "list", "--limit", "2", "--json")
    assert (code, [row["number"] for row in json.loads(output)], error) == (
        0,
        ["C-0", "C-1"],
        "more follow: --after C-1\n",
    )
    rest = json.loads(run("case", "list", "--after", "C-1", "--json")[1])
    assert [row["number"] for row in rest] == ["C-2", "C-3", "C-4"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("case", "open", "CASE-1", "--customer", "bolt"), 1, "no customer 'bolt'"),
        (("case", "open", "CASE", "--customer", "acme"), 1, "number: is not a case number"),
        (("case", "open", "CASE-1", "--customer", "acme", "--region", "mars"), 1, "there are eu, us"),
        (("case", "open", "CASE-1", "--customer", "acme", "--priority", "9"), 1, "priority: must be from 1 to 5"),
        (("case", "open", "CASE-1"), 2, "--customer"),
        (("case", "close", "CASE-9"), 1, "no case 'CASE-9'"),
        (("case", "change", "CASE-9", "--title", "x"), 1, "no case 'CASE-9'"),
        (("case", "list", "--state", "shut"), 2, "open, closed or all"),
        (("case", "list", "--customer", "bolt"), 1, "no customer 'bolt'"),
        (("customer", "add", "a/b", "--name", "x"), 1, "id: is not a customer id"),
        (("customer", "add", "ACME", "--name", "x"), 1, "a customer acme already"),
    ],
)
def test_wrong_input_is_named(run, arguments, code, said):
    """Each error says what was wrong; nothing is changed."""
    run("customer", "add", "acme", "--name", "Acme")
    got, _, error = run(*arguments)
    assert (got, said in error) == (code, True), error


def test_registry_that_is_not_used_is_not_written(run, tmp_path):
    """Where cases come from a case system, none is opened here by mistake."""
    (tmp_path / "config.yaml").write_text(CONFIG.replace("{type: registry}", "{table: {}}"), encoding="utf-8")
    code, _, error = run("case", "list")
    assert (code, "lookup.type" in error) == (1, True)


def test_grants_limit_an_engineer(run):
    """Given, listed, taken away and lifted; what there is not cannot be granted."""
    for customer in ("acme", "globex"):
        assert run("customer", "add", customer, "--name", customer.title())[0] == 0
    assert run("case", "open", "CASE-1", "--customer", "acme")[0] == 0
    assert run("user", "add", "eve", "--role", "engineer", "--no-password")[0] == 0
    assert run("grant", "add", "eve", "--customer", "acme", "--clearance", "10")[0] == 0
    assert run("grant", "add", "eve", "--case", "CASE-1")[0] == 0
    given = json.loads(run("grant", "list", "eve", "--json")[1])
    assert [(each["customer"], each["case"], each["clearance"]) for each in given] == [
        (None, "CASE-1", None),
        ("acme", None, 10),
    ]
    code, said, _ = run("lookup", "test", "eve")
    assert code == 0
    assert "limited to case CASE-1, the cases of acme at clearance 10" in said
    for wrong in (
        (),
        ("--customer", "initech"),
        ("--case", "CASE-9"),
        ("--customer", "globex", "--case", "CASE-1"),
    ):
        assert run("grant", "add", "eve", *wrong)[0] == 2
    assert run("grant", "remove", "eve", "--customer", "globex")[0] == 1
    for mine in (("--customer", "acme"), ("--case", "CASE-1")):
        assert run("grant", "remove", "eve", *mine)[0] == 0
    assert "eve    none" in run("grant", "list")[1]
    assert json.loads(run("grant", "list", "--json")[1]) == [{"login": "eve", "customer": None, "case": None}]
    assert "limited to no case at all" in run("lookup", "test", "eve")[1]
    assert run("grant", "lift", "eve")[0] == 0
    assert json.loads(run("grant", "list", "--json")[1]) == []
