"""Sending and fetching files over HTTPS from a shell: `mft put` and `mft get`. Knows nothing of the server's inside."""
