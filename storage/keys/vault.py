"""Talking to HashiCorp Vault or OpenBao: one request, its time-out, a login, and a few tries.

https://developer.hashicorp.com/vault/api-docs (the same API in OpenBao). Answers are bounded and never shown: what goes
into an error is the status and the place, no token and no text of the server's.
"""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import httpcore

from storage.errors import KeyProviderError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

ATTEMPTS = 3
FIRST_PAUSE = 0.1
_MOST = 256 * 1024
_AGAIN = frozenset({412, 429, 500, 502, 503, 504})
"""Statuses after which another try may succeed (412: a standby that is behind, 473 and 429 by load)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultSettings:
    """Where Vault is, and who we are there."""

    url: str
    token_file: Path | None = None
    """The file with a token, read at each login: whoever renews it writes it there."""
    role_id: str | None = None
    """AppRole: the role."""
    secret_id_file: Path | None = None
    """AppRole: the file with its secret."""
    approle: str = "approle"
    """Where AppRole is mounted."""
    namespace: str | None = None
    ca_file: Path | None = None
    """PEM file of the authority to trust; None: the system's."""
    timeout: float = 3.0
    """Longest time for each step of one try, of which there are three."""
    client: str = field(default="mft", kw_only=True)


class VaultStatusError(Exception):
    """Vault has answered with a status that is no success; for who knows what it means there."""

    def __init__(self, status: int) -> None:
        """Keep the *status*."""
        super().__init__(str(status))
        self.status = status


class Vault:
    """One Vault. Made after forking; safe for several threads."""

    def __init__(self, settings: VaultSettings, *, pause: Callable[[float], None] = time.sleep) -> None:
        """Talk as *settings* say; nothing is connected yet."""
        self._settings = settings
        self._pause = pause
        self._guard = threading.Lock()
        self._token: str | None = None
        self._pool: httpcore.ConnectionPool | None = None

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        """Return `data` of the answer to a request below `/v1/`, logged in; empty where there is none.

        Raises:
            VaultStatusError: 400 or 404: the request was understood, and refused.
            KeyProviderError: Vault cannot be reached, is sealed, or refuses us.
        """
        fresh = self._token is None
        token = self._logged_in()
        status, answer = self._tried(method, path, body, token)
        if status == 403 and not fresh:  # the token has ended: once more, with another
            with self._guard:
                self._token = None
            status, answer = self._tried(method, path, body, self._logged_in())
        if status in {400, 404}:
            raise VaultStatusError(status)
        if status == 403:
            with self._guard:
                self._token = None
            raise KeyProviderError(
                f"Vault refuses {method} {path} (403): is the token good, and its policy wide enough?"
            )
        if not 200 <= status < 300:
            sealed = " (it is sealed)" if status == 503 else ""
            raise KeyProviderError(f"Vault does not answer {method} {path}: status {status}{sealed}")
        data = answer.get("data")
        return data if isinstance(data, dict) else {}

    def close(self) -> None:
        """Let go of connections and of the token."""
        with self._guard:
            pool, self._pool, self._token = self._pool, None, None
        if pool is not None:
            pool.close()

    def _logged_in(self) -> str:
        with self._guard:
            if self._token is not None:
                return self._token
        token = self._secret(self._settings.token_file) if self._settings.role_id is None else self._approle()
        with self._guard:
            self._token = token
        return token

    def _approle(self) -> str:
        body = {"role_id": self._settings.role_id, "secret_id": self._secret(self._settings.secret_id_file)}
        status, answer = self._tried("POST", f"auth/{self._settings.approle}/login", body, None)
        auth = answer.get("auth")
        if status != 200 or not isinstance(auth, dict) or not isinstance(auth.get("client_token"), str):
            raise KeyProviderError(f"Vault does not let the AppRole in (status {status})")
        return str(auth["client_token"])

    @staticmethod
    def _secret(path: Path | None) -> str:
        if path is None:
            raise KeyProviderError("Vault needs a token, or an AppRole with its secret")
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise KeyProviderError(f"{path} cannot be read ({type(error).__name__})") from error
        if not text or not text.isprintable():
            raise KeyProviderError(f"{path} holds no token")
        return text

    def _tried(
        self, method: str, path: str, body: Mapping[str, object] | None, token: str | None
    ) -> tuple[int, dict[str, Any]]:
        failure: Exception | None = None
        status, answer = 0, dict[str, Any]()
        for attempt in range(ATTEMPTS):
            if attempt:
                self._pause(FIRST_PAUSE * 2 ** (attempt - 1))
            try:
                status, answer = self._once(method, path, body, token)
            except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
                failure, status = error, 0
                continue
            failure = None
            if status not in _AGAIN:
                return status, answer
        if failure is not None:
            raise KeyProviderError(f"Vault cannot be reached ({type(failure).__name__})") from failure
        return status, answer

    def _once(
        self, method: str, path: str, body: Mapping[str, object] | None, token: str | None
    ) -> tuple[int, dict[str, Any]]:
        settings = self._settings
        headers = {"Accept": "application/json", "X-Vault-Request": "true", "User-Agent": settings.client}
        if token is not None:
            headers["X-Vault-Token"] = token
        if settings.namespace is not None:
            headers["X-Vault-Namespace"] = settings.namespace
        content = None if body is None else json.dumps(body).encode()
        if content is not None:
            headers |= {"Content-Type": "application/json", "Content-Length": str(len(content))}
        patience = dict.fromkeys(("connect", "read", "write", "pool"), settings.timeout)
        url = f"{settings.url.rstrip('/')}/v1/{path}"
        with self._connections().stream(
            method, url, headers=list(headers.items()), content=content, extensions={"timeout": patience}
        ) as response:
            data = b""
            for piece in response.iter_stream():
                data += piece
                if len(data) > _MOST:
                    raise KeyProviderError("Vault's answer is longer than any of its answers")
            status = response.status
        answer: object = None
        with contextlib.suppress(ValueError):
            answer = json.loads(data)
        return status, answer if isinstance(answer, dict) else {}

    def _connections(self) -> httpcore.ConnectionPool:
        with self._guard:
            if self._pool is None:
                try:
                    context = ssl.create_default_context(cafile=self._settings.ca_file)
                except (OSError, ssl.SSLError) as error:
                    raise KeyProviderError(f"{self._settings.ca_file} holds no certificate to trust") from error
                self._pool = httpcore.ConnectionPool(ssl_context=context, max_connections=16, keepalive_expiry=30.0)
            return self._pool
