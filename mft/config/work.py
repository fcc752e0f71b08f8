"""What goes on behind the entrances: limits, scrubbing, copying, processes, logs and audit."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mft.config.places import MatchConfig
from mft.config.units import Count, PositiveBytes, PositiveSeconds

ScopeName = Literal["case", "customer"]
ProfileName = Literal["strict", "support", "secrets-only"]


def _protocol_workers() -> int:
    return max(2, (os.cpu_count() or 1) // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitsConfig:
    """What one worker, one login, one upload and one case may take."""

    transfer_memory: PositiveBytes = 256 * 2**20
    """Memory for all transfers of one worker together."""
    sessions: Count = 1000
    """Sessions at once in one worker."""
    sessions_per_login: Count = 50
    """Sessions at once of one login in one worker."""
    upload_size: PositiveBytes | None = None
    """Largest upload; null: no limit but the space there is."""
    case_quota: PositiveBytes | None = None
    """Bytes that one case may hold; null: no limit."""
    threads: Count = 16
    """Threads of one worker for calls into the core."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubPolicyConfig:
    """What is done about what the scrubber finds."""

    secret: Literal["redact", "quarantine", "reject"] = "redact"  # noqa: S105  what to do, no secret
    """Keys, tokens and passwords."""
    personal: Literal["redact", "quarantine", "reject"] = "redact"
    """Addresses, numbers and names of people and of their machines."""
    obstacle: Literal["quarantine", "reject"] = "quarantine"
    """What could not be looked into: encrypted, corrupt, too deep, opaque."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubRuleConfig:
    """A rule for some cases; the first that matches holds. What it leaves out is as the keys above the rules say."""

    match: MatchConfig = field(default_factory=MatchConfig)
    profile: ProfileName | None = None
    terms: Path | None = None
    pseudonym_scope: ScopeName | None = None
    reason: str = ""
    """Why; it stands in the audit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalConfig:
    """Another scanner that is shown each upload of its region, in clear, before it is scrubbed."""

    name: str
    """What reasons, events and the log call it."""
    kind: Literal["icap", "clamd", "command"]
    region: str
    """The home region whose uploads it is shown; it stands there."""
    address: str | None = None
    """icap, clamd: host and port; clamd: also the path of its socket."""
    service: str = "avscan"
    """icap: the service's path."""
    method: Literal["respmod", "reqmod"] = "respmod"
    """icap: how it is asked."""
    command: tuple[str, ...] = ()
    """command: a program with its arguments; it gets the file on standard input. Exit code 0: clean; 1: found."""
    timeout: PositiveSeconds = 300.0
    """Longest time for one file."""
    on_failure: Literal["quarantine", "pass"] = "quarantine"
    """What becomes of a file that it could not look at, after three tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubConfig:
    """How uploads are scrubbed, each in a child process of its own."""

    workers: Count = 2
    """Files scrubbed at once."""
    memory: PositiveBytes = 2**30
    """Memory of one scrub child."""
    cpu: PositiveSeconds = 6 * 3600.0
    """Processor time of one scrub child."""
    wall: PositiveSeconds = 6 * 3600.0
    """Time by the clock of one scrub child."""
    file_size: PositiveBytes = 64 * 2**30
    """Largest scratch file of one scrub child; what is in it is sealed."""
    ahead: PositiveBytes | None = 64 * 2**20
    """Bytes of an upload under way from which on it is read while it still comes in, in one child more, one upload at a
    time; null: never."""
    attempts: Count = 3
    """Crashes or time-outs on one file before it is quarantined."""
    depth: Count = 8
    """Archives within archives."""
    members: Count = 200_000
    """Members of one upload, all archives together."""
    max_ratio: Count = 200
    """How many times its packed size an archive may grow to."""
    profile: ProfileName = "support"
    """What is replaced, and whether pictures and the like pass: docs/scrubbing.md."""
    terms: Path | None = None
    """A file of own words that always go, or always stay; null: none."""
    pseudonym_scope: ScopeName = "case"
    """Where one value has one pseudonym: in a case, or in all cases of a customer in a region."""
    reverse_map: bool = False
    """Whether what pseudonyms stand for is kept, sealed to the customer that has registered a key for it."""
    rules: tuple[ScrubRuleConfig, ...] = ()
    external: tuple[ExternalConfig, ...] = ()
    """Other scanners, asked in this order; the one place where plaintext leaves the server."""
    on: ScrubPolicyConfig = field(default_factory=ScrubPolicyConfig)


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkConfig:
    """The line from one region to another."""

    source: str
    target: str
    bandwidth: PositiveBytes
    """Bytes a second for the copies on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicationConfig:
    """How copies are made in other regions."""

    workers: Count = 2
    """Copies made at once."""
    attempts: Count = 20
    """Tries of one copy before an operator is called; it stays in the queue."""
    retry_first: PositiveSeconds = 5.0
    """Wait after the first failure; each next wait is twice as long."""
    retry_max: PositiveSeconds = 3600.0
    """Longest wait between two tries."""
    bandwidth: PositiveBytes | None = None
    """Bytes a second for all copies together; null: no limit."""
    links: tuple[LinkConfig, ...] = ()
    """Lines that bear less than that."""
    review: PositiveSeconds = 600.0
    """How often every case is asked for anew, whether its files lie where they may; what is announced is done at
    once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingConfig:
    """From which region a file is read, of those that may be read and hold it."""

    nearness: Literal["measured", "configured"] = "measured"
    """Measured: whose store answers soonest; `regions.NAME.nearest` decides among those that are about as near.
    Configured: that order alone."""
    measure: PositiveSeconds = 30.0
    """How often each store is asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkersConfig:
    """Processes."""

    protocol: Count = field(default_factory=_protocol_workers)
    """Protocol workers; every one serves every listener. By default half of the processor cores, at least two."""
    drain: PositiveSeconds = 30.0
    """On SIGTERM, how long transfers under way may go on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogConfig:
    """The log (not the audit, which lies in the catalog)."""

    level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    """At DEBUG, names of files and titles of cases may occur in it."""
    format: Literal["json", "text"] = "json"
    file: Path | None = None
    """Null: standard error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditConfig:
    """The audit chain's head, handed out so that nobody can rewrite the whole chain unseen."""

    export_head: Path | None = None
    """The file to which heads are appended, best on another machine's disk; null: none."""
    export_every: PositiveSeconds = 3600.0
    """How often."""
