"""`mft demo`: the whole house on one machine, shown by the programs that people really use.

The demo stands outside: it speaks to the server by `sftp`, `curl` and the `mft` command alone, and reads the catalog
for display only. What it knows more than a customer does (passwords, keys) it made itself.
"""
