"""Dialects of the case systems that people have. Where an installation was made to differ, its configuration says so.

None of them knows Argon2id hashes: their logins come in by token or by a public key from a field of your own.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from casemap.declarative.dialect import Dialect

PRESETS = ("jira", "salesforce", "servicenow", "zendesk")


def load_preset(name: str) -> Dialect:
    """Return the dialect of that name, one of `PRESETS`."""
    dialect: Dialect = importlib.import_module(f"casemap.presets.{name}").DIALECT
    return dialect
