"""The FTPS head: FTP over TLS, on both channels, over a filesystem that somebody else implements.

`FtpServer` is the head. It speaks RFC 959 with 2228, 2389, 2428, 3659 and 4217, and nothing in clear.
"""

from protocols.ftp.server import FtpServer
from protocols.ftp.settings import FtpObserver, FtpSettings
from protocols.ftp.tls import server_context

__all__ = ["FtpObserver", "FtpServer", "FtpSettings", "server_context"]
