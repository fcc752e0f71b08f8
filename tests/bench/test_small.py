"""The table of small files."""

from __future__ import annotations

import pytest

from bench.small import net_seconds


@pytest.mark.parametrize(("gross", "setup", "net"), [(10.0, 1.0, 9.0), (1.0, 0.95, 0.1), (1.0, 2.0, 0.1)])
def test_net_seconds_where_few_files_were_sent(gross: float, setup: float, net: float) -> None:
    """What a session costs is taken off, but never so much that a few files seem to cost nothing."""
    assert net_seconds(gross, setup) == pytest.approx(net)
