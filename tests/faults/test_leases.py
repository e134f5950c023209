"""A lease lives as long as its worker's process does, whatever that does; and who has lost one writes nothing more."""

from __future__ import annotations

import asyncio
import signal
from typing import Any
from uuid import UUID

import pytest

import hostile
from atom_backfill.clock import SystemClock
from atom_backfill.db.renewal import RenewalConnection
from atom_backfill.jobs.heartbeat import Heartbeat
from atom_backfill.jobs.ports import Standing
from atom_backfill.jobs.postgres_renewals import PostgresRenewals
from atom_backfill.sandbox.process import Sandbox
from mortals import Mortals
from worlds import World

LEASE_S = 2.0
HELD = "SELECT id, fence, lease_until FROM sync_chunks WHERE state = 'leased' ORDER BY id"


async def until_renewed(world: World, chunk: UUID, times: int = 3) -> None:
    """Return once a lease has been made longer so many times; how long that takes is the machine's business."""
    seen = set[Any]()

    def renewed() -> bool:
        seen.update(row["lease_until"] for row in world.rows(HELD) if row["id"] == chunk)
        return len(seen) > times

    await world.until(renewed, within_s=120)


@pytest.mark.parametrize("burn_in", ["loop", pytest.param("thread", marks=pytest.mark.long)])
async def test_computing_without_a_pause_costs_a_worker_no_lease(mortals: Mortals, burn_in: str) -> None:
    """In the event loop, which stands still meanwhile, or in another thread; the heartbeat shares the GIL with both."""
    await mortals.start()
    worker = await mortals.worker(burn={"remembered": 2}, burn_in=burn_in, lease_s=LEASE_S, concurrency=1)
    await worker.said("burning")
    (held,) = mortals.world.rows(HELD)
    await until_renewed(mortals.world, held["id"])
    (still,) = mortals.world.rows(HELD)
    assert (still["id"], still["fence"]) == (held["id"], held["fence"])
    (mortals.home / "enough").touch()
    assert await worker.ended() == 0
    claimed = "SELECT id FROM sync_chunks WHERE tenant_id = %(t)s AND (attempts > 0 OR claims <> 1)"
    assert mortals.world.rows(claimed, t=mortals.tenant) == []
    await mortals.assert_all_done()


async def test_a_pattern_that_holds_the_parsers_interpreter_costs_no_lease(mortals: Mortals) -> None:
    """In this process it would starve every thread, so parsing happens in a child that is killed."""
    await mortals.start()
    world, told = mortals.world, list[Standing]()
    lease, box = await world.claim(), Sandbox()
    renewals = PostgresRenewals(RenewalConnection(world.fresh.url), lease_s=LEASE_S)
    with Heartbeat(renewals, SystemClock(), every_s=0.1, lease_s=LEASE_S) as heartbeat:
        heartbeat.add(lease, told.append)
        parsing = asyncio.create_task(box.map(hostile.behave, ["regex"], seconds_each=600))
        await until_renewed(world, lease.chunk_id)
        assert not parsing.done()
        parsing.cancel()
        await asyncio.gather(parsing, return_exceptions=True)
    await box.aclose()
    assert told == []


@pytest.mark.parametrize("point", ["fetched", pytest.param("remembered", marks=pytest.mark.long)])
async def test_a_worker_that_has_lost_its_lease_stops_that_chunk_and_writes_nothing_more(
    mortals: Mortals, point: str
) -> None:
    """The lease is taken over while the worker computes; then it comes back, between the same two steps of the page."""
    job = await mortals.start()
    worker = await mortals.worker(burn={point: 2}, lease_s=LEASE_S, concurrency=1, drain=False)
    await worker.said("burning")
    (held,) = mortals.world.rows(HELD)
    taken = "UPDATE sync_chunks SET fence = fence + 1, lease_until = atom_now() + interval '1 h', worker = 'heir'"
    mortals.world.run(taken + " WHERE id = %(id)s", id=held["id"])
    # Told to stop as well, so that it does not go on with other chunks.
    worker.send(signal.SIGTERM)
    before = kept(mortals)
    (mortals.home / "enough").touch()
    assert await worker.ended() == 0
    assert kept(mortals) == before
    (heir,) = mortals.world.rows("SELECT worker, fence, state FROM sync_chunks WHERE id = %(id)s", id=held["id"])
    assert heir == {"worker": "heir", "fence": held["fence"] + 1, "state": "leased"}
    assert mortals.world.job_row(job)["error_count"] == 0
    await mortals.finish(worker)


def kept(mortals: Mortals) -> dict[str, Any]:
    """Everything of the tenant but when somebody was last seen at work."""
    rows = mortals.world.rows_of(mortals.tenant)
    for row in rows["historical_sync_jobs"]:
        row["row"].pop("last_heartbeat")
    return rows
