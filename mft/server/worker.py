"""A protocol worker: the heads on one event loop, over the synchronous core."""

from __future__ import annotations

import asyncio
import functools
import logging
import signal
import sys
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mft.api.announcements import PATH as ANNOUNCEMENTS
from mft.api.announcements import Announcements, announcements_item
from mft.api.cursor import Cursors
from mft.api.pace import Pace
from mft.api.replay import Replays
from mft.api.rooms import ApiRooms
from mft.api.router import Router
from mft.api.routes import add_routes
from mft.api.uploadpage import UploadPage
from mft.auth.accounts import Accounts
from mft.auth.authenticator import Authenticator
from mft.auth.casetokens import CaseTokens
from mft.auth.ledger import Ledger
from mft.auth.passwords import Passwords
from mft.auth.principals import Principals
from mft.auth.registry import SessionRegistry
from mft.auth.releasers import releasers
from mft.auth.throttle import Throttle
from mft.auth.tokens import Tokens
from mft.breakglass import BreakGlass
from mft.config.secrets import load_webhook_secrets
from mft.entrances import Signpost, listening_at
from mft.holds import Holds
from mft.keyagent import AgentKeys
from mft.log import configure_logging
from mft.policy import Narrowing
from mft.regionkeys import holder_of
from mft.revocation import RevocationWatch, SessionSweep, Subject, sweep_interval
from mft.server import metrics
from mft.server.callers import caller_of
from mft.server.courier import make_endpoints, make_outbox
from mft.server.distances import Distances
from mft.server.lifecycle import make_lifecycle
from mft.server.operations import Health, measure_catalog, serve_operations
from mft.server.parts import Parts, entrances_of, reader_of, worker_name
from mft.server.waiting import check_waiting
from mft.unfiled import Unfiled
from mft.upload.room import MemoryBudget, check_space, space_of
from mft.upload.service import Uploads, UploadSettings
from mft.vfs.filesystem import CaseFileSystem, Rooms
from mft.vfs.readahead import ReadAhead
from mft.webhooks.inbox import Inbox
from protocols.aio import Crossing
from protocols.errors import ElsewhereError, NotFoundError, UnavailableError, WrongEntranceError
from protocols.ftp.server import FtpServer
from protocols.ftp.settings import FtpSettings
from protocols.ftp.tls import server_context as ftp_context
from protocols.http.app import HttpServer
from protocols.http.settings import HttpSettings
from protocols.http.tls import server_context
from protocols.sftp.server import SftpServer
from protocols.sftp.settings import SftpSettings
from protocols.tcp import shortcomings

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from aiohttp import web

    from casemap.identifier import CaseNumber
    from casemap.model import Principal
    from mft.api.allowances import Allowances
    from mft.api.caller import Caller
    from mft.config.entrances import ListenerConfig
    from mft.config.model import Config
    from mft.credentials.load import Credentials
    from protocols.session import Origin, Session

