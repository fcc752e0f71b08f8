"""The keys of regions and customers, opened as the configuration says: for the key agent and for `mft unseal`."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING

from mft.config.errors import ConfigError
from mft.config.secrets import load_passphrase, load_pin
from storage.errors import KeyProviderError, KeyringError, KeyUnavailableError
from storage.keys.door import KeyDoor
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring
from storage.keys.ledger import DestroyedKeys
from storage.keys.service import LocalKeyService
from storage.keys.shelf import KeyShelf

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from mft.config.keys import CustomerKeyConfig, KeysConfig, ProviderConfig
    from mft.config.model import Config
    from storage.keys.kms import KmsSettings
    from storage.keys.wrapper import KeyHolder


class LockedKeyringError(KeyProviderError):
    """Nobody has given the keyring's passphrase yet."""


def open_keyring(config: Config, region: str, passphrase: str | None = None) -> Keyring:
    """Open a region's keyring, or make it where there is none.

    Raises:
        WrongPassphraseError: the passphrase does not open it.
        KeyringError: it is no keyring, or another region's; or it is lost, and what it opens is there.
        LockedKeyringError: the configuration leaves the passphrase to a person, and none was given.
    """
    settings = config.regions[region].keyring
    if passphrase is None and settings.prompt:
        raise LockedKeyringError(
            f"the keyring of {region!r} is locked: `mft keys unlock {region}` asks for its passphrase"
        )
    passphrase = load_passphrase(settings, region) if passphrase is None else passphrase
    store = config.regions[region].store
    if not settings.path.exists() and store.bucket is None and any((store.path / "slots").glob("*/*")):
        raise KeyringError(
            f"{settings.path} is not there, and the store of {region!r} holds objects that no new keyring opens: put it"
            " back from a backup"
        )
    if settings.path.exists():
        keyring = Keyring.load(settings.path, passphrase)
        if keyring.region != region:
            raise KeyringError(
                f"{settings.path} is the keyring of {keyring.region!r}, not of {region!r}: put that of {region!r} there"
            )
        return keyring
    return Keyring.create(settings.path, Region(region), passphrase)


def open_provider(
    keys: KeysConfig | ProviderConfig, place: str, reread: Callable[[], KeysConfig | ProviderConfig] | None = None
) -> KeyHolder:
    """Make what holds keys elsewhere; *place* is where the configuration names it. Nothing is connected yet.

    Raises:
        KeyProviderError: a PIN cannot be read.
    """
    if keys.pkcs11 is not None:
        from storage.keys.token import TokenKeys, TokenSettings  # noqa: PLC0415 - few have one

        token = keys.pkcs11
        try:
            pin = load_pin(token, f"{place}.pkcs11")
        except ConfigError as error:
            raise KeyProviderError(str(error)) from error
        return TokenKeys(
            TokenSettings(module=token.module, token=token.token, key=token.key, pin=pin, create=token.create)
        )
    if keys.aws_kms is not None:
        from storage.keys.kms import KmsKeys  # noqa: PLC0415 - few use it

        return KmsKeys(_kms_settings(keys), reread=None if reread is None else lambda: _kms_settings(reread()))
    if keys.vault is not None:
        from storage.keys.transit import TransitKeys, TransitSettings  # noqa: PLC0415 - few use it
        from storage.keys.vault import Vault, VaultSettings  # noqa: PLC0415

        vault = keys.vault
        settings = VaultSettings(
            url=vault.url,
            token_file=vault.token_file,
            role_id=vault.role_id,
            secret_id_file=vault.secret_id_file,
            approle=vault.approle,
            namespace=vault.namespace,
            ca_file=vault.ca_file,
            timeout=keys.timeout,
        )
        return TransitKeys(Vault(settings), TransitSettings(key=vault.key, mount=vault.mount, create=vault.create))
    raise KeyUnavailableError(f"{place} names nothing that holds keys")


def _kms_settings(keys: KeysConfig | ProviderConfig) -> KmsSettings:
    from storage.keys.kms import KmsSettings  # noqa: PLC0415 - few use it

    kms = keys.aws_kms
    if kms is None:
        raise KeyUnavailableError("the configuration names no key of AWS KMS any more")
    return KmsSettings(
        key=kms.key,
        previous=kms.previous,
        region=kms.region,
        endpoint=kms.endpoint,
        profile=kms.profile,
        timeout=keys.timeout,
    )


