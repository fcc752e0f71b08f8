"""Passwords of archives, as their senders give them: sealed at once, opened in a scrub child alone, then forgotten.

One belongs to an upload of its sender's, or waits a day for one of that name in that directory. What is held back is
scrubbed again with it.
"""

from __future__ import annotations

import json
import secrets
import time
from typing import TYPE_CHECKING

from sqlalchemy import and_, bindparam, delete, exists, insert, or_, select, update

from mft.audit import customer_chain
from mft.box import case_or_none
from mft.casetree import case_key, case_tree
from mft.catalog.fixed import Fixed
from mft.catalog.model import ARCHIVE_PASSWORDS, CASES, OWN_VERSIONS, RELEASE_VOTES, RELEASES, UPLOADS
from mft.catalog.states import PARTIAL, UploadState, move_upload
from mft.scrubbing.sealedpassword import seal_password
from mft.upload.place import find_node
from protocols.errors import NotFoundError, RejectedError
from storage.keys.envelope import Region

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import ColumnElement, Connection, Row

    from mft.audit import AuditTrail
    from mft.catalog.database import Database
    from mft.upload.deposit import Deposit
    from storage.keys.service import KeyService

LONGEST = 1024
"""Bytes of a password, in UTF-8."""
MOST = 8
"""Passwords of one upload; a new one beyond that is refused."""
ENDING = ".password"
ARCHIVES = (".zip", ".7z", ".zipx", ".jar", ".docx", ".xlsx", ".pptx")
"""What NAME ends with for NAME.password to be its password though no NAME is there yet."""
PATIENCE_SECONDS = 24 * 3600.0
"""How long a password waits for its archive."""
_BEFORE_THE_END = {*PARTIAL, UploadState.LANDED, UploadState.SCRUBBING}
_OVER = [UploadState.STORED, UploadState.REJECTED, UploadState.EXPIRED, UploadState.DESTROYED]


def parse_note(content: bytes) -> tuple[str, ...]:
    """Read what a file NAME.password holds: one password on each line.

    Raises:
        RejectedError: it is no text, or there is none, or one too many or too long in it.
    """
    try:
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise RejectedError("a file NAME.password holds the password of NAME, in UTF-8") from None
    found = tuple(line for line in lines if line)
    if not found:
        raise RejectedError("a file NAME.password holds the password of NAME on its first line; this one is empty")
    for each in found:
        check_password(each)
    if len(found) > MOST:
        raise RejectedError(f"a file NAME.password holds at most {MOST} passwords, each on a line")
    return found


def check_password(password: str) -> None:
    """See that *password* can be one.

    Raises:
        RejectedError: it is empty, too long, or holds what no text holds.
    """
    try:
        length = len(password.encode())
    except UnicodeEncodeError:
        length = 0
    if not 0 < length <= LONGEST or "\0" in password:
        raise RejectedError(f"the password of an archive has 1 to {LONGEST} bytes in UTF-8")


