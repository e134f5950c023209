"""The owner's rights over what is stored: that nothing is missing, and that it can be checked.

Knows the source, the record and the memory, and reconciles them; stores nothing itself.
Invariants: what lies at the source is never taken from our own tables.
"""
