"""Duties: done by one worker at a time, when they are due, and again after their worker has died."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from structlog.testing import capture_logs

from atom_backfill.errors import RetryLaterError
from atom_backfill.jobs.duties import DUTY_LEASE_S, LOOK_EVERY_S, Duty, do_duties, reaper
from atom_backfill.jobs.postgres import PostgresDuties
from atom_backfill.metrics import Metrics
from fakes.clock import FakeClock
from scene import done, draining
from worlds import World


def let_pass(world: World, name: str) -> None:
    """Make a duty due, and its lease lapsed, unless a worker of this very thread has its row just now."""
    world.run(
        "UPDATE duties SET lease_until = '-infinity', due_at = '-infinity'"
        " WHERE name IN (SELECT name FROM duties WHERE name = %(name)s FOR UPDATE SKIP LOCKED)",
        name=name,
    )


async def test_a_duty_is_held_by_one_worker_and_due_again_after_its_time(world: World) -> None:
    duties = PostgresDuties(world.database)
    fence = await duties.take("upkeep", "w-1", 60)
    assert fence is not None
    assert await duties.take("upkeep", "w-2", 60) is None
    assert await duties.renew("upkeep", fence, 60)
    await duties.end("upkeep", fence, 300)
    assert await duties.take("upkeep", "w-2", 60) is None, "it is not due yet"
    let_pass(world, "upkeep")
    assert await duties.take("upkeep", "w-2", 60) == fence + 1


async def test_of_many_that_want_a_duty_one_gets_it(world: World) -> None:
    duties = PostgresDuties(world.database)
    taken = await asyncio.gather(*(duties.take("upkeep", f"w-{n}", 60) for n in range(8)))
    assert len([fence for fence in taken if fence is not None]) == 1


async def test_a_late_worker_can_neither_renew_nor_end_what_another_has_taken(world: World) -> None:
    duties = PostgresDuties(world.database)
    late = await duties.take("upkeep", "w-1", 60)
    assert late is not None
    let_pass(world, "upkeep")
    heir = await duties.take("upkeep", "w-2", 60)
    assert heir is not None
    assert not await duties.renew("upkeep", late, 60)
    await duties.end("upkeep", late, 0)
    assert await duties.take("upkeep", "w-3", 60) is None, "the heir's lease stands"


@asynccontextmanager
async def at_work(world: World, clock: FakeClock, *duties: Duty, worker: str = "w-1") -> AsyncIterator[None]:
    store = PostgresDuties(world.database)
    task = asyncio.create_task(do_duties(lambda: duties, store, worker, clock))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_no_error_of_one_duty_ends_the_others(world: World) -> None:
    clock, done = FakeClock(), asyncio.Event()

    async def fails_foreseeably() -> None:
        raise RetryLaterError("away", "It is away.")

    async def fails() -> None:
        raise ZeroDivisionError("of a mail")

    async def works() -> None:
        done.set()

    with capture_logs() as logs:
        duties = (Duty("a", 1, fails_foreseeably), Duty("b", 1, fails), Duty("c", 1, works))
        async with at_work(world, clock, *duties):
            await asyncio.wait_for(done.wait(), 5)
            done.clear()
            async with asyncio.timeout(5):
                while not done.is_set():
                    for duty in duties:
                        let_pass(world, duty.name)
                    await clock.until_sleeping()
                    await clock.advance(LOOK_EVERY_S)
    codes = {event["duty"]: event["error_code"] for event in logs if event["event"] == "duty failed"}
    assert codes == {"a": "away", "b": "bug"}
    assert not any("of a mail" in str(event.get("error")) for event in logs)


async def test_a_duty_that_is_lost_is_stopped(world: World) -> None:
    clock, begun, stopped = FakeClock(), asyncio.Event(), asyncio.Event()

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async with at_work(world, clock, Duty("upkeep", 1, endless)):
        await asyncio.wait_for(begun.wait(), 5)
        await clock.until_sleeping()
        world.run("UPDATE duties SET fence = fence + 1")
        assert not stopped.is_set()
        await clock.advance(DUTY_LEASE_S / 4)
        assert await asyncio.wait_for(stopped.wait(), 5)


async def test_of_two_workers_one_does_what_is_due(world: World) -> None:
    """Also when the other looks again: it waits for the duty's lease to lapse, or its end."""
    clock, doing = FakeClock(), list[str]()

    def endless(worker: str) -> Duty:
        async def do() -> None:
            doing.append(worker)
            await asyncio.Event().wait()

        return Duty("reaper", 1, do)

    async with at_work(world, clock, endless("w-1"), worker="w-1"):
        await clock.until_sleeping(1)
        async with at_work(world, clock, endless("w-2"), worker="w-2"):
            await clock.until_sleeping(2)
            await clock.advance(LOOK_EVERY_S)
            await clock.until_sleeping(2)
    assert doing == ["w-1"]


async def test_the_reaper_tells_of_what_it_rescues(world: World) -> None:
    lease = await world.lease()
    world.lapse(lease)
    metrics = Metrics()
    with capture_logs() as logs:
        await reaper(world.store, metrics).action()
        await reaper(world.store, metrics).action()
    assert metrics.totals()["atom_rescues_total.lease_lapsed"] == 1
    (event,) = [event for event in logs if event["event"] == "lease rescued"]
    assert (event["reason"], event["chunk"], event["worker"]) == ("lease_lapsed", str(lease.chunk_id), "w-1")
    assert event["lapsed_s"] >= 1.0


async def test_a_worker_tells_of_the_lapsed_chunk_that_it_claims_before_the_reaper_comes_by(world: World) -> None:
    lease = await world.lease()
    world.lapse(lease)
    scene = draining(world, done)
    with capture_logs() as logs:
        await scene.drain()
    totals = scene.metrics.totals()
    assert (totals["atom_rescues_total.claimed_over"], totals["atom_rescues_total.lease_lapsed"]) == (1, 0)
    (event,) = [event for event in logs if event["event"] == "lease rescued"]
    assert (event["reason"], event["chunk"], event["worker"]) == ("claimed_over", str(lease.chunk_id), "w-1")
    assert event["lapsed_s"] >= 1.0
