"""Everything that holds a region's keys: a file, a token, AWS KMS, Vault. And how each fails."""

from __future__ import annotations

import contextlib
import os
import socket
from dataclasses import replace

import pytest

from storage.errors import AlteredKeyError, KeyProviderError, KeyUnavailableError
from storage.keys.binding import scope_context
from storage.keys.door import KeyDoor, state_of
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost
from storage.keys.kms import KmsKeys, KmsSettings
from storage.keys.token import TokenKeys, TokenSettings
from storage.keys.transit import TransitKeys, TransitSettings
from storage.keys.vault import Vault, VaultSettings
from storage.keys.wrapped import KMS, TRANSIT, header_of, parse_wrapped
from tests.contracts.keyholders import EU_1, KeyHolderContract, Place
from tests.keyplaces import (
    PIN,
    SOFTHSM,
    ask_kms,
    kms_client,
    make_kms_key,
    make_token,
    needs_softhsm,
    running_kms,
    softhsm_directory,
)
from tests.vault import running_vault, token_file

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)


class TestKeyring(KeyHolderContract):
    @pytest.fixture
    def place(self, tmp_path):
        path = tmp_path / "eu.keyring"
        ring = Keyring.create(path, Region("eu"), "correct horse", cost=CHEAP)
        return Place(keys=ring, again=lambda: Keyring.load(path, "correct horse"))


def token_settings(label):
    return TokenSettings(module=SOFTHSM, token=label, key="mft-eu", pin=PIN, create=True)


@needs_softhsm
class TestToken(KeyHolderContract):
    @pytest.fixture
    def place(self):
        label = f"t{os.urandom(6).hex()}"
        make_token(label)
        keys = TokenKeys(token_settings(label))
        opened = [keys]

        def again():
            opened.append(TokenKeys(token_settings(label)))
            return opened[-1]

        yield Place(keys=keys, again=again)
        for each in opened:
            each.close()

    def test_key_that_somebody_else_made_is_current_once_it_was_looked_for(self, place):
        """A customer exchanges a key in a token of theirs; `mft keys status` and `rewrap` look."""
        first, other = place.keys, place.again()
        before = first.current
        made = other.rotate()
        assert first.current == before
        assert first.key_ids == (before, made)
        assert first.current == made

    def test_key_that_is_made_later_is_found(self, place):
        """A token without a key says so, at each call, until there is one."""
        label = f"t{os.urandom(6).hex()}"
        make_token(label)
        keys = TokenKeys(replace(token_settings(label), create=False))
        for _ in range(2):
            with pytest.raises(KeyUnavailableError, match="no key with the label"):
                keys.wrap(b"k" * 32, EU_1)
        with contextlib.closing(TokenKeys(token_settings(label))) as owner:
            made = owner.current
            assert keys.unwrap(keys.wrap(b"k" * 32, EU_1), EU_1) == b"k" * 32
            assert keys.current == made
        keys.close()

    def test_key_cannot_be_taken_out_of_the_token(self, place):
        """It is sensitive and not extractable: the token says no."""
        from pkcs11 import Attribute
        from pkcs11.exceptions import PKCS11Error

        assert place.keys.current
        held = next(iter(place.keys._keys.values()))
        assert held[Attribute.EXTRACTABLE] is False
        with pytest.raises(PKCS11Error):
            _ = held[Attribute.VALUE]

    def test_token_that_is_pulled_out_and_put_back(self, place):
        """While it is away its region is out of reach, and the error says what to look at; back again, it works."""
        wrapped = place.keys.wrap(b"k" * 32, EU_1)
        tokens, away = softhsm_directory() / "tokens", softhsm_directory() / "away"
        tokens.rename(away)
        try:
            for _ in range(2):
                with pytest.raises(KeyProviderError, match="is it plugged in") as caught:
                    place.keys.unwrap(wrapped, EU_1)
                assert PIN not in str(caught.value)
        finally:
            away.rename(tokens)
        assert place.keys.unwrap(wrapped, EU_1) == b"k" * 32

    def test_clock_that_was_set_back_makes_no_older_key(self, place):
        """The newest key is current, whatever the clock says."""
        first = place.keys.current
        place.keys._clock = lambda: 1000.0
        assert place.keys.rotate() == place.keys.current != first

    def test_wrong_pin_missing_token_and_missing_key_are_named(self):
        """None of them is waited for; none shows the PIN."""
        label = f"t{os.urandom(6).hex()}"
        make_token(label)
        good = token_settings(label)
        for settings, told in (
            (replace(good, pin="99999"), "PinIncorrect"),
            (replace(good, token="nowhere"), "NoSuchToken"),
        ):
            with pytest.raises(KeyProviderError, match=told) as caught:
                TokenKeys(settings).wrap(b"k" * 32, EU_1)
            assert settings.pin not in str(caught.value)
        with pytest.raises(KeyUnavailableError, match="no key with the label 'mft-eu'"):
            TokenKeys(replace(good, create=False)).wrap(b"k" * 32, EU_1)


