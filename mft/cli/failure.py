"""The border at which every exception of a command ends: a sentence, never a traceback."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import tempfile
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILED = 1
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""
_OURS = {"mft", "protocols", "casemap", "scrubber", "storage"}


class PlainFormatter(logging.Formatter):
    """A warning as a command says it, where no log is configured: with its key-values, which say what it is about."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        from mft.log import as_words  # noqa: PLC0415  not needed when all goes well

        return f"mft: {as_words(record)}"


@contextlib.contextmanager
def reporting_failures() -> Iterator[None]:
    """Turn what the block raises into a message on standard error and an exit code; warnings go there too."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PlainFormatter())
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write("mft: interrupted\n")
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        with contextlib.suppress(
            OSError
        ):  # whoever read our output is gone: nothing is to be said, nor flushed at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)
    except Exception as error:  # noqa: BLE001  the border
        sys.stderr.write(message(error))
        sys.exit(FAILED)


def message(error: Exception) -> str:
    """Return what a person should read about *error*, line ends included.

    An error class of our own says in its text what went wrong; so does the operating system about a file. Of any other
    the trace goes to the log, or to a file of its own where this process has no log.
    """
    if type(error).__module__.partition(".")[0] in _OURS:
        return "".join(f"mft: {line}\n" for line in str(error).splitlines() or [type(error).__name__])
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes | os.PathLike) else ""
        return f"mft: {where}{error.strerror}\n"
    return f"mft: unexpected {type(error).__name__}; what happened stands in {_keep_trace(error)}\n"


def _keep_trace(error: Exception) -> str:
    from mft.log import JsonFormatter, TextFormatter, hide_in_text  # noqa: PLC0415  not needed when all goes well

    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, JsonFormatter | TextFormatter):
            logging.getLogger("mft.cli").error("command.failed", exc_info=error)
            return str(getattr(handler, "baseFilename", "the log above"))
    with tempfile.NamedTemporaryFile("w", prefix="mft-error-", suffix=".txt", delete=False, encoding="utf-8") as file:
        file.write(hide_in_text("".join(traceback.format_exception(error))))
    return file.name
