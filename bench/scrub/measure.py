"""Gather the scrubber's figures in one run."""

from __future__ import annotations

import datetime as dt
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bench.scrub.peers import PEERS, PeerError, install_all, measure_peer, pages_only
from bench.scrub.quality import measure_big_log, measure_bombs, measure_boundaries, measure_quality
from bench.scrubbing import measure_scrubbing
from tests.scrubber.truth.story import tell

if TYPE_CHECKING:
    from collections.abc import Callable

CUTS = 16
PEER_SEED = 1


def measure_scrub(
    *, seeds: int, log_size: int, big_size: int, with_peers: bool, say: Callable[[str], None]
) -> dict[str, object]:
    """Measure quality on *seeds* trees, speed on logs of *log_size*, memory on a *big_size* one, and the peers."""
    report: dict[str, object] = {"date": dt.datetime.now(dt.UTC).date().isoformat(), "seeds": seeds}
    with tempfile.TemporaryDirectory(prefix="mft-bench-scrub-") as folder:
        scratch = Path(folder)
        tree = tell(PEER_SEED)
        say(f"scrubbing {seeds} trees of labelled support data, each twice")
        report["quality"] = measure_quality(range(PEER_SEED, PEER_SEED + seeds), scratch)
        say("scrubbing over the ends of blocks")
        report["boundaries"] = measure_boundaries(tree, CUTS)
        say("scrubbing what must be quarantined")
        report["bombs"] = measure_bombs(tree, scratch)
        say("scrubbing one big log through a pipe")
        report["big_log"] = measure_big_log(big_size, scratch)
        if with_peers:
            say("installing the peers, each in an environment of its own under var/peers")
            install_all()
        pages = pages_only(tree)
        peers, absent = [], {}
        for peer in PEERS:
            if not peer.there:
                absent[peer.name] = "not installed (--peers installs it)"
                continue
            say(f"running {peer.name}")
            try:
                peers.append(measure_peer(peer, pages, scratch))
            except PeerError as error:
                absent[peer.name] = str(error)
        report["peers"], report["absent"] = peers, absent
    say("scrubbing logs for speed")
    report["speed"] = measure_scrubbing(log_size)
    return report
