"""The requests of the S3 API that obstore does not make: versions, object lock, leftovers of multipart uploads.

Signed with AWS Signature Version 4 (Amazon's documentation, "Authenticating Requests: Using the Authorization Header").
They are rare and small, so each has a connection of its own.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import hmac
import http.client
import ssl
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

from storage.connection import refusal
from storage.errors import ObjectLockedError, StoreRefusedError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_ANSWER_BYTES = 16 * 2**20
_FIRST_PAUSE = 0.1
"""Seconds before the first repetition; each further one waits twice as long."""
_MISSING = 404
_FORBIDDEN = 403


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of an object in a versioned bucket, or the mark of a deletion."""

    version: str
    is_latest: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What the service said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def tree(self) -> ET.Element:
        """The body as XML, tags without their namespace."""
        try:
            root = ET.fromstring(self.body)  # noqa: S314  an operator's own store; expat bounds what entities grow to
        except ET.ParseError as error:
            raise StoreUnavailableError(f"the store answered something that is no XML: {error}") from None
        for element in root.iter():
            element.tag = element.tag.rpartition("}")[2]
        return root


class S3Requests:
    """Signed requests to one bucket. Safe to call from several threads."""

    def __init__(
        self,
        *,
        root: str,
        place: str,
        region: str,
        access_key_id: str,
        secret_key: str,
        prefix: str = "",
        timeout: float = 60.0,
        retries: int = 4,
        ca: bytes = b"",
    ) -> None:
        """Send to the bucket whose URL is *root*, and that is called *place*; names begin with *prefix* there."""
        parts = urlsplit(root)
        self._place = place
        self._secure = parts.scheme == "https"
        self._host, self._port, self._netloc = parts.hostname or "", parts.port, parts.netloc
        self._path = parts.path.rstrip("/")
        self._region, self._id, self._secret = region, access_key_id, secret_key
        self._prefix = f"{prefix}/" if prefix else ""
        self._timeout, self._retries, self._ca = timeout, retries, ca

    def is_versioned(self) -> bool:
        """Say whether the bucket keeps old versions, or has done so once."""
        answer = self.ask("GET", "", {"versioning": ""}, "asking whether it keeps versions")
        return (answer.tree.findtext("Status") or "") in {"Enabled", "Suspended"}

    def lock_rule(self) -> str | None:
        """Return "enabled" where the bucket has object lock, "default" if it locks all by itself; None without it."""
        answer = self.ask("GET", "", {"object-lock": ""}, "asking for its object lock", allowed={_MISSING, 400})
        if answer.status != http.HTTPStatus.OK:
            return None
        enabled = answer.tree.findtext("ObjectLockEnabled") == "Enabled"
        default = answer.tree.find("Rule/DefaultRetention") is not None
        return ("default" if default else "enabled") if enabled else None

    def retain(self, name: str, version: str | None, mode: str, until: dt.datetime) -> None:
        """Keep one version of *name* from being deleted until then."""
        day = until.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        body = (
            '<Retention xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<Mode>{mode.upper()}</Mode><RetainUntilDate>{day}</RetainUntilDate></Retention>"
        ).encode()
        query = {"retention": ""} | ({"versionId": version} if version else {})
        self.ask("PUT", name, query, f"locking {name}", body=body)

    def delete_versions(self, name: str, *, keep: str | None = None, spare_latest: bool = False) -> None:
        """Delete every version of *name*, marks of deletion too, but for *keep* and, if it is spared, the latest.

        Raises:
            ObjectLockedError: one is locked; the others are gone.
        """
        locked: ObjectLockedError | None = None
        for each in self._versions(name):
            if each.version == keep or (spare_latest and each.is_latest):
                continue
            try:
                self._delete_version(name, each.version)
            except ObjectLockedError as error:
                if locked is None or (error.until and locked.until and error.until > locked.until):
                    locked = error
        if locked is not None:
            raise locked

    def abort_uploads(self, before: dt.datetime) -> int:
        """Abort the multipart uploads below the prefix that were begun before then; say how many."""
        aborted = 0
        for key, upload, begun in list(self.uploads()):
            if begun < before:
                query = {"uploadId": upload}
                self.ask("DELETE", key, query, "aborting a multipart upload", allowed={_MISSING}, whole=True)
                aborted += 1
        return aborted

    def uploads_of(self, name: str) -> list[str]:
        """Return the ids of the multipart uploads under way of *name* alone, the newest first."""
        found = [(begun, upload) for key, upload, begun in self.uploads(name) if key == self._prefix + name]
        return [upload for _, upload in sorted(found, reverse=True)]

    def exists(self) -> bool:
        """Say whether the bucket is there."""
        return self.ask("HEAD", "", {}, "looking for it", allowed={_MISSING}).status != _MISSING

    def _delete_version(self, name: str, version: str) -> None:
        doing = f"deleting {name}"
        answer = self.ask("DELETE", name, {"versionId": version}, doing, allowed={_MISSING, _FORBIDDEN})
        if answer.status != _FORBIDDEN:
            return
        until, held = self._kept(name, version)
        if held or (until is not None and until > dt.datetime.now(dt.UTC)):
            when = "by a legal hold" if held else f"until {until:%Y-%m-%d %H:%M} UTC"
            raise ObjectLockedError(f"{name} is locked {when} in {self._place}", until=None if held else until)
        raise StoreRefusedError(f"{self._place} refuses {doing}: check what these credentials may do there")

    def _kept(self, name: str, version: str) -> tuple[dt.datetime | None, bool]:
        """Say until when a version is locked, and whether a legal hold is on it."""
        query = {"versionId": version}
        answer = self.ask("HEAD", name, query, "asking for a lock", allowed={_MISSING, 400, _FORBIDDEN})
        until = _moment(answer.headers.get("x-amz-object-lock-retain-until-date", ""))
        return until, answer.headers.get("x-amz-object-lock-legal-hold", "").upper() == "ON"

    def _versions(self, name: str) -> list[Version]:
        key, found = self._prefix + name, []
        query = {"versions": "", "prefix": key}
        while True:
            tree = self.ask("GET", "", query, f"listing the versions of {name}").tree
            found += [
                Version(version=each.findtext("VersionId") or "null", is_latest=each.findtext("IsLatest") == "true")
                for each in tree
                if each.tag in {"Version", "DeleteMarker"} and each.findtext("Key") == key
            ]
            if tree.findtext("IsTruncated") != "true":
                return found
            query |= {
                "key-marker": tree.findtext("NextKeyMarker") or "",
                "version-id-marker": tree.findtext("NextVersionIdMarker") or "",
            }

    def uploads(self, name: str = "") -> Iterator[tuple[str, str, dt.datetime]]:
        """Yield the multipart uploads under way of what begins with *name*: full name, id, and when it was begun."""
        begins = self._prefix + name
        query = {"uploads": ""} | ({"prefix": begins} if begins else {})
        while True:
            tree = self.ask("GET", "", query, "listing multipart uploads").tree
            for each in tree.findall("Upload"):
                key, upload = each.findtext("Key"), each.findtext("UploadId")
                begun = _moment(each.findtext("Initiated") or "")
                if key and upload and begun is not None and key.startswith(self._prefix):
                    yield key, upload, begun
            if tree.findtext("IsTruncated") != "true":
                return
            query |= {
                "key-marker": tree.findtext("NextKeyMarker") or "",
                "upload-id-marker": tree.findtext("NextUploadIdMarker") or "",
            }

    def ask(
        self,
        method: str,
        name: str,
        query: Mapping[str, str],
        doing: str,
        *,
        body: bytes | memoryview = b"",
        allowed: frozenset[int] | set[int] = frozenset(),
        whole: bool = False,
    ) -> Answer:
        """Send one request, and again while the server cannot; *whole* says that *name* has the prefix already.

        Raises:
            StoreRefusedError: it answers 4xx, and not one of those *allowed*.
            StoreUnavailableError: it does not answer, or answers 5xx, also after the last repetition.
        """
        path = self._path or ""
        if name:
            path += "/" + quote(name if whole else self._prefix + name, safe="/-_.~")
        problem = ""
        for attempt in range(self._retries + 1):
            if attempt:
                time.sleep(min(_FIRST_PAUSE * 2 ** (attempt - 1), 5.0))
            try:
                answer = self._send(method, path or "/", query, body)
            except (OSError, http.client.HTTPException) as error:
                problem = type(error).__name__ if not isinstance(error, ssl.SSLError) else str(error.reason)
                continue
            if answer.status < 300 or answer.status in allowed:
                return answer
            if answer.status >= 500 or answer.status == http.HTTPStatus.TOO_MANY_REQUESTS:
                problem = f"status {answer.status}"
                continue
            if answer.status == _MISSING and not name:
                raise StoreRefusedError(f"{self._place} is not there: make it, or correct its name ({doing})")
            raise StoreRefusedError(refusal(self._place, doing, answer.body.decode(errors="replace")))
        raise StoreUnavailableError(f"{self._place} failed at {doing}: {problem}")

    def _send(self, method: str, path: str, query: Mapping[str, str], body: bytes | memoryview) -> Answer:
        text = "&".join(f"{quote(key, safe='-_.~')}={quote(query[key], safe='-_.~')}" for key in sorted(query))
        ours = self._signed(method, path, text, body)
        connection = self._connection()
        try:
            connection.request(method, f"{path}?{text}" if text else path, body=body or None, headers=ours)
            response = connection.getresponse()
            headers = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=headers, body=response.read(_MOST_ANSWER_BYTES))
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._secure:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = ssl.create_default_context()
        if self._ca:
            context.load_verify_locations(cadata=self._ca.decode("ascii"))
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _signed(self, method: str, path: str, query: str, body: bytes | memoryview) -> dict[str, str]:
        now = dt.datetime.now(dt.UTC)
        stamp, day = now.strftime("%Y%m%dT%H%M%SZ"), now.strftime("%Y%m%d")
        digest = hashlib.sha256(body).hexdigest()
        headers = {"host": self._netloc, "x-amz-content-sha256": digest, "x-amz-date": stamp}
        if body:
            # What S3 asks for beside the signature wherever a lock is set: RFC 1864, not for secrecy.
            headers["content-md5"] = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        names = ";".join(sorted(headers))
        lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
        canonical = f"{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}"
        scope = f"{day}/{self._region}/s3/aws4_request"
        signed = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{self._secret}".encode()
        for part in (day, self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.new(key, signed.encode(), "sha256").hexdigest()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._id}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        return headers


def _moment(text: str) -> dt.datetime | None:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
