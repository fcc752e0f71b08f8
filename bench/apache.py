"""Apache's mod_dav over TLS with our server's certificate: files out and in by WebDAV."""

from __future__ import annotations

import getpass
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Self

from bench.processes import end
from bench.sshd import PeerError, await_port, free_port, program

if TYPE_CHECKING:
    from bench.room import Room

MODULES = Path("/usr/lib/apache2/modules")
NAMES = ("mpm_event", "authz_core", "dav", "dav_fs", "ssl", "socache_shmcb")
CONFIGURATION = """\
ServerName localhost
ServerRoot {directory}
PidFile {directory}/pid
ErrorLog {directory}/log
LogLevel error
{modules}
{user}
Listen 127.0.0.1:{port}
DavLockDB {directory}/locks
SSLSessionCache none
StartServers 1
ServerLimit 1
ThreadsPerChild 25
MaxRequestWorkers 25
DocumentRoot {directory}/files
LimitRequestBody 0
SSLEngine on
SSLProtocol TLSv1.3
SSLCertificateFile {certificate}
SSLCertificateKeyFile {key}
<Directory {directory}/files>
    Require all granted
    Dav On
</Directory>
"""


class Apache:
    """`apache2` with mod_dav, one child."""

    name = "apache"

    def __init__(self, room: Room, certificate: Path, key: Path) -> None:
        """Write its configuration.

        Raises:
            PeerError: it is not installed.
        """
        self._program = program("apache2", "apache2")
        if not (MODULES / "mod_dav_fs.so").exists():
            raise PeerError(f"{MODULES} has no mod_dav_fs (package apache2)")
        self.directory = room.make("apache")
        self.files = self.directory / "files"
        self.files.mkdir(exist_ok=True)
        self.port = free_port()
        self._log = self.directory / "log"
        self._file = self.directory / "apache.conf"
        self._file.write_text(
            CONFIGURATION.format(
                directory=self.directory,
                modules="\n".join(f"LoadModule {name}_module {MODULES}/mod_{name}.so" for name in NAMES),
                user="User www-data\nGroup www-data" if os.geteuid() == 0 else f"User {getpass.getuser()}",
                port=self.port,
                certificate=certificate,
                key=key,
            )
        )
        if os.geteuid() == 0:  # its child writes there, as another user
            for path in (self.directory, self.files):
                path.chmod(0o777)
            room.path.chmod(room.path.stat().st_mode | 0o011)
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        command: list[str | Path] = [self._program, "-f", self._file, "-D", "FOREGROUND"]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        await_port(self.port, self.process, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self.process is not None:
            end(self.process)

    @property
    def pid(self) -> int:
        """The parent's.

        Raises:
            PeerError: it is not running.
        """
        if self.process is None:
            raise PeerError("apache2 is not running")
        return self.process.pid
