"""A case system that is asked in its own words: URL templates there, JMESPath back to the contract's records.

The rule: a mapping is data, and what it makes of an answer is checked like any other case system's.
"""
