"""Keys that are destroyed or taken back: by order, by a customer, by two persons; and what a backup still opens."""

from __future__ import annotations

import base64
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from mft.breakglass import SHRED, UNSEAL, BreakGlass, GlassError
from mft.holds import Holds
from mft.regionkeys import CustomerProviders
from mft.residency import Residency
from mft.server.lifecycle import make_lifecycle
from mft.server.verifying import make_verification
from mft.verification.notebook import Notebook
from mft.verification.service import Wish as Round
from protocols.errors import FileSystemError, NotFoundError, UnavailableError
from protocols.path import parse_path
from storage import encrypted
from storage.errors import CustomerKeyError, KeyDestroyedError, StorageError
from storage.keys.envelope import Envelope, Region
from storage.keys.keyring import Keyring
from storage.keys.ledger import DestroyedKey, DestroyedKeys
from storage.keys.service import LocalKeyService
from storage.keys.shelf import KeyShelf
from storage.keys.wrapped import region_key_of, share_key_of, split_shares
from storage.slot import Slot
from storage.store import body_name
from tests.core import running_core
from tests.vault import running_vault, token_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from mft.scrubbing.nursery import Nursery
    from mft.verification.fault import Report
    from tests.core import Core
    from tests.vault import VaultServer

IN = "/ACME-1/to-support"
REGIONS = ("eu", "us", "in")


def guard(core: Core) -> LocalKeyService:
    """Have the core's own key service look at the ledgers, as the key agent does."""
    core.keys._ledgers = {
        Region(name): DestroyedKeys(region.keys.ledger, name) for name, region in core.config.regions.items()
    }
    return core.keys


@pytest.fixture
def core(tmp_path: Path, nursery: Nursery) -> Iterator[Core]:
    with running_core(tmp_path, nursery) as running:
        guard(running)
        for name in ("jupiter.log", "saturn.log"):
            running.client("ann").put(f"{IN}/{name}", b"secret content\n" * 1000)
        running.client("ann").put("/ACME-5/to-support/other.log", b"another case")
        running.work()
        running.work()
        assert set(running.states()) == {"stored"}
        yield running


def lifecycle_of(core: Core) -> Any:
    return make_lifecycle(
        config=core.config,
        credentials=core.parts.credentials,
        database=core.database,
        trail=core.parts.trail,
        lookup=core.parts.lookup,
        objects=core.parts.objects,
        zones=core.parts.zones,
    )


def envelopes_in(stores: dict[str, Path]) -> list[Envelope]:
    return [
        Slot.parse(path.read_bytes(), object_key=path.name, region=Region(region)).envelope
        for region, root in stores.items()
        for path in root.glob("slots/*/*")
    ]


def at_home() -> Residency:
    return Residency(home="eu", copies=(), readers=frozenset({"eu"}), rule="", reason="")


# -- shredding -------------------------------------------------------------------------------------------------------


def test_backup_of_everything_opens_nothing_of_a_shredded_case(core, tmp_path):
    """Stores, catalog and keyrings, copied before: with the ledger there not one key of that case opens, others do."""
    copies = {}
    for region in REGIONS:
        root = core.config.regions[region].store.path
        copies[region] = tmp_path / "backup" / region
        if root.exists():
            shutil.copytree(root, copies[region])
        shutil.copy(tmp_path / f"{region}.keyring", tmp_path / "backup" / f"{region}.keyring")
    rows = {row.object_key: row.case_id for row in core.rows()}
    rings = {Region(name): Keyring.load(tmp_path / "backup" / f"{name}.keyring", "pass") for name in REGIONS}
    envelopes = envelopes_in(copies)
    assert len(envelopes) == 6
    without = LocalKeyService(rings)
    assert all(without.open_key(each) for each in envelopes)  # that is why the ledger must come along
    done = lifecycle_of(core).shred(case="ACME-1", reason="court order", by="test")
    assert [case for case, _ in done.destroyed] == ["ACME-1"]
    ledgers = {Region(name): DestroyedKeys(core.config.regions[name].keys.ledger, name) for name in REGIONS}
    restored = LocalKeyService(rings, ledgers=ledgers)
    shredded = min(rows.values())
    for each in envelopes:
        if rows[each.subject] == shredded:
            with pytest.raises(KeyDestroyedError):
                restored.open_key(each)
        else:
            assert restored.open_key(each)