class CustomerProviders:
    """The keys in customers' hands: the `CustomerKeys` of the configuration. Each is opened when it is first needed."""

    def __init__(self, config: Config) -> None:
        """Know those that *config* names."""
        self._rules = config.customer_keys
        self._doors = {each.name: _door_of(each.provider, f"customer_keys {each.name!r}") for each in self._rules}
        self._shelves = {each.name: KeyShelf(ttl=each.provider.cache) for each in self._rules}

    def holder(self, region: str, owner: str) -> str | None:
        """Return the name of what holds *owner*'s key for *region*: the first rule that fits."""
        return holder_of(self._rules, region, owner)

    def wrapper(self, name: str) -> KeyHolder:
        """Return what that name stands for."""
        try:
            return self._doors[name]
        except KeyError:
            raise KeyUnavailableError(f"the configuration names no customer's key {name!r}") from None

    def shelf(self, name: str) -> KeyShelf:
        """Return where its unwrapped shares are kept."""
        try:
            return self._shelves[name]
        except KeyError:
            raise KeyUnavailableError(f"the configuration names no customer's key {name!r}") from None

    def names(self) -> tuple[str, ...]:
        """Return the names of all."""
        return tuple(self._doors)


def holder_of(rules: Iterable[CustomerKeyConfig], region: str, owner: str) -> str | None:
    """Return the name of the first of *rules* (`CustomerKeyConfig`) that fits a customer in a region."""
    for rule in rules:
        if fnmatch.fnmatchcase(owner, rule.customer) and (not rule.regions or region in rule.regions):
            return rule.name
    return None


def _door_of(keys: KeysConfig | ProviderConfig, place: str) -> KeyDoor:
    return KeyDoor(lambda: open_provider(keys, place))


class RegionKeys:
    """The keys of every region of a configuration, each behind its door, and the service over them."""

    def __init__(
        self,
        config: Config,
        *,
        passphrases: Mapping[str, str] | None = None,
        reread: Callable[[], Config] | None = None,
    ) -> None:
        """Know how each is opened; *passphrases* are those that a person has given, *reread* the configuration anew."""
        self.config = config
        self._passphrases = dict(passphrases or {})
        self._reread = reread or (lambda: config)
        self.doors = {Region(name): KeyDoor(self._opener(name)) for name in config.regions}
        self.customers = CustomerProviders(config)
        self.ledgers = {
            Region(name): DestroyedKeys(region.keys.ledger, name) for name, region in config.regions.items()
        }
        self.shelves = {
            Region(name): KeyShelf(ttl=region.keys.cache)
            for name, region in config.regions.items()
            if region.keys.type != "keyring"
        }
        self.service = LocalKeyService(self.doors, ledgers=self.ledgers, customers=self.customers, shelves=self.shelves)

    def open_keyrings(self) -> tuple[str, ...]:
        """Open every keyring whose passphrase is at hand; return the regions of those that stay locked.

        Raises:
            KeyringError: one of them is not opened by its passphrase, or is no keyring: better not to begin.
        """
        locked = []
        for name, region in self.config.regions.items():
            if region.keys.type != "keyring":
                continue
            try:
                self.doors[Region(name)].put(open_keyring(self.config, name, self._passphrases.get(name)))
            except LockedKeyringError:
                locked.append(name)
        return tuple(locked)

    def unlock(self, region: str, passphrase: str) -> None:
        """Open a keyring with what a person has given.

        Raises:
            KeyringError: it does not open.
            KeyUnavailableError: the region's keys lie in no keyring.
        """
        if self.config.regions[region].keys.type != "keyring":
            raise KeyUnavailableError(f"the keys of {region!r} lie in no keyring")
        self.doors[Region(region)].put(open_keyring(self.config, region, passphrase))

    def learn_passphrase(self, region: str, passphrase: str) -> None:
        """Keep the passphrase that a keyring has now, where a person gives it: to open it again."""
        if self.config.regions[region].keyring.prompt:
            self._passphrases[region] = passphrase

    def forget(self, region: str) -> int:
        """Drop what was kept unwrapped of a region, customers' shares too; return how many keys those were."""
        shares = sum(self.customers.shelf(name).forget() for name in self.customers.names())
        return shares + self.service.forget(Region(region))

    def waits(self, region: str, owner: str | None) -> bool:
        """Say whether a question about *region*, and a customer there, may have to wait for a network or a device."""
        known = self.config.regions.get(region)
        if known is not None and known.keys.type != "keyring":
            return True
        return owner is not None and self.customers.holder(region, owner) is not None

    def _opener(self, name: str) -> Callable[[], KeyHolder]:
        region = self.config.regions[name]
        if region.keys.type == "keyring":
            return lambda: open_keyring(self.config, name, self._passphrases.get(name))
        return lambda: open_provider(
            region.keys, f"regions.{name}.keys", reread=lambda: self._reread().regions[name].keys
        )
