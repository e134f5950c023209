"""The record: every message that was read, its body kept apart, and every one that could not be read.

Knows messages, places, bodies and failures; knows nothing of folders walked, vectors or jobs beyond their ids.
Invariants: a source id is one message or one failure, never both; ids are derived from what they name, so the same mail
always has the same id; nothing here outlives its tenant's scope.
"""
