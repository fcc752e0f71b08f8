"""What the holder of a case's token is sent: how to upload, ready to be pasted, with what the server must prove.

Host keys and certificate are pinned in the commands themselves: nobody is asked "are you sure", and nobody is taught
to say yes. `sftp` and `scp` ask for the token as the password; in those for `curl` and `lftp` it stands.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from mft.entrances import Entrance, Entrances

KNOWN_HOSTS, CERTIFICATE = "mft_known_hosts", "mft_certificate.pem"
"""Files that the commands make in the working directory."""
PLACEHOLDER = "FILE"


@dataclass(frozen=True, slots=True, kw_only=True)
class SftpInvitation:
    """The way by SFTP."""

    host: str
    port: int
    directory: str
    known_hosts: tuple[str, ...]
    sftp: str
    scp: str
    lftp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpsInvitation:
    """The way by HTTPS."""

    url: str
    """Where to PUT: the file's name is appended."""
    page: str
    """For a browser."""
    fingerprint: str
    certificate: str | None
    """PEM; None: an authority that clients know vouches for the server."""
    public_key_pin: str
    curl: str
    tus: str
    """Where clients of tus make their uploads."""
    put: str
    """`mft put`, with the certificate that the server has now; it asks for the token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FtpsInvitation:
    """The way by FTPS; the certificate is that of HTTPS."""

    host: str
    port: int
    directory: str
    implicit_tls: bool
    url: str
    curl: str
    lftp: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """Everything at once."""

    username: str
    password: str
    sftp: SftpInvitation | None
    https: HttpsInvitation | None
    ftps: FtpsInvitation | None


def invite(entrances: Entrances, *, case: str, token: str, regions: tuple[str, ...], directory: str) -> Invitation:
    """Write the invitation to *case*.

    Args:
        entrances: where the installation is open.
        case: the case's number, which is the login.
        token: its password.
        regions: those whose entrances may be used, the best first.
        directory: the folder for uploads, in the case's root.
    """
    sftp, https = entrances.nearest("sftp", regions), entrances.nearest("https", regions)
    ftps = entrances.nearest("ftps", regions)
    return Invitation(
        username=case,
        password=token,
        sftp=None if sftp is None else _sftp(entrances, sftp, case, token, directory),
        https=None if https is None else _https(entrances, https, case, token),
        ftps=None if ftps is None else _ftps(entrances, ftps, case, token, directory),
    )


def _sftp(entrances: Entrances, at: Entrance, case: str, token: str, directory: str) -> SftpInvitation:
    lines = tuple(entrances.known_hosts(at))
    pin = f"echo {shlex.quote(lines[0])} > {KNOWN_HOSTS}"
    options = f"-o UserKnownHostsFile={KNOWN_HOSTS} -o StrictHostKeyChecking=yes -o PubkeyAuthentication=no"
    who = shlex.quote(f"{case}@{at.host}")
    target = directory + "/"
    bracketed = f"[{at.host}]" if ":" in at.host else at.host
    ssh = f"ssh -a -x -o UserKnownHostsFile={KNOWN_HOSTS} -o StrictHostKeyChecking=yes"
    script = f'set sftp:connect-program "{ssh}"; put -O {target} {PLACEHOLDER}; bye'
    lftp_login = shlex.quote(f"{case},{token}")
    return SftpInvitation(
        host=at.host,
        port=at.port,
        directory=directory,
        known_hosts=lines,
        sftp=f"{pin} && echo 'put {PLACEHOLDER} {target}' | sftp {options} -P {at.port} -o BatchMode=no -b - {who}",
        scp=f"{pin} && scp {options} -P {at.port} {PLACEHOLDER} {shlex.quote(f'{case}@{bracketed}:{target}')}",
        lftp=f"{pin} && lftp -u {lftp_login} -e {shlex.quote(script)} sftp://{bracketed}:{at.port}",
    )


def _https(entrances: Entrances, at: Entrance, case: str, token: str) -> HttpsInvitation:
    url = f"https://{at.authority}/cases/{quote(case)}/"
    pinned = f" --fingerprint {entrances.fingerprint}" if entrances.self_signed else ""
    return HttpsInvitation(
        url=url,
        page=f"https://{at.authority}/upload/#{quote(case)}",
        fingerprint=entrances.fingerprint,
        certificate=entrances.certificate if entrances.self_signed else None,
        public_key_pin=entrances.public_key_pin,
        curl=f"{_curl(entrances, '--fail-with-body')} -u {shlex.quote(f'{case}:{token}')} -T {PLACEHOLDER} {url}",
        tus=f"https://{at.authority}/tus/cases/{quote(case)}/",
        put=f"mft put -u {shlex.quote(case)}{pinned} {PLACEHOLDER} {url}",
    )


def _ftps(entrances: Entrances, at: Entrance, case: str, token: str, directory: str) -> FtpsInvitation:
    url = f"{at.ftp_url}/{quote(directory)}/"
    forced = "set ftp:ssl-force yes; set ftp:ssl-protect-data yes"
    trust = f"; set ssl:ca-file {CERTIFICATE}" if entrances.self_signed else ""
    script = f"{forced}{trust}; put -O {directory}/ {PLACEHOLDER}; bye"
    lftp = f"lftp -u {shlex.quote(f'{case},{token}')} -e {shlex.quote(script)} {at.ftp_url}"
    return FtpsInvitation(
        host=at.host,
        port=at.port,
        directory=directory,
        implicit_tls=at.implicit,
        url=url,
        curl=f"{_curl(entrances, '--ssl-reqd')} -u {shlex.quote(f'{case}:{token}')} -T {PLACEHOLDER} {url}",
        lftp=f"{_before(entrances)}{lftp}",
    )


def _curl(entrances: Entrances, option: str) -> str:
    """Return the beginning of a command of curl that believes this server's certificate and no other."""
    trust = f" --cacert {CERTIFICATE}" if entrances.self_signed else ""
    return f"{_before(entrances)}curl {option} --pinnedpubkey {entrances.public_key_pin}{trust}"


def _before(entrances: Entrances) -> str:
    """Return what writes down a certificate that no authority vouches for."""
    if not entrances.self_signed:
        return ""
    return f"printf '%s' {shlex.quote(entrances.certificate)} > {CERTIFICATE} && "
