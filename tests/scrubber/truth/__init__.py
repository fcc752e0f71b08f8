"""Support data with its ground truth: what must go, what must stay, and a scorer that says what came of it.

Written from formats, standards and what support bundles hold, without a look at the scrubber's rules: that is what
makes it a witness. Everything is made from a seed; nothing here is anybody's data.
"""
