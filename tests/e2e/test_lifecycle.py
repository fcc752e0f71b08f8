"""The end of a case over a whole house: closed, read for a while, held, destroyed, certified."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.house import MFT, House, running_house

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.e2e
RULES = {
    "every": "1h",
    "rules": [
        {"match": {"case": "ACME-8*"}, "retention": "1ms", "reason": "contract 7"},
        {"match": {"case": "ACME-9*"}, "read_after_close": "1d"},
    ],
}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with running_house(tmp_path_factory.mktemp("house"), lifecycle=RULES) as running:
        running.until(lambda: "lifecycle.round" in running.log.read_text(), "its own round, which would take part")
        yield running


def run(house: House, *words: str, code: int = 0) -> str:
    done = subprocess.run(
        [*MFT, *words, "--config", str(house.config)], capture_output=True, text=True, timeout=90, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def plan(house: House, number: str, *words: str) -> Any:
    found = json.loads(run(house, "lifecycle", "plan", "--json", "--all", *words))
    return next(each for each in found if each["case"] == number)


def filled(house: House, number: str) -> None:
    """Open a case, have a file of it stored and copied."""
    house.system.put_case({"number": number, "title": f"The {number}", "customer": "acme", "state": "open"})
    (house.directory / "ganymede.txt").write_bytes(b"content of " + number.encode() + b"\n")
    house.until(lambda: house.sftp("ann", f"put ganymede.txt /{number}/to-support/ganymede.txt").returncode == 0)
    house.until(house.settled, "the copies")


def files(house: House, part: str) -> list[str]:
    return [str(path) for path in (house.data / "regions").rglob("*") if path.is_file() and part in str(path)]


def test_closed_case_is_planned_held_destroyed_and_certified(house: House) -> None:
    """From the customer's upload to the certificate that anybody can check offline."""
    filled(house, "ACME-80")
    assert plan(house, "ACME-80")["fate"] == "keep"
    house.system.change_case("ACME-80", {"state": "closed"})
    assert plan(house, "ACME-80")["fate"] == "destroy"
    run(house, "hold", "set", "ACME-80", "--reason", "order 12/26")
    assert plan(house, "ACME-80")["fate"] == "held"
    run(house, "lifecycle", "run", code=3)
    assert json.loads(run(house, "hold", "list", "--json"))[0]["reason"] == "order 12/26"
    before = {row["key"] for row in house.query("SELECT key FROM stored_body")}
    assert all(files(house, key) for key in before)
    run(house, "hold", "release", "ACME-80", "--reason", "lifted")
    done = json.loads(run(house, "lifecycle", "run", "--json"))
    assert [each["case"] for each in done["destroyed"]] == ["ACME-80"]
    assert not any(files(house, key) for key in before)
    assert house.query("SELECT * FROM case_key WHERE wrapped IS NOT NULL") == []
    assert b"ganymede" not in (house.data / "catalog.db").read_bytes()
    certificate = house.directory / "certificate.json"
    certificate.write_text(run(house, "lifecycle", "certificate", "ACME-80"))
    key = house.directory / "key.json"
    key.write_text(run(house, "receipt", "key"))
    checked = subprocess.run(
        [*MFT, "receipt", "verify", str(certificate), "--key", str(key)],
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    claims = json.loads(certificate.read_text())
    assert (claims["case"], claims["reason"], claims["rule"]) == ("ACME-80", "contract 7", "lifecycle.rules[0]")
    assert {each["key"] for each in claims["objects"]} == before
    assert house.verify_audit().faults == ()


def test_operator_ends_a_case_by_the_api(house: House) -> None:
    """Plan, hold, release, run and certificate over HTTPS; auditors look, and nobody else has that door."""
    filled(house, "ACME-82")
    house.system.change_case("ACME-82", {"state": "closed"})
    for login, role in (("olga", "operator"), ("audra", "auditor")):
        house.system.put_principal({**house.system.principal("eve"), "login": login, "roles": [role]})

    def ask(login: str, path: str, body: object = None) -> tuple[int, Any]:
        sent = [] if body is None else ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        status, answer = house.curl(login, f"/api/v1{path}", *sent)
        return status, json.loads(answer)

    def fate() -> str:
        return next(each["fate"] for each in ask("audra", "/lifecycle/plan")[1]["items"] if each["case"] == "ACME-82")

    house.until(lambda: fate() == "destroy")
    assert ask("audra", "/lifecycle/run", {})[0] == 403
    assert ask("eve", "/lifecycle/plan")[0] == 403
    assert ask("olga", "/holds", {"case": "ACME-82", "reason": "order 12/26"})[0] == 201
    status, done = ask("olga", "/lifecycle/run", {"case": "ACME-82"})
    assert (status, done["destroyed"], done["left"][0]["case"]) == (200, [], "ACME-82")
    assert fate() == "held"
    assert ask("olga", "/holds/ACME-82/release", {"reason": "lifted"})[0] == 200
    status, done = ask("olga", "/lifecycle/run", {"case": "ACME-82"})
    assert (status, [each["case"] for each in done["destroyed"]]) == (200, ["ACME-82"])
    status, found = ask("audra", "/lifecycle/destructions?case=ACME-82")
    assert (status, found["items"][0]["certificate"]["by"]) == (200, "olga")
    assert files(house, "ACME-82") == []


def test_closed_case_can_be_read_and_not_written(house: House) -> None:
    """Within its time its customer gets the files back, and puts nothing more."""
    filled(house, "ACME-90")
    house.system.change_case("ACME-90", {"state": "closed"})
    house.until(lambda: house.sftp("ann", "put ganymede.txt /ACME-90/to-support/more.txt").returncode != 0)
    house.until(lambda: "ACME-90 The ACME-90" in house.sftp("ann", "ls /").stdout, "every worker's word of it")
    done = house.sftp("ann", "get /ACME-90/to-support/ganymede.txt back.txt")
    assert done.returncode == 0, done.stderr
    assert (house.directory / "back.txt").read_bytes() == b"content of ACME-90\n"
    sent = ("/cases/ACME-90/more.txt", "-T", str(house.directory / "ganymede.txt"))
    house.until(lambda: house.curl("ann", *sent)[0] == 403, "the word of the worker that answers HTTPS")


def test_server_destroys_by_itself(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Without a command: what is due goes in one of the server's own rounds, after a crash as well."""
    directory = tmp_path_factory.mktemp("house")
    with running_house(directory, lifecycle={"every": "500ms", "retention": "1ms"}) as house:
        filled(house, "ACME-81")
        house.system.change_case("ACME-81", {"state": "closed"})
        house.until(lambda: house.query("SELECT 1 FROM destruction"), "the destruction")
        house.kill()
        house.start()
        house.until(lambda: house.query("SELECT 1 FROM destruction WHERE certificate IS NOT NULL"), "the certificate")
        assert house.events("case.destroyed", case="ACME-81")
        assert files(house, "/bodies/") == []
