"""Package scrubber."""
