"""What holds for every test: generated cases are the same in every run, which then speaks of the code alone."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("fuzz", max_examples=4000, deadline=None, print_blob=True)
settings.load_profile("fixed")
