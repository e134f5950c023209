"""Torture: seeded schedules of crashes, lost leases, slow calls and failing servers, and a checker that shares no code
with the product.

Tier A runs the main job in one process, on a real PostgreSQL and a real LanceDB, with the time of both in the harness's
hands, hundreds of schedules a minute. `python -m atom_torture --help`; docs/torture.md tells how to read its report.
"""
