"""Who may log in: accounts, keys, passwords, tokens, throttling, and the sessions that come of it.

Rule of the room: a refusal never tells which part of the credential was wrong, by text or by cost; only the audit
knows. No password, token or private key is ever kept, logged or echoed.
"""
