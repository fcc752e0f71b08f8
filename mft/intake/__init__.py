"""What happens to an upload after it has landed: scrub, decide, store, copy.

The upload's row is the authority: a sweep starts a job for every LANDED upload that has none, so nothing depends on a
message that might get lost; the message only makes it quick. Each attempt to store takes a fresh object key, and each
step may run twice.
"""