def test_nothing_of_a_shredded_case_opens_in_the_house_that_runs(core, monkeypatch):
    """Not by its sender, not by an engineer, not by a reader that is open, not from what was kept unwrapped."""
    monkeypatch.setattr(encrypted, "RECHECK_SECONDS", 0.0)
    shelf = KeyShelf(ttl=3600.0)
    core.keys._shelves = {Region("eu"): shelf}
    reader = core.client("eve").filesystem.open_read(parse_path(f"{IN}/jupiter.log"))
    assert reader.read(0, 6) == b"secret"
    assert len(shelf) == 1
    slot = envelopes_in({"eu": core.config.regions["eu"].store.path})
    lifecycle_of(core).shred(case="ACME-1", reason="r", by="test")
    with pytest.raises(KeyDestroyedError):
        core.keys.open_key(next(each for each in slot if each.subject in {row.object_key for row in core.rows()[:2]}))
    assert len(shelf) == 0
    with pytest.raises((FileSystemError, StorageError)):
        reader.read(0, 6)
    for who in ("ann", "eve"):
        with pytest.raises(NotFoundError):
            core.client(who).get(f"{IN}/saturn.log")
    assert core.client("eve").get("/ACME-5/to-support/other.log") == b"another case"


def test_open_reader_asks_again_whether_its_key_still_opens(core, monkeypatch):
    """Under a lease that stands, an object whose key was destroyed is not read on."""
    monkeypatch.setattr(encrypted, "RECHECK_SECONDS", 0.0)
    row = core.rows()[0]
    reader = core.parts.objects.store(at_home()).open(row.object_key)
    assert reader.read_immediate(0, 6) is None
    assert reader.read(0, 6) == b"secret"
    scopes = {each.scope for each in envelopes_in({"eu": core.config.regions["eu"].store.path})}
    core.keys._ledgers[Region("eu")].add(DestroyedKey(kind="scope", name=each, why="a test") for each in scopes)
    for _ in range(2):
        with pytest.raises(KeyDestroyedError):
            reader.read(0, 6)
    reader.close()


def test_customer_is_shredded_with_all_cases_and_a_hold_wins(core):
    """Every case of theirs, but the one that is held; the certificate says by whose order."""
    holds = Holds(database=core.database, trail=core.parts.trail, lookup=core.parts.lookup)
    holds.set("ACME-5", reason="court", by="test")
    done = lifecycle_of(core).shred(customer="acme", reason="they left", by="test")
    assert [case for case, _ in done.destroyed] == ["ACME-1"]
    assert [case for case, _ in done.left] == ["ACME-5"]
    assert "court" in done.left[0][1]
    (row,) = lifecycle_of(core).certificates()
    claims = json.loads(row.certificate)
    said = json.dumps(claims)
    assert "they left" in said
    assert '"ordered"' in said
    assert core.client("eve").get("/ACME-5/to-support/other.log") == b"another case"


# -- a key in the customer's hands -------------------------------------------------------------------------------------


@pytest.fixture
def vault() -> Iterator[VaultServer]:
    with running_vault() as server:
        yield server


@pytest.fixture
def held(tmp_path: Path, nursery: Nursery, vault: VaultServer) -> Iterator[Core]:
    """An installation in which acme keeps a key of its own, for every region, in its Vault."""
    vault._keys("POST", "acme", [], {"type": "aes256-gcm96", "derived": True})
    token = token_file(tmp_path)
    rule = {
        "name": "acme-vault",
        "customer": "acme",
        "provider": {
            "type": "vault",
            "vault": {"url": vault.url, "key": "acme", "token_file": str(token)},
            "timeout": "20s",
            "cache": "1h",
        },
    }
    with running_core(tmp_path, nursery, customer_keys=[rule]) as running:
        keys = guard(running)
        keys._customers = CustomerProviders(running.config)
        uploads = running.uploads
        running.uploads = lambda worker="w0:1:a": holding(uploads(worker), running)  # type: ignore[method-assign]
        yield running
        for name in keys._customers.names():
            keys._customers.wrapper(name).opened().close()


def holding(uploads: Any, core: Core) -> Any:
    from dataclasses import replace

    settings = replace(uploads._settings, key_holder=core.keys._customers.holder)
    uploads._settings = uploads._beginnings._settings = settings
    uploads._beginnings._landing_keys._key_holder = settings.key_holder
    return uploads


