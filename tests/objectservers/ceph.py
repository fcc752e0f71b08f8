"""Ceph's S3 gateway over one monitor and one OSD in memory: a real object store on this machine.

Without authentication between its parts, and bound to loopback. See Ceph's "Manual Deployment".
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import uuid
from typing import TYPE_CHECKING

from tests.objectservers.moto import ACCESS, SECRET
from tests.objectservers.process import NotStartedError, await_http, free_port, running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROGRAMS = ("ceph", "ceph-mon", "ceph-osd", "radosgw", "radosgw-admin", "monmaptool")
_CONFIGURATION = """[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon}/0]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = true
ms mon client mode = crc
ms mon cluster mode = crc
ms mon service mode = crc
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon data avail crit = 1
mon data avail warn = 1
mon max pg per osd = 10000
run dir = {home}/run
admin socket = {home}/run/$name.asok
pid file = {home}/run/$name.pid
log file = {home}/run/$name.log
crash dir = {home}/run
[mon]
mon data = {home}/mon
[osd]
osd data = {home}/osd
osd objectstore = memstore
memstore device bytes = 2147483648
osd class load list = *
osd class default list = *
[client]
keyring = {home}/keyring
rgw data = {home}/rgw
rgw frontends = beast endpoint=127.0.0.1:{port}
rgw thread pool size = 32
rgw override bucket index max shards = 1
rgw gc max objs = 1
rgw lc max objs = 1
rgw usage max shards = 1
rgw num rados handles = 1
"""


def ceph_is_here() -> bool:
    """Say whether all of its programs are installed."""
    return all(shutil.which(program) for program in PROGRAMS)


@contextlib.contextmanager
def running_ceph(home: Path) -> Iterator[str]:
    """Yield the URL of a gateway with one user."""
    port, fsid, osd = free_port(), uuid.uuid4(), uuid.uuid4()
    mon = free_port()
    for part in ("run", "mon", "osd", "rgw"):
        (home / part).mkdir()
    (home / "keyring").touch()
    configuration = home / "ceph.conf"
    configuration.write_text(_CONFIGURATION.format(fsid=fsid, home=home, port=port, mon=mon))
    ours = ["-c", str(configuration)]
    monmap = str(home / "monmap")
    _do("monmaptool", "--create", "--fsid", str(fsid), "--addv", "a", f"[v2:127.0.0.1:{mon}]", monmap)
    _do("ceph-mon", *ours, "-i", "a", "--mkfs", "--monmap", monmap)
    with contextlib.ExitStack() as stack:
        logs = [home / f"{each}.out" for each in ("mon", "osd", "rgw")]
        stack.enter_context(running(["ceph-mon", *ours, "-i", "a", "-f"], logs[0]))
        _do("ceph", *ours, "--connect-timeout", "60", "osd", "new", str(osd))
        _do("ceph", *ours, "osd", "crush", "add", "osd.0", "1.0", "root=default")
        _do("ceph-osd", *ours, "-i", "0", "--mkfs", "--osd-uuid", str(osd))
        stack.enter_context(running(["ceph-osd", *ours, "-i", "0", "-f"], logs[1]))
        user = ["user", "create", "--uid=test", "--display-name=test", f"--access-key={ACCESS}", f"--secret={SECRET}"]
        gateway = stack.enter_context(running(["radosgw", *ours, "-n", "client.rgw", "-f"], logs[2]))
        _do("radosgw-admin", *ours, "-n", "client.admin", *user)
        await_http(port, gateway, logs[2])
        yield f"http://127.0.0.1:{port}"


def _do(*command: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    except subprocess.TimeoutExpired as error:
        raise NotStartedError(f"{command[0]} did not end") from error
    if done.returncode:
        raise NotStartedError(f"{' '.join(command)}: {done.stderr[-1000:]}")
