"""Who a login is, which cases it has, and where each appears.

The room's one rule: it *finds out*, it never decides. Whatever comes from outside is checked here and nowhere later.
"""