def switch(core: Core, vault: VaultServer, *, on: bool) -> None:
    """Let the customer take the key back, or give it again; and the time of what was remembered be over."""
    vault.denied = set() if on else {"decrypt", "encrypt"}
    door, shelf = core.keys._customers.wrapper("acme-vault"), core.keys._customers.shelf("acme-vault")
    door._shut_until = 0.0
    shelf.forget()


def test_customer_that_takes_the_key_back_closes_its_files_and_no_others(held, vault):
    """Downloads fail with the reason, uploads too; another customer notices nothing; given again, all works."""
    held.client("ann").put(f"{IN}/a.log", b"acme's")
    held.client("gus", "us").put("/GLOBEX-1/to-support/d.log", b"globex's")
    held.work()
    assert held.states() == ["stored", "stored"]
    assert held.client("eve").get(f"{IN}/a.log") == b"acme's"
    switch(held, vault, on=False)
    for attempt in (
        lambda: held.client("eve").get(f"{IN}/a.log"),
        lambda: held.client("ann").put(f"{IN}/b.log", b"more"),
    ):
        with pytest.raises(UnavailableError, match="customer's own key is switched off"):
            attempt()
    assert held.client("gus", "us").get("/GLOBEX-1/to-support/d.log") == b"globex's"
    switch(held, vault, on=True)
    assert held.client("eve").get(f"{IN}/a.log") == b"acme's"
    held.client("ann").put(f"{IN}/b.log", b"more")
    held.work()
    assert set(held.states()) == {"stored"}


def test_neither_key_alone_opens_what_is_the_customers(held, vault):
    """Objects, landing logs and pseudonyms: each scope key has two shares; the region's keyring opens none of them."""
    held.client("ann").put(f"{IN}/a.log", b"from 10.1.2.3")
    row = held.rows()[0]
    assert row.landing_day.endswith("/acme-vault")
    held.work()
    landing = Envelope.from_dict(json.loads(row.landing_envelope))
    alone = LocalKeyService(dict(held.keys._wrappers))
    for each in [landing, *envelopes_in({"eu": held.config.regions["eu"].store.path})]:
        shared = split_shares(each.scope_key)
        assert shared is not None
        assert shared.holder == "acme-vault"
        assert held.keys.open_key(each)
        with pytest.raises(CustomerKeyError):
            alone.open_key(each)
    assert all("b'" not in asked for asked in vault.asked)


def test_what_is_remembered_ends_with_its_time(held, vault):
    """A share lives on for the time that the configuration names, by a clock that cannot be set back; not longer."""
    held.client("ann").put(f"{IN}/a.log", b"acme's")
    held.work()
    now = [1000.0]
    held.keys._customers._shelves["acme-vault"] = KeyShelf(ttl=60.0, clock=lambda: now[0])
    assert held.client("eve").get(f"{IN}/a.log") == b"acme's"
    vault.denied = {"decrypt"}
    now[0] += 59.0
    assert held.client("eve").get(f"{IN}/a.log") == b"acme's"
    now[0] += 2.0
    with pytest.raises(UnavailableError):
        held.client("eve").get(f"{IN}/a.log")


def test_region_is_rotated_without_the_customers_key(held, vault):
    """The region's share goes under the new key; the customer's stays as it is, and is not asked for."""
    held.client("ann").put(f"{IN}/a.log", b"acme's")
    held.work()
    (envelope,) = envelopes_in({"eu": held.config.regions["eu"].store.path})
    vault.denied = {"decrypt", "encrypt"}
    ring = held.keys._wrappers[Region("eu")]
    new = ring.rotate()
    fresh = held.keys.rewrap_scope(Region("eu"), envelope.scope, envelope.scope_key)
    assert region_key_of(fresh) == new
    assert split_shares(fresh).customer_share == split_shares(envelope.scope_key).customer_share
    vault._keys("POST", "acme", ["rotate"], {})
    assert held.keys._customers.wrapper("acme-vault").key_ids
    held.keys.rewrap_scope(Region("eu"), envelope.scope, envelope.scope_key)
    asked = len(vault.asked)
    assert held.keys.rewrap_scope(Region("eu"), envelope.scope, envelope.scope_key)
    assert len(vault.asked) == asked, "a key that is away is not waited for again and again"
    vault.denied = set()
    held.keys._customers.wrapper("acme-vault")._shut_until = 0.0
    held.keys.note_answer("acme-vault")
    again = held.keys.rewrap_scope(Region("eu"), envelope.scope, envelope.scope_key)
    assert share_key_of(again) == ("acme-vault", "acme:v2")
    renewed = Envelope.from_dict({**envelope.to_dict(), "scope_key": base64.b64encode(fresh).decode()})
    assert held.keys.open_key(renewed) == held.keys.open_key(envelope)


