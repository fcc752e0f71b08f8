"""Make an archive of a data directory as this release leaves it: `python -m tests.releases.make`.

Run once for each release, when its formats are settled; the archive is committed and never made again. It holds a
configuration, passphrases of its own, and a house that was stopped with work of every kind in it.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import io
import json
import sys
import tarfile
import tempfile
from pathlib import Path

from tests.house import close, running_house

HERE = Path(__file__).parent
IN = "/ACME-1/to-support"
PLAIN = b"a line with nothing to hide\n" * 2000
SECRET = b"user ok\npassword=hunter2-tr0ub4dor\nclient 203.0.113.9\n"
TORN = b"begun in an earlier release\n" * 20_000


def leave(directory: Path) -> None:
    """Run a house in *directory* that leaves an upload in every state that lasts."""
    with running_house(directory, workers={"protocol": 1}) as house:
        with house.client("ann") as client:
            client.mkdir(f"{IN}/logs")
            for name, content in {
                "plain.txt": PLAIN,
                "logs/secret.log": SECRET,
                "broken.gz": gzip.compress(SECRET)[:-9],
                "waiting.part": PLAIN,
            }.items():
                file = client.open(f"{IN}/{name}", "wb")
                file.write(content)
                close(client, file)
            client.rename(f"{IN}/plain.txt", f"{IN}/renamed.txt")
            torn = client.open(f"{IN}/torn.txt", "wb")
            torn.write(TORN)  # and no close: it goes with the connection
        with house.client("eve") as client:
            file = client.open("/ACME-1/from-support/answer.txt", "wb")
            file.write(b"try this\n")
            close(client, file)
        house.until(
            lambda: (
                house.query("SELECT count(*) AS n FROM upload WHERE state IN ('stored', 'quarantined')")[0]["n"] == 4
            ),
            "four settled uploads",
        )
        house.until(lambda: not house.query("SELECT 1 FROM replica WHERE state = 'wanted'"), "the copies")
        house.until(lambda: house.query("SELECT 1 FROM upload WHERE state = 'interrupted'"), "the torn one")


def pack(directory: Path) -> bytes:
    """Return the data directory and the passphrases as a tar.gz."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=9) as tar:
        for name in ("data", "eu.pass", "us.pass", "in.pass"):
            tar.add(directory / name, name, filter=_worth_keeping)
    return packed.getvalue()


def _worth_keeping(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if member.name.startswith(("data/run/", "data/credentials/tls.")) or member.name.endswith(("-shm", "-wal")):
        return None  # what is of one run alone, and a certificate, which would be out of date one day
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


def main() -> int:
    """Write the archive of this release, unless there is one."""
    target = HERE / importlib.metadata.version("mft") / "data.tar.gz"
    if target.exists():
        sys.stderr.write(f"{target} is there; what was released is not made again\n")
        return 1
    with tempfile.TemporaryDirectory() as directory:
        leave(Path(directory))
        content = pack(Path(directory))
    target.parent.mkdir()
    target.write_bytes(content)
    sys.stdout.write(json.dumps({"archive": str(target), "bytes": len(content)}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
