"""Who plays: the customers and their cases, the engineers, the operator, and what each logs in with."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

from argon2 import PasswordHasher

from mft.auth.passwords import hash_password
from mft.demo.ground import DemoError, write_private
from mft.demo.programs import run_program

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from mft.demo.ground import Ground

INSTALLATION = "demo.support.example"
_HASHER = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
"""Cheaper than the server's own: these passwords are long and random, and the demo should open soon."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One login and all that it may log in with."""

    role: str
    """Its name in connection.json."""
    login: str
    roles: tuple[str, ...]
    region: str
    """Whose entrance it uses."""
    description: str
    password: str
    key: Path
    customer: str | None = None
    regions: tuple[str, ...] | None = None
    """Where it may read; None: everywhere."""

    @property
    def is_local(self) -> bool:
        """Say whether it has an account in mft itself rather than in the case system."""
        return self.role == "operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Play:
    """One case of the story."""

    number: str
    title: str
    customer: str
    kind: str
    classification: str | None = None

    @property
    def folder(self) -> str:
        """Return its folder's name."""
        return f"{self.number} {self.title}"


CUSTOMERS: Mapping[str, tuple[str, str]] = {"acme": ("Acme Corp", "eu"), "globex": ("Globex", "us")}
"""Name and home region by id."""
BOOT = Play(number="CASE-1001", title="Cannot boot after update", customer="acme", kind="outage")
LEDGER = Play(number="CASE-1002", title="Ledger out of step", customer="acme", kind="data", classification="eu-only")
LICENCE = Play(number="CASE-1003", title="Licence renewal", customer="acme", kind="question")
MIRROR = Play(number="CASE-2001", title="Mirror falls behind", customer="globex", kind="performance")
CASES = (BOOT, LEDGER, LICENCE, MIRROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Everybody in the story."""

    customer: Person
    second_customer: Person
    engineer_eu: Person
    engineer_us: Person
    operator: Person

    @property
    def everybody(self) -> tuple[Person, ...]:
        """Return all of them."""
        return (self.customer, self.second_customer, self.engineer_eu, self.engineer_us, self.operator)


def make_cast(ground: Ground, passwords: Mapping[str, str] | None = None) -> Cast:
    """Return the cast, with the *passwords* (by role) of an earlier demo or new ones, and with keys made if need be."""
    known = passwords or {}

    def person(role: str, login: str, roles: tuple[str, ...], region: str, description: str, **more: object) -> Person:
        return Person(
            role=role,
            login=login,
            roles=roles,
            region=region,
            description=description,
            password=known.get(role) or _make_password(),
            key=_make_key(ground.keys / login.split("@", maxsplit=1)[0], login),
            **more,  # type: ignore[arg-type]  # the last two fields, as written below
        )

    return Cast(
        customer=person(
            "customer", "alice@acme.example", ("customer",), "eu", "Acme Corp's administrator", customer="acme"
        ),
        second_customer=person(
            "second_customer", "bob@globex.example", ("customer",), "us", "another customer, Globex", customer="globex"
        ),
        engineer_eu=person(
            "engineer_eu", "erin@support.example", ("engineer",), "eu", "support engineer in the EU", regions=("eu",)
        ),
        engineer_us=person(
            "engineer_us", "uma@support.example", ("engineer",), "us", "support engineer in the US", regions=("us",)
        ),
        operator=person(
            "operator", "oscar", ("operator", "auditor"), "eu", "runs the server and reads the audit; sees no case"
        ),
    )


def _make_key(path: Path, comment: str) -> Path:
    if not path.exists():
        make_key(path, "-t", "ed25519", "-C", comment)
    return path


def _make_password() -> str:
    """Return letters and digits, 119 random bits: no shell, URL or file of options takes any of them for its own."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(20))


def make_key(path: Path, *options: str) -> None:
    """Have `ssh-keygen` make a key pair without a passphrase.

    Raises:
        DemoError: it could not.
    """
    ran = run_program("ssh-keygen", "-q", "-N", "", *options, "-f", str(path))
    if ran.code != 0:
        raise DemoError(f"ssh-keygen failed: {ran.said}")


def write_records(ground: Ground, cast: Cast) -> None:
    """Write what the case system knows: customers, cases, and principals with hashes and public keys."""
    records = {
        "customers": [{"id": name, "name": title, "home_region": home} for name, (title, home) in CUSTOMERS.items()],
        "cases": [
            {
                "number": case.number,
                "title": case.title,
                "customer": case.customer,
                "state": "open",
                "kind": case.kind,
                "classification": case.classification,
            }
            for case in CASES
        ],
        "principals": [_principal(person) for person in cast.everybody if not person.is_local],
    }
    write_private(ground.records, json.dumps(records, indent=2) + "\n")


def _principal(person: Person) -> dict[str, object]:
    public = person.key.with_name(person.key.name + ".pub").read_text(encoding="utf-8").strip()
    return {
        "login": person.login,
        "roles": list(person.roles),
        "customer": person.customer,
        "name": person.description,
        "password_hash": hash_password(person.password, _HASHER),
        "public_keys": [public],
        "regions": None if person.regions is None else list(person.regions),
    }
