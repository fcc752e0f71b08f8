"""A catalog from what the stores hold: slots name the object, its case and sender, and carry the case's wrapped keys.

What a slot does not tell cannot come back: accounts, tokens, receipts as they were signed, the audit, what was renamed
or deleted after it was stored, and what had not been stored yet. The audit of such a catalog says that it was made so.
"""
