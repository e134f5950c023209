"""Model calls over an OpenAI-compatible endpoint: the tenant's own key, a 90 s limit, every failure sorted.

Knows HTTP and the endpoint's JSON; knows nothing of mail, memory or graph, whose ports it satisfies by shape.
Invariants: no key means no call, and no key and no text ever stand in an error.
"""
