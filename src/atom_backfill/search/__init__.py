"""Answers: passages by meaning and by words, fused, narrowed to what the record knows, each with its reason.

Knows hits, messages, threads and copies; knows nothing of how passages were made or fetched.
Invariants: what the record does not know is never shown, and every answer says which mail it came from.
"""
