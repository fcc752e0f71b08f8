"""The configuration that the demo gives to `mft serve`: three regions, five rules of thumb, short times."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from mft.demo.cast import INSTALLATION
from mft.demo.ground import write_private
from mft.demo.ports import HOST

if TYPE_CHECKING:
    from mft.demo.ground import Ground
    from mft.demo.ports import Ports

REGIONS = ("eu", "us", "ap")
BOUND_SECONDS = 3
"""Longest time that a withdrawn right may live on in the demo."""

_TEXT = """\
# Written by `mft demo`; config.example.yaml explains every key. The times are short so that their effect can be seen.
installation: {installation}
data: data
listeners:
{listeners}
operations: {{address: {host}, port: {operations}}}
regions:
  eu: {{keyring: {{passphrase_file: secrets/eu.passphrase}}, nearest: [us, ap]}}
  us: {{keyring: {{passphrase_file: secrets/us.passphrase}}, nearest: [ap, eu]}}
  ap: {{keyring: {{passphrase_file: secrets/ap.passphrase}}, nearest: [us, eu]}}
catalog: {{region: eu}}
residency:
  home: eu
  rules:
    - match: {{classification: eu-only}}
      home: eu
      reason: the contract keeps this case in the EU
    - match: {{customer: acme}}
      home: eu
      copies: [us]
      reason: Acme Corp agreed to a copy in the US
    - match: {{customer: globex}}
      home: us
      copies: [ap]
      metadata_regions: [us, eu]
      reason: Globex is at home in the US; its names may lie in the EU's catalog
lookup:
  type: http
  url: http://{host}:{case_system}
  secret_file: secrets/lookup.secret
  ttl: 1s
  negative_ttl: 1s
  stale_if_error: 1s
revocation: {{bound: {bound}s}}
landing: {{free_space: 64MiB}}
workers: {{protocol: 2, drain: 2s}}
log: {{format: text}}
"""
_LISTENER = "  - {{protocol: {protocol}, address: {host}, port: {port}, region: {region}}}"


def write_configuration(ground: Ground, ports: Ports) -> None:
    """Write the configuration and, where they are missing, the secrets that it names."""
    for name in REGIONS:
        _write_secret(ground, f"{name}.passphrase")
    _write_secret(ground, ground.lookup_secret.name)
    listeners = [
        _LISTENER.format(protocol=protocol, host=HOST, port=by_region[region], region=region)
        for protocol, by_region in (("sftp", ports.sftp), ("https", ports.https))
        for region in REGIONS
    ]
    text = _TEXT.format(
        installation=INSTALLATION,
        host=HOST,
        listeners="\n".join(listeners),
        operations=ports.operations,
        case_system=ports.case_system,
        bound=BOUND_SECONDS,
    )
    write_private(ground.configuration, text)


def _write_secret(ground: Ground, name: str) -> None:
    path = ground.secrets / name
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32) + "\n")
