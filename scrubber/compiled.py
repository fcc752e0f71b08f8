"""The part that is compiled: C beside this module, made into a library where a compiler is at hand.

Nothing depends on it but speed: what it does is done in Python where it is missing, with the same outcome byte for
byte. `python -m scrubber.compiled` makes it (installing does so by itself) and says whether it is in use. It stands
beside its source under a name made of the source's digest, so that a library of another source is never loaded.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from functools import lru_cache
from pathlib import Path

_SOURCE = Path(__file__).parent / "native"
_COMPILERS = ("cc", "gcc", "clang")
FLAGS = (
    "-std=c11",
    "-O2",
    "-ftree-vectorize",
    "-fPIC",
    "-shared",
    "-fvisibility=default",
    "-fstack-protector-strong",
    "-Wl,-z,relro,-z,now",
)
_SECONDS = 120
_DIGITS = 16

_Pointer = ctypes.c_void_p
_Size = ctypes.c_size_t
_Number = ctypes.c_uint32
_Flag = ctypes.c_bool
_Bytes = ctypes.c_char_p
_Out = ctypes.POINTER(_Pointer)
_FUNCTIONS: dict[str, tuple[object, tuple[object, ...]]] = {
    "sieve_new": (_Pointer, (_Bytes, _Bytes, _Pointer, _Pointer, _Number, _Number, _Bytes, _Bytes, _Size)),
    "sieve_words": (_Flag, (_Pointer, _Bytes, _Size, _Pointer, _Size)),
    "sieve_program": (_Flag, (_Pointer, _Number, _Pointer, _Size, _Bytes, _Size)),
    "sieve_free": (None, (_Pointer,)),
    "sieve_scan": (_Pointer, (_Pointer, _Bytes, _Size)),
    "sieve_asked": (_Size, (_Pointer, _Out)),
    "sieve_tell": (_Flag, (_Pointer, _Bytes, _Size)),
    "sieve_settle": (_Flag, (_Pointer, _Bytes, _Size)),
    "sieve_rows": (_Size, (_Pointer, _Bytes, _Size, _Size, _Size, _Number, _Pointer, _Size)),
    "sieve_events": (_Size, (_Pointer, _Out)),
    "sieve_names": (_Size, (_Pointer, _Out)),
    "sieve_hits": (_Size, (_Pointer, _Out)),
    "sieve_write": (
        _Size,
        (_Pointer, _Bytes, _Size, _Size, _Size, _Bytes, _Size, _Bytes, _Size, _Number),
    ),
    "sieve_write_rest": (_Flag, (_Pointer, _Bytes, _Size, _Size, _Size)),
    "sieve_written": (_Size, (_Pointer, _Out)),
    "sieve_notes": (_Size, (_Pointer, _Out)),
    "sieve_news": (_Size, (_Pointer, _Out)),
    "sieve_rule": (_Flag, (_Pointer, _Size, _Size, _Pointer, _Bytes, _Pointer, _Size, _Bytes, _Size)),
    "sieve_assignments": (_Flag, (_Pointer, _Size, _Size, _Number, _Bytes, _Size, _Bytes, _Size)),
    "sieve_leave": (_Flag, (_Pointer, _Size, _Size)),
    "sieve_confirm": (_Flag, (_Pointer, _Bytes, _Size, _Bytes, _Size)),
    "sieve_unknown": (_Size, (_Pointer, _Out)),
    "sieve_learn": (_Flag, (_Pointer, _Bytes, _Size, _Bytes, _Size)),
    "sieve_forget": (None, (_Pointer,)),
    "sieve_try": (
        ctypes.c_int,
        (_Pointer, _Size, _Bytes, _Size, _Bytes, _Size, _Size, _Size, _Pointer),
    ),
    "sieve_runs": (_Flag, (_Pointer, _Bytes, _Size)),
    "sieve_told": (_Size, (_Pointer, _Out)),
    "sieve_done": (None, (_Pointer,)),
    "sieve_prints": (
        _Flag,
        (_Pointer, _Bytes, _Size, _Bytes, _Size, _Bytes, _Size, _Pointer, _Size, _Pointer),
    ),
    "sieve_counts": (_Flag, (_Bytes, _Size, _Pointer, _Size)),
    "sieve_secrets": (_Flag, (_Pointer, _Bytes, _Size, _Bytes, _Size, _Bytes, _Size, _Size, _Size)),
    "anchors_events": (_Size, (_Bytes, _Size, _Bytes, _Size, _Pointer, _Size, _Out)),
    "anchors_done": (None, (_Pointer,)),
    "hmac_choose": (_Flag, (_Flag,)),
    "hmac_try": (None, (_Bytes, _Bytes, _Bytes, _Bytes, _Size, _Pointer)),
}
"""What the library gives and takes: see native/sieve.h, native/rewrite.c and native/hmac.h."""


@lru_cache(maxsize=1)
def library_path() -> Path:
    """Give where the library for the source as it stands is, or will be."""
    digest = hashlib.sha256(" ".join((sysconfig.get_platform(), *FLAGS)).encode())
    for file in sorted((*_SOURCE.glob("*.c"), *_SOURCE.glob("*.h"))):
        digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return _SOURCE / f"sieve-{digest.hexdigest()[:_DIGITS]}.so"


@lru_cache(maxsize=1)
def load_library() -> ctypes.CDLL | None:
    """Give the library, None where none was made for this source and this machine."""
    if not library_path().is_file():
        return None
    try:
        return open_library(library_path())
    except (OSError, AttributeError):
        return None


def open_library(path: Path) -> ctypes.CDLL:
    """Load the library at *path*.

    Raises:
        OSError: it is none for this machine.
        AttributeError: it lacks a function.
    """
    library = ctypes.CDLL(str(path))
    for name, (result, arguments) in _FUNCTIONS.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    library.hmac_choose(False)
    return library


def find_compiler() -> str | None:
    """Give the compiler that is at hand, None where there is none."""
    return next((found for name in _COMPILERS if (found := shutil.which(name)) is not None), None)


def build_library(compiler: str, target: Path, flags: tuple[str, ...] = FLAGS) -> None:
    """Compile the source to *target*, which is replaced at once.

    Raises:
        OSError: the compiler does not run, or *target*'s directory is not to be written to.
        subprocess.SubprocessError: it failed, or took longer than two minutes.
    """
    handle, made = tempfile.mkstemp(dir=target.parent, suffix=".new")
    os.close(handle)
    try:
        sources = [str(file) for file in sorted(_SOURCE.glob("*.c"))]
        subprocess.run(  # noqa: S603 - a compiler found on the path, our own source
            [compiler, *flags, "-o", made, *sources], check=True, timeout=_SECONDS, capture_output=True
        )
        Path(made).chmod(0o644)
        Path(made).replace(target)
    finally:
        Path(made).unlink(missing_ok=True)


def main() -> int:
    """Make the library where it is missing, and say whether there is one. Never fails: without it all works, slower.

    With `--quiet` nothing is said where it was there.
    """
    target = library_path()
    if target.is_file() and "--quiet" in sys.argv[1:] and load_library():
        return 0
    if not target.is_file():
        compiler = find_compiler()
        if compiler is None:
            sys.stdout.write("scrubber: pure Python, for want of a C compiler (cc, gcc or clang)\n")
            return 0
        try:
            build_library(compiler, target)
        except (OSError, subprocess.SubprocessError) as error:
            told = getattr(error, "stderr", None) or str(error).encode()
            sys.stdout.write(
                f"scrubber: pure Python, since the C part did not compile: {told.decode(errors='replace')}\n"
            )
            return 0
        for old in target.parent.glob("sieve-*.so"):
            if old != target:
                with contextlib.suppress(OSError):
                    old.unlink()
    load_library.cache_clear()
    sys.stdout.write(
        "scrubber: compiled\n" if load_library() else "scrubber: pure Python; the C part cannot be loaded\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
