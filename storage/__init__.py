"""Sealed storage: where bytes lie, under which keys, and in which regions. Plaintext never reaches a disk."""
