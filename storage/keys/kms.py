"""The keys of a region in AWS KMS, or whatever speaks its API. The encryption context binds region and scope.

Keys are made, exchanged and destroyed in AWS: here one of them is current, and others still unwrap. A wrapped key names
the ARN that it is under, and only those that the settings name are ever asked: a foreign ARN in a file is refused.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from storage.errors import AlteredKeyError, KeyProviderError, KeyUnavailableError
from storage.keys.binding import named_context
from storage.keys.wrapped import KMS, header_of, parse_wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ALTERED = {"InvalidCiphertextException", "IncorrectKeyException"}
ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KmsSettings:
    """Which keys, and how they are asked. Credentials are found as every AWS client finds them."""

    key: str
    """The current key: its ARN, id, or alias (`alias/…`)."""
    previous: tuple[str, ...] = ()
    """Keys that only unwrap any more, the oldest first."""
    region: str | None = None
    """The AWS region; None: the one in the ARN, else as the environment says."""
    endpoint: str | None = None
    """Another address than Amazon's own, such as a private endpoint."""
    profile: str | None = None
    """A profile of the AWS configuration files."""
    timeout: float = 3.0
    """Longest time for one try, of which there are three."""


class KmsKeys:
    """The keys of one region in KMS: a `KeyHolder`. Opened at first use. Safe for several threads."""

    def __init__(
        self,
        settings: KmsSettings,
        *,
        make_client: Callable[[KmsSettings], Any] | None = None,
        reread: Callable[[], KmsSettings] | None = None,
    ) -> None:
        """Use the keys that *settings* name; *reread* returns the settings as they are now, for `rotate`."""
        self._settings = settings
        self._reread = reread or (lambda: settings)
        self._make_client = make_client or _client_of
        self._guard = threading.Lock()
        self._client: Any = None
        self._ids: tuple[str, ...] = ()

    @property
    def current(self) -> str:
        """ARN of the key that wraps."""
        return self._known()[-1]

    @property
    def key_ids(self) -> tuple[str, ...]:
        """ARNs of all keys, the current one last."""
        return self._known()

    def wrap(self, key: bytes, context: bytes) -> bytes:
        """Return *key* wrapped under the current key."""
        name = self.current
        with _translated(name):
            answer = self._client.encrypt(KeyId=name, Plaintext=key, EncryptionContext=named_context(context))
        return header_of(KMS, name) + bytes(answer["CiphertextBlob"])

    def unwrap(self, wrapped: bytes, context: bytes) -> bytes:
        """Return the key in *wrapped*."""
        parsed = parse_wrapped(wrapped)
        if parsed.form != KMS:
            raise AlteredKeyError("a wrapped scope key is not in the form of a key service")
        if parsed.key_id not in self._known():
            raise KeyUnavailableError(f"the key {parsed.key_id} is not among those that the configuration names")
        with _translated(parsed.key_id):
            answer = self._client.decrypt(
                KeyId=parsed.key_id, CiphertextBlob=parsed.payload, EncryptionContext=named_context(context)
            )
        return bytes(answer["Plaintext"])

    def rotate(self) -> str:
        """Take over the current key of the settings as they are now; the one before still unwraps.

        Raises:
            KeyUnavailableError: they name the same key as before.
        """
        before = self._known()
        settings = self._reread()
        ids = self._resolved(settings)
        if ids[-1] == before[-1]:
            raise KeyUnavailableError(
                f"keys are made in AWS: {before[-1]} is still the one that is named. Make a new one there, name it as "
                "`key` (or point the alias to it) and this one under `previous`, then do this again"
            )
        if before[-1] not in ids:
            raise KeyUnavailableError(f"{before[-1]} must stand under `previous` as long as anything is under it")
        with self._guard:
            self._settings, self._ids = settings, ids
        return ids[-1]

    def retire(self, key_id: str) -> None:
        """Ask a key no more. Destroying it is done in AWS (`ScheduleKeyDeletion`), by who may."""
        ids = self._known()
        if key_id not in ids[:-1]:
            raise KeyUnavailableError(f"{key_id} is no older key of this region")
        with self._guard:
            self._ids = tuple(each for each in ids if each != key_id)

    def close(self) -> None:
        """Begin anew with the next call."""
        with self._guard:
            client, self._client, self._ids = self._client, None, ()
        if client is not None:
            client.close()

    def _known(self) -> tuple[str, ...]:
        with self._guard:
            known = self._ids
        if known:
            return known
        ids = self._resolved(self._settings)
        with self._guard:
            self._ids = self._ids or ids
            return self._ids

    def _resolved(self, settings: KmsSettings) -> tuple[str, ...]:
        with self._guard:
            if self._client is None:
                self._client = self._make_client(settings)
            client = self._client
        found = []
        for name in (*settings.previous, settings.key):
            with _translated(name):
                found.append(str(client.describe_key(KeyId=name)["KeyMetadata"]["Arn"]))
        return tuple(dict.fromkeys(found))


@contextlib.contextmanager
def _translated(name: str) -> Iterator[None]:
    """Raise what AWS says in our words; its own texts may hold more than a log should.

    Raises:
        AlteredKeyError: the ciphertext or its context is another.
        KeyProviderError: anything else; names the key and the code.
    """
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - few use it

    try:
        yield
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code", "an error"))
        if code in _ALTERED:
            raise AlteredKeyError("a wrapped key was altered, or bound to another region, scope or subject") from error
        raise KeyProviderError(f"the key service refuses the key {name} ({code})") from error
    except BotoCoreError as error:
        raise KeyProviderError(f"the key service of {name} cannot be reached ({type(error).__name__})") from error


def _client_of(settings: KmsSettings) -> Any:  # noqa: ANN401 - botocore makes its classes at run time
    try:
        from botocore.config import Config  # noqa: PLC0415 - few use it
        from botocore.exceptions import BotoCoreError  # noqa: PLC0415
        from botocore.session import Session  # noqa: PLC0415
    except ImportError as error:
        raise KeyProviderError("keys in AWS KMS need botocore: pip install 'mft[aws]'") from error
    parts = settings.key.split(":")
    named = parts[3] if len(parts) > 5 and parts[0] == "arn" else None
    try:
        return Session(profile=settings.profile).create_client(
            "kms",
            region_name=settings.region or named,
            endpoint_url=settings.endpoint,
            config=Config(
                connect_timeout=settings.timeout,
                read_timeout=settings.timeout,
                retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
                max_pool_connections=16,
            ),
        )
    except BotoCoreError as error:
        raise KeyProviderError(f"the key service cannot be asked ({type(error).__name__})") from error
