"""Channel data of AES-GCM connections, taken in and sent without asyncssh's copies.

asyncssh slices what it has not parsed yet twice for each packet, joins header, body and tag anew, and makes a key
schedule each time: for a large transfer that is most of a worker's time. Here packets are opened and sealed in buffers
that are used again and again. Whatever is not plain channel data or a wider window on an open channel goes to asyncssh
as it came, still sealed: key exchange, requests, errors. Names that asyncssh does not promise are used (`names`); where
one is missing, asyncssh does it all.

Source: RFC 4253, section 6; RFC 4254, section 5.2; RFC 5647 and OpenSSH's PROTOCOL file for aes*-gcm@openssh.com.
"""

from protocols.sftp.bulk.names import has_channel_names, has_connection_names
from protocols.sftp.bulk.receiver import BulkReceiver
from protocols.sftp.bulk.sender import BulkSender

__all__ = ["BulkReceiver", "BulkSender", "has_channel_names", "has_connection_names"]
