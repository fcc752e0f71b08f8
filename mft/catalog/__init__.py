"""The catalog: one database that knows every case, name, upload, object, copy, account and audit record.

Rule of the room: contents never lie here, only what is known about them. Row before file, durable
file before state, state before deletion.
"""
