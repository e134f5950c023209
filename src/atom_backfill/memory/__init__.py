"""Semantic memory: passages and their vectors, one LanceDB dataset per tenant.

Knows passages, vectors, words and generations; knows nothing of folders walked, leases or jobs.
Invariants: a row's id is derived from what it holds, so writing it again changes nothing; the dataset names the
embedder that made it and refuses another; what the record does not know is never shown.
"""
