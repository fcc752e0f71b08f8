"""The scrubber's table: what it finds, what it leaves alone, how fast, beside the tools that install here."""