@pytest.fixture
def closing():
    """Close at the end what was opened."""
    opened = []

    def opens(keys):
        opened.append(keys)
        return keys

    yield opens
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def kms():
    with running_kms() as url:
        yield url


class TestKms(KeyHolderContract):
    @pytest.fixture
    def settings(self, kms):
        return KmsSettings(key=make_kms_key(kms), endpoint=kms, timeout=20.0)

    @pytest.fixture
    def place(self, kms, settings, closing):
        now = [settings]

        def name_the_next():
            now[0] = replace(settings, key=make_kms_key(kms), previous=(*now[0].previous, now[0].key))

        return Place(
            keys=closing(KmsKeys(settings, reread=lambda: now[0])),
            again=lambda: closing(KmsKeys(now[0])),
            before_rotation=name_the_next,
        )

    def test_region_and_scope_are_in_the_encryption_context(self, kms, settings, closing):
        """Whoever reads AWS's log of the key sees what was opened; another context is refused there."""
        keys = closing(KmsKeys(settings))
        wrapped = keys.wrap(b"k" * 32, EU_1)
        plain = ask_kms(
            kms,
            "decrypt",
            KeyId=settings.key,
            CiphertextBlob=parse_wrapped(wrapped).payload,
            EncryptionContext={"mft": "mft scope key v1", "region": "eu", "scope": "case:1"},
        )
        assert plain["Plaintext"] == b"k" * 32

    def test_foreign_key_in_a_file_is_never_asked(self, kms, settings, closing):
        """A wrapped key that names somebody else's ARN is refused here, though KMS would open it."""
        foreign = closing(KmsKeys(replace(settings, key=make_kms_key(kms))))
        wrapped = foreign.wrap(b"k" * 32, EU_1)
        with pytest.raises(KeyUnavailableError, match="not among those"):
            closing(KmsKeys(settings)).unwrap(wrapped, EU_1)

    def test_key_that_is_switched_off_and_on(self, kms, settings, closing):
        """Disabled in AWS nothing opens, and the error names key and code; enabled it works again."""
        from botocore.exceptions import ClientError

        client, off = kms_client(kms), []

        class Switched:  # moto works with a disabled key as well; what AWS does is said here: it still describes it
            describe_key, close = client.describe_key, client.close

            def encrypt(self, **arguments):
                self.refuse("Encrypt")
                return client.encrypt(**arguments)

            def decrypt(self, **arguments):
                self.refuse("Decrypt")
                return client.decrypt(**arguments)

            def refuse(self, operation):
                if off:
                    raise ClientError({"Error": {"Code": "DisabledException", "Message": "x"}}, operation)

        keys = closing(KmsKeys(settings, make_client=lambda _settings: Switched()))
        wrapped = keys.wrap(b"k" * 32, EU_1)
        off.append(True)
        with pytest.raises(KeyProviderError, match="DisabledException"):
            keys.unwrap(wrapped, EU_1)
        state, why = state_of(keys)
        assert (state, "DisabledException" in why) == ("unavailable", True)
        off.clear()
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32
        assert state_of(keys) == ("open", "")

    def test_rotation_without_a_new_key_says_what_to_do(self, settings, closing):
        """Keys are made in AWS; to rotate onto the same one, or to drop the old one at once, is refused."""
        with pytest.raises(KeyUnavailableError, match="keys are made in AWS"):
            closing(KmsKeys(settings)).rotate()

    def test_service_that_cannot_be_reached_is_named(self, settings, closing):
        """No listener: the error comes by itself, and names the kind of failure."""
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            dead = replace(settings, endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}", timeout=0.5)
            with pytest.raises(KeyProviderError, match="cannot be reached"):
                closing(KmsKeys(dead)).wrap(b"k" * 32, EU_1)

    def test_throttling_and_breakdowns_of_the_service_are_named(self, settings):
        """What AWS answers is told by its code, never by its text."""
        from botocore.exceptions import ClientError

        class Failing:
            def describe_key(self, **_):
                raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "secret text"}}, "DescribeKey")

        with pytest.raises(KeyProviderError, match="ThrottlingException") as caught:
            KmsKeys(settings, make_client=lambda _settings: Failing()).wrap(b"k" * 32, EU_1)
        assert "secret text" not in str(caught.value)


