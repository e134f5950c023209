"""Requests in flight are counted in the database: limited, given back, taken from the dead, lowered where asked."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from uuid import uuid4

import pytest

from atom_backfill.clock import Clock
from atom_backfill.errors import ThrottledError
from atom_backfill.jobs.job import AccountId
from atom_backfill.sources.postgres import PostgresPermits
from crowd import most_in_flight
from fakes.skipping_clock import SkippingClock
from lingering import Lingering
from worlds import World

MOST = 3


@pytest.fixture
async def account(world: World) -> AccountId:
    return world.account(await world.tenant())


def a_worker(world: World, account: AccountId, *, clock: Clock | None = None, scope: str = "m") -> PostgresPermits:
    """The permits as another process would have them."""
    return PostgresPermits(world.database, account, scope, MOST, clock or SkippingClock(), uuid4)


def slots(world: World) -> list[str]:
    """What the slots are: free, held, or dropped for a while."""
    rows = world.rows(
        "SELECT CASE WHEN held_until < atom_now() THEN 'free' WHEN holder IS NULL THEN 'dropped' ELSE 'held' END AS is"
        " FROM request_permits WHERE scope = 'm' ORDER BY slot"
    )
    return [row["is"] for row in rows]


async def test_no_more_requests_are_in_flight_than_allowed_whoever_sends_them(world: World, account: AccountId) -> None:
    workers = [a_worker(world, account) for _ in range(2)]
    assert await most_in_flight(workers, 24, allowed=MOST) == MOST
    assert slots(world) == ["free"] * MOST


async def test_a_crowd_in_one_process_asks_the_database_no_more_than_it_has_slots(
    world: World, account: AccountId
) -> None:
    """A mailbox with thousands of folders asks for all of them at once."""
    await _once(a_worker(world, account))
    clock = SkippingClock()
    permits = a_worker(world, account, clock=clock)
    await asyncio.gather(*(_once(permits) for _ in range(60)))
    assert clock.slept == [], "a poll for each that waits would be a storm"


@pytest.mark.parametrize("known", [0, 1])
async def test_one_request_takes_one_slot_whatever_the_planner_knows_of_the_table(
    world: World, account: AccountId, known: int
) -> None:
    """With statistics of a table of one row the choice of a slot was made anew for each slot, and took them all."""
    slots_of = "INSERT INTO request_permits (scope, slot) SELECT 'm', slot FROM generate_series(1, %(n)s) slot"
    world.run(slots_of, n=known)
    world.run("VACUUM ANALYZE request_permits")
    world.run(slots_of + " ON CONFLICT DO NOTHING", n=MOST)
    async with a_worker(world, account).hold():
        assert slots(world) == ["held", "free", "free"]


async def test_another_processs_requests_are_waited_for(world: World, account: AccountId) -> None:
    clock = SkippingClock()
    async with AsyncExitStack() as stack:
        other = a_worker(world, account)
        for _ in range(MOST):
            await stack.enter_async_context(other.hold())
        waiting = asyncio.create_task(_once(a_worker(world, account, clock=clock)))
        await _polls(clock, 3)
        assert not waiting.done()
    await waiting
    assert max(clock.slept) < 0.1


async def test_a_request_that_fails_gives_its_slot_back(world: World, account: AccountId) -> None:
    with pytest.raises(ZeroDivisionError):
        async with a_worker(world, account).hold():
            raise ZeroDivisionError
    assert slots(world) == ["free"] * MOST


async def test_the_slot_of_a_dead_worker_is_free_after_its_time(world: World, account: AccountId) -> None:
    async with AsyncExitStack() as stack:
        dead = a_worker(world, account)
        for _ in range(MOST):
            await stack.enter_async_context(dead.hold())
        world.run("UPDATE request_permits SET held_until = atom_now() - interval '1 second' WHERE scope = 'm'")
        async with a_worker(world, account).hold():
            assert slots(world).count("held") == 1
            # The dead one was only slow: what it gives back is not its own any more.
            await stack.aclose()
            assert slots(world).count("held") == 1


async def test_a_live_request_keeps_its_slot_longer_than_a_call_may_take(world: World, account: AccountId) -> None:
    async with a_worker(world, account).hold():
        left = world.value(
            "SELECT extract(epoch FROM max(held_until) - atom_now())::float8 FROM request_permits WHERE scope = 'm'"
        )
    assert 40 < left <= 45


async def test_a_short_wait_that_the_service_asked_for_is_waited_out_by_every_worker_and_holds_no_slot(
    world: World, account: AccountId
) -> None:
    await a_worker(world, account).throttled(ThrottledError("throttled", "Wait.", after=4.0))
    clock = SkippingClock()
    waiting = asyncio.create_task(_once(a_worker(world, account, clock=clock)))
    await _polls(clock, 1)
    assert 3 < clock.slept[0] <= 4
    assert "held" not in slots(world)
    world.run("UPDATE accounts SET throttled_until = atom_now() WHERE id = %(account)s", account=account)
    await waiting


async def test_a_long_wait_gives_the_chunk_back(world: World, account: AccountId) -> None:
    await a_worker(world, account).throttled(ThrottledError("throttled", "Wait.", after=120.0))
    clock = SkippingClock()
    with pytest.raises(ThrottledError) as raised:
        await _once(a_worker(world, account, clock=clock))
    assert 115 < raised.value.after <= 120  # type: ignore[operator]
    assert clock.slept == []
    assert "held" not in slots(world)


async def test_a_longer_wait_stands_and_time_throttled_is_counted_once(world: World, account: AccountId) -> None:
    tenant = await world.tenant()
    job = await world.job(tenant, account)
    permits = a_worker(world, account)
    for seconds in (60.0, 10.0, 60.0):
        await permits.throttled(ThrottledError("throttled", "Wait.", after=seconds))
    assert 59 < world.job_row(job)["throttled_s"] < 62


async def test_too_many_in_flight_means_a_slot_less_for_a_while_and_never_none(
    world: World, account: AccountId
) -> None:
    permits = a_worker(world, account)
    await _once(permits)
    crowded = ThrottledError("throttled", "Too many.", after=0.5, concurrency=True)
    await permits.throttled(crowded)
    assert slots(world) == ["free", "free", "dropped"]
    for _ in range(5):
        await permits.throttled(crowded)
    assert slots(world) == ["free", "dropped", "dropped"]
    world.run("UPDATE request_permits SET held_until = held_until - interval '10 minutes' WHERE scope = 'm'")
    assert slots(world) == ["free"] * MOST


async def test_a_slot_dropped_under_a_request_stays_dropped_when_it_ends(world: World, account: AccountId) -> None:
    permits = a_worker(world, account)
    async with AsyncExitStack() as stack:
        for _ in range(MOST):
            await stack.enter_async_context(permits.hold())
        await permits.throttled(ThrottledError("throttled", "Too many.", after=0.5, concurrency=True))
    assert slots(world) == ["free", "free", "dropped"]


async def test_a_higher_limit_makes_more_slots_and_a_lower_one_leaves_them_unused(
    world: World, account: AccountId
) -> None:
    await _once(a_worker(world, account))
    wide = PostgresPermits(world.database, account, "m", MOST + 2, SkippingClock(), uuid4)
    async with AsyncExitStack() as stack:
        for _ in range(MOST + 2):
            await stack.enter_async_context(wide.hold())
    narrow = PostgresPermits(world.database, account, "m", 1, SkippingClock(), uuid4)
    async with narrow.hold():
        assert slots(world) == ["held", *["free"] * (MOST + 1)]


async def test_whoever_is_cancelled_while_taking_a_slot_leaves_none_behind(world: World, account: AccountId) -> None:
    """A pause may come when the slot is taken in the database, and its taker does not know it yet."""
    slow = Lingering(world.database, at=lambda: "held" in slots(world))
    permits = PostgresPermits(slow, account, "m", MOST, SkippingClock(), uuid4)  # type: ignore[arg-type]
    taking = asyncio.create_task(_once(permits))
    await slow.lingers.wait()
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert slots(world) == ["free"] * MOST


async def _once(permits: PostgresPermits) -> None:
    async with permits.hold():
        pass


async def _polls(clock: SkippingClock, times: int) -> None:
    async with asyncio.timeout(10):
        while len(clock.slept) < times:  # noqa: ASYNC110 - what sets the event would be the code under test
            await asyncio.sleep(0)
