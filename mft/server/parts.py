"""The parts of the house, made from a configuration. Each process makes those that it needs, after it was forked."""

from __future__ import annotations

import functools
import os
import socket
from dataclasses import asdict
from typing import TYPE_CHECKING

from casemap.grammar import parse_grammar
from casemap.model import Role
from mft.audit import AuditTrail, Folding
from mft.cases import Cases
from mft.catalog.database import Database
from mft.config.layouts import layout_of
from mft.credentials.hostkeys import host_key_lines
from mft.entrances import Entrances, listening_at
from mft.keyledger import KeyLedgers
from mft.lookups import close_adapter, open_lookup
from mft.objects import Objects
from mft.policy import Narrowing, Part, Reader
from mft.quotas import Quota, QuotaRule, QuotaRules
from mft.receipts import sign_receipt
from mft.residency import Hours, ResidencyRule, ResidencyRules
from mft.retention import LifeRule, LifeRules
from mft.server.directories import node_name
from mft.signers import head_signer
from mft.stores import open_stores, open_zones
from mft.upload.landed import LandedFiles
from mft.vfs.drops import ALWAYS, DropSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from casemap.model import Principal
    from mft.config.model import Config
    from mft.config.places import HoursConfig
    from mft.credentials.load import Credentials
    from protocols.session import Origin
    from storage.keys.service import KeyService
    from storage.landing import LandingZone


EVERYTHING = Narrowing()


class Parts:
    """What protocol workers and intake share in kind. One of its own in each process."""

    def __init__(self, config: Config, credentials: Credentials, keys: KeyService) -> None:
        """Open the catalog, the landing zones and the stores."""
        self.config = config
        self.credentials = credentials
        self.keys = keys
        self.node = node_name(config)
        self.database = Database(config.catalog.path)
        self.ledgers = KeyLedgers.of(config, self.database)
        self.trail = AuditTrail(sign=head_signer(credentials.receipt_key), host=socket.gethostname())
        self.folding = Folding()
        self.zones: Mapping[str, LandingZone] = open_zones(config)
        self.rules = residency_rules(config)
        self.stores = open_stores(config)
        self.objects = Objects(
            database=self.database,
            keys=keys,
            stores=self.stores,
            rules=self.rules,
            by_latency=config.reading.nearness == "measured",
        )
        self.landed = LandedFiles(keys=keys, zones=self.zones)
        self.lookup = open_lookup(config, self.database)
        self.cases = Cases(
            lookup=self.lookup,
            rules=self.rules,
            database=self.database,
            trail=self.trail,
            folding=self.folding,
            recheck=min(1.0, config.lookup.ttl or 1.0),
            life=life_rules(config),
        )
        self.layout = layout_of(config.layout)
        self.drops = drop_settings(config)
        self.quotas = quota_rules(config)
        self.sign = functools.partial(sign_receipt, key=credentials.receipt_key)

    def close(self) -> None:
        """Let go of everything, where a process does not end with it."""
        close_adapter(self.lookup._inner)  # noqa: SLF001 - the cache has no end of its own
        for zone in self.zones.values():
            zone.close()
        self.database.close()

    def write_folded(self, *, everything: bool = False) -> None:
        """Write the counted denials whose minute is over."""
        for chain, kind, details in self.folding.due(everything=everything):
            with self.database.write() as connection:
                self.trail.append(connection, chain, kind, **details)


def life_rules(config: Config) -> LifeRules:
    """Make the rules of closed cases from the configuration's."""
    lifecycle = config.lifecycle
    return LifeRules(
        read_after_close=lifecycle.read_after_close,
        retention=lifecycle.retention,
        rules=tuple(
            LifeRule(
                customer=rule.match.customer,
                case=rule.match.case,
                kind=rule.match.kind,
                classification=rule.match.classification,
                read_after_close=rule.read_after_close,
                retention=rule.retention,
                keep_for_ever=rule.keep_for_ever,
                reason=rule.reason,
            )
            for rule in lifecycle.rules
        ),
    )


