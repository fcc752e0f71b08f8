"""`python -m bench`: measure, print a table, and write the numbers down."""

from __future__ import annotations

import argparse
import datetime as dt
import json
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.clients import ClientError
from bench.house import HouseError
from bench.idle import measure_idle
from bench.links import measure_links
from bench.listings import measure_listings
from bench.machine import describe_machine
from bench.revocation import measure_revocation
from bench.room import Room
from bench.rounds import MIB
from bench.scrub.measure import measure_scrub
from bench.sealing import measure_sealing
from bench.small import measure_small
from bench.sshd import PeerError
from bench.storage import measure_storage
from bench.table import lines_of
from bench.transfers import Transfers
from bench.wan import measure_wan

KINDS = ("sftp", "small", "https", "ftps", "webdav", "list", "scrub", "seal", "storage", "revocation", "wan")
PEERS = {"SFTP": "openssh", "HTTPS": "nginx", "FTPS": "vsftpd", "WebDAV": "apache"}
COPIES = 6
"""How many times the file may lie there at once, with some to spare."""
REVOCATIONS = 10
"""Rounds of each effect of a revocation, at least: a poll has a phase."""
UNITS = {"": 1, "KIB": 1 << 10, "MIB": 1 << 20, "GIB": 1 << 30}


def parse_size(text: str) -> int:
    """Make bytes from a text such as 256MiB."""
    found = re.fullmatch(r"(\d+)\s*(|KiB|MiB|GiB)", text, re.IGNORECASE)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 256MiB or 1GiB")
    return int(found.group(1)) * UNITS[found.group(2).upper()]


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="make bench ARGS=...", description=__doc__)
    parser.add_argument("--size", type=parse_size, default=parse_size("1GiB"), help="of the file sent (default: 1GiB)")
    parser.add_argument("--rounds", type=int, default=3, help="in which the servers take turns (default: 3)")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS, help="what to measure (default: all)")
    parser.add_argument(
        "--where", type=Path, help="the directory to work in (default: /dev/shm, where it is large enough)"
    )
    parser.add_argument("--scrub-size", type=parse_size, default=64 * MIB, help="of the logs scrubbed (default: 64MiB)")
    parser.add_argument("--seeds", type=int, default=2, help="of labelled support data scrubbed (default: 2)")
    parser.add_argument(
        "--big-log",
        type=parse_size,
        default=512 * MIB,
        help="that `mft scrub` is sent through a pipe (default: 512MiB)",
    )
    parser.add_argument(
        "--object-size", type=parse_size, default=10 * 10**9, help="of the object read at random (default: 10 GB)"
    )
    parser.add_argument("--files", type=int, default=10_000, help="small files that are stored (default: 10000)")
    parser.add_argument("--small", type=int, default=2000, help="files of 4 KiB sent by put -r (default: 2000)")
    parser.add_argument("--sessions", type=int, default=1000, help="SFTP sessions that do nothing (default: 1000)")
    parser.add_argument("--wan-size", type=parse_size, default=192 * MIB, help="sent over a long way (default: 192MiB)")
    parser.add_argument("--peers", action="store_true", help="install the scrubber's peers, each in var/peers/NAME")
    parser.add_argument("--out", type=Path, default=Path("var/bench"), help="where the numbers go (default: var/bench)")
    return parser.parse_args()


def choose_place(wanted: Path | None, size: int) -> Path:
    """Return where to work: in memory if there is room."""
    if wanted is not None:
        return wanted
    memory = Path("/dev/shm")
    if memory.is_dir() and shutil.disk_usage(memory).free > COPIES * size:
        return memory
    place = Path(tempfile.gettempdir())
    print(f"/dev/shm has no room for {COPIES} copies of the file: measuring in {place}, with its disk", file=sys.stderr)
    return place


