"""`Upload-Metadata` of tus 1.0.0 (section "Creation"): pairs of a key and a value in base64, separated by commas."""

from __future__ import annotations

import base64
import binascii
import math
import re
from http import HTTPStatus
from typing import Final

from protocols.http.status import ProblemError

UPLOAD_METADATA: Final = "Upload-Metadata"
_KEY = re.compile(r"[\x21-\x2b\x2d-\x7e]+")
_NAMES = ("filename", "name")
"""Keys that hold the file's name, the first that is there; different clients know different ones."""
_NONE = {"", "null", "undefined"}
"""What clients in JavaScript send where they have no value."""
_LATEST = 253_402_300_800.0


def parse_metadata(text: str | None) -> dict[str, str]:
    """Make a dictionary from the header.

    Raises:
        ProblemError: 400, saying what is wrong with it.
    """
    found: dict[str, str] = {}
    for pair in (text or "").split(","):
        if not pair.strip():
            if text and text.strip():
                raise _malformed("it has an empty pair")
            continue
        key, _, value = pair.strip(" \t").partition(" ")
        if not _KEY.fullmatch(key):
            raise _malformed("a key is printable ASCII without spaces and commas")
        if key in found:
            raise _malformed(f"the key {key} stands there twice")
        try:
            found[key] = base64.b64decode(value.strip(" \t").encode("ascii"), validate=True).decode("utf-8")
        except (UnicodeError, binascii.Error):
            raise _malformed(f"the value of {key} is not UTF-8 in base64") from None
    return found


def name_of(metadata: dict[str, str]) -> tuple[str, ...] | None:
    """Return the file's name, its folders before it where the client sends a folder; None where it has none.

    Raises:
        ProblemError: 400, the folders lead elsewhere.
    """
    path = metadata.get("relativePath", "")
    if path in _NONE:
        path = next((metadata[key] for key in _NAMES if metadata.get(key, "") not in _NONE), "")
        if "/" in path:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "a file's name holds no slash; folders stand in relativePath")
        return (path,) if path else None
    parts = path.strip("/").split("/")
    if any(part in {"", ".", ".."} for part in parts):
        raise ProblemError(HTTPStatus.BAD_REQUEST, "relativePath is a path below the folder, without '.' and '..'")
    return tuple(parts)


def case_of(metadata: dict[str, str]) -> str | None:
    """Return the number of the case that a file is for, if the client says it."""
    return metadata.get("case") or None


def modified_of(metadata: dict[str, str]) -> float | None:
    """Return the client's own modification time: `modified` in POSIX seconds, or `lastModified` in milliseconds.

    Raises:
        ProblemError: 400, it is no time.
    """
    for key, per_second in (("modified", 1.0), ("lastModified", 1000.0)):
        text = metadata.get(key, "")
        if text in _NONE:
            continue
        try:
            seconds = float(text) / per_second
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < _LATEST:
            raise ProblemError(HTTPStatus.BAD_REQUEST, f"Upload-Metadata: {key} is a time since 1970")
        return seconds
    return None


def _malformed(why: str) -> ProblemError:
    return ProblemError(HTTPStatus.BAD_REQUEST, f"Upload-Metadata cannot be read: {why}")
