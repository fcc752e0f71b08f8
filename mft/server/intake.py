"""The intake's process: its parts, put together."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING

from mft.clockwatch import ClockWatch
from mft.intake.ahead import Ahead
from mft.intake.batching import Batching
from mft.intake.carrying import Carrying
from mft.intake.copying import Copying
from mft.intake.naming import Naming
from mft.intake.pseudonyms import PseudonymBooks
from mft.intake.records import CaseBook
from mft.intake.releasing import Releasing
from mft.intake.replacing import Replacing
from mft.intake.rescanning import Rescanning
from mft.intake.scanning import Scanning
from mft.intake.scrubbing import Scrubbing
from mft.intake.service import Intake
from mft.intake.settings import IntakeSettings, Scanner
from mft.intake.settling import Settling
from mft.intake.sweep import Sweep
from mft.jobs import DurableJobs
from mft.keyagent import AgentKeys
from mft.log import configure_logging
from mft.policy import Outcome, ScrubRules
from mft.regionkeys import holder_of
from mft.scrubbing.cage import Cage
from mft.scrubbing.nursery import Nursery
from mft.server.courier import make_courier
from mft.server.directories import scratch_directory
from mft.server.lifecycle import LifecycleRounds, make_lifecycle
from mft.server.parts import Parts
from mft.server.placing import PlacingRounds, make_placing
from mft.server.storewatch import StoreWatch
from mft.server.supervisor import until_term
from mft.server.verifying import VerifyRounds
from mft.server.waiting import Waiting
from mft.treatment import OwnTerms, TreatmentRule, Treatments
from mft.upload.landingkeys import LandingKeys
from scrubber.terms import parse_terms

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from mft.config.model import Config
    from mft.config.work import ScrubConfig
    from mft.credentials.load import Credentials

log = logging.getLogger(__name__)
OUTBOUND_REFUSES = ("private-key.*",)
"""Rules of the scrubber that an engineer's file must not meet: a private key is never meant for a customer."""


def intake_settings(config: Config, host: str) -> IntakeSettings:
    """Make intake's settings from the configuration."""
    scrub = config.scrub
    return IntakeSettings(
        installation=config.installation,
        host=host,
        scratch={name: scratch_directory(config, name) for name in config.regions},
        cage=Cage(memory=scrub.memory, cpu=int(scrub.cpu), file_size=scrub.file_size),
        wall=scrub.wall,
        workers=scrub.workers,
        ahead=scrub.ahead,
        attempts=scrub.attempts,
        limits={
            "depth": scrub.depth,
            "members": scrub.members,
            "max_ratio": scrub.max_ratio,
            "memory": scrub.memory,
        },
        rules=ScrubRules(
            secret=Outcome(scrub.on.secret), personal=Outcome(scrub.on.personal), obstacle=Outcome(scrub.on.obstacle)
        ),
        treatments=scrub_treatments(scrub),
        reverse_map=scrub.reverse_map,
        scanners=tuple(
            Scanner(
                name=each.name,
                kind=each.kind,
                region=each.region,
                address=each.address or "",
                service=each.service,
                method=each.method,
                command=each.command,
                timeout=each.timeout,
                passes_on_failure=each.on_failure == "pass",
            )
            for each in scrub.external
        ),
        outbound_refuse=OUTBOUND_REFUSES,
        copy_workers=config.replication.workers,
        copy_attempts=config.replication.attempts,
        copy_rate=config.replication.bandwidth,
        copy_links={(link.source, link.target): link.bandwidth for link in config.replication.links},
        heads=config.audit.export_head,
        heads_every=config.audit.export_every,
        retry_first=config.replication.retry_first,
        retry_max=config.replication.retry_max,
        quarantine_retention=config.quarantine.retention,
        resume_grace=config.landing.resume_grace,
        placeholder=config.landing.placeholder,
        partial_ttl=config.landing.partial_ttl,
    )


def scrub_treatments(scrub: ScrubConfig) -> Treatments:
    """Make the rules of who is scrubbed how, with the terms that they name.

    Raises:
        OSError, TermsError: a file of terms cannot be read.
    """
    paths = {each.terms for each in scrub.rules} | {scrub.terms}
    terms = {str(path): parse_terms(path.read_text(encoding="utf-8")) for path in paths if path is not None}
    return Treatments(
        profile=scrub.profile,
        terms=None if scrub.terms is None else str(scrub.terms),
        scope=scrub.pseudonym_scope,
        rules=tuple(
            TreatmentRule(
                customer=rule.match.customer,
                case=rule.match.case,
                kind=rule.match.kind,
                classification=rule.match.classification,
                profile=rule.profile,
                terms=None if rule.terms is None else str(rule.terms),
                scope=rule.pseudonym_scope,
                reason=rule.reason,
            )
            for rule in scrub.rules
        ),
        known_terms={path: OwnTerms(deny=each.deny, allow=each.allow) for path, each in terms.items()},
    )