@pytest.fixture
def vault():
    with running_vault() as server:
        yield server


@pytest.fixture
def transit(vault, tmp_path, closing):
    """Make a client of the key `mft-eu`."""
    where = VaultSettings(url=vault.url, token_file=token_file(tmp_path), timeout=20.0)
    settings = TransitSettings(key="mft-eu", create=True)
    return lambda: closing(TransitKeys(Vault(where, pause=lambda _seconds: None), settings))


class TestTransit(KeyHolderContract):
    @pytest.fixture
    def place(self, transit):
        return Place(keys=transit(), again=transit)

    def test_breakdowns_are_tried_again(self, vault, tmp_path, transit):
        """Two bad answers in a row are not seen by anybody; three are, and the next call works."""
        keys = transit()
        wrapped = keys.wrap(b"k" * 32, EU_1)
        for statuses in ([500, 503], [429, 502]):
            vault.fail_with = list(statuses)
            assert keys.unwrap(wrapped, EU_1) == b"k" * 32
        vault.fail_with = [500, 500, 500]
        with pytest.raises(KeyProviderError, match="status 500"):
            keys.unwrap(wrapped, EU_1)
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32

    def test_sealed_vault_is_named(self, vault, tmp_path, transit):
        """It says that it is sealed, and works once it is not."""
        keys = transit()
        wrapped = keys.wrap(b"k" * 32, EU_1)
        vault.sealed = True
        with pytest.raises(KeyProviderError, match="sealed"):
            keys.unwrap(wrapped, EU_1)
        vault.sealed = False
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32

    def test_token_that_has_ended_is_read_anew(self, vault, tmp_path, transit):
        """Whoever renews it writes it into the file; an ended one is no failure then."""
        keys = transit()
        wrapped = keys.wrap(b"k" * 32, EU_1)
        vault.tokens.clear()
        with pytest.raises(KeyProviderError, match="403"):
            keys.unwrap(wrapped, EU_1)
        token_file(tmp_path, vault.token())
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32

    def test_approle_logs_in_and_in_again(self, vault, tmp_path, closing):
        """With a role and its secret; when the token ends, once more. A wrong secret is refused, and not shown."""
        secret = tmp_path / "secret"
        secret.write_text("secret-1\n")
        where = VaultSettings(url=vault.url, role_id="role-1", secret_id_file=secret, timeout=20.0)
        keys = closing(TransitKeys(Vault(where), TransitSettings(key="mft-eu", create=True)))
        wrapped = keys.wrap(b"k" * 32, EU_1)
        vault.tokens.clear()
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32
        secret.write_text("wrong-secret\n")
        with pytest.raises(KeyProviderError, match="does not let the AppRole in") as caught:
            closing(TransitKeys(Vault(where), TransitSettings(key="mft-eu"))).wrap(b"k" * 32, EU_1)
        assert "wrong-secret" not in str(caught.value)

    def test_key_that_does_not_bind_is_refused(self, vault, tmp_path, transit):
        """A key in Vault that is not derived would open one scope's key with another's context."""
        vault._keys("POST", "mft-eu", [], {"type": "aes256-gcm96", "derived": False})
        with pytest.raises(KeyProviderError, match="not a derived one"):
            transit().wrap(b"k" * 32, EU_1)

    def test_policy_that_does_not_allow_is_named(self, vault, tmp_path, transit):
        """What is denied is told by method and path."""
        keys = transit()
        assert keys.current
        vault.denied = {"rotate"}
        with pytest.raises(KeyProviderError, match="POST transit/keys/mft-eu/rotate"):
            keys.rotate()

    def test_versions_go_from_the_oldest_on(self, vault, tmp_path, transit):
        """Vault trims from the oldest: a younger one cannot be retired before it."""
        keys = transit()
        first = keys.current
        second = keys.rotate()
        keys.rotate()
        with pytest.raises(KeyUnavailableError, match=f"retire {first} first"):
            keys.retire(second)
        keys.retire(first)
        keys.retire(second)
        assert keys.key_ids == ("mft-eu:v3",)

    def test_rotation_by_somebody_else_is_followed(self, vault, tmp_path, transit):
        """A version made in Vault itself, or by its own schedule, is current here without a restart."""
        keys = transit()
        wrapped = keys.wrap(b"k" * 32, EU_1)
        vault._keys("POST", "mft-eu", ["rotate"], {})
        assert parse_wrapped(keys.wrap(b"k" * 32, EU_1)).key_id == keys.current == "mft-eu:v2"
        assert keys.unwrap(wrapped, EU_1) == b"k" * 32

    def test_ciphertext_of_another_key_is_never_sent(self, vault, tmp_path, transit):
        """A wrapped key that names another key of Vault's is refused here."""
        keys = transit()
        payload = parse_wrapped(keys.wrap(b"k" * 32, EU_1)).payload
        asked = len(vault.asked)
        with pytest.raises(KeyUnavailableError, match="not the one"):
            keys.unwrap(header_of(TRANSIT, "other:v1") + payload, EU_1)
        assert len(vault.asked) == asked


