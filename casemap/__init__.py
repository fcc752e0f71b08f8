"""Package casemap."""
