"""A child process with limits and a kill, in which pure functions read untrusted input.

Knows processes, pipes and limits; knows nothing of mail.
Invariants: whatever an item does to its child, its neighbours are answered; no child outlives its parent.
"""
