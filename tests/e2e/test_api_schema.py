"""The API against its own document, by schemathesis: nothing undocumented, nothing malformed taken, no server error."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from casemap.model import Role
from mft.auth.accounts import Accounts
from mft.auth.tokens import Tokens
from mft.cli.ledger import open_ledger
from tests.house import running_house

KEPT = Path(__file__).parents[2] / "docs" / "api" / "openapi.json"
pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """A house whose logins are not slowed down: what is tested is its API."""
    pace = {"api": {"requests": 1_000_000}, "auth": {"throttle": {"enabled": False}}}
    with running_house(tmp_path_factory.mktemp("api-schema"), **pace) as house:
        yield house


CHECKS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "401", "403", "404", "409", "412", "422", "5xx"]
"""
"""A condition that does not hold (RFC 9110, section 13) is no refusal of the request, and neither is a key that was
used for another request."""


def run_schemathesis(house, directory, login: str, *options: str) -> subprocess.CompletedProcess[str]:
    with open_ledger(house.config) as (_, ledger, key):
        if login == "root":
            Accounts(ledger).create("root", roles=[Role.OPERATOR, Role.AUDITOR], by="test")
        token = Tokens(ledger, key=key).create(login, by="test").text
    command = [
        sys.executable, "-m", "schemathesis.cli", "run", "--no-color", "--seed", "20261122",
        "--generation-deterministic", "--continue-on-failure",
        "--tls-verify", house.endpoints["certificate"], "--header", f"Authorization: Bearer {token}",
        *options, house.url("/api/v1/openapi.json"),
    ]  # fmt: skip
    (directory / "schemathesis.toml").write_text(CHECKS)
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=560, check=False)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(("login", "phases"), [("ann", "fuzzing"), ("root", "coverage,fuzzing,stateful")])
def test_every_answer_is_as_the_document_says(house, tmp_path, login, phases):
    """Whatever is made up, a customer and an operator get documented answers, and bad requests are refused."""
    done = run_schemathesis(house, tmp_path, login, "--phases", phases, "--max-examples", "2")

    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "Tested: " in done.stdout


def test_the_document_in_docs_is_the_one_that_is_served(house):
    """docs/api/openapi.json is what a server of this release serves, but for its name."""
    status, body = house.curl("ann", "/api/v1/openapi.json")
    served, kept = json.loads(body), json.loads(KEPT.read_text())
    served["info"]["title"] = kept["info"]["title"]

    assert status == 200
    assert served["openapi"].startswith("3.1")
    assert served == kept, "write it anew: curl https://HOST/api/v1/openapi.json | python -m json.tool"
