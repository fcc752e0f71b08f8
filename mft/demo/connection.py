"""`connection.json`: endpoints and credentials of the running demo, for programs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mft.demo.cast import BOOT, CASES, CUSTOMERS, INSTALLATION, LEDGER, MIRROR
from mft.demo.configuration import BOUND_SECONDS, REGIONS
from mft.demo.ground import DemoError, write_private
from mft.demo.ports import HOST

if TYPE_CHECKING:
    from mft.demo.cast import Cast, Person
    from mft.demo.clients import Clients
    from mft.demo.ground import Ground
    from mft.demo.ports import Ports
    from mft.demo.servers import Servers

_EXAMPLE = "boot.log"


def case_path(person: Person) -> str:
    """Return the folder that *person* is most likely to try, in the tree that it sees; empty if it sees none."""
    if person.customer is not None:
        case = next(case for case in CASES if case.customer == person.customer)
        return f"/{case.folder}"
    return "" if person.is_local else f"/{CUSTOMERS[BOOT.customer][0]}/{BOOT.folder}"


def make_connection(
    *, ground: Ground, cast: Cast, ports: Ports, clients: Clients, servers: Servers, endpoints: dict[str, Any]
) -> dict[str, Any]:
    """Return the document; *endpoints* is what the server says of itself."""
    return {
        "version": 1,
        "installation": INSTALLATION,
        "roles": _roles(cast, clients),
        "protocols": {
            "sftp": _entrances([_sftp(region, port) for region, port in ports.sftp.items()]),
            "https": _entrances([_https(clients, region, port) for region, port in ports.https.items()]),
        },
        "https": {
            "certificate": str(ground.certificate),
            "fingerprint_sha256": endpoints["fingerprint"],
            "receipt_key": str(ground.receipt_key),
        },
        "ssh": {"known_hosts": str(ground.known_hosts), "host_keys": host_keys(endpoints)},
        "customers": [{"id": name, "name": title, "home_region": home} for name, (title, home) in CUSTOMERS.items()],
        "cases": [
            {
                "number": case.number,
                "title": case.title,
                "folder": case.folder,
                "customer": case.customer,
                "classification": case.classification,
                "regions": {BOOT.customer: ["eu", "us"], MIRROR.customer: ["us", "ap"]}[case.customer]
                if case is not LEDGER
                else ["eu"],
            }
            for case in CASES
        ],
        "layout": {"upload": "to-support", "download": "from-support", "meta": ".meta"},
        "case_system": {
            "url": servers.admin_url.removesuffix("/admin"),
            "admin_url": servers.admin_url,
            "secret_file": str(ground.lookup_secret),
            "records": str(ground.records),
            "revocation_bound_seconds": BOUND_SECONDS,
        },
        "operations": {name: f"{servers.operations_url}/{name}" for name in ("healthz", "readyz", "metrics")},
        "directory": str(ground.root),
        "data": str(ground.data),
        "configuration": str(ground.configuration),
        "catalog": str(ground.catalog),
        "regions": {
            region: {
                "store": str(ground.data / "regions" / region / "store"),
                "landing": str(ground.data / "regions" / region / "landing"),
                "keyring": str(ground.data / "regions" / region / "keyring"),
                "passphrase_file": str(ground.secrets / f"{region}.passphrase"),
            }
            for region in REGIONS
        },
        "logs": {name: str(ground.log(name)) for name in ("serve", "case-system")},
    }


def _roles(cast: Cast, clients: Clients) -> dict[str, Any]:
    """Describe everybody; `engineer` is the one of the home region."""
    roles = {person.role: _role(person, clients) for person in cast.everybody}
    return {**roles, "engineer": roles["engineer_eu"]}


def _role(person: Person, clients: Clients) -> dict[str, Any]:
    return {
        "description": person.description,
        "login": person.login,
        "password": person.password,
        "key": str(person.key),
        "private_key": str(person.key),
        "public_key": f"{person.key}.pub",
        "token": clients.tokens[person.login],
        "roles": list(person.roles),
        "customer": person.customer,
        "region": person.region,
        "regions": None if person.regions is None else list(person.regions),
        "account": "local" if person.is_local else "case system",
        "case_path": case_path(person) or None,
    }


def _entrances(entrances: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe a protocol: its first entrance, and all of them."""
    return {**entrances[0], "entrances": entrances}


def _sftp(region: str, port: int) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": port,
        "region": region,
        "example_path": f"/{BOOT.folder}/to-support/{_EXAMPLE}",
        "example_url": f"sftp://{HOST}:{port}/{BOOT.number}/to-support/{_EXAMPLE}",
    }


def _https(clients: Clients, region: str, port: int) -> dict[str, Any]:
    return {
        "host": HOST,
        "port": port,
        "region": region,
        "example_path": f"/cases/{BOOT.number}/{_EXAMPLE}",
        "example_url": clients.url(region, f"/cases/{BOOT.number}/{_EXAMPLE}"),
        "files_url": clients.url(region, "/files/"),
        "receipt_key_url": clients.url(region, "/.well-known/mft-receipt-key.json"),
    }


def read_endpoints(ground: Ground) -> dict[str, Any]:
    """Return what the server wrote about itself when it opened."""
    told: dict[str, Any] = json.loads((ground.data / "run" / "endpoints.json").read_text(encoding="utf-8"))
    return told


def host_keys(endpoints: dict[str, Any]) -> list[str]:
    """Return the server's public host keys, each a line of type and key."""
    texts = (Path(path).read_text(encoding="utf-8") for path in endpoints["host_keys"])
    return [" ".join(text.split()[:2]) for text in texts]


def write_known_hosts(ground: Ground, ports: Ports, endpoints: dict[str, Any]) -> None:
    """Write the host keys as OpenSSH's clients pin them: for each entrance."""
    lines = [f"[{HOST}]:{port} {key}\n" for port in ports.sftp.values() for key in host_keys(endpoints)]
    write_private(ground.known_hosts, "".join(lines))


def write_connection(ground: Ground, document: dict[str, Any]) -> None:
    """Write the document, whole or not at all, for this user alone."""
    write_private(ground.connection, json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def read_connection(ground: Ground) -> dict[str, Any]:
    """Read what an earlier demo wrote.

    Raises:
        DemoError: there is none, or it is not whole.
    """
    try:
        document: dict[str, Any] = json.loads(ground.connection.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DemoError(f"{ground.connection} cannot be read: there is no demo to keep; leave --keep out") from error
    return document
