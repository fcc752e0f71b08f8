"""A catalog with many cases and files in it, written straight into its tables: sending them would take hours."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from typing import TYPE_CHECKING, Any

from bench.house import CUSTOMER, ENGINEER, REGION, House

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

CROWD = "bench-crowd"
"""The login whose customer has very many cases."""
FULL = "2026-0002"
"""The case with very many files."""
TITLE = "Cannot boot node {} after the update"
FILE = "node-{:07}-journal-of-the-update.log.gz"
CASES = FILES = 100_000
BATCH = 10_000


class FilledHouse(House):
    """Our server with the built-in registry and local accounts: a customer of many cases, a case of many files."""

    def _configure(self, public_key: str) -> None:
        super()._configure(public_key)
        file = self.directory / "mft.yaml"
        config = json.loads(file.read_text())
        config["lookup"] = {"type": "registry"}
        file.write_text(json.dumps(config, indent=2))
        catalog, self.token = _make_catalog(file, public_key)
        with contextlib.closing(sqlite3.connect(catalog)) as connection:
            fill_registry(connection, CASES)
            fill_case(connection, FULL, CUSTOMER, "bench", FILES)
            connection.commit()


def _make_catalog(file: Path, public_key: str) -> tuple[Path, str]:
    """Make the catalog of the configuration in *file* with the accounts of the bench; return it, and a token."""
    from casemap.model import Role  # noqa: PLC0415  only where our own server is measured
    from mft.auth.accounts import Accounts  # noqa: PLC0415
    from mft.auth.authorized import AuthorizedKeys  # noqa: PLC0415
    from mft.auth.tokens import Tokens  # noqa: PLC0415
    from mft.cli.ledger import open_ledger  # noqa: PLC0415
    from mft.config import load_config  # noqa: PLC0415
    from mft.server.directories import make_directories  # noqa: PLC0415

    make_directories(load_config(file, {}))
    with open_ledger(file) as (config, ledger, token_key):
        people = ((CUSTOMER, Role.CUSTOMER, "bench"), (CROWD, Role.CUSTOMER, "crowd"), (ENGINEER, Role.ENGINEER, None))
        for login, role, customer in people:
            Accounts(ledger).create(login, roles={role}, customer=customer, by="bench")
            AuthorizedKeys(ledger).add(login, public_key, by="bench")
        token = Tokens(ledger, key=token_key).create(CUSTOMER, by="bench").text
        return config.catalog.path, token


def fill_registry(connection: sqlite3.Connection, cases: int) -> None:
    """Make the customers, the case of many files, and *cases* cases of one customer."""
    from casemap.model import parse_case  # noqa: PLC0415  only where our own server is measured
    from mft.registry.entry import listed  # noqa: PLC0415

    now = time.time()
    common = {"revision": 1, "created_at": now, "updated_at": now}
    customers = ({"id": name, "name": name.capitalize()} for name in ("bench", "crowd"))
    _insert(
        connection,
        "registry_customer",
        ({"id": each["id"], "likeness": each["id"], "document": json.dumps(each), **common} for each in customers),
    )

    def row(number: str, title: str, customer: str) -> dict[str, Any]:
        record = {
            "number": number,
            "title": title,
            "customer": customer,
            "state": "open",
            "opened": "2026-11-01T09:30:00Z",
        }
        likeness, document = number.casefold(), json.dumps(record)
        return {
            "number": number,
            "likeness": likeness,
            "customer": customer,
            "state": "open",
            "document": document,
            **listed(parse_case(record)),
            **common,
        }

    _insert(connection, "registry_case", [row(FULL, "many files", "bench")])
    many = (row(f"CASE-{number:06}", TITLE.format(number), "crowd") for number in range(cases))
    _insert(connection, "registry_case", many)


def fill_case(connection: sqlite3.Connection, number: str, login: str, customer: str, files: int) -> int:
    """Enter a case into the catalog, with *files* stored files of *login*; return the node of its upload directory."""
    now = time.time()
    start = _next(connection, "case_record"), _next(connection, "node")
    case, root = start
    _insert(
        connection,
        "case_record",
        [
            {
                "id": case, "number": number, "customer": customer, "title": "many files", "home_region": REGION,
                "scope": f"{case:032x}", "upload_root": root, "download_root": root + 1, "created_at": now,
            }
        ],
    )  # fmt: skip
    roots = ({"id": root + place, "case_id": case, "is_directory": 1, "created_at": now} for place in (0, 1))
    _insert(connection, "node", roots)
    numbers = range(files)
    first = root + 2
    common = {"case_id": case, "parent_id": root, "created_at": now}
    _insert(
        connection,
        "node",
        (
            {
                "id": first + each, "name": FILE.format(each), "shown_name": FILE.format(each), "owner": login,
                "head_upload": f"{case:x}-{each:x}", "versions": 1, "shown_size": 69_000 + each,
                "shown_at": now - each, **common,
            }
            for each in numbers
        ),
    )  # fmt: skip
    _insert(
        connection,
        "upload",
        (
            {
                "id": f"{case:x}-{each:x}", "zone": "upload", "name": FILE.format(each), "node_id": first + each,
                "version": 1, "login": login, "state": "STORED", "region": REGION, "size": 70_000 + each,
                "scrubbed_size": 69_000 + each, "updated_at": now, "landed_at": now, "finished_at": now,
                "modified": now - each, "landing_gone_at": now, **common,
            }
            for each in numbers
        ),
    )  # fmt: skip
    own = (
        {
            "node_id": first + each, "login": login, "upload_id": f"{case:x}-{each:x}", "size": 70_000 + each,
            "sent_at": now - each,
        }
        for each in numbers
    )  # fmt: skip
    _insert(connection, "own_version", own)
    return root


def _next(connection: sqlite3.Connection, table: str) -> int:
    return 1 + int(connection.execute(f"SELECT coalesce(max(id), 0) FROM {table}").fetchone()[0])


def _insert(connection: sqlite3.Connection, table: str, rows: Iterable[dict[str, Any]]) -> None:
    """Insert *rows*, all with the same columns; what else must not be null is 0, or empty."""
    waiting = iter(rows)
    first = next(waiting, None)
    if first is None:
        return
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    given = {name: ("" if "CHAR" in kind or kind == "TEXT" else 0) for _, name, kind, needed, *_ in columns if needed}
    given = {name: value for name, value in given.items() if name not in first and name != "id"}
    names = [*first, *given]
    statement = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
    fixed = tuple(given.values())
    connection.execute(statement, (*first.values(), *fixed))
    connection.executemany(statement, ((*row.values(), *fixed) for row in waiting))
