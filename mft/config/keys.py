"""Where keys are kept that lie in no keyring file, keys in customers' hands, and breaking the glass."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mft.config.units import Count, PositiveSeconds, Seconds, Secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Pkcs11Config:
    """Keys in a hardware token, by PKCS#11."""

    module: Path
    """The library of the token's maker."""
    token: str
    """The token's label."""
    key: str
    """The label of the keys in it; of several the one with the greatest id is current."""
    pin_file: Path | None = None
    """The file whose first line is the user's PIN."""
    pin: Secret | None = field(default=None, repr=False)
    """The PIN itself, from `${ENV}`; give this or the file."""
    create: bool = False
    """Make the first key in the token if there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsKmsConfig:
    """Keys in AWS KMS. Credentials are found as every AWS client finds them."""

    key: str
    """The current key: ARN, id or alias."""
    previous: tuple[str, ...] = ()
    """Keys that only unwrap any more, the oldest first."""
    region: str | None = None
    """The AWS region; null: the one in the ARN, else as the environment says."""
    endpoint: str | None = None
    """Another address than Amazon's own."""
    profile: str | None = None
    """A profile of the AWS configuration files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VaultConfig:
    """A key in the transit engine of HashiCorp Vault or OpenBao."""

    url: str
    key: str
    """The key's name; its type is aes256-gcm96, and it is derived."""
    mount: str = "transit"
    token_file: Path | None = None
    """The file with a token, read at each login; give this, or an AppRole."""
    role_id: str | None = None
    """AppRole: the role."""
    secret_id_file: Path | None = None
    """AppRole: the file with its secret."""
    approle: str = "approle"
    """Where AppRole is mounted."""
    namespace: str | None = None
    ca_file: Path | None = None
    """PEM file of the authority to trust; null: the system's."""
    create: bool = False
    """Make the key if there is none; the policy must allow it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderConfig:
    """What holds keys: exactly the part that `type` names is given."""

    type: Literal["pkcs11", "aws-kms", "vault"]
    pkcs11: Pkcs11Config | None = None
    aws_kms: AwsKmsConfig | None = None
    vault: VaultConfig | None = None
    timeout: PositiveSeconds = 3.0
    """Longest time for one try over the network, of which there are three."""
    cache: Seconds = 60.0
    """How long the key agent remembers what it unwrapped: how long a key that is switched off lives on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeysConfig:
    """What holds a region's keys."""

    type: Literal["keyring", "pkcs11", "aws-kms", "vault"] = "keyring"
    """`keyring`: a file, as `keyring` beside this says."""
    pkcs11: Pkcs11Config | None = None
    aws_kms: AwsKmsConfig | None = None
    vault: VaultConfig | None = None
    timeout: PositiveSeconds = 3.0
    """Longest time for one try over the network, of which there are three."""
    cache: Seconds = 300.0
    """How long the key agent remembers a scope key that it had unwrapped there; a keyring needs no cache."""
    ledger: Path = Path("regions/{region}/destroyed-keys")
    """The ledger of keys of this region that were destroyed; what stands there never opens again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerKeyConfig:
    """A key in a customer's hands: without it nothing of theirs opens."""

    name: str
    """Its name, which wrapped keys bear: never given to another key."""
    customer: str
    """Whose, a pattern as the shell has them; the first that matches holds."""
    provider: ProviderConfig
    regions: tuple[str, ...] = ()
    """For which regions; none: all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakGlassConfig:
    """Who may open a stored file with `mft unseal`."""

    approvals: Count = 1
    """Persons who must agree first, each with a login and the role releaser; 1: whoever runs the command."""
    ttl: PositiveSeconds = 3600.0
    """How long an approved request is good for."""
