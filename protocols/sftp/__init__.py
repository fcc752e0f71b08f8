"""The SFTP head: protocol version 3 (draft-ietf-secsh-filexfer-02) over a filesystem that somebody else implements.

In a channel there may be a command in place of the subsystem: legacy scp, or a digest of a file. There is no shell.

asyncssh does SSH: key exchange, authentication, channels. What runs inside the `sftp` subsystem is ours, because a
library that answers a lost connection with the same `close()` as a real SSH_FXP_CLOSE cannot tell a whole file from a
cut one.
"""
