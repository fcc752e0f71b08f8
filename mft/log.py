"""The log: an event word with key-values, one line each, as JSON or for a terminal.

    LOG = logging.getLogger(__name__)
    LOG.info("upload.landed", extra={"session": session.id, "size": size})

Everything given in `extra` becomes a key of the line. Values whose key tells of a secret are hidden here, whoever
logged them; that is a net below, not a licence. The audit is no log: see `mft.audit`.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import logging
import logging.handlers
import re
import sys
from contextvars import ContextVar
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mft.config import LogConfig

HIDDEN = "[hidden]"
_STANDARD = {*vars(logging.LogRecord("", 0, "", 0, "", (), None)), "message", "asctime", "taskName"}
_RESERVED = {"time", "level", "role", "event", "logger", "error", "trace"}
_SECRET_KEY = re.compile(
    r"pass(?:word|wd|phrase)|secret|token|authori[sz]ation|cookie|credential|private_?key|api_?key", re.IGNORECASE
)
_SECRET_KEY_ENDINGS = ("_id", "_count", "_kind", "_type", "_bytes", "_seconds", "_fingerprint")
"""What says of a secret only which or how many."""
_SECRET_TEXT = re.compile(
    r"""(?ix)
    ( (?:proxy-)?authorization ["']? \s* [:=] \s* ["']? (?:basic|bearer|digest|negotiate)? \s*
    | (?:set-)?cookie ["']? \s* : \s*
    | (?:pass(?:word|wd|phrase)|secret|(?:api|access)[-_]?key|token) ["']? \s* [:=] \s* ["']?
    )
    [^\s"',;]+
    """
)
_SECRET_IN_URL = re.compile(r"(://[^\s/:@]*:)[^\s/@]+(?=@)")
_QUIET = ("asyncssh", "aiohttp.access", "httpx", "httpcore", "dbos", "alembic", "sqlalchemy", "asyncio")
"""Libraries that tell logins, addresses or statements at INFO."""
_PLAIN = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_session: ContextVar[str | None] = ContextVar("session", default=None)


@contextlib.contextmanager
def in_session(session_id: str) -> Iterator[None]:
    """Put *session_id* on every line that this thread or task logs within the block."""
    before = _session.set(session_id)
    try:
        yield
    finally:
        _session.reset(before)


def hide(key: str, value: object) -> object:
    """Return *value*, or `HIDDEN` where *key* says that it is a secret; maps and lists are looked into."""
    if _SECRET_KEY.search(key) and not key.lower().endswith(_SECRET_KEY_ENDINGS) and not isinstance(value, bool):
        return HIDDEN
    if isinstance(value, dict):
        return {str(name): hide(str(name), item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [hide(key, item) for item in value]
    return hide_in_text(value) if isinstance(value, str) else value


def hide_in_text(text: str) -> str:
    """Return *text* without what looks like a password, a token or a header that holds one."""
    return _SECRET_IN_URL.sub(rf"\1{HIDDEN}", _SECRET_TEXT.sub(rf"\1{HIDDEN}", text))


def _fields(record: logging.LogRecord) -> dict[str, object]:
    """Return the key-values of a record, the session first."""
    fields: dict[str, object] = {}
    session = getattr(record, "session", None) or _session.get()
    if session is not None:
        fields["session"] = session
    for key, value in vars(record).items():
        if key not in _STANDARD and key != "session":
            fields[f"{key}_" if key in _RESERVED else key] = hide(key, value)
    return fields


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, role: str) -> None:
        """Name the process's *role* on every line."""
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        line: dict[str, object] = {
            "time": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "role": self._role,
            "event": hide_in_text(record.getMessage()),
            "logger": record.name,
            **_fields(record),
        }
        if record.exc_info:
            line["error"] = getattr(record.exc_info[0], "__name__", "unknown")
            line["trace"] = hide_in_text(self.formatException(record.exc_info))
        return json.dumps(line, ensure_ascii=True, default=str, separators=(", ", ": "))


class TextFormatter(logging.Formatter):
    """One line for a terminal; a trace follows on lines of its own."""

    def __init__(self, role: str) -> None:
        """Name the process's *role* on every line."""
        super().__init__()
        self._role = role

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = dt.datetime.fromtimestamp(record.created, dt.UTC).strftime("%H:%M:%S.%f")[:-3] + "Z"
        line = f"{time} {record.levelname:<7} {self._role}: {as_words(record)}"
        if record.exc_info:
            line += "\n" + hide_in_text(self.formatException(record.exc_info))
        return line


def as_words(record: logging.LogRecord) -> str:
    """Return the event of *record* and its key-values on one line."""
    words = [_escape(hide_in_text(record.getMessage()))]
    words += [f"{key}={_value(value)}" for key, value in _fields(record).items()]
    return " ".join(words)


def _escape(text: str) -> str:
    """Return *text* on one line, without what could steer a terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text)


def _value(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return text if _PLAIN.fullmatch(text) else json.dumps(text)


def configure_logging(settings: LogConfig, role: str, *, stream: TextIO | None = None) -> None:
    """Send everything that this process logs to the place and in the form of *settings*.

    *role* is the process's part (`supervisor`, `worker-1`, `intake`, …). *stream* stands in for standard error. A file
    is opened anew when it was rotated away. A second call replaces the first.
    """
    handler: logging.Handler
    if settings.file is not None and stream is None:
        handler = logging.handlers.WatchedFileHandler(settings.file, encoding="utf-8")
    else:
        handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter(role) if settings.format == "json" else TextFormatter(role))
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old.formatter, JsonFormatter | TextFormatter):
            root.removeHandler(old)
            old.close()
    root.addHandler(handler)
    root.setLevel(settings.level)
    level = logging.NOTSET if settings.level == "DEBUG" else max(logging.WARNING, root.level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(level)
    logging.captureWarnings(capture=True)
