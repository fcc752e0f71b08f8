"""To whom the reverse maps of a customer's pseudonyms are sealed: a public key that the customer has registered.

One key a customer; whoever has its private half reads them, and nobody here has it. What was sealed before a key is
changed stays sealed to the one before.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert as upsert

from mft.audit import customer_chain
from mft.catalog.model import RECIPIENTS
from storage.errors import UnknownFormatError
from storage.recipient import read_public_key

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mft.audit import AuditTrail
    from mft.catalog.database import Database


class RecipientError(Exception):
    """What was given is no public key; says what is wanted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipient:
    """A customer's key."""

    public: bytes
    """32 bytes of X25519."""
    registered_by: str
    registered_at: float

    @property
    def fingerprint(self) -> str:
        """Name the key: SHA-256 of its 32 bytes, in hexadecimal."""
        return hashlib.sha256(self.public).hexdigest()


def find_recipient(connection: Connection, customer: str) -> Recipient | None:
    """Return a customer's key, or None where it has registered none."""
    row = connection.execute(select(RECIPIENTS).where(RECIPIENTS.c.customer == customer)).first()
    if row is None:
        return None
    return Recipient(public=row.public_key, registered_by=row.registered_by, registered_at=row.registered_at)


class Recipients:
    """Registers them. Who may is the caller's to decide."""

    def __init__(self, *, database: Database, trail: AuditTrail) -> None:
        """Keep them in *database*."""
        self._database = database
        self._trail = trail

    def get(self, customer: str) -> Recipient | None:
        """Return a customer's key, or None."""
        with self._database.read() as connection:
            return find_recipient(connection, customer)

    def register(self, customer: str, text: str, *, by: str) -> Recipient:
        """Make the public key in *text* (PEM, or base64 of its 32 bytes) the customer's.

        Raises:
            RecipientError: it is none.
        """
        try:
            public = read_public_key(text.encode("utf-8", "replace"))
        except UnknownFormatError as error:
            raise RecipientError(str(error)) from error
        made = Recipient(public=public, registered_by=by, registered_at=time.time())
        facts = {"public_key": public, "registered_by": by, "registered_at": made.registered_at}
        with self._database.write() as connection:
            connection.execute(
                upsert(RECIPIENTS)
                .values(customer=customer, **facts)
                .on_conflict_do_update(index_elements=["customer"], set_=facts)
            )
            chain = customer_chain(customer)
            self._trail.append(connection, chain, "reverse_key.registered", login=by, key=made.fingerprint)
        return made

    def remove(self, customer: str, *, by: str) -> bool:
        """Forget a customer's key: no more maps are made. Say whether there was one."""
        with self._database.write() as connection:
            known = find_recipient(connection, customer)
            if known is None:
                return False
            connection.execute(delete(RECIPIENTS).where(RECIPIENTS.c.customer == customer))
            chain = customer_chain(customer)
            self._trail.append(connection, chain, "reverse_key.removed", login=by, key=known.fingerprint)
        return True
