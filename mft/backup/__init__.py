"""Backups, and a server made from one again.

In one are the catalog of a moment, wrapped keys in a part of their own, what the server is known by, what is stored.

No region's key is in a backup in clear. What was destroyed after it stays destroyed: the ledgers of destroyed keys lie
outside, and a restore plays them again before anything else can be opened.
"""
