"""What can go wrong between us and the case system.

    CaseMapError
    ├── RecordNotFoundError          the case system says that there is no such thing
    │   ├── PrincipalNotFoundError
    │   ├── CaseNotFoundError
    │   └── CustomerNotFoundError
    ├── LookupUnavailableError       no answer, or not now; a later try may succeed
    ├── LookupAnswerError            an answer that breaks the contract: it is not used, not even in part
    │   └── CursorError              the place in a list that was asked for is not one (any more)
    ├── InvalidRecordError           a record from outside breaks the contract; names the field
    └── LookupSettingsError          how the case system is to be asked cannot be; says what is wrong

No text of these holds a secret, a password hash or what a stranger sent at length.
"""

from __future__ import annotations


class CaseMapError(Exception):
    """Base of this room's errors."""


class RecordNotFoundError(CaseMapError):
    """The case system says that there is no such thing."""


class PrincipalNotFoundError(RecordNotFoundError):
    """Nobody logs in under that name."""


class CaseNotFoundError(RecordNotFoundError):
    """No case has that number."""


class CustomerNotFoundError(RecordNotFoundError):
    """No customer has that id."""


class LookupUnavailableError(CaseMapError):
    """There is no answer, or not now."""

    def __init__(self, message: str, *, retry_after: float = 5.0) -> None:
        """Say what failed and after how many seconds a retry makes sense."""
        super().__init__(message)
        self.retry_after = retry_after


class LookupAnswerError(CaseMapError):
    """An answer breaks the contract."""


class CursorError(LookupAnswerError):
    """The place in a list that was asked for is not one, or is not one any more; begin the list again."""


class LookupSettingsError(CaseMapError):
    """How the case system is to be asked cannot be."""


class InvalidRecordError(CaseMapError):
    """A record from outside breaks the contract."""

    def __init__(self, field: str, reason: str) -> None:
        """Name the *field* by its path (`cases[3].number`) and say what is wrong with it."""
        super().__init__(field, reason)
        self.field = field
        self.reason = reason

    def __str__(self) -> str:
        """Show path and reason."""
        return f"{self.field}: {self.reason}"
