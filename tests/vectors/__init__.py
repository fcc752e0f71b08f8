"""Vectors: bytes that every later version must read."""
