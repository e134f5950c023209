"""Structured memory: people and things, how they relate, and the evidence for each.

Knows nodes, edges and evidence; knows nothing of vectors, folders or jobs beyond their ids.
Invariants: no edge without evidence; a weight is the number of its evidence rows, at every commit.
"""
