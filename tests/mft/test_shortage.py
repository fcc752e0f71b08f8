"""A machine that lacks room, memory or open files keeps uploads waiting, and never blames them."""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3

import pytest
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from mft.server import metrics
from mft.server.waiting import MachineLacksError, check_waiting
from mft.shortage import shortage_of
from storage.errors import OutOfSpaceError, StoreUnavailableError
from tests.core import running_core

IN = "/ACME-1/to-support"
TEXT = b"Nov  3 10:00:01 srv sshd[7]: Accepted password for qzwickel from 10.1.2.3 port 4711 ssh2\n" * 20
_CALLS = ("pwrite", "write", "fsync", "link", "memfd_create")
"""How the intake writes, besides the catalog."""
_MOST = 200


class Full:
    """Lets this process's writes fail, from one of them on."""

    def __init__(self, monkeypatch, house):
        self.left = None
        self.count = 0
        self.error = errno.ENOSPC
        self._house = house
        for name in _CALLS:
            monkeypatch.setattr(os, name, self._guarded(getattr(os, name)))
        for moment in ("before_cursor_execute", "commit"):
            event.listen(house.database._writer, moment, self._statement)

    def remove(self):
        """Take the catalog's guard away."""
        for moment in ("before_cursor_execute", "commit"):
            event.remove(self._house.database._writer, moment, self._statement)

    def _guarded(self, call):
        def guarded(*arguments, **named):
            if self._fails():
                raise OSError(self.error, os.strerror(self.error))
            return call(*arguments, **named)

        return guarded

    def _statement(self, *arguments):
        text = arguments[2] if len(arguments) > 2 else "COMMIT"
        if text.split()[0] in {"INSERT", "UPDATE", "DELETE", "COMMIT"} and self._fails():
            error = sqlite3.OperationalError("database or disk is full")
            error.sqlite_errorcode = sqlite3.SQLITE_FULL
            raise OperationalError(text, {}, error)

    def _fails(self):
        if self.left is None:
            return False
        self.count += 1
        self.left -= 1
        return self.left < 0


def work(house):
    """Let intake look at what there is, as it would after its rest."""
    house.intake._resting.clear()
    house.intake._adopt_at = 0.0
    with contextlib.suppress(OSError, OperationalError, OutOfSpaceError):
        house.work()


@pytest.mark.parametrize(
    ("lack", "first", "step"),
    [(errno.ENOSPC, 0, 3), (errno.ENOSPC, 1, 3), (errno.ENOSPC, 2, 3), (errno.EMFILE, 3, 9), (errno.ENOMEM, 5, 9)],
)
def test_upload_waits_wherever_the_disk_is_full(tmp_path, nursery, monkeypatch, lack, first, step):
    """From whichever write on there is no more room: the upload is stored once there is, with one attempt counted."""
    with running_core(tmp_path, nursery, scrub={"attempts": 1, "ahead": None}) as house:
        full = Full(monkeypatch, house)
        full.error = lack
        for allowed in range(first, _MOST, step):
            house.client("ann").put(f"{IN}/{allowed}.log", TEXT + b"%d\n" % allowed)
            for _ in range(2):
                full.left = allowed
                work(house)
            failed = full.left < 0
            full.left = None
            work(house)
            row = house.rows()[-1]
            assert (row.state, row.attempts, row.reason) == ("stored", 1, None), allowed
            if not failed:
                break
        else:
            pytest.fail("an upload takes more writes than there can be")
        full.remove()


def test_readiness_and_a_gauge_say_what_is_lacking(tmp_path, nursery, monkeypatch):
    """While something waits for room the house is not ready; afterwards it is."""
    with running_core(tmp_path, nursery) as house:
        run = house.config.data / "run"
        check_waiting(run)
        house.client("ann").put(f"{IN}/a.log", TEXT)
        full = Full(monkeypatch, house)
        full.left = 0
        work(house)
        full.left = None
        assert metrics.WAITING.labels("space")._value.get() == 1
        work(house)
        full.remove()
        assert house.states() == ["stored"]
        assert metrics.WAITING.labels("space")._value.get() == 0
        check_waiting(run)


def test_readiness_reads_what_intake_wrote(tmp_path):
    """The file of one byte is enough."""
    check_waiting(tmp_path)
    (tmp_path / "intake.waits").write_bytes(b"s")
    with pytest.raises(MachineLacksError):
        check_waiting(tmp_path)
    (tmp_path / "intake.waits").write_bytes(b"-")
    check_waiting(tmp_path)


def _wrapped(outer, inner):
    try:
        raise outer from inner
    except Exception as error:  # noqa: BLE001 - that is what it is for
        return error


def _sqlite(code):
    error = sqlite3.OperationalError("no")
    error.sqlite_errorcode = code
    return OperationalError("INSERT", {}, error)


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.ENOSPC, "x"), "space"),
        (OSError(errno.EDQUOT, "x"), "space"),
        (OSError(errno.EMFILE, "x"), "descriptors"),
        (OSError(errno.ENFILE, "x"), "descriptors"),
        (OSError(errno.ENOMEM, "x"), "memory"),
        (OSError(errno.EFBIG, "x"), None),
        (OSError(errno.EIO, "x"), None),
        (ValueError("x"), None),
        (_sqlite(sqlite3.SQLITE_FULL), "space"),
        (_sqlite(sqlite3.SQLITE_IOERR_WRITE if hasattr(sqlite3, "SQLITE_IOERR_WRITE") else 778), "disk"),
        (_sqlite(sqlite3.SQLITE_CONSTRAINT), None),
        (_wrapped(OutOfSpaceError("x"), OSError(errno.ENOSPC, "x")), "space"),
        (_wrapped(OutOfSpaceError("x"), OSError(errno.EFBIG, "x")), None),
        (_wrapped(StoreUnavailableError("x"), OSError(errno.EMFILE, "x")), "descriptors"),
        (OutOfSpaceError("x"), "space"),
    ],
)
def test_shortage_is_told_from_other_faults(error, word):
    """What will be mended by itself has a word; a limit of our own and a broken disk have none."""
    assert shortage_of(error) == word
