"""Whether a store can be used: something small is written, read and deleted there."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from storage.errors import DifferingCopyError

if TYPE_CHECKING:
    from storage.store import ObjectStore

PROBES = "probes/"
"""What the names of probes begin with; a crash may leave one, and a listing may meet one."""
_BYTES = 64


@runtime_checkable
class Checked(Protocol):
    """Optional: a store that can be asked whether it is set as its use needs it."""

    def check(self) -> None:
        """Raise what is wrong."""


def probe(store: ObjectStore) -> None:
    """Write, read and delete an object of some bytes.

    Raises:
        StorageError: what failed; its text says what to do.
    """
    if isinstance(store, Checked):
        store.check()
    name, data = f"{PROBES}{secrets.token_hex(16)}", secrets.token_bytes(_BYTES)
    store.put(name, [data])
    try:
        reader = store.open(name)
        try:
            found = reader.read(0, _BYTES)
        finally:
            reader.close()
    finally:
        store.delete(name)
    if found != data:
        raise DifferingCopyError("a probe did not read back as it was written")