def test_files_of_a_customer_whose_key_is_away_are_not_called_broken(held, vault):
    """`mft verify` could not look at them, and says why once; what was wrong before is wrong still."""
    held.client("ann").put(f"{IN}/a.log", b"acme's")
    held.client("ann").put(f"{IN}/b.log", b"acme's too")
    held.client("gus", "us").put("/GLOBEX-1/to-support/d.log", b"globex's")
    held.work()
    body = held.config.regions["eu"].store.path / body_name(held.rows()[0].object_key)
    data = bytearray(body.read_bytes())
    body.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    notebook = Notebook(database=held.database, trail=held.parts.trail)

    def verify() -> Report:
        parts = make_verification(held.parts, locked={}, pace=lambda _count: None, notebook=notebook)
        return parts.run(Round(regions=("eu", "us"), deep=True))

    assert [fault.flaw for fault in verify().faults] == ["corrupt-body"]
    switch(held, vault, on=False)
    report = verify()
    assert report.left == []
    assert {(fault.flaw, fault.customer) for fault in report.unseen if fault.case} == {("locked", "acme")}
    assert len(held.events("object.fault_found")) == len(notebook.open_faults()) == 1
    switch(held, vault, on=True)
    assert [fault.flaw for fault in verify().faults] == ["corrupt-body"]


def test_customers_share_goes_under_their_newest_key(held, vault):
    """Once they have exchanged their key, a rewrap puts their share under it, and they may end the old one."""
    held.client("ann").put(f"{IN}/a.log", b"acme's")
    held.work()
    (envelope,) = envelopes_in({"eu": held.config.regions["eu"].store.path})
    vault.answer("POST", "transit/keys/acme/rotate", "root-token", {})
    assert held.keys._customers.wrapper("acme-vault").key_ids == ("acme:v1", "acme:v2")
    fresh = held.keys.rewrap_scope(Region("eu"), envelope.scope, envelope.scope_key)
    assert (share_key_of(envelope.scope_key), share_key_of(fresh)) == (
        ("acme-vault", "acme:v1"),
        ("acme-vault", "acme:v2"),
    )
    vault.keys["acme"].least_decryption = 2
    held.keys._customers.shelf("acme-vault").forget()
    renewed = Envelope.from_dict({**envelope.to_dict(), "scope_key": base64.b64encode(fresh).decode()})
    assert held.keys.open_key(renewed)
    with pytest.raises(CustomerKeyError):
        held.keys.open_key(Envelope.from_dict({**envelope.to_dict(), "key": renewed.to_dict()["key"]}))


def test_scope_of_before_gets_its_customers_share_when_it_is_rewrapped(held):
    """A customer who takes a key into their hands later: the same scope key, from then on in two shares, and back."""
    region, keys = Region("eu"), held.keys
    plain = keys.new_scope(region, "case:old")
    _key, envelope = keys.new_key(region, "case:old", plain, "object")
    shared = keys.rewrap_scope(region, "case:old", plain, owner="acme")
    assert split_shares(shared).holder == "acme-vault"
    again = keys.rewrap_scope(region, "case:old", shared, owner="globex")
    assert split_shares(again) is None
    for form in (shared, again):
        text = base64.b64encode(form).decode()
        opened = keys.open_key(Envelope.from_dict({**envelope.to_dict(), "scope_key": text}))
        assert opened == keys.open_key(envelope)


def test_shares_of_two_scopes_do_not_mix(held):
    """A share put beside another scope's, or under another name, opens nothing."""
    region, keys = Region("eu"), held.keys
    one, other = (keys.new_scope(region, f"case:{number}", owner="acme") for number in (1, 2))
    from storage.keys.wrapped import SharedKey, join_shares

    first, second = split_shares(one), split_shares(other)
    mixed = join_shares(
        SharedKey(holder="acme-vault", region_share=first.region_share, customer_share=second.customer_share)
    )
    renamed = join_shares(
        SharedKey(holder="nobody", region_share=first.region_share, customer_share=first.customer_share)
    )
    for broken in (mixed, renamed, one[:-1], one[:40], bytes([5]), bytes([5, 200]) + one[2:]):
        with pytest.raises(StorageError):
            keys.new_key(region, "case:1", broken, "object")


