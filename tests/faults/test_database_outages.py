"""The database goes away under a worker: what was not committed is done again, and nothing is half there."""

from __future__ import annotations

import asyncio

from mortals import Mortals

CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND usename = 'atom_test'
"""


async def test_connections_cut_in_the_middle_cost_pages_and_no_mail(mortals: Mortals) -> None:
    job, world = await mortals.start(), mortals.world
    worker = await mortals.worker(lease_s=2.0)
    for least in (1, 60, 150):
        await world.until(lambda least=least: world.job_row(job)["messages_done"] >= least, within_s=30)  # type: ignore[misc]
        world.run(CUT)
    ended = asyncio.create_task(worker.ended())
    while not ended.done():
        world.hasten()
        await asyncio.wait({ended}, timeout=0.2)
    assert await ended == 0
    await mortals.assert_all_done()
