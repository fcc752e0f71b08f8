"""Room for one more transfer: memory in this process, bytes on the disk, bytes of the case's quota."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from sqlalchemy import func, select, update

from mft.catalog.model import UPLOADS
from mft.catalog.states import PARTIAL, WHOLE
from protocols.errors import QuotaExceededError, UnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from sqlalchemy import Connection

    from mft.config.units import FreeSpace

TRANSFER_BYTES = 2 * 2**20
"""What one open handle may hold in memory: a landing buffer and a sealed segment, or a few read segments, and what its
head has in flight."""
FIRST_SLAB = 64 * 2**20
LAST_SLAB = 2**30


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


def check_space(watermark: FreeSpace, directories: Sequence[Path], *, coming: int = 0) -> None:
    """Refuse if one of *directories* lies on a file system with less room than *watermark*, *coming* bytes from now.

    Raises:
        QuotaExceededError: it does.
    """
    for directory in directories:
        state = os.statvfs(directory)
        if state.f_bavail * state.f_frsize - coming < watermark.needed(state.f_blocks * state.f_frsize):
            raise QuotaExceededError("the server is short of space and takes no such upload now; try again later")


def quota_used(connection: Connection, case_id: int) -> int:
    """Add up what a case holds and what uploads under way have reserved, in bytes."""
    kept = select(func.coalesce(func.sum(UPLOADS.c.size), 0)).where(
        UPLOADS.c.case_id == case_id, UPLOADS.c.state.in_(list(WHOLE))
    )
    under_way = select(func.coalesce(func.sum(UPLOADS.c.reserved), 0)).where(
        UPLOADS.c.case_id == case_id, UPLOADS.c.state.in_(list(PARTIAL))
    )
    return int(connection.execute(kept).scalar_one()) + int(connection.execute(under_way).scalar_one())


def reserve_quota(connection: Connection, case_id: int, quota: int | None, amount: int, *, least: int) -> int:
    """Return how much of *amount* bytes fits the case's *quota*, in the transaction that reserves it.

    Raises:
        QuotaExceededError: not even *least* bytes do.
    """
    if quota is None:
        return amount
    left = max(0, quota - quota_used(connection, case_id))
    if left < least:
        raise QuotaExceededError(f"the case may hold {quota} bytes, and {left} are left")
    return min(amount, left)


def raise_reservation(connection: Connection, upload_id: str, reserved: int) -> None:
    """Note that an upload now holds *reserved* bytes of the quota."""
    connection.execute(update(UPLOADS).where(UPLOADS.c.id == upload_id).values(reserved=reserved))
