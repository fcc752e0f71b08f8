"""The customers, people and cases of the tests that need a whole house, and the configuration around them."""

from __future__ import annotations

import copy
import functools
import secrets
from typing import TYPE_CHECKING, Any

import asyncssh
import yaml
from argon2 import PasswordHasher

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "correct horse battery staple"
REGIONS = ("eu", "us", "in")
LOGINS = ("ann", "bob", "gus", "eve", "una", "max")
TITLE = "Cannot / boot\x07 \\ ..\u202e"
"""A title with everything that a folder's name cannot hold."""


@functools.cache
def key_pair() -> asyncssh.SSHKey:
    """Return the SSH key with which everybody logs in."""
    return asyncssh.generate_private_key("ssh-ed25519")


@functools.cache
def _password_hash() -> str:
    return PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(PASSWORD)


def _person(login: str, **facts: object) -> dict[str, object]:
    public = key_pair().export_public_key().decode().strip()
    return {"login": login, "password_hash": _password_hash(), "public_keys": [public], **facts}


def records() -> dict[str, list[dict[str, object]]]:
    """Return what the case system holds at first.

    Of acme are `ann` and `bob`, of globex is `gus`; `eve` is an engineer, `una` one who may work from the US alone,
    `max` one with clearance. ACME-1 is an ordinary case, ACME-2 stays in the EU, ACME-3 needs clearance, ACME-5 has a
    title from hell, ACME-9 is closed.
    """
    return {
        "customers": [
            {"id": "acme", "name": "Acme Corp", "home_region": "eu"},
            {"id": "globex", "name": "Globex / Initech", "home_region": "us"},
        ],
        "principals": [
            _person("ann", roles=["customer"], customer="acme"),
            _person("bob", roles=["customer"], customer="acme"),
            _person("gus", roles=["customer"], customer="globex"),
            _person("eve", roles=["engineer"]),
            _person("una", roles=["engineer"], regions=["us"]),
            _person("max", roles=["engineer"], clearance=50),
        ],
        "cases": [
            {"number": "ACME-1", "title": "Cannot boot", "customer": "acme", "state": "open"},
            {
                "number": "ACME-2",
                "title": "EU only",
                "customer": "acme",
                "state": "open",
                "classification": "eu-only",
            },
            {"number": "ACME-3", "title": "Secret", "customer": "acme", "state": "open", "clearance": 50},
            {"number": "ACME-5", "title": TITLE, "customer": "acme", "state": "open"},
            {"number": "ACME-9", "title": "Long ago", "customer": "acme", "state": "closed"},
            {"number": "GLOBEX-1", "title": "Theirs", "customer": "globex", "state": "open"},
        ],
    }


def write_configuration(directory: Path, url: str, secret: bytes, overrides: dict[str, Any]) -> Path:
    """Write a configuration with three regions and short waits; *overrides* is laid over it, map into map."""
    for name, text in {
        "lookup.secret": secret.decode(),
        **{f"{name}.pass": secrets.token_hex(8) for name in REGIONS},
    }.items():
        path = directory / name
        if not path.exists() or name == "lookup.secret":
            path.write_text(text + "\n")
            path.chmod(0o600)
    document: dict[str, Any] = {
        "installation": "house.example",
        "data": "data",
        "listeners": [
            {"protocol": protocol, "port": 0, "region": region} for region in REGIONS for protocol in ("sftp", "https")
        ],
        "operations": {"port": 0},
        "regions": {
            "eu": {"keyring": {"passphrase_file": "eu.pass"}, "nearest": ["us", "in"]},
            "us": {"keyring": {"passphrase_file": "us.pass"}, "nearest": ["eu", "in"]},
            "in": {"keyring": {"passphrase_file": "in.pass"}, "nearest": ["us", "eu"]},
        },
        "residency": {
            "home": "eu",
            "copies": ["us"],
            "metadata_regions": ["eu"],
            "rules": [
                {
                    "match": {"classification": "eu-only"},
                    "home": "eu",
                    "copies": [],
                    "reason": "the contract keeps these cases in the EU",
                },
                {"match": {"customer": "globex"}, "home": "us", "copies": ["eu"], "metadata_regions": ["eu", "us"]},
            ],
        },
        "lookup": {
            "type": "http",
            "url": url,
            "secret_file": "lookup.secret",
            "timeout": "3s",
            "ttl": "500ms",
            "negative_ttl": "200ms",
            "stale_if_error": "1s",
            "breaker_failures": 3,
            "breaker_reset": "500ms",
        },
        "revocation": {"bound": "5s", "poll": "100ms"},
        "landing": {"free_space": "1MiB"},
        "auth": {"throttle": {"account_failures": 100, "network_failures": 1000}},
        "scrub": {"workers": 2},
        "replication": {"retry_first": "500ms", "retry_max": "1s"},
        "workers": {"protocol": 2, "drain": "5s"},
        "log": {"format": "text"},
    }
    path = directory / "config.yaml"
    path.write_text(yaml.safe_dump(_laid_over(document, overrides)))
    return path


def _laid_over(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = copy.deepcopy(below)
    for key, value in above.items():
        inner = merged.get(key)
        merged[key] = _laid_over(inner, value) if isinstance(value, dict) and isinstance(inner, dict) else value
    return merged
