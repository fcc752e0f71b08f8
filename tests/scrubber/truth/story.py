"""All of one seed: a customer's tree of support data with its ground truth."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from tests.scrubber.truth import binaries, configs, dumps, packages, unix, weblogs, windows
from tests.scrubber.truth.teller import Teller
from tests.scrubber.truth.world import build_world

if TYPE_CHECKING:
    from tests.scrubber.truth.tree import Tree


def tell(seed: int, *, archives: bool = True) -> Tree:
    """Make the tree of *seed*: some 150 files, some 9,000 labels. The same seed, the same bytes."""
    rng = Random(f"support data {seed}")
    t = Teller(rng, build_world(rng))
    top = f"sosreport-{t.world.hosts[0].short}-2026-11-03-{'abcdefgh'[seed % 8]}xyz"
    unix.etc(t, top)
    unix.logs(t, top)
    unix.commands(t, top)
    windows.machine(t, "windows")
    weblogs.access(t, "logs")
    weblogs.java(t, "logs")
    weblogs.structured(t, "logs")
    weblogs.scripts(t, "logs")
    weblogs.har(t, "browser")
    weblogs.everything_token(t, "app")
    configs.applications(t, "app")
    configs.clouds(t, "cloud")
    configs.devices(t, "network")
    dumps.tables(t, "exports")
    dumps.mail(t, "mail")
    dumps.look_alikes(t, "build")
    if archives:
        _pack(t)
    return t.tree


def _pack(t: Teller) -> None:
    tree, rng = t.tree, t.rng
    for name, make in (
        ("app.db", binaries.sqlite),
        ("core.4711", binaries.core),
        ("login.pcap", binaries.pcap),
        ("heap.hprof", binaries.hprof),
    ):
        tree.put(f"binary/{name}", make(t))
    inner = Teller(rng, t.world)
    unix.etc(inner, "sos")
    weblogs.structured(inner, "sos/var")
    members = packages.pages_of(inner.tree.files, "sos")
    host = t.world.hosts[0].fqdn
    tree.put("packed/sos.tar.gz", packages.make_tar(t, members))
    tree.put("packed/plain.tar", packages.make_tar(t, [(f"{host}/{name}", node) for name, node in members[:9]], "tar"))
    tree.put("packed/logs.tar.bz2", packages.make_tar(t, members[-4:], "tar.bz2"))
    tree.put("packed/logs.tar.xz", packages.make_tar(t, members[9:14], "tar.xz"))
    tree.put("packed/configs.zip", packages.make_zip(t, members[5:16]))
    tree.put("packed/log.gz", packages.make_single(t, members[-1][1], "gz"))
    tree.put("packed/log.bz2", packages.make_single(t, members[-2][1], "bz2"))
    tree.put("packed/log.xz", packages.make_single(t, members[-3][1], "xz"))
    nested = packages.make_zip(
        t,
        [
            ("in/log.gz", packages.make_single(t, members[0][1], "gz")),
            ("in/deep.tar.gz", packages.make_tar(t, members[1:4])),
        ],
    )
    tree.put(
        "packed/nested.tar", packages.make_tar(t, [("a/nested.zip", nested), ("a/readme.txt", members[4][1])], "tar")
    )
    for name, blob in packages.harmless(rng).items():
        tree.put(f"harmless/{name}", blob)
    for name, node in packages.refused(rng).items():
        tree.put(f"refused/{name}", node)
