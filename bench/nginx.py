"""nginx over TLS with our server's certificate: files out, and in through its own WebDAV module."""

from __future__ import annotations

import getpass
import os
import subprocess
from typing import TYPE_CHECKING, Self

from bench.processes import end
from bench.sshd import PeerError, await_port, free_port, program

if TYPE_CHECKING:
    from pathlib import Path

    from bench.room import Room

CONFIGURATION = """\
daemon off; master_process on; worker_processes 1; pid {directory}/pid; error_log {directory}/log error; {user}
events {{ worker_connections 64; }}
http {{
    access_log off; sendfile on; tcp_nopush on; client_max_body_size 0;
    output_buffers 2 256k; client_body_buffer_size 256k;
    client_body_temp_path {directory}/temporary; proxy_temp_path {directory}/temporary;
    fastcgi_temp_path {directory}/temporary; uwsgi_temp_path {directory}/temporary;
    scgi_temp_path {directory}/temporary;
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}; ssl_certificate_key {key}; ssl_protocols TLSv1.3;
        location / {{ root {directory}/files; {put} }}
    }}
}}
"""


class Nginx:
    """`nginx`, one worker."""

    name = "nginx"

    def __init__(self, room: Room, certificate: Path, key: Path) -> None:
        """Write its configuration.

        Raises:
            PeerError: it is not installed.
        """
        self._program = program("nginx", "nginx")
        built = subprocess.run([self._program, "-V"], capture_output=True, text=True, check=True).stderr
        self.takes_files = "--with-http_dav_module" in built
        self.directory = room.make("nginx")
        self.files = self.directory / "files"
        for name in ("files", "temporary"):
            (self.directory / name).mkdir(exist_ok=True)
        self.port = free_port()
        self._log = self.directory / "log"
        self._file = self.directory / "nginx.conf"
        self._file.write_text(
            CONFIGURATION.format(
                directory=self.directory,
                user=f"user {getpass.getuser()};" if os.geteuid() == 0 else "",
                port=self.port,
                certificate=certificate,
                key=key,
                put="dav_methods PUT;" if self.takes_files else "",
            )
        )
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start it and wait until it listens."""
        command: list[str | Path] = [self._program, "-p", self.directory, "-c", self._file, "-e", self._log]
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        await_port(self.port, self.process, self._log)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        if self.process is not None:
            end(self.process)

    @property
    def pid(self) -> int:
        """The master's.

        Raises:
            PeerError: it is not running.
        """
        if self.process is None:
            raise PeerError("nginx is not running")
        return self.process.pid
