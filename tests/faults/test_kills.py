"""Kill −9 between any two steps: after a restart everything is there, once."""

from __future__ import annotations

import asyncio
import random
import signal

import pytest

from mortals import Mortals

# One life after the other, each ended at another point; the n-th time, so that different pages are hit.
LIVES = [
    ("leased", 1),
    ("folder_planned", 2),
    ("claimed", 1),
    ("fetched", 2),
    ("read", 1),
    ("embedded", 2),
    ("remembered", 1),
    ("committed", 2),
    ("settling", 1),
    ("settled", 1),
    ("leased", 2),
    ("remembered", 3),
]


async def test_a_worker_killed_between_any_two_steps_loses_nothing_and_doubles_nothing(mortals: Mortals) -> None:
    job = await mortals.start()
    launcher = None
    for point, times in LIVES:
        launcher = await mortals.worker(launcher, die={point: times})
        assert await launcher.ended() == -signal.SIGKILL, f"nobody came to {point}"
        mortals.let_leases_lapse()
    assert launcher is not None
    assert mortals.world.job_row(job)["status"] == "running"
    await mortals.finish(launcher)


@pytest.mark.long
async def test_a_worker_killed_at_any_moment_loses_nothing_and_doubles_nothing(mortals: Mortals) -> None:
    """Inside a write to the memory or a commit, too, where no point has a name."""
    await mortals.start()
    rng, launcher = random.Random(20251103), None
    for _ in range(8):
        launcher = await mortals.worker(launcher)
        ended = asyncio.create_task(launcher.ended())
        await asyncio.wait({ended}, timeout=rng.uniform(0.1, 0.4))
        if not ended.done():
            launcher.send(signal.SIGKILL)
        assert await ended in (-signal.SIGKILL, 0)
        mortals.let_leases_lapse()
    assert launcher is not None
    await mortals.finish(launcher)


@pytest.mark.long
async def test_two_workers_of_which_one_dies_finish_as_one(mortals: Mortals) -> None:
    """Both hold leases; the second waits until the first is dead, or chance could leave the first nothing to do."""
    await mortals.start()
    living = await mortals.worker(freeze={"leased": 1}, lease_s=1.0)
    await living.said("frozen")
    dying = await mortals.worker(die={"remembered": 2}, lease_s=1.0)
    assert await dying.ended() == -signal.SIGKILL
    living.send(signal.SIGCONT)
    assert await living.ended() == 0
    await mortals.assert_all_done()


@pytest.mark.long
async def test_a_stopped_worker_loses_its_leases_and_comes_back_harmless(mortals: Mortals) -> None:
    """SIGSTOP between memory and record, when the page is about to count; then another does it; then SIGCONT."""
    await mortals.start()
    stopped = await mortals.worker(freeze={"remembered": 2}, lease_s=1.0, concurrency=1)
    await stopped.said("frozen")
    held = mortals.world.rows("SELECT id, fence FROM sync_chunks WHERE state = 'leased'")
    assert held
    other = await mortals.worker(lease_s=1.0)
    assert await other.ended() == 0
    await mortals.assert_all_done()
    before = mortals.world.rows_of(mortals.tenant)
    stopped.send(signal.SIGCONT)
    assert await stopped.ended() == 0
    await mortals.assert_all_done()
    assert mortals.world.rows_of(mortals.tenant) == before


async def test_sigterm_drains_within_ten_seconds_with_nothing_to_redo_but_the_current_page(mortals: Mortals) -> None:
    job = await mortals.start()
    worker = await mortals.worker(drain=False)
    await mortals.world.until(lambda: mortals.world.job_row(job)["messages_done"] > 0, within_s=30)
    worker.send(signal.SIGTERM)
    assert await asyncio.wait_for(worker.ended(), 10) == 0
    assert mortals.world.rows("SELECT id FROM sync_chunks WHERE state = 'leased'") == []
    assert mortals.world.rows("SELECT id FROM sync_chunks WHERE attempts > 0") == []
    await mortals.finish(worker)
