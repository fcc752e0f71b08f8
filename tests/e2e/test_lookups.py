"""Case systems of other kinds behind the real server: the built-in registry, and another's API by a preset."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

import mft.cli
from tests.casebook import key_pair
from tests.casemap import vendors
from tests.casemap.vendors import PERSON, Vendor, serving
from tests.house import House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

PATIENT = {"ttl": "30s", "negative_ttl": "30s", "stale_if_error": "20s"}
"""What is seen sooner than this was announced, and not found by asking again."""


def command(house: House, *words: str) -> str:
    """Run a command of `mft` in this process: starting a program for each takes longer than what it does."""
    done = CliRunner().invoke(mft.cli.build(), [*words, "--config", str(house.config)])
    assert done.exit_code == 0, f"{done.output}{done.exception}"
    return done.stdout


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    overrides = {
        "lookup": {"type": "registry", "url": None, "secret_file": None, **PATIENT},
        "revocation": {"bound": "60s"},
    }
    directory = tmp_path_factory.mktemp("registry")
    keys = directory / "ann.pub"
    keys.write_bytes(key_pair().export_public_key())
    with running_house(directory, **overrides) as house:
        command(house, "customer", "add", "acme", "--name", "Acme Corp", "--home-region", "eu")
        command(house, "case", "open", "CASE-1", "--customer", "acme", "--title", "Cannot boot")
        words = ("--role", "customer", "--customer", "acme", "--key", str(keys), "--no-password")
        command(house, "user", "add", "ann", *words)
        yield house


def folders(client: object) -> list[str]:
    return sorted(name for name in client.listdir("/") if name[0] != ".")  # type: ignore[attr-defined]


def test_live_session_follows_the_registry(registry: House) -> None:
    """A case that is opened at a shell appears, one that is changed is renamed, one that is closed goes, at once."""
    with registry.client("ann") as client:
        assert folders(client) == ["CASE-1 Cannot boot"]
        command(registry, "case", "open", "CASE-2", "--customer", "acme", "--title", "Slow")
        registry.until(lambda: folders(client) == ["CASE-1 Cannot boot", "CASE-2 Slow"], "the new case", 15)
        command(registry, "case", "change", "CASE-2", "--title", "Very slow")
        registry.until(lambda: "CASE-2 Very slow" in folders(client), "the new title", 15)
        command(registry, "case", "close", "CASE-2", "--why", "solved")
        registry.until(lambda: folders(client) == ["CASE-1 Cannot boot"], "the end of the case", 15)
        with pytest.raises(FileNotFoundError):
            client.stat("/cases/CASE-2")
    assert registry.events("case.closed", case="CASE-2")[0]["why"] == "solved"


def test_upload_ends_when_its_case_is_closed(registry: House) -> None:
    """A handle that is open when the case is closed takes no more bytes."""
    command(registry, "case", "open", "CASE-3", "--customer", "acme")
    with registry.client("ann") as client:
        registry.until(lambda: "CASE-3" in folders(client), "the new case", 15)
        file = client.open("/CASE-3/to-support/a.log", "wb")
        file.set_pipelined(False)
        file.write(b"x" * 1000)
        command(registry, "case", "close", "CASE-3")

        def is_refused() -> bool:
            try:
                file.write(b"x")
            except OSError:
                return True
            return False

        registry.until(is_refused, "the refusal", 15)


def test_login_is_explained_beside_the_running_server(registry: House) -> None:
    """`mft lookup test` and `mft lookup kit` work while the server runs."""
    told = command(registry, "lookup", "test", "ann")
    assert "there is a local account" in told
    assert "/CASE-1 Cannot boot" in told
    assert " 0 not kept" in command(registry, "lookup", "kit")


def test_upload_by_a_preset(tmp_path: Path) -> None:
    """A person whom Zendesk knows uploads to a ticket of the own organization with a token, and to no other."""
    vendor = Vendor(vendors.zendesk)
    with serving(vendor) as url:
        secret = tmp_path / "zendesk.secret"
        secret.write_text("word of the robot\n")
        secret.chmod(0o600)
        lookup = {
            "type": "declarative",
            "preset": "zendesk",
            "url": url,
            "secret_file": str(secret),
            "auth": {"user": "robot"},
            "timeout": "10s",
            **PATIENT,
        }
        with running_house(tmp_path, lookup=lookup, revocation={"bound": "60s"}) as house:
            token = command(house, "token", "create", PERSON).strip()
            file = tmp_path / "a.log"
            file.write_text("all is well\n")
            for number, status in (("35431", 201), ("35436", 404), ("35433", 404), ("99999", 404)):
                path = f"/cases/{number}/a.log"
                assert house.curl(PERSON, path, "-T", str(file), password=token)[0] == status, number
            listed = house.curl(PERSON, "/files/", password=token)
            assert listed[0] == 200
            assert b"35431 Cannot boot after update" in listed[1]
            assert b"35436" not in listed[1]
