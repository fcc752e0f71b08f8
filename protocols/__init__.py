"""Protocol heads: SFTP, HTTPS and FTPS over a filesystem that somebody else implements.

A head never sees a case, a region or a key. What it needs of the application is declared in `protocols.filesystem` and
`protocols.session`; the application implements it.
"""
