"""Leave a process the system calls that reading, computing and writing take, and no others.

A filter of the kernel's own (seccomp mode 2, a classic BPF program over `struct seccomp_data`, linux/seccomp.h and
linux/bpf_common.h), written here because it is one list and forty instructions. What is not on the list fails with
EPERM: no socket, no new program, no new process, no other process's memory or signals, no mount, no key ring.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import struct
from typing import NamedTuple

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS, _FILTER = 22, 38, 2
_LD_W_ABS, _JEQ, _JGE, _JSET, _RET = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_AT_NUMBER, _AT_ARCH, _AT_FIRST, _AT_SECOND = 0, 4, 16, 24
_CLONE_THREAD = 0x00010000
_X32 = 0x40000000

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_CALLS: dict[str, tuple[int | None, int | None]] = {  # x86_64 (asm/unistd_64.h), aarch64 (asm-generic/unistd.h)
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "preadv": (295, 69),
    "pwritev": (296, 70),
    "copy_file_range": (326, 285),
    "lseek": (8, 62),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "ftruncate": (77, 46),
    "fallocate": (285, 47),
    "fadvise64": (221, 223),
    "open": (2, None),  # which files: Landlock's business
    "openat": (257, 56),
    "close": (3, 57),
    "close_range": (436, 436),
    "dup": (32, 23),
    "dup2": (33, None),
    "dup3": (292, 24),
    "fcntl": (72, 25),
    "flock": (73, 32),
    "pipe2": (293, 59),
    "eventfd2": (290, 19),
    "memfd_create": (319, 279),
    "fstat": (5, 80),
    "stat": (4, None),
    "lstat": (6, None),
    "newfstatat": (262, 79),
    "statx": (332, 291),
    "access": (21, None),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlink": (89, None),
    "readlinkat": (267, 78),
    "getdents64": (217, 61),
    "getcwd": (79, 17),
    "unlink": (87, None),
    "unlinkat": (263, 35),
    "poll": (7, None),
    "ppoll": (271, 73),
    "select": (23, None),
    "pselect6": (270, 72),
    "epoll_create1": (291, 20),
    "epoll_ctl": (233, 21),
    "epoll_wait": (232, None),
    "epoll_pwait": (281, 22),
    "mmap": (9, 222),
    "mprotect": (10, 226),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "msync": (26, 227),
    "mlock": (149, 228),
    "munlock": (150, 229),
    "brk": (12, 214),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "rt_sigtimedwait": (128, 137),
    "sigaltstack": (131, 132),
    "restart_syscall": (219, 128),
    "futex": (202, 98),
    "set_robust_list": (273, 99),
    "get_robust_list": (274, 100),
    "rseq": (334, 293),
    "membarrier": (324, 283),
    "arch_prctl": (158, None),
    "set_tid_address": (218, 96),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getcpu": (309, 168),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "getrlimit": (97, 163),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "gettimeofday": (96, 169),
    "time": (201, None),
    "times": (100, 153),
    "uname": (63, 160),
    "sysinfo": (99, 179),
    "wait4": (61, 260),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_CLONE = (56, 220)
"""Threads alone: with CLONE_THREAD."""
_CLONE3 = (435, 435)
"""ENOSYS, so that the C library falls back to clone, whose flags a filter can see."""
_PRLIMIT = (302, 261)
"""Of this process alone: with the process id 0."""
_IOCTL, _FIOCLEX, _FIONCLEX = (16, 29), 0x5451, 0x5450
"""To keep a descriptor from programs run later, as Python does on every open; nothing of a device."""


class _Jump(NamedTuple):
    """An instruction: operation, where to go (relative) if it is true and if it is false, operand."""

    code: int
    true: int
    false: int
    operand: int


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def available() -> bool:
    """Say whether this machine's calls are known here and its kernel takes filters."""
    libc = ctypes.CDLL(None, use_errno=True)
    if platform.machine() not in _AUDIT_ARCH:
        return False
    libc.prctl(_PR_SET_SECCOMP, _FILTER, None, 0, 0)  # a filter at no address: EFAULT where filters are known
    return ctypes.get_errno() == errno.EFAULT


def restrict() -> bool:
    """Put the filter on this process, for good; say whether that was possible."""
    machine = platform.machine()
    if machine not in _AUDIT_ARCH:
        return False
    code = b"".join(struct.pack("<HBBI", *instruction) for instruction in program(machine))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    filter_ = _Program(len(code) // 8, code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(filter_), 0, 0) == 0)


def program(machine: str) -> list[_Jump]:
    """Give the filter's instructions for *machine*, as `uname -m` names it."""
    column = list(_AUDIT_ARCH).index(machine)
    numbers = [pair[column] for pair in _CALLS.values()]
    allowed = sorted(number for number in numbers if number is not None)
    tail = [
        _Jump(_RET, 0, 0, _ERRNO | errno.EPERM),
        _Jump(_RET, 0, 0, _ALLOW),
    ]
    special = [
        _Jump(_JEQ, 0, 1, _CLONE3[column]),
        _Jump(_RET, 0, 0, _ERRNO | errno.ENOSYS),
        _Jump(_JEQ, 0, 2, _CLONE[column]),
        _Jump(_LD_W_ABS, 0, 0, _AT_FIRST),
        _Jump(_JSET, 8, 7, _CLONE_THREAD),  # true: to the last instruction, false: to the last but one
        _Jump(_JEQ, 0, 2, _PRLIMIT[column]),
        _Jump(_LD_W_ABS, 0, 0, _AT_FIRST),
        _Jump(_JEQ, 5, 4, 0),
        _Jump(_JEQ, 0, 3, _IOCTL[column]),
        _Jump(_LD_W_ABS, 0, 0, _AT_SECOND),
        _Jump(_JEQ, 2, 0, _FIOCLEX),
        _Jump(_JEQ, 1, 0, _FIONCLEX),
        *tail,
    ]
    listed = [_Jump(_JEQ, len(allowed) - 1 - at + len(special) - 1, 0, number) for at, number in enumerate(allowed)]
    return [
        _Jump(_LD_W_ABS, 0, 0, _AT_ARCH),
        _Jump(_JEQ, 1, 0, _AUDIT_ARCH[machine]),
        _Jump(_RET, 0, 0, _KILL),
        _Jump(_LD_W_ABS, 0, 0, _AT_NUMBER),
        _Jump(_JGE, 0, 1, _X32),
        _Jump(_RET, 0, 0, _ERRNO | errno.EPERM),
        *listed,
        *special,
    ]
