"""From within a child that is shut in: what it cannot do any more, and what it still can."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import gzip
import json
import os
import resource
import socket
import struct
import tempfile
import threading
from pathlib import Path

import pytest

from mft.scrubbing import isolation, seccomp
from mft.scrubbing.cage import Cage, confine
from mft.server.swap import unencrypted_swap

CAGE = Cage(memory=2**32, cpu=60, file_size=2**20)
needs_kernel = pytest.mark.skipif(bool(isolation.lacking()), reason="the kernel has not all of it")


def from_within(scratch, *actions):
    """Fork, shut the child in, let it do *actions*; return of each the error's number, its value, or 'raised'."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        results = []
        with contextlib.suppress(BaseException):
            confine(CAGE)
            isolation.shut_in([scratch])
            for action in actions:
                try:
                    results.append(action())
                except OSError as error:
                    results.append(errno.errorcode[error.errno])
                except BaseException as error:  # noqa: BLE001 - told to the parent
                    results.append(type(error).__name__)
            os.write(writer, json.dumps(results).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = json.loads(pipe.read() or b"null")
    os.waitpid(pid, 0)
    return told


@needs_kernel
def test_child_reaches_no_network_program_or_process(tmp_path):
    """No socket of any family, no exec, no fork, no signal, no tracing of others, no limits of others."""
    parent = os.getpid()
    libc = ctypes.CDLL(None, use_errno=True)

    def call(number, *arguments):
        return errno.errorcode[ctypes.get_errno()] if libc.syscall(number, *arguments) < 0 else "done"

    told = from_within(
        tmp_path,
        lambda: str(socket.socket(socket.AF_INET)),
        lambda: str(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)),
        lambda: str(socket.socketpair()),
        lambda: os.execv("/bin/true", ["true"]),
        os.fork,
        lambda: os.kill(parent, 0),
        lambda: resource.prlimit(parent, resource.RLIMIT_CORE),
        lambda: call(101 if os.uname().machine == "x86_64" else 117, 16, parent, 0, 0),
    )
    assert told == ["EPERM"] * 8


@needs_kernel
def test_child_opens_no_file_of_others(tmp_path):
    """Neither a file that everybody may read, nor its neighbours, nor the memory of a process; it makes none either."""
    scratch, beside = tmp_path / "scratch", tmp_path / "catalog.db"
    scratch.mkdir()
    beside.write_bytes(b"names and titles")
    told = from_within(
        scratch,
        lambda: Path("/etc/passwd").read_text(),
        beside.read_text,
        lambda: beside.write_text("mine"),
        lambda: (tmp_path / "new").write_text("mine"),
        lambda: Path(f"/proc/{os.getppid()}/environ").read_text(),
        lambda: [each.name for each in tmp_path.iterdir()],
        beside.unlink,
        lambda: (scratch / "x").symlink_to("/etc/passwd"),
    )
    assert set(told) <= {"EACCES", "EPERM"}
    assert beside.read_bytes() == b"names and titles"


def test_child_makes_no_process_where_there_is_no_filter(tmp_path, monkeypatch):
    """Without seccomp the limit of a user's processes stands in."""
    monkeypatch.setattr(isolation.seccomp, "restrict", lambda: False)
    assert from_within(tmp_path, lambda: resource.getrlimit(resource.RLIMIT_NPROC)) == [[0, 0]]


@needs_kernel
def test_child_still_works(tmp_path):
    """Scratch files, modules that load late, threads and its own limits are there; dumps are not."""

    def scratch():
        with tempfile.TemporaryFile(dir=tmp_path) as file:
            file.write(b"sealed")
            return file.tell()

    def thread():
        done = []
        each = threading.Thread(target=lambda: done.append(1))
        each.start()
        each.join()
        return done

    def late():
        import colorsys

        return colorsys.__name__

    told = from_within(
        tmp_path,
        scratch,
        thread,
        late,
        lambda: len(gzip.compress(bytes(1000))) > 0,
        lambda: resource.getrlimit(resource.RLIMIT_CORE),
        lambda: ctypes.CDLL(None).prctl(3, 0, 0, 0, 0),  # PR_GET_DUMPABLE: not even asked any more
    )
    assert told == [6, [1], "colorsys", True, [0, 0], -1]


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_filter_allows_what_is_listed_alone(machine):
    """The program, run here by hand, lets the listed calls through, and of the others only what it says."""
    listed = {pair[machine == "aarch64"] for pair in seccomp._CALLS.values()} - {None}
    arch = seccomp._AUDIT_ARCH[machine]
    program = seccomp.program(machine)
    for number in range(512):
        allowed = run(program, number, arch) == seccomp._ALLOW
        assert allowed == (number in listed), number
    clone, prlimit, ioctl = (pair[machine == "aarch64"] for pair in (seccomp._CLONE, seccomp._PRLIMIT, seccomp._IOCTL))
    assert run(program, clone, arch, 0x3D0F00) == seccomp._ALLOW
    assert run(program, clone, arch, 0x01200011) != seccomp._ALLOW
    assert run(program, prlimit, arch, 0) == seccomp._ALLOW
    assert run(program, ioctl, arch, 0, 0x5451) == seccomp._ALLOW
    assert run(program, ioctl, arch, 0, 0x5412) != seccomp._ALLOW
    assert run(program, 435, arch) == seccomp._ERRNO | errno.ENOSYS
    assert run(program, 0x40000000, arch) != seccomp._ALLOW
    assert run(program, 63, 0x40000003) == seccomp._KILL


def run(program, number, arch, first=1, second=1):
    """Interpret a classic BPF program over one call."""
    data = struct.pack("<IIQQQ", number, arch, 0, first, second)
    at = accumulator = 0
    while True:
        code, true, false, operand = program[at]
        at += 1
        if code == seccomp._RET:
            return operand
        if code == seccomp._LD_W_ABS:
            (accumulator,) = struct.unpack_from("<I", data, operand)
            continue
        holds = {
            seccomp._JEQ: accumulator == operand,
            seccomp._JGE: accumulator >= operand,
            seccomp._JSET: bool(accumulator & operand),
        }[code]
        at += true if holds else false


def test_swap_in_clear_is_named(tmp_path):
    """A partition and a file in clear are named; dm-crypt and zram are not."""
    proc, system, dev = (tmp_path / name for name in ("proc", "sys", "dev"))
    for directory in (proc, dev / "mapper", system / "class/block/dm-0/dm", system / "class/block/dm-1/dm"):
        directory.mkdir(parents=True)
    (system / "class/block/dm-0/dm/uuid").write_text("CRYPT-LUKS2-0123-swap\n")
    (system / "class/block/dm-1/dm/uuid").write_text("LVM-abcdef\n")
    for number, name in enumerate(("safe", "lvm")):
        (dev / f"dm-{number}").touch()
        (dev / "mapper" / name).symlink_to(dev / f"dm-{number}")
    lines = ["/dev/sda2 partition", "/dev/mapper/safe partition", "/dev/mapper/lvm partition", "/dev/zram0 partition"]
    lines.append("/swap\\040file file")
    (proc / "swaps").write_text("Filename\tType\tSize\n" + "".join(f"{line}\t1 0 -2\n" for line in lines))
    assert unencrypted_swap(proc, system, dev) == ["/dev/sda2", "/dev/mapper/lvm", "/swap file"]
    assert unencrypted_swap(tmp_path / "none") == []
