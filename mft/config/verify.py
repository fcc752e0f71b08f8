"""How what is kept is read through in the background."""

from dataclasses import dataclass

from mft.config.units import PositiveBytes, PositiveSeconds


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyConfig:
    """The search for rot: everything is read again and again, and held against its digests."""

    every: PositiveSeconds | None = 7 * 86400.0
    """From the end of one pass over everything to the begin of the next; null: none but by `mft verify`."""
    bandwidth: PositiveBytes | None = 20 * 2**20
    """Bytes a second that a pass reads at most; null: no limit."""
    repair: bool = True
    """Mend what a good copy elsewhere allows to be mended; false: only say so."""
