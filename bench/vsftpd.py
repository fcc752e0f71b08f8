"""vsftpd over TLS: FTPS's peer, for anybody who comes, in a directory of its own, run as whoever runs the bench."""

from __future__ import annotations

import getpass
import subprocess
from typing import TYPE_CHECKING, Self

from bench.processes import end
from bench.sshd import PeerError, await_port, free_port, program

if TYPE_CHECKING:
    from pathlib import Path

    from bench.room import Room

CONFIGURATION = """\
listen=YES
listen_address=127.0.0.1
listen_port={port}
background=NO
run_as_launching_user=YES
anonymous_enable=YES
ftp_username={user}
no_anon_password=YES
local_enable=NO
write_enable=YES
anon_upload_enable=YES
anon_other_write_enable=YES
anon_world_readable_only=NO
allow_writeable_chroot=YES
anon_root={files}
secure_chroot_dir={empty}
xferlog_enable=NO
seccomp_sandbox=NO
ssl_enable=YES
allow_anon_ssl=YES
force_anon_logins_ssl=YES
force_anon_data_ssl=YES
require_ssl_reuse=NO
ssl_ciphers=HIGH
rsa_cert_file={certificate}
rsa_private_key_file={key}
"""


class Vsftpd:
    """`vsftpd` with one listener."""

    name = "vsftpd"

    def __init__(self, room: Room, certificate: Path, key: Path) -> None:
        """Write its configuration; *certificate* and *key* are those of the server that it is compared with.

        Raises:
            PeerError: it is not installed.
        """
        self._program = program("vsftpd", "vsftpd")
        self.directory = room.make("vsftpd")
        self.files = self.directory / "files"
        empty = self.directory / "empty"
        for each in (self.files, empty):
            each.mkdir(exist_ok=True)
        self.port = free_port()
        self._log = self.directory / "log"
        self._file = self.directory / "vsftpd.conf"
        self._file.write_text(
            CONFIGURATION.format(
                port=self.port, user=getpass.getuser(), files=self.files, empty=empty, certificate=certificate, key=key
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen([self._program, self._file], stdout=log, stderr=log)
        await_port(self.port, self.process, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self.process is not None:
            end(self.process)

    @property
    def pid(self) -> int:
        """The listener's.

        Raises:
            PeerError: it is not running.
        """
        if self.process is None:
            raise PeerError("vsftpd is not running")
        return self.process.pid
