"""What is counted, for Prometheus. Names of people, cases and files never become labels."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

if TYPE_CHECKING:
    from protocols.http.settings import Exchange

CONNECTIONS = Gauge("mft_connections", "Open connections", ["protocol", "region"], multiprocess_mode="livesum")
LOGINS = Counter("mft_logins_total", "Credentials looked at", ["protocol", "method", "outcome"])
BYTES = Counter("mft_transferred_bytes_total", "Bytes of files", ["protocol", "direction"])
SFTP_ANSWERS = Counter("mft_sftp_answers_total", "Answers but for plain reads and writes", ["operation", "status"])
FTPS_ANSWERS = Counter("mft_ftps_answers_total", "Replies to commands", ["verb", "code"])
HTTP_ANSWERS = Counter("mft_http_answers_total", "Answers", ["method", "status"])
HTTP_SECONDS = Histogram(
    "mft_http_seconds",
    "From a request to the end of its answer",
    ["method"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)
UPLOADS = Gauge("mft_uploads", "Uploads by state, as the catalog has them", ["state"], multiprocess_mode="mostrecent")
COPIES = Gauge("mft_copies_waiting", "Copies that are still to be made", ["region"], multiprocess_mode="mostrecent")
COPY_LAG = Gauge(
    "mft_copy_lag_seconds", "Age of the oldest copy still to be made", ["region"], multiprocess_mode="mostrecent"
)
WITHDRAWALS = Gauge(
    "mft_withdrawals_waiting", "Copies that are still to be taken away", ["region"], multiprocess_mode="mostrecent"
)
WEBHOOKS = Gauge(
    "mft_webhook_deliveries",
    "Deliveries of webhooks that wait or were given up",
    ["state"],
    multiprocess_mode="mostrecent",
)
FAULTS = Gauge(
    "mft_verify_faults", "What was found wrong with what is kept, and is", ["flaw"], multiprocess_mode="mostrecent"
)
LAST_PASS = Gauge(
    "mft_verify_last_pass_timestamp_seconds", "When everything was last read through", multiprocess_mode="mostrecent"
)
CHECKED = Counter("mft_verify_objects_total", "Objects that were read through in the background")
WAITING = Gauge(
    "mft_intake_waiting",
    "Uploads that wait to be scrubbed for something that the machine lacks",
    ["lacks"],
    multiprocess_mode="mostrecent",
)
FREE_BYTES = Gauge("mft_free_bytes", "Free space below a region's landing zone", ["region"], multiprocess_mode="min")
STORE_SECONDS = Gauge(
    "mft_store_answer_seconds",
    "How long a region's store takes to answer this node, as a moving average; readers are served from the nearest",
    ["region"],
    multiprocess_mode="mostrecent",
)
STORE_UP = Gauge(
    "mft_store_up",
    "Whether a region's store could be written, read and deleted in",
    ["region"],
    multiprocess_mode="mostrecent",
)
RESTARTS = Counter("mft_process_restarts_total", "Processes that died and were started again", ["role"])
METHODS = frozenset(
    {"GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH"}
    | {"PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK"}
)


_bytes = functools.lru_cache(maxsize=64)(BYTES.labels)
"""The child for a protocol and a direction: looking one up costs more than a small request."""
_sftp_answers = functools.lru_cache(maxsize=512)(SFTP_ANSWERS.labels)


class SftpMeter:
    """Counts what the SFTP head does."""

    def connected(self, region: str) -> None:
        """A TCP connection was accepted."""
        CONNECTIONS.labels("sftp", region).inc()

    def disconnected(self, region: str) -> None:
        """It is gone."""
        CONNECTIONS.labels("sftp", region).dec()

    def authenticated(self, method: str, outcome: str) -> None:
        """A credential was looked at."""
        LOGINS.labels("sftp", method, outcome).inc()

    def answered(self, operation: str, status: str) -> None:
        """A request was answered."""
        _sftp_answers(operation, status).inc()

    def transferred(self, direction: str, count: int) -> None:
        """Bytes of a file went in or out."""
        _bytes("sftp", direction).inc(count)


class FtpsMeter:
    """Counts what the FTPS head does."""

    def connected(self, region: str) -> None:
        """A TCP connection was accepted."""
        CONNECTIONS.labels("ftps", region).inc()

    def disconnected(self, region: str) -> None:
        """It is gone."""
        CONNECTIONS.labels("ftps", region).dec()

    def authenticated(self, outcome: str) -> None:
        """A password was looked at."""
        LOGINS.labels("ftps", "password", outcome).inc()

    def answered(self, verb: str, code: int) -> None:
        """A command was answered."""
        FTPS_ANSWERS.labels(verb, str(code)).inc()

    def transferred(self, direction: str, count: int) -> None:
        """Bytes of a file went in or out."""
        _bytes("ftps", direction).inc(count)


def count_exchange(exchange: Exchange) -> None:
    """Count one HTTP request."""
    method = exchange.method if exchange.method in METHODS else "other"
    HTTP_ANSWERS.labels(method, str(exchange.status)).inc()
    HTTP_SECONDS.labels(method).observe(exchange.seconds)
    BYTES.labels(exchange.protocol, "in").inc(exchange.received)
    BYTES.labels(exchange.protocol, "out").inc(exchange.sent)
