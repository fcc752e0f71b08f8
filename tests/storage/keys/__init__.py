"""Tests of storage.keys."""
