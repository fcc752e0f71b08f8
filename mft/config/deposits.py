"""How files without a full path find their case, and what becomes of those that do not."""

from dataclasses import dataclass
from typing import Literal

from casemap.grammar import DEFAULT_LEADING, DEFAULT_PATTERNS, DEFAULT_SEPARATORS, DEFAULT_UNSURE
from mft.config.units import PositiveSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNumberConfig:
    """One form that case numbers have in the names of files."""

    pattern: str
    """A regular expression of the whole number, or with a group `(?P<number>…)` that holds it."""
    check: Literal["none", "luhn", "mod11", "mod97", "verhoeff"] = "none"
    """The rule of its check digit: a number that breaks it is none."""
    ignore_case: bool = False
    """Whether it may be written in lower case; it is looked up in upper case."""
    anywhere: bool = True
    """Whether it may stand behind the beginning of a name, as in `logs_CASE-17.tgz`."""
    sure: bool = True
    """Whether a name that begins with such a number means that case or none, and is refused where the sender has no
    such case; else it is unfiled then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DepositConfig:
    """Where a file goes that was sent to no case's folder."""

    case_numbers: tuple[CaseNumberConfig, ...] = (
        *(CaseNumberConfig(pattern=each) for each in DEFAULT_PATTERNS),
        *(CaseNumberConfig(pattern=each, sure=False) for each in DEFAULT_UNSURE),
        *(CaseNumberConfig(pattern=each, sure=False, anywhere=False) for each in DEFAULT_LEADING),
    )
    """The forms of case numbers in names of files that are dropped at the root."""
    separators: str = DEFAULT_SEPARATORS
    """The characters at which a name is cut to look for a number."""
    drop_folders: tuple[str, ...] = ("incoming", "pub/incoming")
    """Unlisted directories that mean the root, as other vendors' instructions name them; `home` and `upload/issue`
    always do."""
    upload_php: bool = False
    """Whether `PUT` and `POST /incoming/upload.php?file=NAME` are taken, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnfiledConfig:
    """Files that name no case."""

    folder: str = "_unfiled"
    """The directory in which their sender sees them."""
    retention: PositiveSeconds = 30 * 86400.0
    """How long they wait to be assigned to a case; then they are destroyed."""
    triage_reads: bool = False
    """Whether the role triage may read their bytes, unscrubbed as they are; without it, their names and facts."""