class ArchivePasswords:
    """Takes them."""

    def __init__(
        self, *, database: Database, trail: AuditTrail, keys: KeyService, wake: Callable[[], None] = lambda: None
    ) -> None:
        """Keep them in *database*, under keys of *keys*; *wake* tells intake that there is something to do."""
        self._database = database
        self._trail = trail
        self._keys = keys
        self._wake = wake

    def give(self, upload_id: str, passwords: Sequence[str], *, login: str) -> None:
        """Keep *passwords* for an upload that *login* sent; one that is held back is scrubbed again.

        Raises:
            NotFoundError: *login* sent no such upload.
            RejectedError: it has come to its end, or releasers have decided about it.
        """
        with self._database.read() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).first()
        if row is None or row.login != login:
            raise NotFoundError("there is no such upload of yours")
        kept = [self._sealed(row.case_id, row.region, each) for each in passwords]
        with self._database.write() as connection:
            row = connection.execute(select(UPLOADS).where(UPLOADS.c.id == upload_id)).one()
            self._check(connection, row, len(kept))
            place = {"case_id": row.case_id, "parent_id": row.parent_id, "name": row.name, "login": login}
            for each in kept:
                connection.execute(insert(ARCHIVE_PASSWORDS).values(**each, **place, upload_id=upload_id))
            self._event(connection, row.case_id, upload=upload_id, login=login, state=row.state)
            if row.state == UploadState.QUARANTINED:
                scrub_again(connection, upload_id)
        self._wake()

    def leave(self, deposit: Deposit, passwords: Sequence[str]) -> None:
        """Keep *passwords* for the file of that name that the depositor sent there last, or else for its next.

        Raises:
            RejectedError: releasers have decided about it, or too many wait already.
        """
        with self._database.read() as connection:
            newest = connection.execute(
                select(UPLOADS.c.id)
                .where(
                    UPLOADS.c.parent_id == deposit.parent_id,
                    UPLOADS.c.name == deposit.name,
                    UPLOADS.c.login == deposit.login,
                    UPLOADS.c.state.in_([*_BEFORE_THE_END, UploadState.QUARANTINED]),
                    UPLOADS.c.object_key.is_(None),
                )
                .order_by(UPLOADS.c.created_at.desc())
                .limit(1)
            ).scalar()
        if newest is not None:
            self.give(newest, passwords, login=deposit.login)
            return
        kept = [self._sealed(deposit.tree.id, deposit.home, each) for each in passwords]
        place = {
            "case_id": deposit.tree.id,
            "parent_id": deposit.parent_id,
            "name": deposit.name,
            "login": deposit.login,
        }
        with self._database.write() as connection:
            connection.execute(delete(ARCHIVE_PASSWORDS).where(_waits_at(**place)))
            for each in kept:
                connection.execute(insert(ARCHIVE_PASSWORDS).values(**each, **place))
            self._event(connection, deposit.tree.id, login=deposit.login)

    def expects(self, deposit: Deposit) -> bool:
        """Say whether a file called NAME.password (*deposit*'s name is NAME) is a password, and no file of its own."""
        if deposit.name.lower().endswith(ARCHIVES):
            return True
        with self._database.read() as connection:
            node = find_node(connection, deposit.parent_id, deposit.name)
            own = None
            if node is not None and not node.is_directory and node.hidden_at is None:
                own = connection.execute(
                    select(OWN_VERSIONS.c.upload_id).where(
                        OWN_VERSIONS.c.node_id == node.id, OWN_VERSIONS.c.login == deposit.login
                    )
                ).first()
        return own is not None

    def _sealed(self, case_id: int, region: str, password: str) -> dict[str, object]:
        check_password(password)
        name = secrets.token_hex(16)
        with self._database.read() as connection:
            tree = case_tree(connection.execute(select(CASES).where(CASES.c.id == case_id)).one())
        scope_key = case_key(self._database, self._keys, tree, region)
        key, envelope = self._keys.new_key(Region(region), tree.key_scope, scope_key, f"password:{name}")
        return {
            "id": name,
            "envelope": json.dumps(envelope.to_dict()),
            "sealed": seal_password(password, key),
            "created_at": time.time(),
        }

    @staticmethod
    def _check(connection: Connection, row: Row[tuple[object, ...]], more: int) -> None:
        if row.object_key is not None and row.state == UploadState.QUARANTINED:
            raise RejectedError("a rescan held it back after it was stored; no password changes that: send it again")
        if row.state == UploadState.QUARANTINED:
            decided = select(RELEASES.c.wish).where(RELEASES.c.upload_id == row.id, RELEASES.c.done_at.is_(None))
            if connection.execute(decided).first() is not None:
                raise RejectedError("releasers have decided about it; that is being carried out")
        elif row.state not in _BEFORE_THE_END:
            raise RejectedError("a password is for what waits to be looked into, or is held back; send the file again")
        mine = connection.execute(select(ARCHIVE_PASSWORDS.c.id).where(ARCHIVE_PASSWORDS.c.upload_id == row.id)).all()
        if len(mine) + more > MOST:
            raise RejectedError(f"{len(mine)} passwords of it wait to be tried; {MOST} are taken at a time")

    def _event(self, connection: Connection, case_id: int, **details: object) -> None:
        case = connection.execute(select(CASES.c.number, CASES.c.customer).where(CASES.c.id == case_id)).one()
        self._trail.append(
            connection,
            customer_chain(case.customer),
            "upload.password_given",
            case=case_or_none(case.number),
            **details,
        )


def scrub_again(connection: Connection, upload_id: str) -> None:
    """Let intake look once more at an upload that is held back; what releasers have said of it is void."""
    move_upload(connection, upload_id, UploadState.LANDED, attempts=0, reason=None, finished_at=None)
    connection.execute(delete(RELEASE_VOTES).where(RELEASE_VOTES.c.upload_id == upload_id))


def bind_waiting(connection: Connection, row: Row[tuple[object, ...]]) -> None:
    """Give an upload that lands now the passwords that were left for it."""
    here = {"at_case": row.case_id, "at_parent": row.parent_id, "called": row.name, "by": row.login}
    _BIND.run(connection, {**here, "upload_id": row.id})


def hand_on(connection: Connection, upload_id: str, to: str) -> None:
    """Give the passwords of an upload that repeats another to that one."""
    connection.execute(update(ARCHIVE_PASSWORDS).where(ARCHIVE_PASSWORDS.c.upload_id == upload_id).values(upload_id=to))


def forget_passwords(connection: Connection, names: Sequence[str]) -> None:
    """Forget passwords that a child has tried, by their ids."""
    connection.execute(delete(ARCHIVE_PASSWORDS).where(ARCHIVE_PASSWORDS.c.id.in_(names)))


def has_passwords(connection: Connection, upload_id: str) -> bool:
    """Say whether there are any that were not tried yet."""
    wanted = select(ARCHIVE_PASSWORDS.c.id).where(ARCHIVE_PASSWORDS.c.upload_id == upload_id)
    return connection.execute(wanted.limit(1)).first() is not None


def expire_passwords(connection: Connection) -> None:
    """Forget passwords whose archive did not come in time, or has come to its end."""
    over = exists().where(UPLOADS.c.id == ARCHIVE_PASSWORDS.c.upload_id, UPLOADS.c.state.in_(_OVER))
    late = and_(
        ARCHIVE_PASSWORDS.c.upload_id.is_(None), ARCHIVE_PASSWORDS.c.created_at < time.time() - PATIENCE_SECONDS
    )
    connection.execute(delete(ARCHIVE_PASSWORDS).where(or_(late, over)))


def _waits_at(*, case_id: object, parent_id: object, name: object, login: object) -> ColumnElement[bool]:
    return and_(
        ARCHIVE_PASSWORDS.c.upload_id.is_(None),
        ARCHIVE_PASSWORDS.c.case_id == case_id,
        ARCHIVE_PASSWORDS.c.parent_id == parent_id,
        ARCHIVE_PASSWORDS.c.name == name,
        ARCHIVE_PASSWORDS.c.login == login,
    )


_BIND = Fixed(
    update(ARCHIVE_PASSWORDS).where(
        _waits_at(
            case_id=bindparam("at_case"),
            parent_id=bindparam("at_parent"),
            name=bindparam("called"),
            login=bindparam("by"),
        )
    ),
    "upload_id",
)
