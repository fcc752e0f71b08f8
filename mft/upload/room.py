"""Room for one more transfer: memory in this process, bytes on the disk, bytes and files of quotas."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from mft.catalog.model import CASES, UPLOADS
from mft.catalog.states import PARTIAL, WHOLE
from protocols.errors import NoSpaceError, QuotaExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import ColumnElement, Connection

    from mft.casetree import CaseTree
    from mft.config.units import FreeSpace
    from mft.quotas import Quota, QuotaRules

TRANSFER_BYTES = 2 * 2**20
"""What one open handle may hold in memory: a landing buffer and a sealed segment, or a few read segments, and what its
head has in flight."""
FIRST_SLAB = 64 * 2**20
LAST_SLAB = 2**30
LEAD = 8 * 2**20
"""So many bytes before a slab is used up the next one is asked for."""


class MemoryBudget:
    """One budget for all transfers of a process."""

    def __init__(self, total: int) -> None:
        """Give out up to *total* bytes."""
        self._free = total
        self._lock = threading.Lock()

    @property
    def free(self) -> int:
        """Bytes left."""
        return self._free

    def take(self, amount: int = TRANSFER_BYTES) -> None:
        """Take *amount* bytes.

        Raises:
            UnavailableError: too many transfers are open.
        """
        with self._lock:
            if self._free < amount:
                raise UnavailableError(
                    "the server has as many transfers open as it has memory for; try again in a moment"
                )
            self._free -= amount

    def give_back(self, amount: int = TRANSFER_BYTES) -> None:
        """Give *amount* bytes back."""
        with self._lock:
            self._free += amount


def space_of(directory: Path) -> tuple[int, int]:
    """Return how many bytes the file system of *directory* has, and how many of them are free for us.

    Raises:
        UnavailableError: it is not there.
    """
    try:
        state = os.statvfs(directory)
    except OSError as error:
        raise UnavailableError("where uploads arrive is out of reach; try again later") from error
    return state.f_blocks * state.f_frsize, state.f_bavail * state.f_frsize


def check_space(watermark: FreeSpace, directories: Sequence[Path], *, coming: int = 0) -> None:
    """Refuse if one of *directories* lies on a file system with less room than *watermark*, *coming* bytes from now.

    Raises:
        NoSpaceError: it does.
        UnavailableError: one of them is not there.
    """
    for directory in directories:
        total, free = space_of(directory)
        if free - coming < watermark.needed(total):
            raise NoSpaceError("the server is short of space and takes no such upload now; try again later")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What a case holds, or all cases of a customer do, with what uploads under way have reserved."""

    bytes: int = 0
    files: int = 0


def used_by_case(connection: Connection, case_id: int) -> Used:
    """Add up a case."""
    return _used(connection, UPLOADS.c.case_id == case_id)


def used_by_customer(connection: Connection, customer: str) -> Used:
    """Add up every case of a customer, and what of it names no case."""
    return _used(connection, UPLOADS.c.case_id.in_(select(CASES.c.id).where(CASES.c.customer == customer)))


def _used(connection: Connection, which: ColumnElement[bool]) -> Used:
    kept = select(func.coalesce(func.sum(UPLOADS.c.size), 0), func.count()).where(
        which, UPLOADS.c.state.in_(list(WHOLE))
    )
    files = func.count().filter(UPLOADS.c.part.is_(False))
    under_way = select(func.coalesce(func.sum(UPLOADS.c.reserved), 0), files).where(
        which, UPLOADS.c.state.in_(list(PARTIAL))
    )
    (held, whole), (reserved, partial) = connection.execute(kept).one(), connection.execute(under_way).one()
    return Used(bytes=int(held) + int(reserved), files=whole + partial)


def quota_of(quotas: QuotaRules, tree: CaseTree) -> Quota:
    """Say what a case and its customer may have."""
    return quotas.of(customer=tree.customer, case=tree.number, kind=tree.kind, classification=tree.classification)


def reserve_quota(
    connection: Connection,
    tree: CaseTree,
    quotas: QuotaRules,
    amount: int,
    *,
    least: int,
    new_file: bool = True,
    counts_for_customer: bool = True,
) -> int:
    """Return how much of *amount* bytes fits the quotas of a case and its customer, where it is reserved.

    Args:
        connection: of the transaction that writes the reservation.
        tree: the case.
        quotas: the rules.
        amount: bytes that are wanted.
        least: bytes without which nothing is.
        new_file: whether it is one file more.
        counts_for_customer: whether it is anything more of the customer's: not where it only goes to another case.

    Raises:
        QuotaExceededError: not even *least* bytes fit, or no file more.
    """
    quota = quota_of(quotas, tree)
    if quota.of_case:
        used = used_by_case(connection, tree.id)
        amount = _fit("the case may hold", quota.case_bytes, used.bytes, amount, least)
        if new_file:
            _check_files("the case may hold", quota.case_files, used.files)
    if counts_for_customer and quota.of_customer:
        used = used_by_customer(connection, tree.customer)
        amount = _fit("all cases of the customer may hold", quota.customer_bytes, used.bytes, amount, least)
        if new_file:
            _check_files("all cases of the customer may hold", quota.customer_files, used.files)
    return amount


def room_left(connection: Connection, tree: CaseTree, quotas: QuotaRules) -> tuple[int | None, int | None, int | None]:
    """Return the bytes and files that still fit, and the bytes that there are in all; None: any amount."""
    quota = quota_of(quotas, tree)
    sizes: list[tuple[int, int]] = []
    files: list[int] = []
    for limits, used in (
        ((quota.case_bytes, quota.case_files), used_by_case(connection, tree.id) if quota.of_case else Used()),
        (
            (quota.customer_bytes, quota.customer_files),
            used_by_customer(connection, tree.customer) if quota.of_customer else Used(),
        ),
    ):
        if limits[0] is not None:
            sizes.append((max(0, limits[0] - used.bytes), limits[0]))
        if limits[1] is not None:
            files.append(max(0, limits[1] - used.files))
    left, total = min(sizes, default=(None, None))
    return left, min(files, default=None), total


def _fit(words: str, limit: int | None, used: int, amount: int, least: int) -> int:
    if limit is None:
        return amount
    left = max(0, limit - used)
    if left < least:
        raise QuotaExceededError(f"{words} {limit} bytes, and {left} are left")
    return min(amount, left)


def _check_files(words: str, limit: int | None, used: int) -> None:
    if limit is not None and used >= limit:
        raise QuotaExceededError(f"{words} {limit} files, and there are as many")


def raise_reservation(connection: Connection, upload_id: str, reserved: int) -> None:
    """Note that an upload now holds *reserved* bytes of the quota."""
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(reserved=reserved))