log = logging.getLogger(__name__)
HOUSEKEEPING_SECONDS = 5.0
SWITCH_SECONDS = 0.0002
"""How long a thread of a worker keeps the interpreter from another that wants it. Those that seal, hash and write give
it up for each piece and want it back at once; with Python's own 5 ms the event loop would keep them waiting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerGear:
    """What the supervisor hands to a protocol worker."""

    slot: str
    listeners: Sequence[tuple[ListenerConfig, socket.socket]]
    operations: socket.socket | None
    key_channel: socket.socket
    wake: socket.socket
    """One byte on it tells intake that something landed."""
    metrics: Path
    allowances: Allowances
    """What callers of the API have left, for all workers."""
    is_open: Callable[[], bool]
    """Says whether the house has announced where it listens."""


class Worker:
    """The parts of a protocol worker, put together."""

    def __init__(self, config: Config, credentials: Credentials, gear: WorkerGear) -> None:
        """Make every part; nothing listens yet."""
        self._config = config
        self._credentials = credentials
        self._gear = gear
        self.parts = Parts(config, credentials, AgentKeys(gear.key_channel))
        self.budget = MemoryBudget(config.limits.transfer_memory)
        self.uploads = self._make_uploads()
        self._rooms = Rooms(
            database=self.parts.database,
            trail=self.parts.trail,
            cases=self.parts.cases,
            uploads=self.uploads,
            landed=self.parts.landed,
            objects=self.parts.objects,
            read_ahead=ReadAhead(database=self.parts.database, objects=self.parts.objects),
            budget=self.budget,
            layout=self.parts.layout,
            unfiled=self._make_unfiled(),
            drops=self.parts.drops,
            most_locks=config.https.dav.locks,
        )
        self.ledger = Ledger(database=self.parts.database, audit=self.parts.trail)
        self.tokens = Tokens(self.ledger, key=credentials.token_key)
        self.authenticator = self._make_authenticator()
        self.crossing = Crossing(threads=config.limits.threads)
        self.health = Health(
            crossing=self.crossing,
            checks={
                "catalog": self._check_catalog,
                "space": self._check_landing,
                "intake": lambda: check_waiting(config.data / "run"),
            },
            is_open=gear.is_open,
        )
        self._watch = RevocationWatch(self.parts.database, poll=config.revocation.poll, on=self._withdrawn)
        every = sweep_interval(
            bound=config.revocation.bound, ttl=config.lookup.ttl, stale_if_error=config.lookup.stale_if_error
        )
        self._sweep = SessionSweep([self.authenticator.recheck], every=every)
        self._distances = Distances(self.parts.objects, every=config.reading.measure)
        self._stop = threading.Event()
        self._housekeeper = threading.Thread(target=self._keep_house, name="housekeeper", daemon=True)

    # -- making ----------------------------------------------------------------------------------------------------

    def _make_uploads(self) -> Uploads:
        config = self._config
        return Uploads(
            database=self.parts.database,
            trail=self.parts.trail,
            keys=self.parts.keys,
            zones=self.parts.zones,
            sign=self.parts.sign,
            budget=self.budget,
            landed=self._wake_intake,
            settings=UploadSettings(
                installation=config.installation,
                host=self.parts.node,
                worker=worker_name(self._gear.slot),
                resume_grace=config.landing.resume_grace,
                placeholder=config.landing.placeholder,
                free_space=config.landing.free_space,
                landing={name: region.landing for name, region in config.regions.items()},
                catalog=config.catalog.path.parent,
                upload_size=config.limits.upload_size,
                quotas=self.parts.quotas,
                unfiled_retention=config.unfiled.retention,
                partial_ttl=config.landing.partial_ttl,
                key_holder=functools.partial(holder_of, config.customer_keys),
            ),
        )

    def _make_unfiled(self) -> Unfiled:
        return Unfiled(
            database=self.parts.database,
            trail=self.parts.trail,
            tree_of=self.parts.cases.trees.of,
            quotas=self.parts.quotas,
            wake=self._wake_intake,
        )

    def _make_authenticator(self) -> Authenticator:
        config, parts = self._config, self.parts
        passwords = Passwords(parallel=config.auth.argon2_parallel, remember=config.auth.password_cache)
        return Authenticator(
            database=parts.database,
            audit=parts.trail,
            principals=self._principals(),
            tokens=self.tokens,
            passwords=passwords,
            throttle=Throttle(parts.database, config.auth.throttle, key=self._credentials.token_key),
            registry=SessionRegistry(total=config.limits.sessions, per_login=config.limits.sessions_per_login),
            filesystem_for=self._filesystem_for,
            may_enter=self._may_enter,
            check_entrance=self._check_entrance,
        )

    def _principals(self) -> Principals:
        lookup = self.parts.lookup
        return Principals(Accounts(self.ledger), lookup, CaseTokens(self.tokens, lookup))

    def _make_inbox(self) -> Inbox:
        incoming = self._config.webhooks.incoming
        return Inbox(
            database=self.parts.database,
            trail=self.parts.trail,
            keys=load_webhook_secrets(incoming.secret_files, "webhooks.incoming.secret_files"),
            tolerance=incoming.tolerance,
        )

    def _filesystem_for(
        self, principal: Principal, session_id: str, origin: Origin, narrowing: Narrowing
    ) -> CaseFileSystem:
        reader = reader_of(principal, origin, narrowing)
        return CaseFileSystem(rooms=self._rooms, reader=reader, session_id=session_id, origin=origin)

    def _may_enter(self, principal: Principal, case: CaseNumber, origin: Origin) -> bool:
        try:
            self.parts.cases.enter(reader_of(principal, origin, Narrowing(case=case)), case)
        except ElsewhereError as error:
            raise WrongEntranceError(str(error), authorities=error.authorities) from error
        except NotFoundError:
            return False
        return True

    def _check_entrance(self, principal: Principal, origin: Origin) -> None:
        try:
            self.parts.cases.check_entrance(reader_of(principal, origin))
        except ElsewhereError as error:
            raise WrongEntranceError(str(error), authorities=error.authorities) from error

    # -- running ---------------------------------------------------------------------------------------------------

    async def run(self, stopped: asyncio.Event) -> None:
        """Serve until *stopped*, then drain."""
        self.parts.cases.signpost = Signpost(listening=listening_at(self._config, self._ports()))
        self.uploads.recover([f"w{number}" for number in range(self._config.workers.protocol)])
        sftp = SftpServer(self.authenticator, self._sftp_settings(), self.crossing, metrics.SftpMeter())
        http = HttpServer(
            self.authenticator,
            self._http_settings(),
            self.crossing,
            extra=self._add_routes,
            observe=metrics.count_exchange,
        )
        context = server_context(self._credentials.certificate, self._credentials.certificate_key)
        ftps = FtpServer(self.authenticator, self._ftps_settings(), metrics.FtpsMeter())
        for listener, sock in self._gear.listeners:
            match listener.protocol:
                case "sftp":
                    await sftp.start(sock, listener.region)
                case "https":
                    ssh = await sftp.adopter(listener.region) if listener.sftp else None
                    await http.start(sock, listener.region, context, ssh)
                case "ftps":
                    ftps.start(
                        sock,
                        listener.region,
                        ftp_context(self._credentials.certificate, self._credentials.certificate_key),
                        implicit=listener.tls == "implicit",
                        passive_address=listener.passive_address,
                    )
        operations = None
        if self._gear.operations is not None:
            operations = await serve_operations(self._gear.operations, self.health, self._gear.metrics)
        self._watch.start()
        self._sweep.start()
        self._housekeeper.start()
        if self._config.reading.nearness == "measured" and len(self._config.regions) > 1:
            self._distances.start()
        log.info("worker.started", extra={"slot": self._gear.slot})
        if self._gear.slot == "w0":
            for each in shortcomings():
                log.info("network.could_be_faster: %s", each)
        await stopped.wait()
        self.health.draining = True
        log.info("worker.draining", extra={"slot": self._gear.slot})
        grace = self._config.workers.drain
        await asyncio.gather(sftp.drain(grace), http.drain(grace), asyncio.to_thread(ftps.drain, grace))
        if operations is not None:
            await operations.cleanup()
        await asyncio.to_thread(self._end)

    def _add_routes(self, app: web.Application) -> None:
        config, parts, key = self._config, self.parts, self._credentials.token_key
        endpoints = make_endpoints(parts)
        rooms = ApiRooms(
            config=config,
            database=parts.database,
            trail=parts.trail,
            lookup=parts.lookup,
            cases=parts.cases,
            uploads=self.uploads,
            tokens=self.tokens,
            unfiled=self._rooms.unfiled,
            cursors=Cursors(key),
            entrances=entrances_of(config, self._credentials, self._ports()),
            receipt_key=self._credentials.receipt_key.public_key(),
            sign=parts.sign,
            endpoints=endpoints,
            outbox=make_outbox(parts, endpoints),
            lifecycle=make_lifecycle(
                config=config,
                credentials=self._credentials,
                database=parts.database,
                trail=parts.trail,
                lookup=parts.lookup,
                objects=parts.objects,
                zones=parts.zones,
            ),
            holds=Holds(database=parts.database, trail=parts.trail, lookup=parts.lookup),
            glass=BreakGlass(
                database=parts.database,
                trail=parts.trail,
                approvals=config.break_glass.approvals,
                ttl=config.break_glass.ttl,
                is_releaser=releasers(self._principals()),
            ),
        )
        router = Router(
            crossing=self.crossing,
            find=self._caller,
            pace=Pace(self._gear.allowances, requests=config.api.requests, window=config.api.window),
            replays=Replays(database=parts.database, key=key, keep=config.api.replay),
            title=config.installation,
        )
        announcements = Announcements(self._make_inbox(), self.crossing, taken=self._watch.nudge)
        router.describe(ANNOUNCEMENTS, announcements_item())
        add_routes(app, rooms=rooms, router=router, others=[self.health, UploadPage(), announcements])

    def _ports(self) -> list[int]:
        return [sock.getsockname()[1] for _listener, sock in self._gear.listeners]

    def _caller(self, session: Session) -> Caller | None:
        live = self.authenticator.live(session.id)
        return None if live is None else caller_of(live, self.tokens)

    def _end(self) -> None:
        self._stop.set()
        self._watch.stop()
        self._sweep.stop()
        self._distances.stop()
        self._housekeeper.join()
        self.authenticator.settle(everything=True)
        self.parts.write_folded(everything=True)
        self.crossing.close()
        self._rooms.read_ahead.close()
        self.uploads.close()
        for zone in self.parts.zones.values():
            zone.close()
        self.parts.database.close()

    def _sftp_settings(self) -> SftpSettings:
        config = self._config
        return SftpSettings(
            host_keys=self._credentials.host_keys,
            algorithms=config.sftp.algorithms,
            chooses_cipher=config.sftp.cipher_choice == "server",
            banner=config.sftp.banner or "",
            login_grace=config.auth.login_grace,
            max_auth_attempts=config.sftp.login_attempts,
            max_connections=config.limits.sessions,
            max_unauthenticated=config.sftp.unauthenticated,
            max_unauthenticated_of_one=config.sftp.unauthenticated_per_address,
            keepalive_interval=config.sftp.keepalive,
            keepalive_count=config.sftp.keepalive_failures,
            idle_timeout=config.sftp.idle_timeout,
            window=config.sftp.window,
            largest_window=max(config.sftp.window, config.sftp.largest_window),
            window_memory=config.sftp.window_memory,
            rekey_bytes=config.sftp.rekey_bytes,
        )

    def _ftps_settings(self) -> FtpSettings:
        config = self._config.ftps
        return FtpSettings(
            passive_ports=config.passive_ports,
            active=config.active,
            welcome=config.banner or "ready",
            max_connections=config.connections,
            max_attempts=config.login_attempts,
            login_grace=self._config.auth.login_grace,
            connect_timeout=config.connect_timeout,
            stall_timeout=config.stall_timeout,
            idle_timeout=config.idle_timeout,
        )

    def _http_settings(self) -> HttpSettings:
        config = self._config.https
        return HttpSettings(
            max_connections=config.connections,
            max_body=self._config.limits.upload_size,
            head_timeout=config.header_timeout,
            idle_timeout=config.keepalive,
            body_timeout=config.body_idle_timeout,
            upload_php=self._config.deposit.upload_php,
            dav=config.dav.enabled,
            dav_lock_timeout=config.dav.lock_timeout,
        )

    # -- what goes on beside ---------------------------------------------------------------------------------------

    def _wake_intake(self) -> None:
        try:
            self._gear.wake.send(b"1")
        except OSError:  # full, or intake is being restarted: its sweep finds the row
            log.debug("worker.wake_lost")

    def _withdrawn(self, kind: Subject, subject: str, reason: str) -> None:
        match kind:
            case Subject.UPLOAD:
                self.uploads.taken_over(subject, int(reason.removeprefix("epoch ")))
            case Subject.CASE:
                self.parts.lookup.forget_case(subject)
                self.parts.cases.forget(subject)
                self.parts.cases.recheck_all()
                self.authenticator.apply(kind, subject, reason)
            case Subject.CUSTOMER:
                self.parts.lookup.forget_customer(subject)
                self.parts.cases.recheck_all()
            case Subject.PRINCIPAL:
                self.parts.lookup.forget_principal(subject)
                self.authenticator.apply(kind, subject, reason)
            case Subject.TOKEN:
                self.authenticator.apply(kind, subject, reason)

    def _keep_house(self) -> None:
        while not self._stop.wait(HOUSEKEEPING_SECONDS):
            try:
                self.authenticator.settle()
                self.parts.write_folded()
                self._rooms.read_ahead.sweep()
                self.uploads.record_interruptions()
                measure_catalog(self.parts.database, self._config.regions)
                for name, region in self._config.regions.items():
                    metrics.FREE_BYTES.labels(name).set(_free_bytes(region.landing))
            except Exception:  # the worker loop
                log.exception("worker.housekeeping_failed")

    def _check_catalog(self) -> None:
        with self.parts.database.read() as connection:
            connection.exec_driver_sql("SELECT 1")

    def _check_landing(self) -> None:
        directories = [region.landing for region in self._config.regions.values()]
        check_space(self._config.landing.free_space, [*directories, self._config.catalog.path.parent])


def _free_bytes(landing: Path) -> int:
    """Return how much room there is; none where the disk is away."""
    try:
        return space_of(landing)[1]
    except UnavailableError:
        return 0


def run_worker(config: Config, load: Callable[[], Credentials], gear: WorkerGear) -> None:
    """Be a protocol worker until SIGTERM."""
    configure_logging(config.log, f"worker-{gear.slot}")

    sys.setswitchinterval(SWITCH_SECONDS)

    async def main() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await Worker(config, load(), gear).run(stopped)

    asyncio.run(main())
