"""Folder names made of what people typed: safe on every system, and never two alike.

Titles and customers' names may hold anything. What comes out here passes as one path component on Linux, macOS and
Windows, cannot be mistaken for another component, and is stable: making it safe again changes nothing.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from typing import TYPE_CHECKING

from casemap.identifier import CaseNumber, CustomerId, check_case_number, check_customer_id, is_device_name

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

    from casemap.model import Case, Customer

MAX_NAME_BYTES = 255
"""Longest component, in bytes of UTF-8."""
_SPACES = frozenset({"Cc", "Zl", "Zp", "Zs"})
_INVISIBLE = frozenset({"Cf", "Cs"})
_RESERVED = frozenset('/\\<>:"|?*')
_PLAIN = re.compile(r"(?![ .])(?:[!#-)+-.0-9;=@A-Z\[\]^_`a-z{}~]| (?! ))*+(?<![ .])")
"""Visible ASCII that is safe already, one space at a time: what most titles are, and soon seen."""
_WITH_ID = re.compile(r"\(([A-Za-z0-9._-]+)\)")


def safe_title(title: str, *, max_bytes: int = MAX_NAME_BYTES) -> str:
    """Return *title* as a safe part of a folder's name, of at most *max_bytes* bytes; empty if nothing is left.

    Separators and what Windows reserves become `_`, controls and every kind of space one space; what is invisible or
    turns the writing direction goes; NFC; no dots or spaces at the ends; no device name of Windows.
    """
    if len(title) <= max_bytes and _PLAIN.fullmatch(title) is not None and not is_device_name(title):
        return title
    kept = "".join(_replaced(character) for character in title)
    text = _cut(_trimmed(unicodedata.normalize("NFC", kept)), max_bytes)
    return _cut("_" + text, max_bytes) if is_device_name(text) else text


def _replaced(character: str) -> str:
    if character in _RESERVED:
        return "_"
    category = unicodedata.category(character)
    if category in _SPACES:
        return " "
    return "" if category in _INVISIBLE else character


def _trimmed(text: str) -> str:
    return " ".join(text.split()).strip(". ")


def _cut(text: str, max_bytes: int) -> str:
    """Cut on a character's boundary; what is left ends neither in a dot nor in a space."""
    return text.encode()[: max(max_bytes, 0)].decode("utf-8", "ignore").rstrip(". ")


def folder_name(case: Case) -> str:
    """Return the name of a case's folder: its number and its title. No two cases share one: the number is first."""
    return numbered_name(case.number, case.title)


def numbered_name(number: str, title: str) -> str:
    """Return the name of the folder of case *number* with *title*, as it was typed."""
    safe = safe_title(title, max_bytes=MAX_NAME_BYTES - len(number) - 1)
    return f"{number} {safe}" if safe else number


def case_number_of(folder: str) -> CaseNumber | None:
    """Return the case number that *folder* begins with, whatever title follows; None if it begins with none.

    So a folder keeps resolving under its old title, and under its number alone.
    """
    return parsed_number(folder.split(" ", 1)[0])


def parsed_number(text: str) -> CaseNumber | None:
    """Return *text* as a case number, or None."""
    try:
        return check_case_number(text)
    except ValueError:
        return None


def folded(name: str) -> str:
    """Return the form in which two names are one to somebody: letter case, width and normal form aside."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def customer_folder_name(customer: Customer, taken: Container[str] = ()) -> str:
    """Return the name of a customer's folder: its name, followed by its id in brackets if that alone would not do.

    *taken* holds, `folded`, the names that others have or want. A name that could be a case's number, or that has the
    form of a name with an id, always gets its id, so the two never meet.
    """
    name = safe_title(customer.name)
    if name and folded(name) not in taken and case_number_of(name) is None and customer_id_of(name) is None:
        return name
    ending = f" ({customer.id})"
    return _cut(name, MAX_NAME_BYTES - len(ending)) + ending if name else f"({customer.id})"


def customer_id_of(folder: str) -> CustomerId | None:
    """Return the id in brackets at the end of *folder*, or None; the name before it may have changed since."""
    found = _WITH_ID.fullmatch(folder.rpartition(" ")[2])
    if found is None:
        return None
    try:
        return check_customer_id(found[1])
    except ValueError:
        return None


class CustomerFolders:
    """The folders of a set of customers: each one's name, and back. Depends on the set, not on its order."""

    def __init__(self, customers: Iterable[Customer], *, reserved: Container[str] = ()) -> None:
        """Name all *customers*; *reserved* holds names, `folded`, that mean something else there."""
        listed = tuple(customers)
        wanted = Counter(folded(safe_title(customer.name)) for customer in listed)
        contested = {name for name, count in wanted.items() if count > 1 or name in reserved}
        self._name_of = {customer.id: customer_folder_name(customer, contested) for customer in listed}
        self._customer_of = {name: customer for customer, name in self._name_of.items()}

    def name_of(self, customer: CustomerId) -> str | None:
        """Return the customer's folder, or None if it is not in the set."""
        return self._name_of.get(customer)

    def customer_of(self, folder: str) -> CustomerId | None:
        """Return whose folder that is: by its name as it is now, or by the id in brackets; else None."""
        named = self._customer_of.get(folder)
        if named is not None:
            return named
        by_id = customer_id_of(folder)
        return by_id if by_id in self._name_of else None
