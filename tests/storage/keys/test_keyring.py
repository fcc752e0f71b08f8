"""A keyring file: made, read, rotated, and altered in every byte."""

import json
from datetime import UTC, datetime

import pytest

from storage.errors import (
    AlteredKeyError,
    KeyringError,
    KeyUnavailableError,
    OutOfSpaceError,
    StorageError,
    WrongPassphraseError,
)
from storage.keys.envelope import Region
from storage.keys.keyring import Keyring, PassphraseCost

CHEAP = PassphraseCost(memory_kib=64, iterations=1, lanes=1)
KEY = bytes(range(32))


@pytest.fixture
def ring(tmp_path):
    return Keyring.create(tmp_path / "eu.keyring", Region("eu"), "correct horse", cost=CHEAP)


def test_wrapped_key_opens_after_a_restart(ring):
    """What one process wrapped another unwraps, with the same passphrase and context only."""
    wrapped = ring.wrap(KEY, b"context")
    again = Keyring.load(ring.path, "correct horse")
    assert (again.region, again.current, again.key_ids) == ("eu", ring.current, ring.key_ids)
    assert again.unwrap(wrapped, b"context") == KEY
    with pytest.raises(AlteredKeyError):
        again.unwrap(wrapped, b"other")


def test_wrong_passphrase_is_named(ring):
    """Another passphrase does not open it."""
    with pytest.raises(WrongPassphraseError):
        Keyring.load(ring.path, "correct hors")
    with pytest.raises(KeyringError):
        Keyring.load(ring.path, "")


def test_rotation_keeps_the_older_keys(ring):
    """After rotating, new blobs are under the new key and old ones still open, also after a restart."""
    old = ring.wrap(KEY, b"c")
    name = ring.rotate(clock=lambda: datetime(2027, 1, 2, tzinfo=UTC))
    new = ring.wrap(KEY, b"c")
    again = Keyring.load(ring.path, "correct horse")
    assert again.current == name
    assert len(again.key_ids) == 2
    assert again.created(name) == datetime(2027, 1, 2, tzinfo=UTC)
    assert again.unwrap(old, b"c") == again.unwrap(new, b"c") == KEY
    assert old[1:9] != new[1:9] == bytes.fromhex(name)


def test_passphrase_can_be_changed(ring):
    """The new passphrase opens the same keys, the old one nothing."""
    wrapped = ring.wrap(KEY, b"c")
    ring.change_passphrase("battery staple")
    assert Keyring.load(ring.path, "battery staple").unwrap(wrapped, b"c") == KEY
    with pytest.raises(WrongPassphraseError):
        Keyring.load(ring.path, "correct horse")
    ring.rotate()
    assert len(Keyring.load(ring.path, "battery staple").key_ids) == 2


def test_existing_file_is_never_overwritten(ring):
    """A second create on the path is refused, and the first keyring stays."""
    with pytest.raises(KeyringError):
        Keyring.create(ring.path, Region("eu"), "x", cost=CHEAP)
    assert Keyring.load(ring.path, "correct horse").current == ring.current


def test_file_is_private_and_holds_no_key_in_clear(ring):
    """Mode 0600, and the region's key is not in it."""
    assert ring.path.stat().st_mode & 0o777 == 0o600
    assert list(ring.path.parent.iterdir()) == [ring.path]
    assert ring.current not in ring.path.read_text()


def test_altered_byte_of_the_file_never_opens(ring):
    """Whatever byte is changed: the file is refused, or still says the same."""
    good = ring.path.read_bytes()
    before = json.loads(good)
    opened = 0
    for place in range(len(good)):
        data = bytearray(good)
        data[place] ^= 0x01
        ring.path.write_bytes(data)
        try:
            Keyring.load(ring.path, "correct horse")
        except StorageError:
            continue
        opened += 1
        assert json.loads(bytes(data)) == before or b"= " in bytes(data)
    assert opened < len(good) / 10


def test_missing_or_foreign_file_is_named(tmp_path):
    """No file, no JSON, other JSON, and parameters that would eat the machine are keyring errors."""
    with pytest.raises(KeyringError):
        Keyring.load(tmp_path / "none", "x")
    for text in ("", "[]", "{}", "7", '{"nonce": "", "sealed": ""}'):
        (tmp_path / "foreign").write_text(text)
        with pytest.raises(KeyringError):
            Keyring.load(tmp_path / "foreign", "x")
    for parameters in ({"memory_kib": 1 << 40}, {"iterations": 0}, {"lanes": 1000}):
        with pytest.raises(KeyringError):
            PassphraseCost(**parameters)


def test_altered_or_foreign_blob_is_refused(ring, tmp_path):
    """Every altered byte, every shorter blob and another ring's blob are refused."""
    wrapped = ring.wrap(KEY, b"c")
    for place in range(len(wrapped)):
        altered = bytearray(wrapped)
        altered[place] ^= 0x80
        with pytest.raises((AlteredKeyError, KeyUnavailableError)):
            ring.unwrap(bytes(altered), b"c")
        with pytest.raises((AlteredKeyError, KeyUnavailableError)):
            ring.unwrap(wrapped[:place], b"c")
    other = Keyring.create(tmp_path / "us", Region("us"), "x", cost=CHEAP)
    with pytest.raises(KeyUnavailableError):
        other.unwrap(wrapped, b"c")


def test_full_disk_on_rotation_changes_nothing(ring, monkeypatch):
    """A rotation that cannot be written is no rotation, in memory as on disk."""

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    before = ring.current
    monkeypatch.setattr("os.write", fail)
    with pytest.raises(OutOfSpaceError):
        ring.rotate()
    monkeypatch.undo()
    assert ring.current == before == Keyring.load(ring.path, "correct horse").current
    assert list(ring.path.parent.iterdir()) == [ring.path]
