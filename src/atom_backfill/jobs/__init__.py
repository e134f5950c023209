"""The engine: jobs, chunks, leases and fences; who works on what, and what happens when somebody dies.

Knows states, leases, retries and fairness; knows nothing of mail or of what a handler does.
Invariants: a chunk has at most one live lease; each claim raises its fence; whoever holds an older fence changes
nothing; every clock that decides is the database's.
"""
