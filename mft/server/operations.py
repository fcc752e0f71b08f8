"""/healthz, /readyz and /metrics: over plain HTTP on the operator's port, the first two on every HTTPS listener too."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import func, select

from mft.catalog.model import UPLOADS as UPLOAD_ROWS
from mft.catalog.model import WEBHOOK_DELIVERIES
from mft.objects import queues_by_region
from mft.server import metrics
from mft.verification.fault import UNSEEN, Flaw
from mft.verification.notebook import faults_by_flaw, last_pass

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from mft.catalog.database import Database
    from protocols.aio import Crossing


class Health:
    """Says whether this process lives, and whether it can do its work."""

    def __init__(
        self, *, checks: Mapping[str, Callable[[], None]], crossing: Crossing, is_open: Callable[[], bool]
    ) -> None:
        """Be ready once the house *is_open* and none of *checks* raises; these may block."""
        self._checks = checks
        self._crossing = crossing
        self._is_open = is_open
        self.draining = False

    def add_routes(self, app: web.Application) -> None:
        """Serve /healthz and /readyz in *app*."""
        app.router.add_get("/healthz", self.healthz)
        app.router.add_get("/readyz", self.readyz)

    async def healthz(self, _request: web.Request) -> web.Response:
        """Answer: the process lives and its loop turns."""
        return web.json_response({"status": "ok"})

    async def readyz(self, _request: web.Request) -> web.Response:
        """Answer 200 if uploads could be taken now, else 503 with what stands against it."""
        failures = {"server": "draining"} if self.draining else {} if self._is_open() else {"server": "starting"}
        for name, check in self._checks.items():
            try:
                await asyncio.wait_for(self._crossing.run(check), timeout=5.0)
            except Exception as error:  # noqa: BLE001 - whatever it is, it is not ready; its text may hold secrets
                failures[name] = type(error).__name__
        status = 503 if failures else 200
        return web.json_response(
            {"status": "ready" if not failures else "not ready", "failed": failures}, status=status
        )


def render_metrics(directory: Path) -> bytes:
    """Add up what every process of the house has counted."""
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=str(directory))  # type: ignore[no-untyped-call]  # untyped in the library
    return generate_latest(registry)


def measure_catalog(database: Database, regions: Iterable[str]) -> None:
    """Set the gauges that speak of the catalog, those of copies for each of *regions*."""
    with database.read() as connection:
        states = connection.execute(select(UPLOAD_ROWS.c.state, func.count()).group_by(UPLOAD_ROWS.c.state)).all()
        queues = queues_by_region(connection)
        letters: dict[str, int] = dict(
            connection.execute(
                select(WEBHOOK_DELIVERIES.c.state, func.count())
                .where(WEBHOOK_DELIVERIES.c.state.in_(["waiting", "dead"]))
                .group_by(WEBHOOK_DELIVERIES.c.state)
            ).all()
        )
        faults, passed = faults_by_flaw(connection), last_pass(connection)
    for flaw in Flaw:
        if flaw not in UNSEEN:
            metrics.FAULTS.labels(str(flaw)).set(faults.get(str(flaw), 0))
    metrics.LAST_PASS.set(passed or 0)
    for state in ("waiting", "dead"):
        metrics.WEBHOOKS.labels(state).set(letters.get(state, 0))
    for state, count in states:
        metrics.UPLOADS.labels(state).set(count)
    now = time.time()
    for region in regions:
        queue = queues.get(region)
        metrics.COPIES.labels(region).set(0 if queue is None else queue.waiting)
        metrics.WITHDRAWALS.labels(region).set(0 if queue is None else queue.leaving)
        metrics.COPY_LAG.labels(region).set(0 if queue is None else queue.lag(now))


async def serve_operations(sock: socket.socket, health: Health, metrics_directory: Path) -> web.AppRunner:
    """Serve the operator's port on *sock* until the runner is cleaned up."""
    app = web.Application()
    health.add_routes(app)

    async def metrics_page(_request: web.Request) -> web.Response:
        body = await asyncio.to_thread(render_metrics, metrics_directory)
        return web.Response(body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    app.router.add_get("/metrics", metrics_page)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    await web.SockSite(runner, sock).start()
    return runner