# -- breaking the glass ------------------------------------------------------------------------------------------------


@pytest.fixture
def glass(core: Core) -> BreakGlass:
    return BreakGlass(
        database=core.database,
        trail=core.parts.trail,
        approvals=2,
        ttl=3600.0,
        is_releaser=lambda login: login in {"rita", "rob"},
    )


def test_two_persons_break_the_glass_once(core, glass):
    """Asked by one, agreed to by another, used once; each step is in the audit with who and why."""
    wish = glass.request(UNSEAL, "k" * 32, login="rita", reason="incident 7", customer="acme")
    with pytest.raises(GlassError, match="2 persons must agree"):
        glass.use(UNSEAL, "k" * 32, wish.id, by="cli:root", reason="incident 7", customer="acme")
    with pytest.raises(GlassError, match="another person"):
        glass.approve(wish.id, login="rita", reason="me again")
    assert glass.approve(wish.id, login="rob", reason="seen").agreed == ("rita", "rob")
    with pytest.raises(GlassError, match="not to shred"):
        glass.use(SHRED, "case:ACME-1", wish.id, by="cli:root", reason="x")
    glass.use(UNSEAL, "k" * 32, wish.id, by="cli:root", reason="incident 7", customer="acme")
    with pytest.raises(GlassError, match="used already"):
        glass.use(UNSEAL, "k" * 32, wish.id, by="cli:root", reason="incident 7", customer="acme")
    kinds = [event["kind"] for event in core.events() if event["kind"].startswith("break_glass")]
    refused = "break_glass.refused"
    assert kinds == [
        *("break_glass.requested", refused, refused, "break_glass.approved"),
        *(refused, "break_glass.opened", refused),
    ]
    tried = [(event["by"], event["refusal"].split(":")[0]) for event in core.events(refused)]
    assert tried[1] == ("rita", "rita has agreed already")
    assert tried[3] == ("cli:root", f"request {wish.id} was used already")
    assert core.events(refused)[1]["chain"] == "customer:acme"
    (opened,) = core.events("break_glass.opened")
    assert (opened["agreed"], opened["by"], opened["chain"]) == (["rita", "rob"], "cli:root", "customer:acme")


def test_nothing_is_opened_without_a_request_or_past_its_time(core, glass):
    """No request, an unknown one, one that is too old, no reason: refused, and nothing is recorded as opened."""
    with pytest.raises(GlassError, match="2 persons"):
        glass.use(UNSEAL, "k", None, by="x", reason="y")
    with pytest.raises(GlassError, match="there is no request"):
        glass.use(UNSEAL, "k", "none", by="x", reason="y")
    with pytest.raises(GlassError, match="a reason is needed"):
        glass.request(UNSEAL, "k", login="rita", reason=" ")
    wish = glass.request(UNSEAL, "k", login="rita", reason="r")
    glass.approve(wish.id, login="rob", reason="r")
    assert [each.id for each in glass.waiting()] == [wish.id]
    glass._clock = lambda: wish.expires_at + 1
    with pytest.raises(GlassError, match="past its time"):
        glass.use(UNSEAL, "k", wish.id, by="x", reason="y")
    assert not glass.waiting()
    assert not core.events("break_glass.opened")


def test_who_is_no_releaser_any_more_has_not_agreed(core, glass):
    """Asking and agreeing take the role; so does what was agreed to, at the moment at which it is done."""
    with pytest.raises(GlassError, match="oscar does not hold the role"):
        glass.request(UNSEAL, "k", login="oscar", reason="r")
    wish = glass.request(UNSEAL, "k", login="rita", reason="r")
    with pytest.raises(GlassError, match="oscar does not hold the role"):
        glass.approve(wish.id, login="oscar", reason="r")
    glass.approve(wish.id, login="rob", reason="r")
    glass._is_releaser = lambda login: login == "rita"
    with pytest.raises(GlassError, match="1 releasers have"):
        glass.use(UNSEAL, "k", wish.id, by="cli:root", reason="y")
    assert not core.events("break_glass.opened")
    assert [event["by"] for event in core.events("break_glass.refused")] == ["oscar", "oscar", "cli:root"]
