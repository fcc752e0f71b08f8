"""The box of a login: where its files without a case wait. In the catalog it is a case with a number of its own form.

No case number begins with `~` and no login holds a slash (`casemap.identifier`), so the two never meet, and no path
that a client sends can name a box.
"""

from __future__ import annotations

from casemap.identifier import CaseNumber

_MARK = "~unfiled/"
ZONE = "unfiled"
"""What uploads in a box have for their zone: nothing scrubs them there."""


def box_number(login: str) -> CaseNumber:
    """Return what the box of *login* has for a case number."""
    return CaseNumber(_MARK + login)


def is_box(number: str) -> bool:
    """Say whether that is a box's number and no case's."""
    return number.startswith(_MARK)


def case_or_none(number: str) -> str | None:
    """Return *number* if it is a case's, None if it is a box's: what people are told."""
    return None if is_box(number) else number
