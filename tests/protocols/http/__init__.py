"""Tests of the HTTPS head."""
