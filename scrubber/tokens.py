"""Read the table of issuers' tokens, one row a format, and write out what its short forms stand for.

A row has `id`, `what`, `anchor` (one or several) or `shape`, `expression`, `check`, `example`; where needed `back`,
`priority`, `kept` (counter-examples). In expressions and examples a class of characters has a short form, such as
`%a{36}`; in an expression `%<` and `%>` are the borders of a token. An example's classes are filled at random by who
runs it.
"""

from __future__ import annotations

import re
from typing import Any

CLASSES = {
    "a": "[A-Za-z0-9]",
    "w": r"[A-Za-z0-9_\-]",
    "b": "[A-Za-z0-9+/]",
    "h": "[0-9a-f]",
    "x": "[0-9A-Fa-f]",
    "u": "[A-Z0-9]",
    "l": "[a-z0-9]",
    "d": "[0-9]",
    "2": "[A-Z2-7]",  # base32, RFC 4648 section 6
    "B": "[a-z2-7]",
    "5": "[1-9A-HJ-NP-Za-km-z]",  # base58
    "z": "[ac-hj-np-z02-9]",  # bech32, BIP 173
    "o": "[a-z]",
    "g": "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}",
}
_BORDERS = {
    # A word begins, also after an underscore and after an escape of a line end, of a percent, of JSON.
    "<": r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f][0-9A-Fa-f])|(?<=\\u00[0-9A-Fa-f]{2}))",
    ">": "(?![A-Za-z0-9])",
}
_SHORT = re.compile("%([" + "".join(CLASSES) + "<>])")
_FIELDS = frozenset(("id", "what", "anchor", "shape", "expression", "check", "back", "priority", "example", "kept"))


def expand(expression: str) -> str:
    """Write out the short forms in an expression."""
    return _SHORT.sub(lambda found: CLASSES.get(found[1]) or _BORDERS[found[1]], expression)


def expand_row(row: dict[str, Any]) -> dict[str, Any]:
    """Make a rule, as `parse_rule` reads it, from a row.

    Raises:
        KeyError: a field is missing, or one is unknown.
    """
    unknown = row.keys() - _FIELDS
    if unknown:
        raise KeyError(f"{row['id']}: unknown {sorted(unknown)}")
    anchors = row.get("anchor", [])
    what = row["what"]
    return {
        "id": f"token.{row['id']}",
        "category": "secret",
        "kind": f"token:{row['id']}",
        "description": f"{'An' if what[:1] in 'AEIO' else 'A'} {what}.",
        "anchors": [anchors] if isinstance(anchors, str) else anchors,
        "shapes": [row["shape"]] if "shape" in row else [],
        "pattern": expand(row["expression"]),
        "check": row["check"],
        "back": row.get("back", 0),
        "priority": row.get("priority", 60),
        "examples": [f"x {row['example']} y"],
        "counter_examples": row.get("kept", ()),
    }
