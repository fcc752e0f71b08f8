"""Tests of storage.landing."""
