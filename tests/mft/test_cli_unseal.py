"""`mft unseal`, as an operator with the keys uses it, and what it says of an object that was tampered with."""

from __future__ import annotations

import base64
import shutil
import stat

import pytest

from storage.keys.envelope import Region
from storage.slot import Slot
from storage.store import body_name, slot_name
from tests.casebook import REGIONS
from tests.core import running_core

IN = "/ACME-1/to-support"
SENT = b"line one\npassword=hunter2-tr0ub4dor\n" + b"all is well\n" * 100_000
WHY = ("--reason", "ticket 7")


@pytest.fixture
def sealed(tmp_path, nursery):
    """An installation with two stored objects at home and in a copy, whose keyrings the configuration opens."""
    for region in REGIONS:
        path = tmp_path / f"{region}.pass"
        path.write_text("pass\n")
        path.chmod(0o600)
    keyrings = {name: {"keyring": {"path": f"{name}.keyring"}} for name in REGIONS}
    with running_core(tmp_path, nursery, regions=keyrings) as core:
        core.client("ann").put(f"{IN}/a.log", SENT)
        core.client("ann").put(f"{IN}/b.log", b"another")
        core.work()
        assert core.states() == ["stored", "stored"]
        yield core


@pytest.fixture
def unseal(run, tmp_path):
    """Run `mft unseal` with that configuration."""
    return lambda *arguments: run("unseal", "--config", tmp_path / "config.yaml", *arguments)


def path_of(core, name, region="eu"):
    return core.config.regions[region].store.path / name


def keys_of(core):
    return [row.object_key for row in core.rows()]


def test_upload_is_unsealed_into_a_file_of_ones_own(sealed, unseal, tmp_path):
    """The scrubbed bytes, closed to others; the audit says who, what and why before they were given out."""
    row = sealed.rows()[0]
    code, out, error = unseal("--upload", row.id, "--output", tmp_path / "a.log", *WHY)
    assert (code, out) == (0, "")
    assert (tmp_path / "a.log").read_bytes() == sealed.client("eve").get(f"{IN}/a.log")
    assert b"hunter2" not in (tmp_path / "a.log").read_bytes()
    assert stat.S_IMODE((tmp_path / "a.log").stat().st_mode) == 0o600
    assert row.scrubbed_sha256 in error
    (event,) = sealed.events("object.unsealed")
    assert (event["chain"], event["case"], event["upload"]) == ("customer:acme", "ACME-1", row.id)
    assert (event["why"], event["object"], event["region"]) == ("ticket 7", row.object_key, "eu")
    assert event["by"].startswith("cli:")


def test_object_is_unsealed_to_standard_output_from_a_copy(sealed, unseal):
    """Another region's slot opens with that region's key; no key is ever shown."""
    key = keys_of(sealed)[1]
    code, out, error = unseal("--object", key, "--region", "us", "--output", "-", *WHY)
    assert (code, out) == (0, "another")
    assert f"{key} from us: 7 bytes" in error
    slot = Slot.parse(path_of(sealed, slot_name(key), "us").read_bytes(), object_key=key, region=Region("us"))
    data_key = sealed.keys.open_key(slot.envelope)
    assert data_key.hex() not in out + error
    assert base64.b64encode(data_key).decode() not in out + error


def test_files_alone_are_enough_without_a_catalog(sealed, unseal, tmp_path):
    """A body, its slot and the keyring: what is left when the catalog is lost. It says that nobody records it."""
    key = keys_of(sealed)[1]
    body, slot = tmp_path / "body", tmp_path / "slot"
    shutil.copy(path_of(sealed, body_name(key), "us"), body)
    shutil.copy(path_of(sealed, slot_name(key), "us"), slot)
    config = tmp_path / "config.yaml"
    config.write_text(config.read_text() + "catalog: {path: gone/catalog.db, region: eu}\n")
    code, out, error = unseal("--body", body, "--slot", slot, "--output", "-", *WHY)
    assert (code, out) == (0, "another")
    assert "recorded nowhere" in error
    assert not (tmp_path / "gone").exists()


