"""Find secrets and personal data in what customers send, and replace them.

A pure engine: bytes in, bytes and a `ScrubReport` out. No clock, no network, no database, no files of its own. The one
rule of this room: what was found never leaves it, neither in a report nor in an error.
"""