def make_intake(parts: Parts, nursery: Nursery, *, is_steady: Callable[[], bool] = lambda: True) -> Intake:
    """Put the intake together; *is_steady* says whether the clock may end what waits."""
    settings = intake_settings(parts.config, parts.node)
    book = CaseBook(database=parts.database, keys=parts.keys)
    placing = make_placing(parts, book)
    books = PseudonymBooks(database=parts.database, keys=parts.keys, book=book)
    ahead = Ahead(
        database=parts.database,
        trail=parts.trail,
        book=book,
        books=books,
        zones=parts.zones,
        landed=parts.landed,
        nursery=nursery,
        settings=settings,
    )
    scrubbing = Scrubbing(
        ahead=ahead,
        database=parts.database,
        trail=parts.trail,
        keys=parts.keys,
        book=book,
        books=books,
        zones=parts.zones,
        landed=parts.landed,
        objects=parts.objects,
        nursery=nursery,
        scanning=Scanning(nursery=nursery, landed=parts.landed, zones=parts.zones, settings=settings),
        settings=settings,
        placing=placing,
    )
    copying = Copying(
        database=parts.database,
        trail=parts.trail,
        book=book,
        objects=parts.objects,
        placing=placing,
        settings=settings,
    )
    settling = Settling(
        database=parts.database,
        trail=parts.trail,
        sign=parts.sign,
        books=books,
        settings=settings,
        stored=placing.flag,
    )
    batching = Batching(
        database=parts.database,
        keys=parts.keys,
        book=book,
        books=books,
        zones=parts.zones,
        landed=parts.landed,
        objects=parts.objects,
        nursery=nursery,
        placing=placing,
        scrubbing=scrubbing,
        settling=settling,
        settings=settings,
    )
    return Intake(
        database=parts.database,
        ahead=ahead,
        scrubbing=scrubbing,
        settling=settling,
        batching=batching,
        releasing=Releasing(
            database=parts.database,
            trail=parts.trail,
            scrubbing=scrubbing,
            settling=settling,
            settings=settings,
            is_steady=is_steady,
        ),
        copying=copying,
        carrying=Carrying(
            database=parts.database,
            trail=parts.trail,
            book=book,
            keys=parts.keys,
            landing_keys=LandingKeys(
                database=parts.database,
                keys=parts.keys,
                key_holder=functools.partial(holder_of, parts.config.customer_keys),
            ),
            zones=parts.zones,
            placing=placing,
            pace=copying.pace_between,
            settings=settings,
        ),
        rescanning=Rescanning(
            database=parts.database,
            keys=parts.keys,
            book=book,
            books=books,
            objects=parts.objects,
            nursery=nursery,
            placing=placing,
            scrubbing=scrubbing,
            settings=settings,
        ),
        replacing=Replacing(
            database=parts.database,
            trail=parts.trail,
            book=book,
            books=books,
            objects=parts.objects,
            placing=placing,
            settling=settling,
        ),
        placing=placing,
        naming=Naming(database=parts.database, book=book, books=books, nursery=nursery, settings=settings),
        sweep=Sweep(
            database=parts.database,
            trail=parts.trail,
            zones=parts.zones,
            landed=parts.landed,
            objects=parts.objects,
            ledgers=parts.ledgers,
            settings=settings,
            is_steady=is_steady,
        ),
        host=parts.node,
        settings=settings,
        lacking=Waiting(parts.config.data / "run").tell,
    )


def run_intake(
    config: Config,
    load: Callable[[], Credentials],
    *,
    key_channel: socket.socket,
    nursery_channel: socket.socket,
    wake: socket.socket,
) -> None:
    """Be the intake until SIGTERM."""
    stopped = until_term()
    configure_logging(config.log, "intake")
    parts = Parts(config, load(), AgentKeys(key_channel))
    clock = ClockWatch(parts.database)
    intake = make_intake(parts, Nursery(nursery_channel), is_steady=clock.is_steady)
    jobs = DurableJobs(config.catalog.path, intake.kinds)
    intake.attach(jobs)
    jobs.launch()
    courier = make_courier(parts)
    courier.start()
    rounds = LifecycleRounds(
        make_lifecycle(
            config=config,
            credentials=parts.credentials,
            database=parts.database,
            trail=parts.trail,
            lookup=parts.lookup,
            objects=parts.objects,
            zones=parts.zones,
        ),
        every=config.lifecycle.every,
        is_steady=clock.is_steady,
    )
    rounds.start()
    places = PlacingRounds(parts, intake.placing, every=config.replication.review, poll=config.revocation.poll)
    places.start()
    watch = StoreWatch(parts.stores)
    watch.start()
    verifying = VerifyRounds(parts, config.verify)
    verifying.start()
    log.info("intake.started")
    intake.run(wake, stopped)
    courier.stop()
    rounds.stop()
    places.stop()
    watch.stop()
    verifying.stop()
    jobs.stop(patience=config.workers.drain)
    parts.database.close()
