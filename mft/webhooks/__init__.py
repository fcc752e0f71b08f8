"""Webhooks: what the case system announces to us, and what we tell others (Standard Webhooks)."""
