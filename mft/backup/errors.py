"""What can go wrong with backups."""

from __future__ import annotations


class BackupError(Exception):
    """It cannot be made, or not be used; says why, and what to do."""


class NoBackupError(BackupError):
    """There is none where one was looked for, or not a whole one."""


class AlteredBackupError(BackupError):
    """Something of it is not what was written."""


class TargetNotEmptyError(BackupError):
    """There is something where it should go."""