def measure(arguments: argparse.Namespace) -> tuple[dict[str, Any], bool]:  # noqa: C901 - one look at each kind
    """Measure what was asked for; return the report, and whether all of our own server could be measured."""
    begun = dt.datetime.now(dt.UTC)
    report: dict[str, Any] = {"time": begun.isoformat(timespec="seconds"), "machine": describe_machine(), "absent": {}}
    kinds, whole = frozenset(arguments.only), True
    if kinds & {"sftp", "https", "ftps", "webdav"}:
        place = choose_place(arguments.where, arguments.size)
        report["place"] = str(place)
        with Room(place, arguments.size) as room:
            transfers = Transfers(room, arguments.rounds, kinds, say)
            try:
                transfers.run()
            except (HouseError, ClientError) as error:
                report["absent"]["mft"] = str(error)
                whole = False
            report["absent"] |= transfers.notes.pop("absent", {})
            report |= transfers.notes
            report["transfers"] = [
                each.to_dict(PEERS[title.split()[0]]) for title, each in transfers.comparisons.items()
            ]
    if kinds & {"sftp", "small"} and arguments.small:
        whole &= _measure_small(arguments, report)
    if "sftp" in kinds and arguments.sessions:
        whole &= _measure_idle(arguments, report)
    if "list" in kinds:
        with Room(choose_place(arguments.where, MIB), MIB) as room:
            try:
                report["listings"] = measure_listings(room, arguments.rounds, say)
            except (HouseError, ClientError) as error:
                report["absent"]["mft, listings"] = str(error)
                whole = False
    if "scrub" in kinds:
        report["scrub"] = measure_scrub(
            seeds=arguments.seeds,
            log_size=arguments.scrub_size,
            big_size=arguments.big_log,
            with_peers=arguments.peers,
            say=say,
        )
    if "seal" in kinds:
        say("sealing")
        report["sealing"] = measure_sealing(256 * MIB, arguments.rounds)
    if "storage" in kinds:
        disk = arguments.where or Path(tempfile.gettempdir())  # a file system in memory has no fsync to speak of
        report["storage"] = measure_storage(disk, arguments.rounds, arguments.object_size, arguments.files, say)
        _measure_links(disk, report)
    if "wan" in kinds:
        _measure_wan(arguments, report)
    if "revocation" in kinds:
        say("revocation")
        with tempfile.TemporaryDirectory(prefix="mft-bench-") as scratch:
            report["revocation"] = measure_revocation(Path(scratch) / "house", max(arguments.rounds, REVOCATIONS))
    return report, whole


def _measure_idle(arguments: argparse.Namespace, report: dict[str, Any]) -> bool:
    with Room(choose_place(arguments.where, MIB), MIB) as room:
        try:
            report["idle"] = measure_idle(room, arguments.sessions, say)
        except HouseError as error:
            report["absent"]["idle sessions"] = str(error)
            return False
    return True


def _measure_links(place: Path, report: dict[str, Any]) -> None:
    try:
        report["links"] = measure_links(place, say)
    except PeerError as error:
        report["absent"]["copies over a slow link"] = str(error)


def _measure_small(arguments: argparse.Namespace, report: dict[str, Any]) -> bool:
    with Room(choose_place(arguments.where, MIB), MIB) as room:
        try:
            report["small"] = measure_small(room, arguments.small, arguments.rounds, say)
        except PeerError as error:
            report["absent"]["small files"] = str(error)
        except (HouseError, ClientError) as error:
            report["absent"]["mft, small files"] = str(error)
            return False
    return True


def _measure_wan(arguments: argparse.Namespace, report: dict[str, Any]) -> None:
    with Room(choose_place(arguments.where, arguments.wan_size), MIB) as room:
        try:
            report["wan"] = measure_wan(room, arguments.rounds, say, size=arguments.wan_size)
        except (PeerError, HouseError) as error:
            report["absent"]["a long way"] = str(error)


def say(what: str) -> None:
    """Tell who waits what is being done."""
    print(f"... {what}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure, print, write."""
    arguments = parse_arguments()
    report, whole = measure(arguments)
    print("\n".join(lines_of(report)))
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / (report["time"].replace(":", "").replace("+0000", "Z") + ".json")
    file.write_text(json.dumps(report, indent=2) + "\n")
    print(f"\nwritten to {file}")
    return 0 if whole else 1


if __name__ == "__main__":
    sys.exit(main())
