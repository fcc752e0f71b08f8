"""The contract test kit: what a case system's owner runs against the endpoint, one line for each promise."""

from casemap.kit.check import Check, Samples
from casemap.kit.records import check_lookup
from casemap.kit.wire import check_endpoint

__all__ = ["Check", "Samples", "check_endpoint", "check_lookup"]
