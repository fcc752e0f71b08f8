"""A Vault in the test's process: the part of its HTTP API that `storage.keys.transit` asks, made from its description.

https://developer.hashicorp.com/vault/api-docs/secret/transit and /auth/approle. Keys are derived with HKDF from the
context, as Vault does for `derived=true`; ciphertexts are `vault:vN:` and base64 of nonce and GCM.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class RefusalError(Exception):
    """A status that is no success, and what Vault says with it."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status)
        self.status, self.errors = status, list(errors)


@dataclass
class Key:
    derived: bool
    type: str
    versions: dict[int, bytes] = field(default_factory=lambda: {1: os.urandom(32)})
    least_decryption: int = 1
    least_encryption: int = 0
    least_available: int = 0

    @property
    def latest(self) -> int:
        return max(self.versions)


class VaultServer:
    """What it holds, and how it is told to behave."""

    def __init__(self) -> None:
        self.keys: dict[str, Key] = {}
        self.tokens = {"root-token"}
        self.roles = {"role-1": "secret-1"}
        self.fail_with: list[int] = []
        """Statuses of the next answers, before it answers again as it should."""
        self.sealed = False
        self.denied: set[str] = set()
        """Verbs that the policy does not allow: `rotate`, `decrypt` …"""
        self.asked: list[str] = []
        self.url = ""

    def token(self) -> str:
        token = f"hvs.{os.urandom(12).hex()}"
        self.tokens.add(token)
        return token

    def answer(self, method: str, path: str, token: str, body: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(f"{method} {path}")
        if self.fail_with:
            raise RefusalError(self.fail_with.pop(0), "told to")
        if self.sealed:
            raise RefusalError(503, "Vault is sealed")
        parts = path.split("/")
        if parts[:2] == ["auth", "approle"] and parts[2:] == ["login"]:
            if self.roles.get(body.get("role_id", "")) != body.get("secret_id"):
                raise RefusalError(400, "invalid role or secret ID")
            return {"auth": {"client_token": self.token(), "lease_duration": 3600, "renewable": True}}
        if token not in self.tokens:
            raise RefusalError(403, "permission denied")
        if parts[0] != "transit":
            raise RefusalError(404)
        verb = parts[3] if len(parts) > 3 else parts[1]
        if verb in self.denied:
            raise RefusalError(403, "1 error occurred: permission denied")
        if parts[1] == "keys":
            return self._keys(method, parts[2], parts[3:], body)
        if parts[1] in {"encrypt", "decrypt"} and method == "POST":
            return {"data": getattr(self, f"_{parts[1]}")(parts[2], body)}
        raise RefusalError(404)

    def _keys(self, method: str, name: str, rest: list[str], body: dict[str, Any]) -> dict[str, Any]:
        if method == "POST" and not rest:
            self.keys.setdefault(name, Key(derived=bool(body.get("derived")), type=body.get("type", "aes256-gcm96")))
            return {}
        key = self._key(name)
        if method == "GET":
            return {
                "data": {
                    "name": name,
                    "type": key.type,
                    "derived": key.derived,
                    "latest_version": key.latest,
                    "min_decryption_version": key.least_decryption,
                    "min_available_version": key.least_available,
                }
            }
        if rest == ["rotate"]:
            key.versions[key.latest + 1] = os.urandom(32)
            return {}
        if rest == ["config"]:
            key.least_decryption = body.get("min_decryption_version", key.least_decryption)
            key.least_encryption = body.get("min_encryption_version", key.least_encryption)
            return {}
        if rest == ["trim"]:
            least = body["min_available_version"]
            if least > key.least_decryption or (0 < key.least_encryption < least):
                raise RefusalError(400, "minimum available version cannot be higher")
            key.least_available = least
            key.versions = {number: each for number, each in key.versions.items() if number >= least}
            return {}
        raise RefusalError(404)

    def _key(self, name: str) -> Key:
        if name not in self.keys:
            raise RefusalError(404)
        return self.keys[name]

    def _encrypt(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self._key(name)
        nonce = os.urandom(12)
        sealed = AESGCM(self._derived(key, key.latest, body)).encrypt(nonce, base64.b64decode(body["plaintext"]), None)
        return {"ciphertext": f"vault:v{key.latest}:{base64.b64encode(nonce + sealed).decode()}"}

    def _decrypt(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        key = self._key(name)
        _, version, text = body["ciphertext"].split(":")
        number = int(version[1:])
        if number < key.least_decryption or number not in key.versions:
            raise RefusalError(400, "ciphertext or signature version is disallowed by policy (too old)")
        try:
            raw = base64.b64decode(text, validate=True)
        except ValueError:
            raise RefusalError(400, "invalid ciphertext: could not decode base64") from None
        try:
            plain = AESGCM(self._derived(key, number, body)).decrypt(raw[:12], raw[12:], None)
        except (InvalidTag, ValueError):
            raise RefusalError(400, "cipher: message authentication failed") from None
        return {"plaintext": base64.b64encode(plain).decode()}

    @staticmethod
    def _derived(key: Key, number: int, body: dict[str, Any]) -> bytes:
        if not key.derived:
            return key.versions[number]
        if not body.get("context"):
            raise RefusalError(400, "missing 'context' for key derivation")
        context = base64.b64decode(body["context"])
        return HKDF(SHA256(), length=32, salt=None, info=context).derive(key.versions[number])


@contextlib.contextmanager
def running_vault() -> Iterator[VaultServer]:
    """Serve one on a free port of this machine."""
    vault = VaultServer()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}")
            status, document = 200, {}
            try:
                document = vault.answer(
                    self.command, self.path.removeprefix("/v1/"), self.headers.get("X-Vault-Token", ""), body
                )
            except RefusalError as refusal:
                status, document = refusal.status, {"errors": refusal.errors}
            data = json.dumps(document).encode() if document else b""
            self.send_response(status if data or status != 200 else 204)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _serve  # noqa: N815

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    vault.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield vault
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def token_file(directory: Path, token: str = "root-token") -> Path:
    """Write a token where a client reads it."""
    path = directory / "vault.token"
    path.write_text(token + "\n")
    path.chmod(0o600)
    return path
