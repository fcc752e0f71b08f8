"""What holds for every test: generated cases are the same in every run, which then speaks of the code alone."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.load_profile("fixed")