def test_forms_of_others_are_refused(tmp_path, transit):
    """A wrapped key in the form of one provider is refused by every other, not tried."""
    ring = Keyring.create(tmp_path / "k", Region("eu"), "p", cost=CHEAP)
    by_ring, by_vault = ring.wrap(b"k" * 32, EU_1), transit().wrap(b"k" * 32, EU_1)
    with pytest.raises(AlteredKeyError):
        ring.unwrap(by_vault, EU_1)
    with pytest.raises(AlteredKeyError):
        transit().unwrap(by_ring, EU_1)
    with pytest.raises(AlteredKeyError):
        transit().unwrap(header_of(KMS, "arn:aws:kms:x") + b"x" * 60, EU_1)


def test_door_tries_again_and_lets_a_failing_provider_rest(tmp_path):
    """What cannot be opened says why, at once for a moment, and is opened once it can be."""
    now, tries, broken = [0.0], [], [True]

    def open_keys():
        tries.append(now[0])
        if broken[0]:
            raise KeyProviderError("the token is away")
        return Keyring.create(tmp_path / f"k{len(tries)}", Region("eu"), "p", cost=CHEAP)

    door = KeyDoor(open_keys, clock=lambda: now[0])
    for _ in range(5):
        with pytest.raises(KeyProviderError, match="the token is away"):
            door.wrap(b"k" * 32, EU_1)
    assert len(tries) == 1
    assert state_of(door) == ("unavailable", "the token is away")
    broken[0], now[0] = False, 2.0
    wrapped = door.wrap(b"k" * 32, EU_1)
    assert door.unwrap(wrapped, scope_context("eu", "case:1")) == b"k" * 32
    assert state_of(door) == ("open", "")