def quota_rules(config: Config) -> QuotaRules:
    """Make the rules of what cases and customers may hold from the configuration's."""
    quotas = config.quotas
    return QuotaRules(
        default=Quota(
            case_bytes=quotas.case_bytes or config.limits.case_quota,
            case_files=quotas.case_files,
            customer_bytes=quotas.customer_bytes,
            customer_files=quotas.customer_files,
        ),
        rules=tuple(
            QuotaRule(
                customer=rule.match.customer,
                case=rule.match.case,
                kind=rule.match.kind,
                classification=rule.match.classification,
                case_bytes=rule.case_bytes,
                case_files=rule.case_files,
                customer_bytes=rule.customer_bytes,
                customer_files=rule.customer_files,
                reason=rule.reason,
            )
            for rule in quotas.rules
        ),
    )


def residency_rules(config: Config) -> ResidencyRules:
    """Make policy's rules from the configuration's."""
    return ResidencyRules(
        regions=frozenset(config.regions),
        home=config.residency.home,
        copies=config.residency.copies,
        on_demand=config.residency.on_demand,
        readers=config.residency.readers,
        refuses_others=config.residency.otherwise == "refuse",
        rules=tuple(
            ResidencyRule(
                customer=rule.match.customer,
                case=rule.match.case,
                kind=rule.match.kind,
                classification=rule.match.classification,
                hours=_hours(rule.match.hours),
                home=rule.home,
                copies=rule.copies,
                on_demand=rule.on_demand,
                readers=rule.readers,
                priority=rule.priority,
                reason=rule.reason,
            )
            for rule in config.residency.rules
        ),
        nearest={name: region.nearest for name, region in config.regions.items()},
    )


def _hours(hours: HoursConfig | None) -> Hours | None:
    if hours is None:
        return None
    return Hours(start=hours.start, end=hours.end, zone=hours.zone, days=frozenset(hours.days))


def drop_settings(config: Config) -> DropSettings:
    """Say of files that are sent to no case's folder what the configuration says."""
    return DropSettings(
        grammars=tuple(parse_grammar(**asdict(form)) for form in config.deposit.case_numbers),
        separators=config.deposit.separators,
        folders=frozenset(tuple(folder.split("/")) for folder in (*ALWAYS, *config.deposit.drop_folders)),
        box=config.unfiled.folder,
        triage_reads=config.unfiled.triage_reads,
    )


def reader_of(principal: Principal, origin: Origin, narrowing: Narrowing = EVERYTHING) -> Reader:
    """Say of a principal, in a session that may be narrowed, what policy needs to know."""
    if principal.is_customer:
        part = Part.CUSTOMER
    elif principal.roles & {Role.ENGINEER, Role.RELEASER}:
        part = Part.ENGINEER
    else:
        part = Part.STAFF
    return Reader(
        login=principal.login,
        part=part,
        customer=principal.customer,
        clearance=principal.clearance,
        regions=None if principal.regions is None else frozenset(principal.regions),
        listener=origin.region,
        active=principal.active,
        expires=principal.expires,
        case=narrowing.case,
        scopes=narrowing.scopes,
        grants=principal.grants,
        triage=Role.TRIAGE in principal.roles,
    )


def entrances_of(config: Config, credentials: Credentials, ports: Iterable[int | None]) -> Entrances:
    """Say how clients reach this installation; *ports* are those that the system chose, in the listeners' order."""
    return Entrances(
        listening=listening_at(config, ports),
        host_keys=tuple(host_key_lines(credentials.host_keys)),
        certificate=credentials.certificate_text,
        fingerprint=credentials.fingerprint,
        public_key_pin=credentials.public_key_pin,
        self_signed=credentials.self_signed,
    )


def worker_name(slot: str) -> str:
    """Name this process in the catalog: its slot, and what makes it another one than the last of that slot."""
    return f"{slot}:{os.getpid()}:{os.urandom(4).hex()}"