@pytest.mark.parametrize(
    ("damage", "finding"),
    [
        (lambda data: data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "segment altered"),
        (lambda data: data[:-20], "truncated"),
        (lambda data: data + b"x", "trailing bytes"),
        (lambda data: b"MFT" + data[3:], "unknown format"),
    ],
)
def test_altered_body_is_named_and_nothing_appears(sealed, unseal, tmp_path, damage, finding):
    """Exit code 3, the finding in words, and in the audit."""
    key = keys_of(sealed)[0]
    body = path_of(sealed, body_name(key))
    body.chmod(0o600)
    body.write_bytes(damage(body.read_bytes()))
    code, out, error = unseal("--object", key, "--output", tmp_path / "out", *WHY)
    assert (code, out) == (3, "")
    assert f"mft: {key}: {finding}: " in error
    assert not (tmp_path / "out").exists()
    assert sealed.events("object.tampering_found")[-1]["what"] == finding


def test_objects_put_in_each_others_place_are_named(sealed, unseal):
    """A genuine body, or slot, of another object is not taken for this one."""
    first, second = keys_of(sealed)
    for name in (body_name, slot_name):
        one, other = path_of(sealed, name(first)), path_of(sealed, name(second))
        kept = one.read_bytes()
        one.chmod(0o600)
        one.write_bytes(other.read_bytes())
        code, _, error = unseal("--object", first, "--output", "-", *WHY)
        assert code == 3
        assert f"mft: {first}: wrong object: " in error
        one.write_bytes(kept)
    assert unseal("--object", first, "--output", "-", *WHY)[0] == 0


def test_slot_of_another_object_does_not_open_a_body(sealed, unseal):
    """Body and slot given as files must belong together."""
    first, second = keys_of(sealed)
    body, slot = path_of(sealed, body_name(first)), path_of(sealed, slot_name(second))
    code, _, error = unseal("--body", body, "--slot", slot, "--output", "-", *WHY)
    assert code == 3
    assert "wrong object" in error


def test_wrong_passphrase_opens_nothing(sealed, unseal, tmp_path):
    """Exit code 1; nothing was unsealed, and the audit does not say so."""
    (tmp_path / "eu.pass").write_text("guess\n")
    code, _, error = unseal("--object", keys_of(sealed)[0], "--output", tmp_path / "out", *WHY)
    assert code == 1
    assert "passphrase does not open" in error
    assert not sealed.events("object.unsealed")
    assert not (tmp_path / "out").exists()


def test_what_has_no_object_is_said(sealed, unseal):
    """An upload that is unknown or not stored yet, an object that is in no region."""
    waiting = sealed.client("ann").put(f"{IN}/c.log", b"later").id
    for arguments, told in (
        (("--upload", waiting), "is landed: there is no stored object"),
        (("--upload", "0" * 32), "there is no upload"),
        (("--object", "0" * 32), "is in none of eu"),
        (("--object", "../../etc"), "not an object key"),
    ):
        code, _, error = unseal(*arguments, "--output", "-", *WHY)
        assert code == 1
        assert told in error


def test_wrong_usage_is_refused_before_anything_is_opened(sealed, unseal, tmp_path):
    """One way to name the object, a reason, a region that there is, a new file."""
    there = tmp_path / "there"
    there.write_text("kept")
    key = keys_of(sealed)[0]
    for arguments in (
        ("--output", "-", *WHY),
        ("--object", key, "--upload", "x", "--output", "-", *WHY),
        ("--body", there, "--output", "-", *WHY),
        ("--object", key, "--output", "-", "--reason", " "),
        ("--object", key, "--region", "mars", "--output", "-", *WHY),
        ("--object", key, "--output", there, *WHY),
    ):
        assert unseal(*arguments)[0] == 2
    assert there.read_text() == "kept"
    assert not sealed.events("object.unsealed")
