"""Scrubbing in a child process of its own for each file: under limits, with no key but those of that file."""
